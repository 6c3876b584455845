# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scikit-learn's handwritten digits: real, and inside its wheel."""

import numpy as np

from geco_tf.data import sources

_NUM_CLASSES = 10
_TEST_PER_CLASS = 30


def load() -> sources.Source:
  """1,797 digits of 8x8 pixels: 1,497 to learn from, 300 to test on.

  The test split is 30 of each class, drawn once with a seed that is never
  changed. Pixels have 17 levels, 0, 1/16, ..., 1.

  Returns:
    The source; images are float32 of shape [N, 8, 8, 1].
  """
  from sklearn import datasets

  digits = datasets.load_digits()
  everything = sources.Split(
    images=(digits.images[..., np.newaxis] / 16.0).astype(np.float32),
    labels=digits.target.astype(np.int32),
  )
  # RandomState's stream never changes between versions of NumPy.
  random = np.random.RandomState(0)
  is_test = np.zeros(everything.num_examples, bool)
  for label in range(_NUM_CLASSES):
    members = np.flatnonzero(everything.labels == label)
    is_test[random.permutation(members)[:_TEST_PER_CLASS]] = True
  return sources.Source(
    name="digits",
    train=sources.take(everything, np.flatnonzero(~is_test)),
    test=sources.take(everything, np.flatnonzero(is_test)),
    num_classes=_NUM_CLASSES,
  )
