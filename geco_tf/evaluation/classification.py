# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a classifier says of images, and how often it is right."""

import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

LEVEL = 0.99
_BATCH_SIZE = 250


class Share(NamedTuple):
  """How many of how many, and what that says of the probability behind it."""

  num_right: int
  num: int
  share: float
  low: float  # Of the interval that holds the probability, 99 % of the time.
  high: float


def share(num_right: int, num: int) -> Share:
  """A share with Wilson's score interval, at 99 %.

    (p̂ + z²/2n ± z sqrt(p̂ (1 − p̂) / n + z²/4n²)) / (1 + z²/n)

  Args:
    num_right: successes among independent trials.
    num: n, the trials; at least one.

  Source: Wilson 1927.
  """
  z = statistics.NormalDist().inv_cdf(0.5 + 0.5 * LEVEL)
  p = num_right / num
  centre = p + z**2 / (2 * num)
  half = z * math.sqrt(p * (1.0 - p) / num + z**2 / (4 * num**2))
  low, high = ((centre + s * half) / (1.0 + z**2 / num) for s in (-1, 1))
  return Share(num_right, num, p, max(0.0, low), min(1.0, high))


class Labeller:
  """The most probable class of images; traced once, for many calls."""

  def __init__(self, classifier: Callable[[tf.Tensor], tf.Tensor]):
    """Args: classifier: images [B, H, W, C] to logits [B, num_classes]."""
    self._label = tf.function(
      lambda images: tf.argmax(classifier(images), -1, tf.int32),
      reduce_retracing=True,
    )

  def __call__(self, images: Any) -> np.ndarray:
    """Labels [N], int32, of images [N, H, W, C] in [0, 1]."""
    labels = [
      self._label(tf.convert_to_tensor(images[i : i + _BATCH_SIZE])).numpy()
      for i in range(0, len(images), _BATCH_SIZE)
    ]
    return np.concatenate(labels)


def accuracy(labeller: Labeller, batches: Iterable[Any]) -> Share:
  """How often the labeller is right.

  Args:
    labeller: of a classifier.
    batches: of type `Batch`, once through, with labels.
  """
  num_right = num = 0
  for batch in batches:
    labels = labeller(batch.images)
    num_right += int(np.sum(labels == batch.labels.numpy()))
    num += len(labels)
  return share(num_right, num)
