# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Shifted and mirrored training images, as a function of seed and step."""

import tensorflow as tf

from geco_tf.data.batch import Batch


def augment(
  batches: tf.data.Dataset,
  *,
  seed: int,
  start_step: int,
  max_shift: int,
  flip: bool,
) -> tf.data.Dataset:
  """Shifts each image by whole pixels, zeros moving in, and mirrors half.

  Args:
    batches: of `Batch`, the first of them for start_step.
    seed: of the draws.
    start_step: what is drawn depends on seed and step alone, so a resumed run
      sees what it would have seen.
    max_shift: up to which shifts are drawn, in pixels, along each axis.
    flip: whether to mirror left and right with probability 1/2.

  Returns:
    The batches, in the same order.
  """

  def augment_batch(step: tf.Tensor, batch: Batch) -> Batch:
    position = tf.stack([tf.constant(seed, tf.int64), step])
    keys = tf.random.split(position, 2)
    images = batch.images
    if flip:
      images = _flipped(images, keys[0])
    if max_shift:
      images = _shifted(images, keys[1], max_shift)
    return batch._replace(images=images)

  augmented = batches.enumerate(start_step).map(
    augment_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
  )
  return augmented.prefetch(tf.data.AUTOTUNE)


def _flipped(images: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
  draws = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], key)
  return tf.where(draws < 0.5, tf.reverse(images, axis=[2]), images)


def _shifted(images: tf.Tensor, key: tf.Tensor, max_shift: int) -> tf.Tensor:
  """[B, H, W, C] → the same shape, from the padded images at an offset."""
  num, height, width = tf.unstack(tf.shape(images)[:3])
  m = max_shift
  padded = tf.pad(images, [[0, 0], [m, m], [m, m], [0, 0]])
  offsets = tf.random.stateless_uniform(
    [num, 2], key, minval=0, maxval=2 * m + 1, dtype=tf.int32
  )
  rows = offsets[:, :1] + tf.range(height)
  columns = offsets[:, 1:] + tf.range(width)
  # One gather along each axis moves whole rows, then whole pixels.
  shifted = tf.gather(padded, rows, axis=1, batch_dims=1)
  shifted = tf.gather(shifted, columns, axis=2, batch_dims=1)
  return tf.ensure_shape(shifted, images.shape)
