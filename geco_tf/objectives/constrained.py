# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""GECO as an objective: KL, or distortion, under constraints."""

import abc
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from geco_tf import errors, geco
from geco_tf.constraints import base as constraints_base
from geco_tf.models import outputs as outputs_lib
from geco_tf.objectives import base


class Constrained(base.Objective):
  """min E[cost] under E[C] ≤ 0; a concrete class says what costs."""

  def __init__(
    self,
    constraints: Iterable[constraints_base.Constraint],
    *,
    update_rule: Any = "auto",
    decay: float = 0.99,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Builds the objective; the arguments are those of `geco_tf.GECO`."""
    super().__init__(name=name)
    self.geco = geco.GECO(
      constraints, update_rule=update_rule, decay=decay, dtype=dtype
    )

  def loss(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs, **context: Any
  ) -> base.Loss:
    values = self.geco.constraint_values(
      images,
      outputs.reconstruction,
      kl=outputs.kl,
      latents=outputs.latents,
      **context,
    )
    cost = self.cost_per_example(images, outputs)
    return base.Loss(self.geco.lagrangian(cost, values), values)

  def reads(self, key: str) -> bool:
    return any(c.reads(key) for c in self.geco.constraints.values())

  @abc.abstractmethod
  def cost_per_example(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs
  ) -> tf.Tensor:
    """What is minimised, [B]."""

  def initialize(self, statistics: Any) -> None:
    """Starts every multiplier.

    Raises:
      UserError: if a constraint is not finite on the first batch.
    """
    for name, value in statistics.items():
      violation = value.violation
      if value.weight is not None:
        violation = tf.math.multiply_no_nan(violation, value.weight)
      if not tf.reduce_all(tf.math.is_finite(violation)):
        raise errors.UserError(
          f"The constraint {name!r} must be finite; it is not on the first "
          "batch, before any step."
        )
    self.geco.initialize(statistics)

  def update(self, statistics: Any) -> dict[str, tf.Tensor]:
    return self.geco.update(statistics)


class ConstrainedKL(Constrained):
  """min E[KL] under E[C] ≤ 0: the Lagrangian of "Taming VAEs", equation 2."""

  def cost_per_example(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs
  ) -> tf.Tensor:
    """The KL, nats."""
    del images
    return outputs.kl


class ConstrainedDistortion(Constrained):
  """min E[Σ_d (x_d − g_d)²] under E[C] ≤ 0, as a budget of nats for the code.

  The distortion is in squared units of the data, summed over dimensions; λ of a
  KL budget is then 2σ².
  """

  def cost_per_example(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs
  ) -> tf.Tensor:
    """The squared error."""
    return base.squared_error_per_example(images, outputs.reconstruction)
