# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Means over all examples, whatever the batches."""

import itertools

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from geco_tf import data, evaluation
from geco_tf.models import VAEOutputs


class HalvingModel(snt.Module):
  """Reconstructs half of each pixel with noise; its KL is the first pixel."""

  def __call__(self, images, context=None, *, seed):
    noise = tf.random.stateless_normal(tf.shape(images), seed)
    kl = images[:, 0, 0, 0]
    return VAEOutputs(
      reconstruction=0.5 * images + self.scale * noise,
      kl=kl,
      latents=kl[:, tf.newaxis],
      log_q=kl,
      log_prior=kl,
    )

  def __init__(self, scale):
    super().__init__()
    self.scale = scale


def _batches(sizes, images):
  cuts = np.cumsum([0, *sizes])
  return [
    data.Batch(
      images=tf.constant(images[a:b]), labels=tf.zeros([b - a], tf.int32)
    )
    for a, b in itertools.pairwise(cuts)
  ]


@pytest.fixture
def images():
  # Of very different sizes, so that a mean of means would show.
  scale = np.linspace(0.0, 1.0, 7).reshape(-1, 1, 1, 1)
  random = np.random.RandomState(0)
  return (scale * random.uniform(size=(7, 3, 2, 1))).astype(np.float32)


@pytest.mark.parametrize("sizes", [(7,), (3, 3, 1), (1,) * 7, (6, 1)])
def test_measurement_is_numpys_however_batches_are_cut(images, sizes):
  measure = evaluation.ReconstructionMeasure(HalvingModel(0.0))
  measured = measure(_batches(sizes, images))
  rmse = np.sqrt(np.mean((0.5 * images.astype(np.float64)) ** 2))
  np.testing.assert_allclose(measured.rmse, rmse, rtol=1e-5)
  np.testing.assert_allclose(measured.kl, images[:, 0, 0, 0].mean(), rtol=1e-5)
  assert measured.num_examples == 7


def test_measurement_is_a_function_of_the_seed(images):
  measure = evaluation.ReconstructionMeasure(HalvingModel(0.3))
  batches = _batches((4, 3), images)
  first, again = (measure(batches, seed=1) for _ in range(2))
  other = measure(batches, seed=2)
  assert first == again
  assert first.rmse != other.rmse


def test_batches_get_noise_of_their_own():
  images = np.zeros((6, 2, 2, 1), np.float32)
  measure = evaluation.ReconstructionMeasure(HalvingModel(1.0))
  once, twice = (measure(_batches((3,) * n, images[: 3 * n])) for n in (1, 2))
  assert once.rmse != twice.rmse
