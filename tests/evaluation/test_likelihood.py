# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Quadrature, the published numbers, and a model whose likelihood is known."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from geco_tf import data, errors, evaluation
from geco_tf.evaluation import likelihood, pieces
from tests.evaluation import linear_gaussian

_DEVIATIONS = stats.norm.isf(0.5e-6)  # Two-sided, fails 1e-6 of times.

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

  By Jensen the mass is the larger, by half the variance of ln N within the bin:
  (bin/σ)²/24 · E[z²] + O((bin/σ)⁴), 1.6e-3 and 6.4e-5 here.
  """

  def exact(error):
    mass = stats.norm.cdf(error + _BIN / 2, 0, sigma) - stats.norm.cdf(
      error - _BIN / 2, 0, sigma
    )
    return -math.log(mass) * stats.norm.pdf(error, 0, sigma)

  expected = integrate.quad(exact, -7 * sigma, 7 * sigma)[0]
  value = evaluation.quantized_normal_per_dim(sigma**2, sigma)
  gap = (_BIN / sigma) ** 2 / 24
  np.testing.assert_allclose(value - expected, gap, rtol=5e-3)


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


@pytest.mark.parametrize("sigma", [0.001, 0.017, 0.1, 0.5])
@pytest.mark.parametrize("error", [0.0, 0.003, -0.05, 0.8])
def test_exact_form_is_the_integral_over_the_bin(error, sigma):
  """The density over its largest value in the bin, as it may be e^−300000."""
  edge = max(abs(error) - _BIN / 2, 0.0)
  largest = stats.norm.logpdf(edge, 0.0, sigma)
  mass, _ = integrate.quad(
    lambda u: math.exp(stats.norm.logpdf(u, 0.0, sigma) - largest),
    abs(error) - _BIN / 2,
    abs(error) + _BIN / 2,
    points=[edge, min(edge + sigma**2 / max(edge, sigma), abs(error))],
    limit=200,
  )
  # What is subtracted is known to float64, as are the images.
  found = likelihood.quantized_normal_log_prob(
    tf.constant([[0.0]], tf.float64), tf.constant([[error]], tf.float64), sigma
  )
  np.testing.assert_allclose(found[0], math.log(mass) + largest, rtol=1e-8)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_form_agrees_with_its_mean_and_stays_below_the_exact_form(sigma):
  rng = np.random.RandomState(0)
  # Gauss and Legendre's rule is exact for a square.
  nodes, weights = np.polynomial.legendre.leggauss(3)
  errors_ = tf.constant(sigma * rng.normal(size=[50, 4]))
  zeros = tf.zeros_like(errors_)
  by_node = [
    likelihood.quantized_normal_log_prob(
      errors_, zeros, tf.constant(sigma, tf.float64), noise=0.5 * node + zeros
    ).numpy()
    for node in nodes
  ]
  mean = np.tensordot(weights / 2, by_node, 1)
  closed = evaluation.quantized_normal_per_dim(
    float(tf.reduce_mean(errors_**2)), sigma
  )
  exact = likelihood.quantized_normal_log_prob(errors_, zeros, sigma).numpy()

  np.testing.assert_allclose(-mean.mean() / 4, closed, rtol=1e-9)
  assert np.all(exact > mean)
  assert np.mean(exact - mean) / 4 < (_BIN / sigma) ** 2 / 12


def _batches(split, size):
  images = split.images
  return [
    data.Batch(
      tf.constant(images[i : i + size]),
      tf.zeros([len(images[i : i + size])], tf.int32),
    )
    for i in range(0, len(images), size)
  ]


_DECODER, _ENCODER = np.array([0.5, 0.3]), np.array([1.2, 0.8])
_VARIANCE = np.array([0.2, 0.5])


def _linear():
  model = linear_gaussian.LinearGaussian(_DECODER, _ENCODER, _VARIANCE)
  # Multiples of the bin, which the quantized normal is of.
  values = np.random.RandomState(0).normal(size=[4_000, 2]) * 0.6
  return model, np.round(values / _BIN) * _BIN


@pytest.mark.statistical
def test_sigma_and_elbo_are_those_of_the_linear_model():
  """E (x − g)² = (1 − a m)² x² + a² v; its spread over draws is known too."""
  model, x = _linear()
  split = linear_gaussian.split(x)
  residual, spread = (1 - _DECODER * _ENCODER) * x, _DECODER**2 * _VARIANCE
  mse = np.mean(residual**2 + spread)
  # Var (r + √s ε)² = 4 r² s + 2 s².
  deviation = np.sqrt(np.mean(4 * residual**2 * spread + 2 * spread**2))
  tolerance = _DEVIATIONS * deviation / math.sqrt(x.size)

  sigma = likelihood.optimal_sigma(model, _batches(split, 1_500))
  assert abs(sigma**2 - mse) < tolerance
  found = likelihood.measure(model, _batches(split, 1_500), sigma)

  assert (found.num_dims, found.num_examples) == (2, 4_000)
  np.testing.assert_allclose(found.rmse, sigma, rtol=1e-5)  # The same noise.
  m2 = _ENCODER**2 * x**2
  kl = 0.5 * np.sum(m2 + _VARIANCE - 1 - np.log(_VARIANCE), axis=1).mean()
  np.testing.assert_allclose(found.kl, kl, rtol=1e-5)
  nll = 2 * evaluation.quantized_normal_per_dim(found.rmse**2, sigma)
  np.testing.assert_allclose(found.neg_log_likelihood, nll, rtol=1e-9)
  below = found.neg_log_likelihood - found.neg_log_likelihood_exact
  assert 0 < below < 2 * (_BIN / sigma) ** 2 / 12
  written = found.to_json()
  assert written["elbo"] == pytest.approx(-nll - kl, rel=1e-5)
  assert written["elbo_bits_per_dim"] == pytest.approx(
    written["elbo"] / (2 * math.log(2))
  )


def test_model_that_diverged_has_no_sigma():
  model = linear_gaussian.LinearGaussian([math.nan], [0.0], [1.0])
  split = linear_gaussian.split(np.zeros([3, 1]))
  with pytest.raises(errors.UserError, match="must be numbers; got nan and"):
    likelihood.optimal_sigma(model, _batches(split, 3))


def test_sigma_of_a_perfect_reconstruction_is_half_a_bin():
  model = linear_gaussian.LinearGaussian([0.0], [0.0], [1.0])
  split = linear_gaussian.split(np.zeros([3, 1]))
  sigma = likelihood.optimal_sigma(model, _batches(split, 3))
  assert sigma == pytest.approx(_BIN / 2)


def _exact_log_prob(x, sigma):
  """The mass that N(0, a² + σ²) gives to the bins, [N]."""
  scale = np.sqrt(_DECODER**2 + sigma**2)
  upper, lower = (stats.norm.cdf((x + s * _BIN / 2) / scale) for s in (1, -1))
  return np.log(upper - lower).sum(axis=1)


def _bound(model, x, sigma, k, seed=0):
  return likelihood.importance_weighted_bound(
    model,
    linear_gaussian.split(x),
    sigma,
    num_importance_samples=k,
    num_examples=len(x),
    seed=seed,
  )


def test_bound_of_the_true_posterior_is_exact_with_one_sample():
  """All weights are ln p(x), but for the width of a bin."""
  sigma, (_, x) = 0.3, _linear()
  precision = 1.0 + _DECODER**2 / sigma**2
  model = linear_gaussian.LinearGaussian(
    _DECODER, _DECODER / sigma**2 / precision, 1.0 / precision
  )
  found = _bound(model, x[:30], sigma, 1)
  expected = _exact_log_prob(x[:30], sigma).mean()
  np.testing.assert_allclose(found.value, expected, atol=1e-3)


def _gap(sigma):
  """Of the density and a bin's mass, for a dimension and of either sign."""
  return (_BIN / sigma) ** 2 / 24


