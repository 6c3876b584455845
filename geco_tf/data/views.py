# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a model is shown of the examples in memory."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from geco_tf.data.batch import Batch

# (indices [B] int64, partner_keys [B] uint64) -> the batch. What is drawn for
# an example wherever it appears is a function of its index; with whom it is
# shown, of its partner key (see `counter_random`).
Reader: TypeAlias = Callable[[tf.Tensor, tf.Tensor], Batch]


class View(NamedTuple):
  """Turns stored images into what a model is shown, inside tf.data."""

  # From the stored images to what reads batches of them; called once for a
  # pipeline, to move its arrays into tensors.
  make_reader: Callable[[np.ndarray], Reader]
  image_shape: tuple[int, int, int]  # (H, W, C) of Batch.images.
  context_shape: tuple[int, int, int, int] | None = None  # (K, H, W, C).
  channels_are_images: bool = False  # Whether each channel is one picture.
  partner_key: int = 0  # Of the partners in evaluation, which never change.


def stored(image_shape: tuple[int, ...], labels: np.ndarray | None) -> View:
  """The view of images [N, *image_shape] and labels [N] as they are."""

  def make_reader(images: np.ndarray) -> Reader:
    all_images = tf.convert_to_tensor(images)
    all_labels = tf.convert_to_tensor(
      np.full(len(images), -1, np.int32) if labels is None else labels
    )

    def read(indices: tf.Tensor, partner_keys: tf.Tensor) -> Batch:
      del partner_keys  # An example stands for itself.
      return Batch(
        images=take_images(all_images, indices),
        labels=tf.gather(all_labels, indices),
      )

    return read

  height, width, channels = image_shape
  return View(make_reader, image_shape=(height, width, channels))


def changed(view: View, change: Callable[[Batch, tf.Tensor], Batch]) -> View:
  """A view whose batches are changed, knowing the indices [B] of examples."""

  def make_reader(images: np.ndarray) -> Reader:
    read = view.make_reader(images)
    return lambda indices, keys: change(read(indices, keys), indices)

  return view._replace(make_reader=make_reader)


def take_images(images: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
  """The images at the indices: float32 in [0, 1]."""
  taken = tf.gather(images, indices)
  if taken.dtype == tf.uint8:
    taken = tf.cast(taken, tf.float32) / 255.0
  return taken
