# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The best Gaussian of each x, against closed forms and SciPy's search."""

import numpy as np
from scipy import integrate, optimize, stats

from geco_tf.failure_modes import ground_truths, mean_field, quadrature

_DIRECTION = np.array([1.0, 0.5])
_VARIANCE = 0.3


def test_best_gaussian_of_a_line_is_the_posterior():
  x = np.random.default_rng(0).standard_normal((6, 2))
  fit = mean_field.best_mean_field(
    lambda z: (z @ _DIRECTION[np.newaxis])[np.newaxis],
    np.array([_VARIANCE]),
    x,
    quadrature.latent_grid(1),
  )
  precision = 1.0 + _DIRECTION @ _DIRECTION / _VARIANCE
  np.testing.assert_allclose(fit.gap, 0.0, atol=1e-5)
  np.testing.assert_allclose(fit.scale[:, 0], precision**-0.5, rtol=0.01)
  np.testing.assert_allclose(
    fit.mean[:, 0], x @ _DIRECTION / _VARIANCE / precision, atol=0.005
  )


def test_best_gaussian_of_a_plane_has_the_known_gap():
  """KL of the best diagonal Gaussian: ½ (Σ ln Λ_kk − ln det Λ)."""
  weights = np.array([[1.0, 0.4], [0.3, 0.9]])
  x = np.random.default_rng(0).standard_normal((4, 2))
  fit = mean_field.best_mean_field(
    lambda z: (z @ weights)[np.newaxis],
    np.array([_VARIANCE]),
    x,
    quadrature.latent_grid(2, spacing=0.1),
  )
  precision = np.eye(2) + weights @ weights.T / _VARIANCE
  expected = 0.5 * (
    np.sum(np.log(np.diag(precision))) - np.linalg.slogdet(precision)[1]
  )
  np.testing.assert_allclose(fit.gap, expected, atol=5e-3)


def test_best_gaussian_covers_one_of_two_modes_far_apart():
  truth = ground_truths.absolute_value()
  fit = mean_field.best_mean_field(
    truth.decode, truth.variance, np.full((1, 2), 1.5), truth.latent_grid()
  )
  np.testing.assert_allclose(fit.gap, np.log(2.0), atol=1e-4)


def test_best_gaussian_is_what_a_search_from_many_starts_finds():
  """SciPy's Nelder and Mead, with E_q by Simpson's rule."""
  truth = ground_truths.figure_8()
  x = np.array([[0.0, 0.05], [-0.1, -0.2], [0.6, 0.1]])
  log_prob = truth.log_prob(x)

  def gap(parameters, n):
    if abs(parameters[0]) > 4.0 or not -3.5 < parameters[1] < 0.5:
      return np.inf  # Not on the grid below.
    q = stats.norm(parameters[0], np.exp(parameters[1]))
    z = np.linspace(-6.0, 6.0, 1_201)[:, np.newaxis]
    error = np.sum((x[n] - truth.function(z)) ** 2, axis=1)
    log_joint = (
      -error / 0.04 - np.log(2.0 * np.pi * 0.02) + stats.norm.logpdf(z[:, 0])
    )
    log_q = q.logpdf(z[:, 0])
    integrand = np.exp(log_q) * (log_q - log_joint + log_prob[n])
    return integrate.simpson(integrand, x=z[:, 0])

  fit = mean_field.best_mean_field(
    truth.decode, truth.variance, x, truth.latent_grid()
  )
  for n in range(len(x)):
    found = [
      optimize.minimize(gap, start, args=(n,), method="Nelder-Mead").fun
      for start in [(-1.5, -1.0), (0.0, -2.0), (0.0, 0.0), (1.5, -1.0)]
    ]
    np.testing.assert_allclose(fit.gap[n], min(found), atol=2e-3)
