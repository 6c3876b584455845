# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The quantized normal against quadrature and the published numbers."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from geco_tf import evaluation

_BIN = 1.0 / 255.0


def _by_quadrature(error, sigma):
  """The mean over u ~ U(−½, ½)·bin of −ln(N(error + u; 0, σ)·bin)."""

  def integrand(u):
    return -(stats.norm.logpdf(error + u, 0.0, sigma) + math.log(_BIN)) / _BIN

  return integrate.quad(integrand, -_BIN / 2, _BIN / 2)[0]


@pytest.mark.parametrize("sigma", [0.002, 0.017, 0.1, 0.5])
@pytest.mark.parametrize("error", [0.0, 0.01, 0.3])
def test_value_is_the_integral(error, sigma):
  value = evaluation.quantized_normal_per_dim(error**2, sigma)
  np.testing.assert_allclose(value, _by_quadrature(error, sigma), rtol=1e-9)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_value_is_close_to_the_exact_bin_probability(sigma):
  """Errors drawn at σ: the density's mean over a bin against the bin's mass.

  By Jensen the mass is the larger, by a variance of ln N within the bin: at
  most (bin/σ)²/12 · E[z²] + O((bin/σ)⁴), 3.2e-3 and 1.3e-4 here, and half of
  it in the logarithm.
  """

  def exact(error):
    mass = stats.norm.cdf(error + _BIN / 2, 0, sigma) - stats.norm.cdf(
      error - _BIN / 2, 0, sigma
    )
    return -math.log(mass) * stats.norm.pdf(error, 0, sigma)

  expected = integrate.quad(exact, -7 * sigma, 7 * sigma)[0]
  value = evaluation.quantized_normal_per_dim(sigma**2, sigma)
  assert 0.0 < value - expected < (_BIN / sigma) ** 2 / 12


@pytest.mark.parametrize(
  ("rmse", "nats"),
  [
    (math.sqrt(0.00029), 2.890),
    (0.06, 4.147),
    (0.08, 4.435),
    (0.1, 4.658),
    (0.125, 4.881),
    (0.175, 5.217),
  ],
)
def test_value_at_sigma_equal_to_rmse_is_the_published_one(rmse, nats):
  value = evaluation.quantized_normal_per_dim(rmse**2, rmse)
  assert abs(value - nats) <= 0.0005 + 1e-9  # They are given to three digits.


def test_best_sigma_is_the_rmse_but_for_the_bin():
  mse = 0.01
  best = math.sqrt(mse + _BIN**2 / 12)
  at_best, *others = (
    evaluation.quantized_normal_per_dim(mse, s * best) for s in (1, 0.99, 1.01)
  )
  assert at_best < min(others)
