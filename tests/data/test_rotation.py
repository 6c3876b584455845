# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rotation, beside SciPy's."""

import numpy as np
import pytest
from scipy import ndimage

from geco_tf.data import rotation


@pytest.mark.parametrize("size", [(28, 28), (9, 14)])
def test_rotation_is_that_of_scipy(size):
  images = np.random.default_rng(0).random((12, *size, 2), np.float32)
  degrees = 30.0 * np.arange(12) - 15.0
  expected = [
    ndimage.rotate(
      image, angle, reshape=False, order=1, mode="grid-constant", cval=0.0
    )
    for image, angle in zip(images, degrees, strict=True)
  ]
  # A step of 1e-5 pixels, float32's at the edge, changes a pixel by as much.
  np.testing.assert_allclose(
    rotation.rotate(images, degrees), expected, rtol=0, atol=2e-5
  )


def test_quarter_turn_takes_the_right_to_the_top():
  image = np.zeros((1, 5, 5, 1), np.float32)
  image[0, 2, 4] = 1.0
  expected = np.zeros((5, 5))
  expected[0, 2] = 1.0
  turned = rotation.rotate(image, np.array([90.0]))
  np.testing.assert_allclose(turned[0, ..., 0], expected, rtol=0, atol=1e-6)


def test_no_turn_changes_nothing():
  images = np.random.default_rng(0).random((3, 8, 7, 1), np.float32)
  np.testing.assert_array_equal(rotation.rotate(images, np.zeros(3)), images)


def test_turn_and_back_keeps_what_is_smooth():
  y, x = np.mgrid[-14:14, -14:14] + 0.5
  image = np.exp(-((x - 3.0) ** 2 + y**2) / 32.0).astype(np.float32)
  images, degrees = image[np.newaxis, ..., np.newaxis], np.array([37.0])
  back = rotation.rotate(rotation.rotate(images, degrees), -degrees)
  # Bilinear interpolation errs by at most 1/4 of the second derivative, 1/16,
  # each time.
  np.testing.assert_allclose(back, images, rtol=0, atol=2 / 64)
