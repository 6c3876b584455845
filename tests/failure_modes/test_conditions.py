# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The terms of −ELBO and the two conditions, where they are known."""

import numpy as np
import pytest
from scipy import stats

from geco_tf.failure_modes import conditions, ground_truths, quadrature

_DIRECTION = np.array([1.0, 0.5])
_VARIANCE = 0.3


def _line(slope):
  return lambda z: slope * z * _DIRECTION


def _covariance(slope, variance):
  outer = np.outer(_DIRECTION, _DIRECTION)
  return slope**2 * outer + variance * np.eye(2)


def _gaussian_kl(mean, variance, other_mean, other_variance):
  ratio = variance / other_variance
  shift = (mean - other_mean) ** 2 / other_variance
  return 0.5 * (ratio + shift - 1.0 - np.log(ratio))


@pytest.fixture(scope="module")
def linear():
  """A linear truth, two linear models with Gaussian q, and what is known."""
  truth = ground_truths.GroundTruth("line", _line(1.0), _VARIANCE)
  slopes, variances = np.array([1.0, 1.4]), np.array([_VARIANCE, 0.2])
  gain, scale = np.array([0.5, 0.2]), np.array([0.6, 0.3])

  def posterior_log_prob(x, z):
    mean = gain[:, np.newaxis] * (x @ _DIRECTION)
    return stats.norm(
      mean[..., np.newaxis], scale[:, np.newaxis, np.newaxis]
    ).logpdf(z[:, 0])

  def decode(z):
    return np.stack([_line(s)(z) for s in slopes])

  terms = conditions.decompose(
    truth,
    decode,
    variances,
    posterior_log_prob,
    grid=quadrature.latent_grid(1, spacing=0.02),
  )
  return slopes, variances, gain, scale, terms


def test_kl_of_linear_models_is_known(linear):
  slopes, variances, _, _, terms = linear
  truth = _covariance(1.0, _VARIANCE)
  for slope, variance, actual in zip(slopes, variances, terms.kl, strict=True):
    model = _covariance(slope, variance)
    ratio = np.linalg.solve(model, truth)
    expected = 0.5 * (np.trace(ratio) - 2.0 - np.linalg.slogdet(ratio)[1])
    np.testing.assert_allclose(actual, expected, atol=1e-5)
  expected = stats.multivariate_normal(cov=truth).entropy()
  np.testing.assert_allclose(terms.entropy, expected, atol=1e-5)


def test_gap_of_linear_models_is_known(linear):
  slopes, variances, gains, scales, terms = linear
  norm2 = _DIRECTION @ _DIRECTION
  variance_of_projection = _DIRECTION @ _covariance(1.0, _VARIANCE) @ _DIRECTION
  for r, (slope, variance) in enumerate(zip(slopes, variances, strict=True)):
    precision = 1.0 + slope**2 * norm2 / variance
    true_gain = slope / variance / precision
    # E over x of a KL that is quadratic in the projection x·direction.
    expected = (
      _gaussian_kl(0.0, scales[r] ** 2, 0.0, 1.0 / precision)
      + 0.5 * precision * variance_of_projection * (gains[r] - true_gain) ** 2
    )
    np.testing.assert_allclose(terms.gap[r], expected, atol=1e-5)


def test_decomposition_closes(linear):
  *_, terms = linear
  np.testing.assert_allclose(terms.residual, 0.0, atol=1e-9)


def test_residual_shows_a_posterior_that_the_grid_cannot_hold():
  truth = ground_truths.circle()
  terms = conditions.decompose(
    truth,
    truth.decode,
    truth.variance,
    lambda x, z: (
      stats.norm(6.9, 0.3).logpdf(z[:, 0]) + np.zeros((1, len(x), 1))
    ),
    grid=quadrature.latent_grid(1, spacing=0.02),
    data=truth.data_grid(1.0).thinned(20),
  )
  assert abs(terms.residual[0]) > 0.1


def test_truth_with_its_own_posterior_loses_nothing():
  truth = ground_truths.figure_8()
  grid = quadrature.latent_grid(1, spacing=0.01)
  terms = conditions.decompose(
    truth,
    truth.decode,
    truth.variance,
    lambda x, z: quadrature.log_posterior(x, truth.decode, [0.02], grid),
    grid=grid,
    data=truth.data_grid(1.0),
  )
  np.testing.assert_allclose(terms.kl, 0.0, atol=1e-6)
  np.testing.assert_allclose(terms.gap, 0.0, atol=1e-9)


def test_sampled_terms_are_means():
  elbo = np.array([[-3.0, -2.0], [-4.0, -4.0]])
  log_likelihood = np.array([[-2.0, -2.0], [-3.5, -2.5]])
  terms = conditions.sampled_decomposition(1.5, elbo, log_likelihood)
  np.testing.assert_allclose(terms.kl, [0.5, 1.5])
  np.testing.assert_allclose(terms.gap, [0.5, 1.0])
  np.testing.assert_allclose(terms.neg_elbo, [2.5, 4.0])
  np.testing.assert_allclose(terms.residual, 0.0, atol=1e-12)


# Measured with the whole grid; here on 120 of its points.
@pytest.mark.parametrize(
  ("name", "gap", "holds"),
  [
    ("figure_8", 0.100, False),
    ("circle", 0.026, False),
    ("absolute_value", 0.614, True),
    ("clusters", 0.494, True),
  ],
)
def test_difficulty_at_the_truth(name, gap, holds):
  truth = ground_truths.get(name)
  data = truth.data_grid(1.0, 1e-7).thinned(120)
  measured = conditions.posterior_difficulty(truth, data=data)
  np.testing.assert_allclose(measured.gap, gap, atol=0.03)
  assert measured.holds == holds
