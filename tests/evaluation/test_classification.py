# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Shares against SciPy, and labels whatever the batches."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf import data
from geco_tf.evaluation import classification


@pytest.mark.parametrize(
  ("num_right", "num"),
  [(0, 1), (1, 1), (0, 2000), (2000, 2000), (1234, 2000), (7, 300), (1, 3)],
)
def test_interval_is_scipys_wilson(num_right, num):
  share = classification.share(num_right, num)
  expected = stats.binomtest(num_right, num).proportion_ci(0.99, "wilson")
  assert share.share == num_right / num
  np.testing.assert_allclose(
    [share.low, share.high], [expected.low, expected.high], atol=1e-12
  )


def _brightness_logits(images):
  """Class c for images whose mean is about c / 10."""
  means = tf.reduce_mean(images, axis=[1, 2, 3])
  return -tf.square(means[:, tf.newaxis] - tf.range(10.0) / 10.0)


def _images(labels):
  labels = np.asarray(labels, np.float32)
  return np.broadcast_to(
    labels[:, np.newaxis, np.newaxis, np.newaxis] / 10, [len(labels), 8, 8, 1]
  )


@pytest.mark.parametrize("num", [1, 250, 251, 600])
def test_labels_are_the_most_probable_classes(num):
  labels = np.random.RandomState(0).randint(0, 10, num)
  labeller = classification.Labeller(_brightness_logits)
  np.testing.assert_array_equal(labeller(_images(labels)), labels)


def test_accuracy_counts_over_all_batches():
  found = np.arange(10)
  right = np.array([0, 1, 2, 3, 4, 5, 6, 0, 0, 0], np.int32)
  batches = [
    data.Batch(tf.constant(_images(found[a:b])), tf.constant(right[a:b]))
    for a, b in ((0, 4), (4, 8), (8, 10))
  ]
  labeller = classification.Labeller(_brightness_logits)
  assert classification.accuracy(labeller, batches)[:3] == (7, 10, 0.7)
