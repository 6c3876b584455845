# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A budget of nats, so that the distortion can be the objective."""

from typing import Any

import tensorflow as tf

from geco_tf.constraints import base


class KLBudget(base.PositiveErrorConstraint):
  """The code takes κ nats on average.

    C = KL(q(z|x) ‖ π(z)) − κ

  It is meant to stand under an objective that wants nats, the distortion
  Σ_d (x_d − g_d)²: then λ is the distortion that one more nat would save,
  2σ² = 1/λ_RE of the run that holds this distortion instead. The natural
  multiplier is that of one grey for all, 2 Var x. κ is in nats per example; one
  bit is ln 2 = .693 nats.

  Source: ours; the rate-distortion twin of "Taming VAEs", equation 2.
  """

  def __init__(self, kappa: float, *, name: str = "kl"):
    """Builds the constraint.

    Args:
      kappa: the largest mean KL, in nats.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if kappa is not positive and finite.
    """
    self.kappa = base.check_tolerance("kappa", kappa)
    self.name = name

  def __call__(  # type: ignore[override]
    self,
    targets: tf.Tensor,
    reconstruction: tf.Tensor,
    *,
    kl: tf.Tensor,
    **context: Any,
  ) -> base.ConstraintValue:
    """The constraint on one batch.

    Args:
      targets: [B, ...], for the natural multiplier.
      reconstruction: not read.
      kl: [B], nats, differentiable.
      **context: not read.

    Returns:
      The `ConstraintValue`, violation [B].
    """
    del reconstruction, context
    kl = tf.convert_to_tensor(kl)
    variance = tf.math.reduce_variance(targets)
    return base.ConstraintValue(
      violation=kl - self.kappa,
      weight=None,
      bound=tf.constant(self.kappa, kl.dtype),
      initial_multiplier=1.0 / base.natural_multiplier(variance),
    )

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """The mean KL, in nats."""
    return mean + bound
