# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Drawing examples by their label."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf.data import counter_random, views


class DigitIndex(NamedTuple):
  """The images of a split, and which of them belong to a class.

  What is drawn is drawn uniformly, by random words (see `counter_random`), and
  is an index.
  """

  images: tf.Tensor  # [N, H, W, 1].
  labels: tf.Tensor  # [N], int32.
  sorted_by_label: tf.Tensor  # [N], int64: indices, class after class.
  starts: tf.Tensor  # [K], int64: where in that order a class begins.
  counts: tf.Tensor  # [K], int64: how many examples it has.
  ranks: tf.Tensor  # [N], int64: which of its class an example is.

  def images_at(self, indices: tf.Tensor) -> tf.Tensor:
    """[B, H, W, 1], float32 in [0, 1]."""
    return views.take_images(self.images, indices)

  def labels_at(self, indices: tf.Tensor) -> tf.Tensor:
    """[B], int32."""
    return tf.gather(self.labels, indices)

  def draw(self, words: tf.Tensor) -> tf.Tensor:
    """Any example, for each of the words [B]."""
    return counter_random.below(words, self.labels.shape[0])

  def draw_from(self, labels: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """An example of each of the labels [B], none of which may be missing."""
    rank = counter_random.below(words, tf.gather(self.counts, labels))
    return self._at_rank(labels, rank)

  def draw_another(self, indices: tf.Tensor, words: tf.Tensor) -> tf.Tensor:
    """An example of the same class as each of the given [B], and not itself.

    No class of them may have a single example.
    """
    labels = self.labels_at(indices)
    count = tf.gather(self.counts, labels)
    distance = 1 + counter_random.below(words, count - 1)
    rank = (tf.gather(self.ranks, indices) + distance) % count
    return self._at_rank(labels, rank)

  def _at_rank(self, labels: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
    return tf.gather(
      self.sorted_by_label, tf.gather(self.starts, labels) + rank
    )


def make(
  images: np.ndarray, labels: np.ndarray, num_classes: int
) -> DigitIndex:
  """The index of images [N, H, W, 1] with labels [N] below num_classes."""
  counts = np.bincount(labels, minlength=num_classes)
  starts = np.cumsum(counts) - counts
  order = np.argsort(labels, kind="stable")
  ranks = np.empty_like(order)
  ranks[order] = np.arange(len(order)) - starts[labels[order]]
  return DigitIndex(
    images=tf.convert_to_tensor(images),
    labels=tf.convert_to_tensor(labels, tf.int32),
    **{
      name: tf.convert_to_tensor(array, tf.int64)
      for name, array in (
        ("sorted_by_label", order),
        ("starts", starts),
        ("counts", counts),
        ("ranks", ranks),
      )
    },
  )
