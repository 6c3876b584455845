# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distances in features: closed forms, NumPy, known cases."""

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import linalg, stats

from geco_tf import data, errors
from geco_tf.evaluation import sample_quality
from geco_tf.models import classifiers


def _with_moments(mean, covariance, num=50):
  """Points whose mean and (unbiased) covariance are exactly these."""
  points = np.random.RandomState(0).normal(size=[num, len(mean)])
  points -= points.mean(axis=0)
  points = points @ np.linalg.inv(linalg.sqrtm(np.cov(points, rowvar=False)))
  return points @ linalg.sqrtm(covariance).real + mean


def test_frechet_distance_is_the_closed_form_of_gaussians():
  random = np.random.RandomState(1)
  roots = random.normal(size=[2, 5, 5])
  one, other = (root @ root.T + 0.1 * np.eye(5) for root in roots)
  means = random.normal(size=[2, 5])
  expected = np.sum((means[0] - means[1]) ** 2) + np.trace(
    one + other - 2.0 * linalg.sqrtm(one @ other).real
  )
  found = sample_quality.frechet_distance(
    _with_moments(means[0], one), _with_moments(means[1], other)
  )
  np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_frechet_distance_is_that_of_means_and_scales_where_features_commute():
  one = _with_moments(np.zeros(3), np.diag([1.0, 4.0, 9.0]))
  other = _with_moments(np.full(3, 2.0), np.diag([4.0, 4.0, 1.0]))
  found = sample_quality.frechet_distance(one, other)
  np.testing.assert_allclose(found, 3 * 4.0 + 1.0 + 0.0 + 4.0, rtol=1e-9)


def _naive_kid(x, y):
  """The estimator, a pair at a time."""
  size, d = x.shape

  def k(a, b):
    return (np.dot(a, b) / d + 1.0) ** 3

  pairs = [(i, j) for i in range(size) for j in range(size)]
  within = sum(k(x[i], x[j]) + k(y[i], y[j]) for i, j in pairs if i != j)
  across = sum(k(x[i], y[j]) for i, j in pairs)
  return within / (size * (size - 1)) - 2.0 * across / size**2


def test_kernel_distance_is_the_mean_over_blocks_of_the_unbiased_estimator():
  random = np.random.RandomState(2)
  real, sampled = random.normal(size=[23, 4]), random.normal(size=[20, 4]) + 1.0
  found = sample_quality.kernel_distance(real, sampled, block_size=7, seed=5)
  order = np.random.RandomState(5)
  blocks = [
    features[order.permutation(len(features))[:20]].reshape(2, 10, 4)
    for features in (real, sampled)
  ]
  values = [_naive_kid(*pair) for pair in zip(*blocks, strict=True)]
  np.testing.assert_allclose(found.value, np.mean(values), rtol=1e-10)
  error = abs(values[0] - values[1]) / 2.0
  np.testing.assert_allclose(found.standard_error, error, rtol=1e-10)


@pytest.mark.statistical
def test_kernel_distance_of_one_distribution_is_within_its_error_of_zero():
  """Student's t with 39 degrees of freedom, at a false-fail rate of 1e-6."""
  real, sampled = np.random.RandomState(3).normal(size=[2, 4_000, 3])
  found = sample_quality.kernel_distance(real, sampled, block_size=100)
  limit = stats.t(39).isf(5e-7)
  assert abs(found.value) <= limit * found.standard_error


def _naive_share(images, centres, k):
  count = 0
  for x in images:
    for i, centre in enumerate(centres):
      others = np.delete(centres, i, axis=0)
      radius = np.sort(np.linalg.norm(others - centre, axis=1))[k - 1]
      if np.linalg.norm(x - centre) <= radius:
        count += 1
        break
  return count / len(images)


@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_counted(k, monkeypatch):
  monkeypatch.setattr(sample_quality, "_ROWS_PER_BLOCK", 7)
  random = np.random.RandomState(4)
  real = random.normal(size=[30, 3])
  sampled = 0.6 * random.normal(size=[30, 3]) + 0.5
  found = sample_quality.precision_recall(real, sampled, k)
  assert found == (
    _naive_share(sampled, real, k), _naive_share(real, sampled, k)
  )  # fmt: skip
  assert 0.0 < found.recall < found.precision < 1.0


def test_identical_sets_have_no_distance_and_disjoint_ones_nothing_in_common():
  real = np.random.RandomState(5).normal(size=[40, 6])
  assert sample_quality.frechet_distance(real, real) < 1e-10
  assert sample_quality.precision_recall(real, real) == (1.0, 1.0)
  # The estimator is unbiased, so of identical sets it is below zero.
  assert sample_quality.kernel_distance(real, real).value < 0.5
  far = real + 100.0
  assert sample_quality.precision_recall(real, far) == (0.0, 0.0)
  distance = sample_quality.frechet_distance(real, far)
  np.testing.assert_allclose(distance, 6 * 1e4, rtol=1e-6)
  assert sample_quality.kernel_distance(real, far).value > 1e6


