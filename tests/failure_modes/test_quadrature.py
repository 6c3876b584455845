# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Sums over latents against linear models, whose integrals are known."""

import numpy as np
import pytest
from scipy import stats

from geco_tf import errors
from geco_tf.failure_modes import quadrature

_VARIANCE = np.array([0.1, 0.4])


def _weights(num_latents):
  """Two linear functions, [2, K, D] with D = 3."""
  return np.random.default_rng(1).standard_normal((2, num_latents, 3))


def _linear(num_latents):
  weights = _weights(num_latents)
  return lambda z: z @ weights + 0.7


@pytest.mark.parametrize("num_latents", [1, 2])
def test_prior_has_mass_one(num_latents):
  grid = quadrature.latent_grid(num_latents)
  np.testing.assert_allclose(
    np.sum(np.exp(grid.log_prior)) * grid.cell, 1.0, atol=1e-10
  )


@pytest.mark.parametrize("num_latents", [1, 2])
def test_evidence_of_linear_model_is_gaussian(num_latents):
  x = np.random.default_rng(2).standard_normal((5, 3))
  actual = quadrature.log_evidence(
    x, _linear(num_latents), _VARIANCE, quadrature.latent_grid(num_latents)
  )
  for r, weights in enumerate(_weights(num_latents)):
    covariance = weights.T @ weights + _VARIANCE[r] * np.eye(3)
    expected = stats.multivariate_normal(np.full(3, 0.7), covariance).logpdf(x)
    np.testing.assert_allclose(actual[r], expected, rtol=1e-9)


@pytest.mark.parametrize("num_latents", [1, 2])
def test_posterior_of_linear_model_is_gaussian(num_latents):
  x = np.random.default_rng(3).standard_normal((4, 3))
  grid = quadrature.latent_grid(num_latents, spacing=0.05)
  actual = quadrature.log_posterior(x, _linear(num_latents), _VARIANCE, grid)
  for r, weights in enumerate(_weights(num_latents)):
    precision = np.eye(num_latents) + weights @ weights.T / _VARIANCE[r]
    covariance = np.linalg.inv(precision)
    for n in range(len(x)):
      mean = covariance @ weights @ (x[n] - 0.7) / _VARIANCE[r]
      expected = stats.multivariate_normal(mean, covariance).logpdf(grid.points)
      np.testing.assert_allclose(actual[r, n], expected, rtol=1e-6, atol=1e-6)


def test_evidence_is_the_same_in_small_blocks(monkeypatch):
  x = np.random.default_rng(2).standard_normal((7, 3))
  grid = quadrature.latent_grid(1, spacing=0.05)
  whole = quadrature.log_evidence(x, _linear(1), _VARIANCE, grid)
  monkeypatch.setattr(quadrature, "_BLOCK", 3 * 2 * len(grid.points))
  np.testing.assert_allclose(
    quadrature.log_evidence(x, _linear(1), _VARIANCE, grid), whole, rtol=1e-12
  )


def test_error_names_the_limit_and_the_alternative_for_many_latents():
  with pytest.raises(errors.UserError, match=r"1 to 2 .* got 3.*sampled_dec"):
    quadrature.latent_grid(3)


@pytest.mark.parametrize("spacing", [0.0, -1.0, float("nan")])
def test_error_for_spacing_that_is_not_positive(spacing):
  with pytest.raises(errors.UserError, match="`spacing` must be positive"):
    quadrature.latent_grid(1, spacing=spacing)
