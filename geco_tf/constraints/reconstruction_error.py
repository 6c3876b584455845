# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The reconstruction error (RE) of "Taming VAEs", Table 1."""

from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base


class ReconstructionError(base.PositiveErrorConstraint):
  """Root-mean-square error per dimension at most κ.

    C(x, g) = Σ_d (x_d − g_d)² − D κ²        reduction="sum"
    C(x, g) = (1/D) Σ_d (x_d − g_d)² − κ²    reduction="mean"

  κ is in the units of the data: .1 on images in [0, 1] is an RMSE of a tenth
  of the range, whatever the size of the image. Under "sum" the multiplier is
  λ = 1/2σ² of the Gaussian decoder N(g, σ²I) with the same trade-off. "mean"
  changes the units of λ by D and nothing else (except under
  `Exponential`, which starts from 1 in either unit).

  Source: Rezende & Viola 2018, Table 1; the units are BUILD_NOTES 1.
  """

  def __init__(
    self,
    kappa: float,
    *,
    reduction: str = "sum",
    name: str = "re",
  ):
    """Builds the constraint.

    Args:
      kappa: the tolerance, an RMSE per dimension.
      reduction: "sum" or "mean" over an example's dimensions.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if kappa is not positive and finite, or reduction is unknown.
    """
    self.kappa = base.check_tolerance("kappa", kappa)
    if reduction not in ("sum", "mean"):
      raise errors.unknown_name("reduction", reduction, ("sum", "mean"))
    self.reduction = reduction
    self.name = name

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> base.ConstraintValue:
    del context
    targets = tf.convert_to_tensor(targets)
    reconstruction = tf.convert_to_tensor(reconstruction)
    if not targets.shape.is_compatible_with(reconstruction.shape):
      raise errors.UserError(
        f"`reconstruction` must have the shape of `targets`, "
        f"{targets.shape}; got {reconstruction.shape}."
      )
    axes = list(range(1, targets.shape.rank))
    num_dims = tf.cast(tf.size(targets) / tf.shape(targets)[0], targets.dtype)
    # In units of "mean" one dimension counts 1/D, in units of "sum" 1.
    scale = 1.0 if self.reduction == "sum" else 1.0 / num_dims
    bound = scale * num_dims * self.kappa**2
    error = scale * tf.reduce_sum(
      tf.math.squared_difference(targets, reconstruction), axes
    )
    # About the grand mean: a picture of one grey everywhere would reach it.
    variance = tf.math.reduce_variance(targets)
    return base.ConstraintValue(
      violation=error - bound,
      weight=None,
      bound=bound,
      # Targets that are all one grey have no scale: then it is 1.
      initial_multiplier=tf.where(
        tf.equal(variance, 0.0),
        tf.ones_like(variance) / scale,
        1.0 / (2.0 * variance * scale),
      ),
    )

  def is_satisfied(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    """Whether RMSE ≤ 1.03 κ: the 3 % are of κ, not of its square."""
    return moving_average <= ((1.0 + base.SLACK) ** 2 - 1.0) * bound