def test_one_mode_of_two_has_precision_and_half_the_recall():
  modes = np.random.RandomState(6).normal(size=[2, 50, 2])
  real = np.concatenate([modes[0], modes[1] + 50.0])
  sampled = np.random.RandomState(7).permutation(modes[0])
  sampled = np.concatenate([sampled, sampled + 1e-3])
  found = sample_quality.precision_recall(real, sampled)
  assert found.precision > 0.95
  assert 0.2 < found.recall <= 0.5


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (lambda f: f.frechet_distance(np.ones([1, 2]), np.ones([9, 2])),
     "`real` must be features .* at least 2"),
    (lambda f: f.kernel_distance(np.ones([9, 2]), np.ones([9, 3])),
     "`sampled` must have 2 features"),
    (lambda f: f.precision_recall(np.ones([9, 2]), np.ones([9, 2]), 0),
     "`num_neighbours` must be positive; got 0"),
    (lambda f: f.precision_recall(np.ones([3, 2]), np.ones([9, 2]), 3),
     "`real` must be features .* at least 4"),
    (lambda f: f.frechet_distance(np.full([9, 2], np.nan), np.ones([9, 2])),
     "`real` must be finite"),
  ],
)  # fmt: skip
def test_bad_features_are_named(call, message):
  with pytest.raises(errors.UserError, match=message):
    call(sample_quality)


class _Copies:
  """Samples are the test images, brighter."""

  def __init__(self, images, gain):
    self._images, self._gain = images, gain

  def sample(self, n, *, seed):
    start = n * int(seed[1])
    indices = np.arange(start, start + n) % len(self._images)
    return tf.constant(self._gain * self._images[indices])


@pytest.fixture(scope="module")
def judge():
  tf.random.set_seed(0)
  network = classifiers.DigitCNN((8, 8, 1), 10)
  network(tf.zeros([1, 8, 8, 1]))
  return network


@pytest.fixture
def folder(judge, monkeypatch, tmp_path):
  """A classifier's folder, and what would be loaded from it."""
  monkeypatch.setattr(
    sample_quality.runs, "load_classifier", lambda path: judge
  )
  path = tmp_path / "digit_judge"
  path.mkdir()
  content = {
    "classifier": {"dataset": "digits"},
    "image_shape": [8, 8, 1],
    "num_classes": 10,
  }
  (path / "config.json").write_text(json.dumps(content))
  (path / "summary.json").write_text(json.dumps({"test_accuracy": 0.9}))
  return str(path)


def _measure(folder, gain, **options):
  split = data.load("digits").test
  images = np.asarray(split.images, np.float32)
  if split.images.dtype == np.uint8:
    images = images / np.float32(255.0)
  model = _Copies(images, gain)
  return sample_quality.measure(model, split, folder, **options)


def test_measure_says_which_classifier_and_finds_copies_near(folder):
  same = _measure(folder, 1.0)
  json.dumps(same)
  assert same["classifier_fid"] < 1e-6
  assert same["classifier_precision"] == same["classifier_recall"] == 1.0
  assert same["classifier"]["name"] == "digit_judge"
  assert same["classifier"]["test_accuracy"] == 0.9
  assert same["classifier"]["weights_crc32"] > 0
  assert "fid" not in same and "kid" not in same
  darker = _measure(folder, 0.3)
  assert darker["classifier_fid"] > 1e-3
  assert darker["classifier_precision"] < 1.0
  assert darker["classifier"] == same["classifier"]


def test_features_of_a_map_are_means_over_positions(judge):
  images = np.random.RandomState(0).uniform(size=[3, 8, 8, 1]).astype("f4")
  first = next(iter(judge.features(tf.zeros([1, 8, 8, 1]))))
  found = sample_quality.Features(judge, first)(images)
  expected = judge.features(images)[first].numpy().mean(axis=(1, 2))
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_unknown_layer_and_other_images_are_named(folder, judge):
  with pytest.raises(errors.UserError, match="Unknown layer 'convv'"):
    _measure(folder, 1.0, layer="convv")
  with pytest.raises(errors.UserError, match=r"must be for images \(9, 9, 1\)"):
    sample_quality.Features(judge)(np.zeros([2, 9, 9, 1], np.float32))
  with pytest.raises(errors.UserError, match="at least 4"):
    _measure(folder, 1.0, num_images=3)
