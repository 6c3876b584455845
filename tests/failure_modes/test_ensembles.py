# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Ensembles against linear Gaussian models, whose answers are known."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf import errors
from geco_tf.failure_modes import ensembles

_VARIANCE = 0.3
_LOADINGS = np.array([[1.0, -0.5, 2.0]])  # z → x, about the data's mean.


@pytest.fixture(scope="module")
def data():
  rng = np.random.default_rng(0)
  return 7.0 + 3.0 * rng.normal(size=[50, 3])


@pytest.fixture(scope="module")
def linear(data):
  """Two restarts of x = a z + mean; q is the true posterior of each.

  The posterior is N(aᵀ(x − mean) / (σ² + aᵀa), σ² / (σ² + aᵀa)).
  """
  ensemble = ensembles.Ensemble(
    data, latent_size=1, num_restarts=2, variance=_VARIANCE, hidden_sizes=()
  )
  scale = np.sqrt(data.var(axis=0).mean())
  for r, factor in enumerate((1.0, 0.5)):
    a = factor * _LOADINGS
    precision = _VARIANCE + np.sum(a**2)
    deviation = np.sqrt(_VARIANCE / precision)
    raw = np.log(np.expm1(deviation - 1e-4)) - np.log(np.expm1(1.0))
    weight = np.concatenate([a.T * scale / precision, np.zeros([3, 1])], 1)
    _set(ensemble.decoder.weights[0], r, a / scale)
    _set(ensemble.decoder.biases[0], r, np.zeros([1, 3]))
    _set(ensemble.encoder.weights[0], r, weight)
    _set(ensemble.encoder.biases[0], r, [[0.0, raw]])
  return ensemble


def _set(variable, restart, value):
  whole = variable.numpy()
  whole[restart] = value
  variable.assign(whole)


def _exact(data, factor):
  a = factor * _LOADINGS
  covariance = a.T @ a + _VARIANCE * np.eye(3)
  return stats.multivariate_normal(data.mean(axis=0), covariance).logpdf(data)


@pytest.mark.parametrize("measure", ["elbo", "log_likelihood"])
def test_bound_is_exact_where_q_is_the_true_posterior(linear, data, measure):
  found = getattr(linear, measure)(data, num_samples=3)
  expected = [_exact(data, 1.0), _exact(data, 0.5)]
  np.testing.assert_allclose(found, expected, atol=2e-3)


def test_importance_weights_mend_a_wrong_posterior(linear, data):
  variable = linear.encoder.biases[0]
  right = variable.numpy()
  variable.assign(right + [[[0.2, 0.5]]])
  elbo = linear.elbo(data, num_samples=500).numpy()
  log_likelihood = linear.log_likelihood(data, num_samples=5_000).numpy()
  variable.assign(right)
  expected = np.array([_exact(data, 1.0), _exact(data, 0.5)])
  assert (elbo.mean(axis=1) < expected.mean(axis=1) - 0.05).all()
  np.testing.assert_allclose(
    log_likelihood.mean(axis=1), expected.mean(axis=1), atol=0.02
  )


def test_posterior_density_of_pairs_is_the_gaussians(linear, data):
  grid = np.linspace(-3, 3, 11)[:, np.newaxis]
  found = linear.posterior_log_prob(data, grid)
  a = 0.5 * _LOADINGS
  precision = _VARIANCE + np.sum(a**2)
  mean = (data - data.mean(axis=0)) @ a.T / precision
  expected = stats.norm.logpdf(grid.T, mean, np.sqrt(_VARIANCE / precision))
  np.testing.assert_allclose(found[1], expected, atol=2e-3)
  each = linear.posterior_log_prob(data, np.stack([grid + 1.0, grid]))
  np.testing.assert_allclose(each[1], found[1], atol=1e-5)


def test_pairs_do_not_depend_on_the_size_of_the_parts(
  linear, data, monkeypatch
):
  grid = np.linspace(-3, 3, 11)[:, np.newaxis]
  whole = linear.posterior_log_prob(data, grid)
  monkeypatch.setattr(ensembles, "_PAIRS_AT_A_TIME", 70)
  parts = linear.posterior_log_prob(data, grid)
  np.testing.assert_allclose(whole, parts, atol=1e-5)
  assert linear.log_likelihood(data, num_samples=5).shape == (2, 50)


def test_samples_have_the_models_moments(linear, data):
  samples = linear.sample(100_000, seed=1).numpy()
  expected = _LOADINGS.T @ _LOADINGS + _VARIANCE * np.eye(3)
  # Six standard errors of the largest entry: 6 · 4.3 · √(2/1e5).
  np.testing.assert_allclose(np.cov(samples[0].T), expected, atol=0.12)
  np.testing.assert_allclose(
    samples[0].mean(axis=0), data.mean(axis=0), atol=0.04
  )


def test_densities_change_with_the_datas_units_only_by_the_units(data):
  found = []
  for unit in (1.0, 1_000.0):
    ensemble = ensembles.Ensemble(
      unit * data, latent_size=2, num_restarts=2, variance=unit**2, seed=3
    )
    found.append(ensemble.elbo(unit * data, num_samples=5))
  np.testing.assert_allclose(
    found[0], found[1] + 3 * np.log(1_000.0), rtol=1e-4
  )


def test_decode_is_every_restarts_function(linear):
  decoded = linear.decode(np.array([[0.0], [2.0]]))
  np.testing.assert_allclose(
    decoded[:, 1] - decoded[:, 0],
    [2.0 * _LOADINGS[0], _LOADINGS[0]],
    rtol=1e-4,
  )


@pytest.mark.parametrize(
  ("data", "message"),
  [
    (np.ones([5]), r"`data` must be a table \[rows, columns\]"),
    (np.array([[1.0, np.nan], [2.0, 3.0]]), "must be finite"),
    (np.ones([5, 2]), "must vary"),
  ],
)
def test_error_when_data_are_no_table(data, message):
  with pytest.raises(errors.UserError, match=message):
    ensembles.Ensemble(data, latent_size=1, num_restarts=1, variance=1.0)


def test_error_when_a_number_is_not_positive(data):
  with pytest.raises(errors.UserError, match="`latent_size` must be positive"):
    ensembles.Ensemble(data, latent_size=0, num_restarts=1, variance=1.0)


def test_kl_is_of_q_to_the_prior(linear, data):
  found = linear.kl(data, num_samples=4_000)
  precision = _VARIANCE + np.sum(_LOADINGS**2)
  mean = (data - data.mean(axis=0)) @ _LOADINGS.T / precision
  variance = _VARIANCE / precision
  expected = 0.5 * (mean[:, 0] ** 2 + variance - 1.0 - np.log(variance))
  # An average of 4,000 whose deviation is below |mean| + 1: 6 σ.
  error = 6.0 * (np.abs(mean[:, 0]) + 1.0) / np.sqrt(4_000)
  assert (np.abs(found[0] - expected) < error).all()
  assert tf.convert_to_tensor(found).shape == (2, 50)
