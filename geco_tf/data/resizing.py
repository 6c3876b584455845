# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Images of any size to squares of one side."""

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.data import sources

METHODS = ("area", "crop", "pad")
_CHUNK = 1024
# Far above what models take, and far below what memory cannot.
_MAX_SIZE = 512


def check_options(image_size: int | None, method: str) -> None:
  """Raises a UserError unless `fit` would take the options."""
  if method not in METHODS:
    raise errors.unknown_name("resize method", method, METHODS)
  if image_size is not None and not 1 <= image_size <= _MAX_SIZE:
    raise errors.UserError(
      f"`image_size` must be positive and at most {_MAX_SIZE}; got "
      f"{image_size}."
    )


def fit(images: np.ndarray, image_size: int, *, method: str) -> np.ndarray:
  """Makes images image_size pixels high and wide.

  A pixel of the result is the mean of those that it covers, which leaves no
  aliasing; images of the right size come back as they are.

  Args:
    images: [N, H, W, C], uint8 or float32.
    image_size: the side of the result.
    method: "area" averages, and stretches what is not square; "crop" takes the
      largest square in the centre, then averages; "pad" puts zeros around, the
      image in the centre.

  Returns:
    [N, image_size, image_size, C], of the same type.

  Raises:
    UserError: if "pad" is asked to make an image smaller.
  """
  height, width = images.shape[1:3]
  if height == width == image_size:
    return images
  if method == "pad":
    return _pad(images, image_size)
  if method == "crop":
    images = center_crop(images, min(height, width))
  return _average(images, image_size)


def center_crop(images: np.ndarray, size: int) -> np.ndarray:
  """The square of `size` pixels in the centre of [N, H, W, C].

  Raises:
    UserError: if the images are smaller than that.
  """
  height, width = images.shape[1:3]
  if min(height, width) < size:
    raise errors.UserError(
      f"A crop of {size}x{size} needs images at least as large; got "
      f"{height}x{width}."
    )
  top, left = (height - size) // 2, (width - size) // 2
  return images[:, top : top + size, left : left + size]


def _pad(images: np.ndarray, image_size: int) -> np.ndarray:
  height, width = images.shape[1:3]
  if max(height, width) > image_size:
    raise errors.UserError(
      f"Padding to {image_size}x{image_size} needs images no larger than that; "
      f"got {height}x{width}. Resize by area or crop instead."
    )
  top, left = (image_size - height) // 2, (image_size - width) // 2
  return np.pad(
    images,
    (
      (0, 0),
      (top, image_size - height - top),
      (left, image_size - width - left),
      (0, 0),
    ),
  )


def _average(images: np.ndarray, image_size: int) -> np.ndarray:
  resized = np.empty(
    (len(images), image_size, image_size, images.shape[-1]), images.dtype
  )
  for start in range(0, len(images), _CHUNK):
    with tf.device("CPU:0"):
      means = tf.image.resize(
        images[start : start + _CHUNK], (image_size, image_size), method="area"
      ).numpy()
    # Rounding may leave a mean a little above what it is the mean of.
    means = means.clip(images.min(), images.max())
    if images.dtype == np.uint8:
      means = np.rint(means)
    resized[start : start + _CHUNK] = means
  return resized


def fit_source(
  source: sources.Source, image_size: int, *, method: str
) -> sources.Source:
  """Makes the images of both splits image_size pixels high and wide."""
  train, test = (
    split._replace(images=fit(split.images, image_size, method=method))
    for split in (source.train, source.test)
  )
  return source._replace(train=train, test=test)
