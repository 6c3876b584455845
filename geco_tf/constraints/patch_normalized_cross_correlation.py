# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The patch normalised cross-correlation (pNCC) of "Taming VAEs", Table 1."""

from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base, windows


class PatchNormalizedCrossCorrelation(base.PositiveErrorConstraint):
  """Patches correlate with those of the target by κ on average.

    C(x, g) = κ − (1/I) Σ_i ψ(x, i)ᵀ ψ(g(z), i)
    ψ(x, i) = [p_i − mean(p_i), s] / sqrt(‖p_i − mean(p_i)‖² + s²)

  with p_i the patch at place i (its pixels in all channels) and s² = n ε for
  patches of n numbers and the variance floor ε. A patch that varies by much
  more than ε is whitened as in the paper: zero mean, unit norm, and neither its
  brightness nor its contrast matters. A flat one has no direction; the extra
  coordinate s gives it one, so that flat is like flat (1) and unlike textured
  (about 0), a perfect reconstruction has 1 everywhere, and the gradient exists
  everywhere. κ is a correlation, from −1 to 1: the larger, the stronger.

  As an error, 1 − correlation is at most 1 − κ: that is the bound, and the
  units of the relative violation. λ starts at D/(20 (1 − κ)) for D dimensions,
  a tenth of that at which as much costs half a nat a dimension.

  Source: Rezende & Viola 2018, Table 1; the floor is ours.
  """

  def __init__(
    self,
    kappa: float,
    *,
    patch_size: int = 8,
    stride: int | None = None,
    variance_floor: float = 1e-4,
    name: str = "pncc",
  ):
    """Builds the constraint.

    Args:
      kappa: the least mean correlation, in (−1, 1).
      patch_size: side of a patch, in pixels.
      stride: largest step from a patch to the next; None is half a patch.
        Patches cover the whole image.
      variance_floor: ε, in squared units of the data: 1e-4 is a deviation of a
        hundredth of the range.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if kappa cannot be reached or missed, or a size is not one.
    """
    self.kappa = base.check_tolerance("kappa", kappa, positive=False)
    if not -1.0 < self.kappa < 1.0:
      raise errors.UserError(
        f"`kappa` must be in (-1, 1), a correlation; got {kappa!r}."
      )
    self._patch_size = base.check_size("patch_size", patch_size, least=2)
    if stride is None:
      stride = patch_size // 2
    self._stride = base.check_size("stride", stride)
    if stride > patch_size:
      raise errors.UserError(
        f"`stride` must be at most patch_size={patch_size}, to leave no gaps; "
        f"got {stride}."
      )
    self._variance_floor = base.check_tolerance(
      "variance_floor", variance_floor
    )
    self.name = name

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> base.ConstraintValue:
    """The constraint on images [B, H, W, C]."""
    del context
    targets, reconstruction = base.as_pair(targets, reconstruction)
    correlation = tf.reduce_mean(
      self.correlations(targets, reconstruction), axis=[1, 2]
    )
    dtype = correlation.dtype
    num_dims = targets.shape[1:].num_elements()
    bound = tf.constant(1.0 - self.kappa, dtype)
    return base.ConstraintValue(
      violation=self.kappa - correlation,
      weight=None,
      bound=bound,
      initial_multiplier=base.starting_multiplier(num_dims, bound),
    )

  def correlations(self, images: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """ψ(images, i)ᵀ ψ(others, i) at every place.

    Args:
      images: [B, H, W, C].
      others: of the same shape.

    Returns:
      [B, n, m], from −1 to 1.
    """
    one, other = self._centered(images), self._centered(others)
    floor = one.shape[3:].num_elements() * self._variance_floor
    axes = [3, 4, 5]
    product = tf.reduce_sum(one * other, axes) + floor
    norms = tf.reduce_sum(one**2, axes) + floor
    other_norms = tf.reduce_sum(other**2, axes) + floor
    # Two roots, of which neither product can underflow.
    return product * tf.math.rsqrt(norms) * tf.math.rsqrt(other_norms)

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """The mean correlation."""
    del bound
    return self.kappa - mean

  def _centered(self, images: tf.Tensor) -> tf.Tensor:
    """Patches without their means, [B, n, m, size, size, C]."""
    patches = windows.windows(images, self._patch_size, self._stride)
    return patches - tf.reduce_mean(patches, axis=[3, 4, 5], keepdims=True)