def _variance_of_weights(x, sigma):
  """Var p(x|z) π(z) / q(z|x) p(x) over z ~ q(z|x), [N], on a grid."""
  z = np.linspace(-8.0, 8.0, 4_001)[:, np.newaxis, np.newaxis]
  joint = stats.norm.pdf(x, _DECODER * z, sigma) * stats.norm.pdf(z)
  q = stats.norm.pdf(z, _ENCODER * x, np.sqrt(_VARIANCE))
  step = 16.0 / 4_000
  evidence = joint.sum(axis=0) * step
  squares = np.divide(joint**2, q, out=np.zeros_like(q), where=q > 1e-200)
  return np.prod(squares.sum(axis=0) * step / evidence**2, axis=1) - 1.0


@pytest.mark.statistical
def test_bound_rises_with_k_to_the_exact_log_likelihood():
  """Ten examples, many times each; k = 1 is the ELBO.

  With w of mean 1, the bound is below by Var w / 2k and has the variance
  Var w / k (delta method, whose next term is a few times (Var w / k)²).
  """
  model, x = _linear()
  sigma, x = 0.3, np.repeat(x[:10], 20, axis=0)
  exact = _exact_log_prob(x, sigma)
  gaps, errors_ = [], []
  for k in (1, 8, 600):
    found = _bound(model, x, sigma, k)
    # Examples differ by more than draws do: their own spread is taken off.
    gaps.append(exact.mean() - found.value)
    errors_.append(found.standard_error)
  assert gaps[0] > gaps[1] > gaps[2]
  spread = _variance_of_weights(x, sigma) / 600
  deviation = math.sqrt(spread.mean() / len(x))
  assert deviation < 6e-3  # A tenth of the gap at k = 1.
  assert abs(gaps[2] - spread.mean() / 2) < (
    _DEVIATIONS * deviation + 10 * (spread**2).mean() + 2 * _gap(sigma)
  )
  assert gaps[0] > 0.05
  mse = np.mean(((1 - _DECODER * _ENCODER) * x) ** 2 + _DECODER**2 * _VARIANCE)
  kl = 0.5 * np.sum(
    _ENCODER**2 * x**2 + _VARIANCE - 1 - np.log(_VARIANCE), axis=1
  )
  elbo = -2 * evaluation.quantized_normal_per_dim(mse, sigma) - kl.mean()
  assert abs(exact.mean() - gaps[0] - elbo) < _DEVIATIONS * errors_[0]


def test_bound_of_stopped_measurement_goes_on_bit_for_bit(tmp_path):
  model, x = _linear()
  split = linear_gaussian.split(x)

  def run(folder, progress=None):
    return likelihood.importance_weighted_bound(
      model,
      split,
      0.3,
      num_importance_samples=3,
      num_examples=50,
      pieces=pieces.Pieces(str(folder), {"seed": 0}),
      progress=progress,
    )

  def stop(done, total):
    assert (done, total) == (20, 50)
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    run(tmp_path / "killed", stop)
  assert run(tmp_path / "killed") == run(tmp_path / "whole")


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"num_examples": 5}, "num_examples. must be from 1 to the 4 .* got 5"),
    ({"num_importance_samples": 0}, "num_importance_samples. must be at least"),
    ({"memory_gib": 1e-9}, "memory_gib. must be at least .* got 1e-09"),
  ],
)
def test_mistake_is_named(changes, message):
  model, x = _linear()
  settings = {"num_importance_samples": 2, "num_examples": 3, **changes}
  with pytest.raises(errors.UserError, match=message):
    likelihood.importance_weighted_bound(
      model, linear_gaussian.split(x[:4]), 0.3, **settings
    )
