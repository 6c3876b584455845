# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Specs, sizes and what every source must satisfy."""

import numpy as np
import pytest

from geco_tf import data, errors
from geco_tf.data import sources

_FIRST_TEST_DIGITS = [3, 7, 3, 9, 0, 7, 0, 8, 0, 3]


def _source(
  train_shape=(6, 4, 4, 1),
  test_shape=(2, 4, 4, 1),
  dtype=np.uint8,
  labels=True,
  num_classes=3,
):
  def split(shape):
    return data.Split(
      images=np.full(shape, 7 if dtype == np.uint8 else 0.5, dtype),
      labels=np.arange(shape[0], dtype=np.int32) % 3 if labels else None,
    )

  return data.Source("made", split(train_shape), split(test_shape), num_classes)


@pytest.fixture
def register(monkeypatch):
  """Registers a data set for one test."""
  builders = dict(data.registry._builders)
  monkeypatch.setattr(data.registry, "_builders", builders)
  return data.register


def test_digits_are_split_once_and_stratified():
  source = data.load("digits")
  assert source.image_shape == (8, 8, 1)
  assert source.train.images.dtype == np.float32
  np.testing.assert_array_equal(np.bincount(source.test.labels), [30] * 10)
  assert source.train.num_examples == 1_497
  assert source.num_classes == 10
  # The first test examples, so that the split is never changed unnoticed.
  np.testing.assert_array_equal(source.test.labels[:10], _FIRST_TEST_DIGITS)


def test_digits_have_the_pixels_of_scikit_learn():
  from sklearn import datasets

  source = data.load("digits")
  images = np.concatenate([source.train.images, source.test.images])
  labels = np.concatenate([source.train.labels, source.test.labels])
  digits = datasets.load_digits()

  def rows(pixels, labels):
    table = np.column_stack([pixels.reshape(len(pixels), -1), labels])
    return table[np.lexsort(table.T)]

  np.testing.assert_array_equal(
    rows(images * 16, labels), rows(digits.images, digits.target)
  )


def test_registered_source_loads_by_name(register):
  register("made", lambda: _source())
  assert data.load("made").name == "made"


def test_registered_source_gets_its_path_and_known_options(register):
  seen = {}

  def build(path, image_size):
    seen.update(path=path, image_size=image_size)
    return _source()

  register("made", build)
  source = data.load("made:gs://bucket/a:b", image_size=4)
  assert seen == {"path": "gs://bucket/a:b", "image_size": 4}
  assert source.name == "made:gs://bucket/a:b"


@pytest.mark.parametrize(
  ("spec", "kwargs", "message"),
  [
    ("mnst", {}, "Unknown data set 'mnst'; did you mean 'mnist'"),
    ("digits:here", {}, "'digits' takes no path; got 'digits:here'"),
    ("npz", {}, "'npz' needs a path; write npz:PATH"),
    ("image_folder:", {}, "needs a path; write image_folder:PATH"),
    ("celeb_a:", {}, "needs a path; write celeb_a:PATH"),
    (
      "digits",
      {"image_size": 0},
      "`image_size` must be positive and at most 512; got 0",
    ),
    ("digits", {"resize": "ara"}, "Unknown resize method 'ara'.*'area'"),
    (
      "digits",
      {"image_size": 4, "resize": "pad"},
      "Padding to 4x4 needs images no larger than that; got 8x8",
    ),
  ],
)
def test_bad_spec_is_named(spec, kwargs, message):
  with pytest.raises(errors.UserError, match=message):
    data.load(spec, **kwargs)


@pytest.mark.parametrize(
  ("source", "message"),
  [
    ("nothing", "must return a `geco_tf.data.Source`; got str"),
    (
      _source(train_shape=(0, 4, 4, 1)),
      "train split of 'made' holds no images",
    ),
    (_source(train_shape=(6, 4, 4)), r"\[N, H, W, 1 or 3\]; got \[6, 4, 4\]"),
    (_source(dtype=np.float64), "uint8 or float32 images; got float64"),
    (_source(test_shape=(2, 5, 4, 1)), "one shape; got 4x4x1 and 5x4x1"),
    (_source(num_classes=2), "below 2 classes; the largest is 2"),
    (_source(num_classes=None), "`num_classes` of 'made' must be given"),
  ],
)
def test_source_that_breaks_the_rules_is_refused(register, source, message):
  register("made", lambda: source)
  with pytest.raises(errors.UserError, match=message):
    data.load("made")


