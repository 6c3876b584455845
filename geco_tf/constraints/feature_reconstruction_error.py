# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The feature reconstruction error (FRE) of "Taming VAEs", Table 1."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from geco_tf.constraints import base


class FeatureReconstructionError(base.PositiveErrorConstraint):
  """Root-mean-square error of features at most κ.

    C(x, g) = D [ (1/L) Σ_l (1/D_l) ‖f_l(x) − f_l(g(z))‖² − κ² ],  D = Σ_l D_l

  for L feature maps f_l of D_l numbers each: every map counts alike, whatever
  its size. For one map it is ‖f(x) − f(g)‖² − D κ², the reconstruction error in
  another space. κ is in the units of the features: docs/constraints.md has
  their standard deviations, at which a model that knows nothing ends. What f
  does not see is free.

  λ starts at 1/(20 κ²), as the reconstruction error's.

  Source: Rezende & Viola 2018, Table 1.
  """

  slack = base.SQUARE_SLACK  # 3 % are of κ, not of its square.

  def __init__(
    self,
    kappa: float,
    *,
    feature_fn: Callable[[tf.Tensor], Any],
    name: str = "fre",
  ):
    """Builds the constraint.

    Args:
      kappa: the tolerance, an RMS error per feature.
      feature_fn: images [B, ...] → features [B, ...], or a structure (a list, a
        dictionary) of several maps; differentiable. Its weights must not be
        among those that are trained.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if kappa is not positive and finite.
    """
    self.kappa = base.check_tolerance("kappa", kappa)
    self._feature_fn = feature_fn
    self.name = name

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> base.ConstraintValue:
    del context
    targets, reconstruction = base.as_pair(targets, reconstruction)
    wanted = tf.nest.flatten(self._feature_fn(targets))
    found = tf.nest.flatten(self._feature_fn(reconstruction))
    errors = [
      _mean(tf.math.squared_difference(f, g))
      for f, g in zip(wanted, found, strict=True)
    ]
    error = tf.add_n(errors) / len(wanted)
    num_features = sum(f.shape[1:].num_elements() for f in wanted)
    bound = tf.constant(num_features * self.kappa**2, error.dtype)
    return base.ConstraintValue(
      violation=num_features * error - bound,
      weight=None,
      bound=bound,
      initial_multiplier=base.starting_multiplier(num_features, bound),
    )

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """The RMS error per feature."""
    return self.kappa * tf.sqrt(tf.maximum(1.0 + mean / bound, 0.0))


def _mean(values: tf.Tensor) -> tf.Tensor:
  """The mean of each example, [B]."""
  return tf.reduce_mean(values, axis=list(range(1, values.shape.rank)))
