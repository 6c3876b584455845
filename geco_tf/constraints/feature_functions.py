# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Features that no training makes: local means and standard deviations."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base, windows
from geco_tf.registry import Registry

SIDES = (2, 4, 8)
# Added to the variance, so that the root has a gradient where it is 0: flat
# windows have a deviation of a thousandth of the range, whoever reads them.
_VARIANCE_FLOOR = 1e-6


def local_statistics(
  *, sides: Sequence[int] = SIDES
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
  """A feature function: mean and deviation of windows, at several scales.

    mean_w = (1/n) Σ_d∈w x_d
    deviation_w = sqrt((1/n) Σ_d∈w (x_d − mean_w)² + 1e-6)

  over windows w that tile the image, for each channel. Fine scales say where
  things are; coarse ones how bright a place is, and how much goes on there, but
  not what.

  Args:
    sides: of the windows, in pixels; each scale is a feature map of its own.

  Returns:
    A function of images [B, H, W, C] to one map [B, h, w, 2 C] for each side,
    means before deviations, in units of the data. Its gradient is finite
    everywhere.

  Raises:
    UserError: if there is no side, or one is not a whole number of at least 2;
      of the function, if a window does not fit.

  Source: "Taming VAEs", Table 1, which names local means and standard
  deviations; it does not say at which scales.
  """
  if not isinstance(sides, Sequence) or not sides:
    raise errors.UserError(f"`sides` must be some, as in (2, 4); got {sides}.")
  sides = [base.check_size("sides", side, least=2) for side in sides]

  def statistics(images: tf.Tensor) -> list[tf.Tensor]:
    return [_statistics(images, side) for side in sides]

  return statistics


def _statistics(images: tf.Tensor, side: int) -> tf.Tensor:
  cells = windows.windows(images, side, stride=side)
  # The mean first: a difference of squares would lose the small deviations.
  mean = tf.reduce_mean(cells, axis=[3, 4], keepdims=True)
  variance = tf.reduce_mean(tf.math.squared_difference(cells, mean), [3, 4])
  deviation = tf.sqrt(variance + _VARIANCE_FLOOR)
  return tf.concat([tf.squeeze(mean, [3, 4]), deviation], axis=-1)


registry = Registry("feature function")
register = registry.register
register("local_statistics", local_statistics)
