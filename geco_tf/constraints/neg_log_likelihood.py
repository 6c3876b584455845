# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A target for the likelihood, in nats per dimension."""

import math
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base

# Beyond, σ² overflows in float32.
_LARGEST_LOG_SIGMA = 40.0


class NegLogLikelihood(base.PositiveErrorConstraint):
  """−ln p(x|z) per dimension at most κ, whatever σ that takes.

    C(x, g) = D [ nll(x; g, σ) − κ ]
    nll(x; g, σ) = ½ ln 2πσ² + ((1/D) Σ_d (x_d − g_d)² + b²/12) / 2σ² − ln b

  the quantised normal with bins of width b: pixels with noise in the bin, the
  density times b. σ is the one whose likelihood at its own best is κ:

    ½ ln 2πe σ² − ln b = κ

  At it, the constraint is met exactly where a σ exists that meets it (and the
  best one is it), and C is linear in the squared error: λ = 1 is the ELBO with
  this σ. So it is the reconstruction error at an RMSE of sqrt(σ² − b²/12), in
  the units of likelihoods. A perfect reconstruction has ½ ln(2πe/12) = .1765
  nats: a κ below that cannot be reached.

  λ starts at about 1/10: the reconstruction error's, in these units.

  Source: "Taming VAEs", appendix D, equation 26, turned round.
  """

  slack = base.SQUARE_SLACK  # 3 % are of the RMSE: .03 nats per dimension.

  def __init__(
    self,
    kappa: float,
    *,
    bin_width: float = 1.0 / 255.0,
    name: str = "nll",
  ):
    """Builds the constraint.

    Args:
      kappa: the largest −ln p per dimension, in nats; in bits, times ln 2.
      bin_width: b, between two values of a pixel, in units of the data.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if no reconstruction reaches kappa, none could miss it, or b is
        not positive.
    """
    self.kappa = base.check_tolerance("kappa", kappa, positive=False)
    self._bin_width = base.check_tolerance("bin_width", bin_width)
    shift = 0.5 * math.log(2.0 * math.pi * math.e) - math.log(self._bin_width)
    if self.kappa - shift > _LARGEST_LOG_SIGMA:
      raise errors.UserError(
        f"`kappa` must be at most {_LARGEST_LOG_SIGMA + shift:.4g} nats per "
        f"dimension, where σ leaves all scales; got {kappa!r}."
      )
    self._variance = math.exp(2.0 * (self.kappa - shift))
    self._noise = self._bin_width**2 / 12.0
    if self._variance <= self._noise:
      least = 0.5 * math.log(2.0 * math.pi * math.e / 12.0)
      raise errors.UserError(
        f"`kappa` must be above {least:.4f} nats per dimension, those of a "
        f"perfect reconstruction; got {kappa!r}."
      )
    self.name = name

  @property
  def sigma(self) -> float:
    """σ of the decoder at κ, in units of the data."""
    return math.sqrt(self._variance)

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> base.ConstraintValue:
    del context
    targets, reconstruction = base.as_pair(targets, reconstruction)
    squares = tf.math.squared_difference(targets, reconstruction)
    num_dims = targets.shape[1:].num_elements()
    # At this σ, κ and the constants cancel but for the room that is left.
    error = tf.reduce_sum(squares, axis=list(range(1, targets.shape.rank)))
    bound = tf.constant(
      num_dims * (self._variance - self._noise) / (2.0 * self._variance),
      error.dtype,
    )
    return base.ConstraintValue(
      violation=error / (2.0 * self._variance) - bound,
      weight=None,
      bound=bound,
      initial_multiplier=base.starting_multiplier(num_dims, bound),
    )

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """Nats per dimension with σ at its optimum."""
    allowed = self._variance - self._noise
    mse = allowed * tf.maximum(1.0 + mean / bound, 0.0)
    return self.kappa + 0.5 * tf.math.log((mse + self._noise) / self._variance)
