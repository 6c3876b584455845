# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Windows of images: what is compared place by place."""

import numpy as np
import tensorflow as tf

from geco_tf import errors


def windows(images: tf.Tensor, size: int, stride: int) -> tf.Tensor:
  """Square windows that cover the whole image.

  The first begins at the edge and the last ends at the other; those between
  are evenly spaced, at most `stride` apart.

  Args:
    images: [B, H, W, C].
    size: side of a window.
    stride: the largest step between two, at most size.

  Returns:
    [B, n, m, size, size, C].

  Raises:
    UserError: if the images are not [B, H, W, C], or smaller than a window.
  """
  images = tf.convert_to_tensor(images)
  if images.shape.rank != 4:
    raise errors.UserError(
      f"Windows need images [B, H, W, C]; got the shape {images.shape}."
    )
  height, width = images.shape[1:3]
  if min(height, width) < size:
    raise errors.UserError(
      f"A window of side {size} must fit into the images; they are {height} by "
      f"{width}."
    )
  bands = tf.gather(images, _places(height, size, stride), axis=1)
  cells = tf.gather(bands, _places(width, size, stride), axis=3)
  return tf.transpose(cells, [0, 1, 3, 2, 4, 5])


def _places(side: int, size: int, stride: int) -> np.ndarray:
  """The pixels of every window along one axis, [n, size]."""
  num_windows = -(-(side - size) // stride) + 1
  starts = np.round(np.linspace(0, side - size, num_windows)).astype(np.int32)
  return starts[:, np.newaxis] + np.arange(size, dtype=np.int32)
