# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The reconstruction error (RE) of "Taming VAEs", Table 1."""

from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base

PER = ("image", "channel", "region")


class ReconstructionError(base.PositiveErrorConstraint):
  """Root-mean-square error per dimension at most κ.

    C(x, g) = Σ_d (x_d − g_d)² − D κ²        reduction="sum"
    C(x, g) = (1/D) Σ_d (x_d − g_d)² − κ²    reduction="mean"

  κ is in the units of the data: .1 on images in [0, 1] is an RMSE of a tenth
  of the range, whatever the size of the image. Under "sum" the multiplier is
  λ = 1/2σ² of the Gaussian decoder N(g, σ²I) with the same trade-off. "mean"
  changes the units of λ by D and nothing else (except under
  `Exponential`, which starts from 1 in either unit).

  per="channel" and per="region" hold κ for every channel, or in every cell of a
  grid, with a multiplier each: C is a vector, and d and D are an entry's own
  dimensions. Then no entry is paid for by another's.

  λ starts at 1/(20 κ²), a tenth of what the decoder N(g, κ²I) has.

  Source: Rezende & Viola 2018, Table 1; the units are BUILD_NOTES 1.
  """

  slack = base.SQUARE_SLACK  # 3 % are of κ, not of its square.

  def __init__(
    self,
    kappa: float,
    *,
    reduction: str = "sum",
    per: str = "image",
    num_channels: int | None = None,
    grid: int | None = None,
    name: str = "re",
  ):
    """Builds the constraint.

    Args:
      kappa: the tolerance, an RMSE per dimension.
      reduction: "sum" or "mean" over an entry's dimensions.
      per: "image" (a scalar), "channel" (the last axis), or "region".
      num_channels: K, for per="channel" alone.
      grid: for per="region" (by default 2): the image is cut into grid · grid
        cells, whose sides differ by a pixel at most; K counts them row by row.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if kappa is not positive and finite, reduction or per is
        unknown, K is missing, or grid is given without regions.
    """
    self.kappa = base.check_tolerance("kappa", kappa)
    if reduction not in ("sum", "mean"):
      raise errors.unknown_name("reduction", reduction, ("sum", "mean"))
    if per not in PER:
      raise errors.unknown_name("per", per, PER)
    if per == "channel":
      self.size = base.check_size("num_channels", num_channels)
    elif per == "region":
      self._grid = base.check_size("grid", 2 if grid is None else grid)
      self.size = self._grid**2
    if grid is not None and per != "region":
      raise errors.UserError(
        f'`grid` is for per="region"; got {grid!r} with per={per!r}.'
      )
    self.reduction = reduction
    self.per = per
    self.name = name

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> base.ConstraintValue:
    del context
    targets, reconstruction = base.as_pair(targets, reconstruction)
    error, num_dims = self._errors(
      tf.math.squared_difference(targets, reconstruction)
    )
    # In units of "mean" one dimension counts 1/D, in units of "sum" 1.
    scale = 1.0 if self.reduction == "sum" else 1.0 / num_dims
    bound = scale * num_dims * self.kappa**2
    return base.ConstraintValue(
      violation=scale * error - bound,
      weight=None,
      bound=bound,
      initial_multiplier=base.starting_multiplier(num_dims, bound),
    )

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """The RMSE per dimension."""
    # Rounding must not take the root of a negative number.
    return self.kappa * tf.sqrt(tf.maximum(1.0 + mean / bound, 0.0))

  def _errors(self, squares: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each entry's sum of squares [B, K], and its number of dimensions [K]."""
    if self.per == "region":
      return _region_sums(squares, self._grid)
    axes = list(range(1, squares.shape.rank))
    num_dims = tf.cast(tf.reduce_prod(tf.shape(squares)[1:]), squares.dtype)
    if self.per == "image":
      return tf.reduce_sum(squares, axes), num_dims
    if squares.shape[-1] != self.size:
      raise errors.UserError(
        f"`num_channels` must be that of the images, {squares.shape[-1]}; got "
        f"{self.size}."
      )
    num_dims = tf.fill([self.size], num_dims / self.size)
    return tf.reduce_sum(squares, axes[:-1]), num_dims


def _region_sums(squares: tf.Tensor, grid: int) -> tuple[tf.Tensor, tf.Tensor]:
  """Sums [B, grid²] over the cells of images [B, H, W, C], and their sizes."""
  if squares.shape.rank != 4 or min(squares.shape[1:3]) < grid:
    raise errors.UserError(
      f"`grid` must be at most the side of images [B, H, W, C]; got {grid} and "
      f"{squares.shape}."
    )
  heights, widths = (_cut(side, grid) for side in squares.shape[1:3])
  cells = [
    cell
    for band in tf.split(squares, heights, axis=1)
    for cell in tf.split(band, widths, axis=2)
  ]
  sums = [tf.reduce_sum(cell, axis=[1, 2, 3]) for cell in cells]
  num_dims = [float(cell.shape[1:].num_elements()) for cell in cells]
  return tf.stack(sums, axis=1), tf.constant(num_dims, squares.dtype)


def _cut(side: int, parts: int) -> list[int]:
  """A side in whole parts that differ by 1 at most."""
  return [(i + 1) * side // parts - i * side // parts for i in range(parts)]
