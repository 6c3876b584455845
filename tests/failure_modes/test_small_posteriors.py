# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Posteriors against quadrature and TensorFlow Probability."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf.failure_modes import posteriors

_R, _B = 2, 3


def _made(name, latent_size):
  """A posterior whose weights are not those of its start, and features."""
  posterior = posteriors.registry[name](latent_size, _R, seed=0)
  for i, variable in enumerate(posterior.trainable_variables):
    noise = tf.random.stateless_normal(variable.shape, [1, i])
    variable.assign_add(0.1 * noise)
  features = tf.random.stateless_normal(
    [_R, _B, posterior.feature_size], [2, 0]
  )
  return posterior, 0.5 * features


@pytest.mark.parametrize("name", posteriors.registry.names())
@pytest.mark.parametrize("latent_size", [1, 2, 3])
def test_density_of_samples_is_the_density_of_any(name, latent_size):
  posterior, features = _made(name, latent_size)
  noise = tf.random.stateless_normal([_R, _B, 20, latent_size], [3, 0])
  latents, log_q = posterior.sample_and_log_prob(features, noise)
  np.testing.assert_allclose(
    posterior.log_prob(features, latents), log_q, atol=2e-3
  )


@pytest.mark.parametrize("name", posteriors.registry.names())
@pytest.mark.parametrize(("latent_size", "spacing"), [(1, 0.01), (2, 0.1)])
def test_density_integrates_to_one(name, latent_size, spacing):
  posterior, features = _made(name, latent_size)
  axis = np.arange(-9.0, 9.0, spacing, np.float32)
  grid = np.stack(np.meshgrid(*[axis] * latent_size), -1)
  grid = grid.reshape([1, 1, -1, latent_size])
  density = np.exp(posterior.log_prob(features, tf.constant(grid)))
  total = density.sum(axis=-1) * spacing**latent_size
  np.testing.assert_allclose(total, 1.0, atol=5e-3)


def test_nvp_starts_as_the_mean_field_gaussian():
  flow = posteriors.Flow(2, _R, seed=0)
  features = tf.random.stateless_normal([_R, _B, flow.feature_size], [2, 0])
  latents = tf.random.stateless_normal([1, 1, 5, 2], [3, 0])
  gaussian = posteriors.MeanField(2, _R, seed=0)
  np.testing.assert_allclose(
    flow.log_prob(features, latents),
    gaussian.log_prob(features[..., :4], latents),
    atol=1e-4,
  )


def test_mean_field_kl_is_tensorflow_probabilitys():
  posterior, features = _made("mean_field", 3)
  loc, scale = posteriors.loc_and_scale(features)
  q = tfd.MultivariateNormalDiag(loc[:, :, 0], scale[:, :, 0])
  prior = tfd.MultivariateNormalDiag(tf.zeros(3), tf.ones(3))
  np.testing.assert_allclose(
    posterior.kl(features, None, None), q.kl_divergence(prior), rtol=1e-5
  )
