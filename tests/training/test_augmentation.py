# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Augmented images are shifts and mirror images, the same for the same step."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf import data
from geco_tf.training import augmentation

_IMAGES = np.random.RandomState(0).uniform(size=[6, 5, 4, 2]).astype("float32")


def _augmented(num, **arguments):
  """The first `num` batches of one batch that repeats."""
  batch = data.Batch(_IMAGES, np.arange(6, dtype=np.int32))
  batches = tf.data.Dataset.from_tensors(batch).repeat()
  arguments = {
    "seed": 0, "start_step": 0, "max_shift": 0, "flip": False, **arguments,
  }  # fmt: skip
  return list(augmentation.augment(batches, **arguments).take(num))


def _shifted(image, down, right):
  height, width, _ = image.shape
  padded = np.pad(image, [(height, height), (width, width), (0, 0)])
  top, left = height - down, width - right
  return padded[top : top + height, left : left + width]


def test_images_are_shifted_by_whole_pixels_with_zeros_moving_in():
  seen = set()
  for batch in _augmented(60, max_shift=2):
    for image, original in zip(batch.images.numpy(), _IMAGES, strict=True):
      shifts = [
        (down, right)
        for down in range(-2, 3)
        for right in range(-2, 3)
        if np.array_equal(image, _shifted(original, down, right))
      ]
      assert len(shifts) == 1
      seen.update(shifts)
    np.testing.assert_array_equal(batch.labels, np.arange(6))
  assert len(seen) == 25


@pytest.mark.statistical
def test_half_of_the_images_are_mirrored():
  batches = _augmented(200, flip=True)
  count = 0
  for batch in batches:
    for image, original in zip(batch.images.numpy(), _IMAGES, strict=True):
      is_mirrored = np.array_equal(image, original[:, ::-1])
      assert is_mirrored or np.array_equal(image, original)
      count += is_mirrored
  low, high = stats.binom(6 * 200, 0.5).interval(1.0 - 1e-6)
  assert low <= count <= high


def test_no_augmentation_leaves_images_alone():
  (batch,) = _augmented(1)
  np.testing.assert_array_equal(batch.images, _IMAGES)


def test_stream_from_a_later_step_is_the_rest_of_the_stream():
  both = {"max_shift": 1, "flip": True}
  whole, rest = _augmented(6, **both), _augmented(4, start_step=2, **both)
  for one, other in zip(whole[2:], rest, strict=True):
    np.testing.assert_array_equal(one.images, other.images)
  (other_seed,) = _augmented(1, seed=1, **both)
  assert np.any(whole[0].images != other_seed.images)
  assert np.any(whole[0].images != whole[1].images)
