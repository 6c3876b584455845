# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Active units of a known model, and walks whose ends are known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf import data
from geco_tf.evaluation import latents
from tests.evaluation import linear_gaussian

_ENCODER = np.array([1.0, 0.0, 0.5])


class _WithoutMean(linear_gaussian.LinearGaussian):
  """As a flow's posterior, this one's mean is not known."""

  def posterior(self, images, context=None):
    raise NotImplementedError


def _model(cls=linear_gaussian.LinearGaussian):
  return cls(np.ones(3), _ENCODER, np.array([0.1, 1.0, 0.5]))


def _batches(x):
  images = linear_gaussian.split(x).images
  labels = np.arange(len(x), dtype=np.int32)
  return [
    data.Batch(tf.constant(images[i : i + 700]), labels=tf.constant(part))
    for i, part in ((j, labels[j : j + 700]) for j in range(0, len(x), 700))
  ]


def _data(num):
  return np.random.RandomState(0).normal(size=[num, 3])


def test_active_units_are_those_whose_closed_mean_moves():
  x = _data(2_000)
  found = latents.active_units(_model(), _batches(x))
  expected = _ENCODER**2 * x.var(axis=0, ddof=1)
  np.testing.assert_allclose(found.variances, expected, atol=1e-5)
  assert (found.num_active, found.num_examples) == (2, 2_000)
  assert found.num_samples == 0


@pytest.mark.statistical
def test_sampled_active_units_are_unbiased():
  """Var over x of a mean of m samples is A + v/m, and v/m is taken off.

  A sum of squares of N normals: relative spread sqrt(2/N), at 1e-6 for three.
  """
  x, m = _data(3_000), 4
  found = latents.active_units(_model(_WithoutMean), _batches(x), num_samples=m)
  variance = np.array([0.1, 1.0, 0.5])
  spread = _ENCODER**2 * x.var(axis=0, ddof=1) + variance / m
  # That of v/m itself has three times as many terms, and adds up.
  tolerance = stats.norm.isf(1e-6 / 6) * spread * np.sqrt(2 / 3_000) * 1.5
  expected = _ENCODER**2 * x.var(axis=0, ddof=1)
  assert np.all(np.abs(found.variances - expected) < tolerance)
  assert found.num_samples == m


def test_export_has_a_row_for_each_example():
  exported = latents.export(_model(), _batches(_data(1_000)))
  assert exported["latents"].shape == (1_000, 3)
  np.testing.assert_array_equal(exported["labels"], np.arange(1_000))
  log_prior = stats.norm.logpdf(exported["latents"]).sum(axis=1)
  np.testing.assert_allclose(exported["log_prior"], log_prior, rtol=1e-5)


def test_traversal_moves_one_unit_alone():
  images = latents.traversal(_model(), np.array([[1.0, 2.0, 3.0]]), 1)
  expected = np.tile([1.0, 2.0, 3.0], [10, 1])
  expected[:, 1] = np.linspace(-3.0, 3.0, 10)  # The decoder is the identity.
  np.testing.assert_allclose(images[:, 0, 0], expected, rtol=1e-6)


def test_interpolation_keeps_its_ends_and_its_length():
  one, other = np.array([[2.0, 0.0, 0.0]]), np.array([[0.0, 0.0, 4.0]])
  path = latents.interpolation(_model(), one, other, num_points=5)[:, 0, 0]
  np.testing.assert_allclose(path[[0, -1]], [one[0], other[0]], atol=1e-6)
  np.testing.assert_allclose(
    np.linalg.norm(path, axis=-1), [2.0, 2.5, 3.0, 3.5, 4.0], rtol=1e-6
  )
  np.testing.assert_allclose(path[2, 0], path[2, 2], rtol=1e-6)  # 45 degrees.


def test_interpolation_between_opposites_is_a_line():
  one = np.array([[1.0, 1.0, 0.0]])
  path = latents.interpolation(_model(), one, -one, num_points=3)[:, 0, 0]
  np.testing.assert_allclose(path, [one[0], 0 * one[0], -one[0]], atol=1e-6)
