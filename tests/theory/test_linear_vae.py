# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reverse water-filling against numerical optimisation and known answers."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize, stats
from tensorflow_probability import distributions as tfd

from geco_tf import errors
from geco_tf.theory import linear_vae

_KEY = np.array([4.0, 1.0, 0.25, 0.04])


def _least_kl(variances, distortion):
  """The least KL by a general optimizer, over a, m and ln v of all dimensions.

  Returns the KL and the multiplier of the distortion.
  """
  num_dims = len(variances)

  def unpack(w):
    a, m, log_v = w.reshape(3, num_dims)
    return a, m, np.exp(log_v)

  def kl(w):
    _, m, v = unpack(w)
    return 0.5 * np.sum(m**2 * variances + v - 1.0 - np.log(v))

  def slack(w):
    a, m, v = unpack(w)
    return distortion - np.sum((1 - a * m) ** 2 * variances + a**2 * v)

  start = np.repeat([0.7, 0.7, -1.0], num_dims)
  found = optimize.minimize(
    kl,
    start,
    constraints={"type": "ineq", "fun": slack},
    method="SLSQP",
    options={"ftol": 1e-14, "maxiter": 2_000},
  )
  # λ from the stationarity of the Lagrangian, by least squares.
  gradients = [optimize.approx_fprime(found.x, f, 1e-7) for f in (kl, slack)]
  return found.fun, gradients[0] @ gradients[1] / np.sum(gradients[1] ** 2)


@pytest.mark.parametrize(
  ("variances", "distortion"),
  [
    (_KEY, 0.5),
    (np.array([2.0, 0.9, 0.5, 0.3, 0.1, 0.02]), 0.8),
    (np.array([0.3, 0.3, 3.0]), 0.2),
  ],
)
def test_water_filling_is_what_a_general_optimizer_finds(variances, distortion):
  answer = linear_vae.water_filling(variances, distortion)
  kl, multiplier = _least_kl(variances, distortion)
  np.testing.assert_allclose(answer.kl, kl, rtol=1e-6)
  np.testing.assert_allclose(answer.multiplier, multiplier, rtol=1e-3)


def test_published_key_is_reached():
  answer = linear_vae.water_filling(_KEY, 0.5)
  np.testing.assert_allclose(answer.level, 0.15333, rtol=1e-4)
  np.testing.assert_allclose(answer.multiplier, 3.2609, rtol=1e-4)
  np.testing.assert_allclose(answer.kl, 2.8127, rtol=1e-4)


@pytest.mark.parametrize("share", [1e-6, 0.01, 0.3, 0.9, 1.0 - 1e-9, 1.0])
def test_distortion_is_spent_and_the_model_has_what_is_promised(share):
  total = share * _KEY.sum()
  answer = linear_vae.water_filling(_KEY, total)
  costs = linear_vae.expectations(answer.model, _KEY)
  np.testing.assert_allclose(np.sum(costs.distortions), total, rtol=1e-12)
  np.testing.assert_allclose(costs.distortions, answer.distortions, rtol=1e-10)
  np.testing.assert_allclose(costs.kl, answer.kl, rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(costs.marginal_kl, 0.0, atol=1e-12)


def test_order_of_dimensions_does_not_matter():
  shuffled = linear_vae.water_filling(_KEY[[2, 0, 3, 1]], 0.5)
  ordered = linear_vae.water_filling(_KEY, 0.5)
  np.testing.assert_allclose(
    shuffled.distortions, ordered.distortions.numpy()[[2, 0, 3, 1]]
  )
  np.testing.assert_allclose(shuffled.kl, ordered.kl)


def test_multiplier_is_the_slope_of_kl():
  kl = [float(linear_vae.water_filling(_KEY, d).kl) for d in (0.4999, 0.5001)]
  slope = (kl[1] - kl[0]) / 2e-4
  multiplier = linear_vae.water_filling(_KEY, 0.5).multiplier
  np.testing.assert_allclose(-slope, multiplier, rtol=1e-6)


def test_lagrangian_is_stationary_at_the_optimum():
  answer = linear_vae.water_filling(_KEY, 0.5)
  with tf.GradientTape() as tape:
    tape.watch(answer.model)
    costs = linear_vae.expectations(answer.model, _KEY)
    lagrangian = costs.kl + answer.multiplier * tf.reduce_sum(costs.distortions)
  for gradient in tape.gradient(lagrangian, answer.model):
    np.testing.assert_allclose(gradient, np.zeros(4), atol=1e-12)


@pytest.mark.statistical
def test_expectations_are_means_over_samples():
  """Six standard errors: a false alarm in 1e-6 or less for 6 numbers."""
  random = np.random.RandomState(0)
  a, m, v = random.uniform(0.2, 1.0, [3, 4])
  x = np.sqrt(_KEY) * random.normal(size=[100_000, 4])
  z = m * x + np.sqrt(v) * random.normal(size=x.shape)
  log_q = stats.norm.logpdf(z, m * x, np.sqrt(v))
  kl = np.sum(log_q - stats.norm.logpdf(z), axis=1)
  errors_ = (x - a * z) ** 2
  model = linear_vae.LinearVAE(*map(tf.constant, (a, m, v)))
  costs = linear_vae.expectations(model, _KEY)
  for samples, expected in ((kl, costs.kl), (errors_, costs.distortions)):
    tolerance = 6.0 * samples.std(axis=0) / np.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(axis=0) - expected) <= tolerance)


def test_marginal_kl_is_that_between_gaussians():
  a, m, v = np.random.RandomState(1).uniform(0.2, 1.0, [3, 4])
  model = linear_vae.LinearVAE(*map(tf.constant, (a, m, v)))
  marginal = tfd.MultivariateNormalDiag(np.zeros(4), np.sqrt(m**2 * _KEY + v))
  prior = tfd.MultivariateNormalDiag(np.zeros(4), np.ones(4))
  np.testing.assert_allclose(
    linear_vae.expectations(model, _KEY).marginal_kl,
    tfd.kl_divergence(marginal, prior),
    rtol=1e-12,
  )


def test_whole_numbers_are_taken_for_floats():
  found = linear_vae.water_filling([1, 2], 1)
  expected = linear_vae.water_filling([1.0, 2.0], 1.0)
  np.testing.assert_array_equal(found.distortions, expected.distortions)


@pytest.mark.parametrize(
  ("variances", "distortion", "message"),
  [
    ([1.0, 0.0], 0.5, "`variances` must be a list of positive, finite"),
    ([1.0, np.inf], 0.5, "`variances` must be a list of positive, finite"),
    ([[1.0]], 0.5, "`variances` must be a list of positive, finite"),
    ([1.0, 2.0], 0.0, "`distortion` must be above 0 and at most .* 3; got 0"),
    ([1.0, 2.0], 3.5, "at most the sum of the variances, 3; got 3.5"),
    ([1.0, 2.0], np.nan, "at most the sum of the variances, 3; got nan"),
  ],
)
def test_what_has_no_answer_is_refused(variances, distortion, message):
  with pytest.raises(errors.UserError, match=message):
    linear_vae.water_filling(variances, distortion)
