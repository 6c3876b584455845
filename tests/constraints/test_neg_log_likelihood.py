# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The likelihood target: against evaluation's formula, and the ELBO."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize

from geco_tf import constraints, errors, objectives
from geco_tf.evaluation import likelihood
from geco_tf.models import VAEOutputs

_SHAPE = (5, 4, 3, 2)
_D = 24
_BIN = 1.0 / 255.0


def _images(seed=0):
  random = np.random.RandomState(seed)
  return random.uniform(size=_SHAPE), random.uniform(size=_SHAPE)


def test_value_is_the_quantized_normals_excess():
  x, g = _images()
  constraint = constraints.NegLogLikelihood(5.0)
  value = constraint(tf.constant(x), tf.constant(g))
  expected = [
    _D * (likelihood.quantized_normal_per_dim(mse, constraint.sigma) - 5.0)
    for mse in np.mean((x - g) ** 2, axis=(1, 2, 3))
  ]
  np.testing.assert_allclose(value.violation, expected, rtol=1e-9)


@pytest.mark.parametrize("kappa", [0.2, 2.89, 4.658, 5.5])
def test_kappa_is_met_where_the_best_sigma_meets_it(kappa):
  constraint = constraints.NegLogLikelihood(kappa)

  def best(mse):
    """The least over σ, by search."""
    return optimize.minimize_scalar(
      lambda t: likelihood.quantized_normal_per_dim(mse, math.exp(t)),
      bounds=(math.log(1e-4), math.log(3.0)),
      method="bounded",
      options={"xatol": 1e-10},
    ).fun

  x = tf.zeros(_SHAPE, tf.float64)
  allowed = constraint.sigma**2 - _BIN**2 / 12.0
  for share, sign in ((0.99, -1.0), (1.01, 1.0)):
    mse = share * allowed
    value = constraint(x, x + math.sqrt(mse))
    assert np.all(np.sign(value.violation) == sign)
    assert np.sign(best(mse) - kappa) == sign
    level = constraint.level(value.violation[0], value.bound)
    np.testing.assert_allclose(level, best(mse), rtol=1e-8)


@pytest.mark.parametrize(("rmse", "nats"), [(0.06, 4.147), (0.1, 4.658)])
def test_paper_scale_of_kappa(rmse, nats):
  sigma = constraints.NegLogLikelihood(nats).sigma
  np.testing.assert_allclose(sigma, rmse, rtol=1e-3)


def test_multiplier_of_one_is_the_elbo_with_this_sigma():
  x, g = (images.astype(np.float32) for images in _images())
  constraint = constraints.NegLogLikelihood(4.7)
  kl = tf.range(5.0)
  outputs = VAEOutputs(
    tf.constant(g), kl, tf.zeros([5, 2]), kl, tf.zeros_like(kl)
  )
  elbo = objectives.ELBO(sigma=constraint.sigma)
  loss = elbo.loss(tf.constant(x), outputs).loss
  worse = VAEOutputs(tf.constant(0.5 * g), 2.0 * kl, *outputs[2:])
  other = elbo.loss(tf.constant(x), worse).loss
  found = [
    tf.reduce_mean(o.kl + constraint(x, o.reconstruction).violation)
    for o in (outputs, worse)
  ]
  # Up to a constant: they rank and differ alike.
  np.testing.assert_allclose(found[1] - found[0], other - loss, rtol=1e-5)


def test_it_is_the_reconstruction_error_in_other_units():
  x, g = map(tf.constant, _images())
  nll = constraints.NegLogLikelihood(4.7)
  kappa = math.sqrt(nll.sigma**2 - _BIN**2 / 12.0)
  ours, re = nll(x, g), constraints.ReconstructionError(kappa)(x, g)
  scale = 2.0 * nll.sigma**2
  np.testing.assert_allclose(scale * ours.violation, re.violation, rtol=1e-9)
  np.testing.assert_allclose(scale * ours.bound, re.bound, rtol=1e-12)
  np.testing.assert_allclose(
    ours.initial_multiplier / scale, re.initial_multiplier, rtol=1e-12
  )


@pytest.mark.parametrize("kappa", [0.1764, 0.0, -1.0])
def test_kappa_below_a_perfect_reconstruction_is_refused(kappa):
  with pytest.raises(errors.UserError, match=r"above 0\.1765 nats .* got"):
    constraints.NegLogLikelihood(kappa)


def test_kappa_that_nothing_misses_is_refused():
  with pytest.raises(errors.UserError, match=r"at most 46\.96 nats .* got 400"):
    constraints.NegLogLikelihood(400.0)


def test_bin_width_moves_the_scale():
  wide = constraints.NegLogLikelihood(2.0, bin_width=1.0 / 31.0)
  narrow = constraints.NegLogLikelihood(2.0)
  np.testing.assert_allclose(wide.sigma / narrow.sigma, 255.0 / 31.0)