@pytest.mark.parametrize(
  ("labels", "message"),
  [
    (np.zeros(5, np.int32), r"one label an image, 6; .* shape \(5,\)"),
    (np.zeros(6, np.int64), "int32 labels; got int64"),
    (np.full(6, -1, np.int32), "labels from 0 on; got -1"),
  ],
)
def test_labels_that_break_the_rules_are_refused(register, labels, message):
  source = _source()
  source = source._replace(train=source.train._replace(labels=labels))
  register("made", lambda: source)
  with pytest.raises(errors.UserError, match=message):
    data.load("made")


def test_labels_in_one_split_only_are_refused(register):
  source = _source()
  source = source._replace(test=source.test._replace(labels=None))
  register("made", lambda: source)
  with pytest.raises(errors.UserError, match="have labels, or neither"):
    data.load("made")


@pytest.mark.parametrize(
  ("value", "message"),
  [
    (np.nan, "image 1 has a NaN"),
    (255.0, r"values lie in \[0.5, 255\].*stored as uint8"),
    (-0.1, r"values lie in \[-0.1, 0.5\]"),
  ],
)
def test_floats_outside_the_unit_interval_are_refused(register, value, message):
  source = _source(dtype=np.float32)
  source.train.images[1, 2, 3, 0] = value
  register("made", lambda: source)
  with pytest.raises(errors.UserError, match=message):
    data.load("made")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_area_resize_takes_the_mean_of_what_a_pixel_covers(register, dtype):
  source = _source(dtype=dtype)
  random = np.random.default_rng(0)
  images = random.integers(0, 256, (6, 4, 4, 1))
  if dtype == np.float32:
    images = (images / 255).astype(dtype)
  source = source._replace(
    train=source.train._replace(images=images.astype(dtype))
  )
  register("made", lambda: source)
  expected = images.reshape(6, 2, 2, 2, 2, 1).mean(axis=(2, 4))
  resized = data.load("made", image_size=2).train.images
  assert resized.dtype == dtype
  # Whole numbers are rounded to the nearest.
  tolerance = 0.5 if dtype == np.uint8 else 1e-6
  np.testing.assert_allclose(resized, expected, rtol=0, atol=tolerance)


def test_pad_puts_the_image_in_the_centre_of_zeros(register):
  register("made", lambda: _source((6, 4, 3, 1), (2, 4, 3, 1)))
  image = data.load("made", image_size=7, resize="pad").train.images[0, ..., 0]
  expected = np.zeros((7, 7), np.uint8)
  expected[1:5, 2:5] = 7
  np.testing.assert_array_equal(image, expected)


def test_crop_takes_the_central_square(register):
  source = _source((6, 4, 8, 1), (2, 4, 8, 1))
  images = np.broadcast_to(
    np.arange(8, dtype=np.uint8)[:, np.newaxis], (6, 4, 8, 1)
  )
  source = source._replace(train=source.train._replace(images=images))
  register("made", lambda: source)
  image = data.load("made", image_size=4, resize="crop").train.images[
    0, 0, :, 0
  ]
  np.testing.assert_array_equal(image, [2, 3, 4, 5])


def test_image_size_brings_splits_of_different_shapes_together(register):
  register("made", lambda: _source((6, 4, 4, 1), (2, 8, 8, 1)))
  assert data.load("made", image_size=4).image_shape == (4, 4, 1)


@pytest.mark.parametrize(("n", "num_test"), [(2, 1), (9, 1), (100, 10)])
def test_split_is_fixed_disjoint_and_complete(n, num_test):
  split = data.Split(
    np.zeros((n, 1, 1, 1), np.uint8), np.arange(n, dtype=np.int32)
  )
  train, test = sources.train_test_split(split)
  assert test.num_examples == num_test
  assert sorted([*train.labels, *test.labels]) == list(range(n))
  again = sources.train_test_split(split)[1]
  np.testing.assert_array_equal(again.labels, test.labels)


def test_single_example_cannot_be_split():
  split = data.Split(np.zeros((1, 1, 1, 1), np.uint8), None)
  with pytest.raises(errors.UserError, match="at least two examples; got 1"):
    sources.train_test_split(split)
