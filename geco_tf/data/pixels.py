# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is done to pixels: fewer bits and noise, and in which type they are."""

import math

import tensorflow as tf

from geco_tf import errors
from geco_tf.data import counter_random, sources, views
from geco_tf.data.batch import Batch

# Keeps this noise apart from other numbers of the same seed.
_NOISE = 2


def check_options(pixel_noise: float, bit_depth: int | None) -> None:
  """Raises a UserError unless `degrade` would take the options."""
  if not 0.0 <= pixel_noise <= 1.0:
    raise errors.UserError(
      f"`pixel_noise` must be in [0, 1]; got {pixel_noise}."
    )
  if bit_depth is not None and bit_depth not in range(1, 9):
    raise errors.UserError(
      f"`bit_depth` must be a whole number from 1 to 8; got {bit_depth}."
    )


def degrade(
  source: sources.Source,
  *,
  pixel_noise: float = 0.0,
  bit_depth: int | None = None,
  seed: int = 0,
) -> sources.Source:
  """Rounds the images of both splits down to few levels, then adds noise.

  x becomes clip(quantize(x) + U(-w/2, w/2), 0, 1), w the width. A context stays
  as it is: what an image is to be made from is not what is modelled.

  Args:
    source: of any kind.
    pixel_noise: w, in units of pixels in [0, 1]; 0 adds none.
    bit_depth: b, as in `quantize`; None keeps every level.
    seed: of the noise, which is a function of it and of the example's index.

  Returns:
    The source, which shows its images so.

  Raises:
    UserError: if an option is out of its range.
  """
  check_options(pixel_noise, bit_depth)
  if pixel_noise == 0.0 and bit_depth is None:
    return source

  def degraded(split: sources.Split, number: int) -> sources.Split:
    key = counter_random.fold(seed, number, _NOISE)

    def change(batch: Batch, indices: tf.Tensor) -> Batch:
      images = batch.images
      if bit_depth is not None:
        images = quantize(images, bit_depth)
      if pixel_noise > 0.0:
        keys = counter_random.words(key, indices)
        images = _add_noise(images, keys, pixel_noise)
      return batch._replace(images=images)

    view = views.changed(sources.view_of(split), change)
    return split._replace(view=view)

  return sources.map_splits(source, degraded)


def as_dtype(source: sources.Source, dtype: tf.DType) -> sources.Source:
  """The source, which shows images and contexts as floats of this type."""

  def cast(batch: Batch, indices: tf.Tensor) -> Batch:
    del indices
    context = batch.context
    return batch._replace(
      images=tf.cast(batch.images, dtype),
      context=None if context is None else tf.cast(context, dtype),
    )

  def changed(split: sources.Split, number: int) -> sources.Split:
    del number
    return split._replace(view=views.changed(sources.view_of(split), cast))

  return sources.map_splits(source, changed)


def quantize(images: tf.Tensor, bit_depth: int) -> tf.Tensor:
  """min(floor(2^b x), 2^b - 1) / (2^b - 1): 2^b levels, both ends included.

  For images stored as uint8 this keeps their b highest bits.

  Args:
    images: in [0, 1].
    bit_depth: b.

  Returns:
    Of the same shape, in [0, 1].
  """
  highest = 2.0**bit_depth - 1.0
  return tf.minimum(tf.floor(images * 2.0**bit_depth), highest) / highest


def _add_noise(images: tf.Tensor, keys: tf.Tensor, width: float) -> tf.Tensor:
  """Adds U(-width/2, width/2), from a key for each image, and clips."""
  shape = images.shape[1:]
  noise = counter_random.uniform(keys, math.prod(shape))
  noise = width * (tf.reshape(noise, [-1, *shape]) - 0.5)
  return tf.clip_by_value(images + noise, 0.0, 1.0)
