# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fewer bits and noise on pixels."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf import data, errors
from geco_tf.data import pixels

_GRAY = 0.5


def _source(n=500):
  split = data.Split(
    images=np.full((n, 4, 4, 1), _GRAY, np.float32),
    labels=(np.arange(n) % 5).astype(np.int32),
  )
  return data.Source("gray", split, split, num_classes=5)


def _images(split, n=None):
  batches = data.evaluation_batches(split, 100, num_examples=n).batches
  return np.concatenate([batch.images for batch in batches])


@pytest.mark.parametrize("bit_depth", range(1, 9))
def test_quantized_bytes_keep_their_high_bits(bit_depth):
  values = np.arange(256)
  expected = (values >> (8 - bit_depth)) / (2**bit_depth - 1)
  images = tf.constant(values / 255.0, tf.float32)
  np.testing.assert_allclose(
    pixels.quantize(images, bit_depth), expected, rtol=1e-6
  )


def test_images_and_context_are_shown_in_the_type_asked_for():
  rough = data.load("digits", task="sum")
  exact = data.as_dtype(rough, tf.float64)
  assert exact.context_shape == rough.context_shape
  assert data.fingerprint(exact) == data.fingerprint(rough)
  one, other = (
    next(iter(data.evaluation_batches(source.test, 8).batches))
    for source in (exact, rough)
  )
  assert one.images.dtype == one.context.dtype == tf.float64
  for here, there in zip(one, other, strict=True):
    if there is not None:
      np.testing.assert_array_equal(here, there)


def test_options_that_are_off_change_nothing():
  source = _source()
  assert pixels.degrade(source) is source


@pytest.mark.statistical
def test_noise_is_uniform_of_the_full_width():
  noisy = pixels.degrade(_source(), pixel_noise=0.4)
  images = _images(noisy.train)
  assert stats.kstest(images.ravel(), "uniform", (0.3, 0.4)).pvalue > 1e-6


def test_noise_stays_in_the_unit_interval():
  source = data.load("digits", pixel_noise=1.0)
  stored = source.test.images
  found = _images(source.test)
  assert found.min() == 0.0
  assert found.max() == 1.0
  assert np.max(np.abs(found - stored)) <= 0.5


def test_noise_is_a_function_of_seed_split_and_index():
  def noisy(seed):
    return pixels.degrade(_source(), pixel_noise=0.1, seed=seed)

  images = _images(noisy(0).train)
  assert len(np.unique(images[:, 0, 0, 0])) > 490  # Each has its own.
  np.testing.assert_array_equal(images, _images(noisy(0).train))
  assert not np.any(np.all(images == _images(noisy(1).train), axis=(1, 2, 3)))
  test_images = _images(noisy(0).test)
  assert not np.any(np.all(images == test_images, axis=(1, 2, 3)))


def test_example_has_the_same_noise_wherever_it_comes():
  split = pixels.degrade(_source(), pixel_noise=0.1).train
  in_order = {image.tobytes() for image in _images(split)}
  assert {image.tobytes() for image in _images(split, 30)} < in_order
  epoch = next(iter(data.training_batches(split, 500, seed=3))).images.numpy()
  assert {image.tobytes() for image in epoch} == in_order


def test_bits_come_before_noise_and_after_the_task():
  source = data.load("digits", task="color", bit_depth=1, pixel_noise=0.2)
  images = _images(source.test)
  assert images.shape[1:] == source.image_shape == (8, 8, 3)
  assert np.all(np.minimum(images, 1.0 - images) <= 0.1 + 1e-6)
  assert 0.01 < np.mean(images > 0.5) < 0.5


def test_context_stays_as_it_is():
  kwargs = {"task": "sum", "seed": 2}
  plain, degraded = (
    next(iter(data.evaluation_batches(source.test, 300).batches))
    for source in (
      data.load("digits", **kwargs),
      data.load("digits", bit_depth=1, **kwargs),
    )
  )
  np.testing.assert_array_equal(plain.context, degraded.context)
  np.testing.assert_array_equal(degraded.images, np.floor(plain.images + 0.5))


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"pixel_noise": -0.1}, r"`pixel_noise` must be in \[0, 1\]; got -0.1"),
    ({"pixel_noise": 1.5}, r"`pixel_noise` must be in \[0, 1\]; got 1.5"),
    ({"pixel_noise": np.nan}, r"`pixel_noise` must be in \[0, 1\]; got nan"),
    ({"bit_depth": 0}, "`bit_depth` must be a whole number from 1 to 8; got 0"),
    ({"bit_depth": 9}, "`bit_depth` must be a whole number from 1 to 8; got 9"),
  ],
)
def test_option_out_of_range_is_named(options, message):
  with pytest.raises(errors.UserError, match=message):
    data.load("digits", **options)
