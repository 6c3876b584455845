# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The ELBO family against independent formulas."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import geco_tf
from geco_tf import errors, objectives
from geco_tf.models import VAEOutputs

_D = 16


def _batch(seed=0, batch_size=3):
  random = np.random.RandomState(seed)
  shape = (batch_size, 4, 4, 1)
  x = random.uniform(size=shape).astype(np.float32)
  g = random.uniform(size=shape).astype(np.float32)
  kl = random.uniform(1.0, 9.0, size=batch_size).astype(np.float32)
  return x, g, kl


def _outputs(g, kl):
  none = tf.zeros([len(g)])
  return VAEOutputs(
    reconstruction=tf.convert_to_tensor(g),
    kl=tf.convert_to_tensor(kl),
    latents=tf.zeros([len(g), 2]),
    log_q=none,
    log_prior=none,
  )


def _loss(objective, x, g, kl):
  return objective.loss(tf.constant(x), _outputs(g, kl)).loss


def _neg_elbo(x, g, kl, sigma, beta=1.0):
  log_density = stats.norm.logpdf(x.astype(np.float64), g, sigma)
  return np.mean(-log_density.sum(axis=(1, 2, 3)) + beta * kl)


@pytest.mark.parametrize(
  ("sigma", "beta"), [(0.1, 1.0), (0.5, 1.0), (2.0, 3.0)]
)
def test_elbo_is_scipys_density_and_weighted_kl(sigma, beta):
  x, g, kl = _batch()
  loss = _loss(objectives.ELBO(sigma=sigma, beta=beta), x, g, kl)
  expected = _neg_elbo(x, g, kl, sigma, beta)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_statistics_are_the_mean_squared_error():
  x, g, kl = _batch()
  statistics = (
    objectives.ELBO().loss(tf.constant(x), _outputs(g, kl)).statistics
  )
  np.testing.assert_allclose(statistics, np.mean((x - g) ** 2), rtol=1e-5)


def _gradients(loss_fn, g, kl):
  g, kl = tf.Variable(g), tf.Variable(kl)
  with tf.GradientTape() as tape:
    loss = loss_fn(g, kl)
  return tape.gradient(loss, [g, kl])


def test_beta_elbo_weighs_as_geco_does_at_one_over_beta():
  x, g, kl = _batch()
  geco = geco_tf.GECO([geco_tf.constraints.ReconstructionError(kappa=0.1)])
  geco.initialize(geco.constraint_values(x, g))
  multiplier = float(geco.multipliers["re"])
  assert abs(multiplier - 1.0) > 0.1, "must tell λ from 1/λ"
  beta = 1.0 / multiplier
  objective = objectives.BetaELBO(beta=beta)
  ours = _gradients(lambda g, kl: _loss_of(objective, x, g, kl), g, kl)
  theirs = _gradients(
    lambda g, kl: geco.lagrangian(kl, geco.constraint_values(x, g)), g, kl
  )
  for one, other in zip(ours, theirs, strict=True):
    np.testing.assert_allclose(one, beta * other, rtol=1e-5, atol=1e-7)


def _loss_of(objective, x, g, kl):
  """As _loss, for variables."""
  outputs = _outputs(np.zeros_like(x), np.zeros(len(x), np.float32))
  outputs = outputs._replace(reconstruction=g + 0.0, kl=kl + 0.0)
  return objective.loss(tf.constant(x), outputs).loss


def test_beta_elbo_is_squared_error_and_kl_up_to_a_constant():
  x, g, kl = _batch()
  objective = objectives.BetaELBO(beta=3.0)
  other = _batch(seed=1)[1]
  difference = _loss(objective, x, g, kl) - _loss(objective, x, other, 2 * kl)
  expected = np.mean(
    np.sum((x - g) ** 2 - (x - other) ** 2, axis=(1, 2, 3)) - 3.0 * kl
  )
  np.testing.assert_allclose(difference, expected, rtol=1e-5)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_learned_sigma_gradient_is_the_analytic_one(sigma):
  x, g, kl = _batch()
  objective = objectives.LearnedSigmaELBO(initial_sigma=sigma)
  with tf.GradientTape() as tape:
    loss = _loss(objective, x, g, kl)
  np.testing.assert_allclose(loss, _neg_elbo(x, g, kl, sigma), rtol=1e-5)
  squared_error = np.mean(np.sum((x - g) ** 2, axis=(1, 2, 3)))
  expected = _D - squared_error / sigma**2
  gradient = tape.gradient(loss, objective.log_sigma)
  np.testing.assert_allclose(gradient, expected, rtol=1e-5)
  assert objective.trainable_variables == (objective.log_sigma,)


def test_learned_sigma_is_best_at_the_rmse():
  x, g, kl = _batch()
  objective = objectives.LearnedSigmaELBO()
  rmse = float(np.sqrt(np.mean((x - g) ** 2)))
  losses = []
  for sigma in (0.98 * rmse, rmse, 1.02 * rmse):
    objective.log_sigma.assign(math.log(sigma))
    losses.append(float(_loss(objective, x, g, kl)))
  assert losses[1] < min(losses[0], losses[2])
  np.testing.assert_allclose(losses[0], losses[2], rtol=1e-3)


def test_closed_form_sigma_starts_where_it_is_told_and_averages():
  objective = objectives.ClosedFormSigmaELBO(sigma_decay=0.8)
  x, g, kl = _batch()
  objective.initialize(
    objective.loss(tf.constant(x), _outputs(g, kl)).statistics
  )
  mse = np.mean((x - g) ** 2)
  np.testing.assert_allclose(objective.variance(), mse, rtol=1e-5)
  for seed in (1, 2, 3):
    x, g, kl = _batch(seed)
    loss = objective.loss(tf.constant(x), _outputs(g, kl))
    # This batch is weighed by what the batches before it left.
    expected = _neg_elbo(x, g, kl, math.sqrt(mse))
    np.testing.assert_allclose(loss.loss, expected, rtol=1e-5)
    metrics = objective.update(loss.statistics)
    np.testing.assert_allclose(metrics["sigma"], math.sqrt(mse), rtol=1e-5)
    mse = 0.8 * mse + 0.2 * np.mean((x - g) ** 2)
    np.testing.assert_allclose(objective.mse, mse, rtol=1e-5)
  assert objective.trainable_variables == ()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_closed_form_sigma_ignores_an_error_that_is_not_finite(bad):
  objective = objectives.ClosedFormSigmaELBO()
  objective.initialize(tf.constant(0.04))
  objective.update(tf.constant(bad))
  np.testing.assert_allclose(objective.mse, 0.04, rtol=1e-6)


def test_closed_form_sigma_survives_perfect_reconstruction():
  objective = objectives.ClosedFormSigmaELBO(sigma_decay=0.0)
  x, _, kl = _batch()
  objective.update(tf.constant(0.0))
  assert np.isfinite(_loss(objective, x, x, kl))


@pytest.mark.parametrize(
  ("step", "sigma"), [(0, 2.0), (50, 1.35), (100, 0.7), (101, 0.7), (900, 0.7)]
)
def test_annealed_sigma_follows_gqns_schedule(step, sigma):
  objective = objectives.AnnealedSigmaELBO(num_steps=1_000)
  objective.step.assign(step)
  x, g, kl = _batch()
  loss = _loss(objective, x, g, kl)
  np.testing.assert_allclose(loss, _neg_elbo(x, g, kl, sigma), rtol=1e-5)
  metrics = objective.update(tf.constant(0.0))
  np.testing.assert_allclose(metrics["sigma"], sigma, rtol=1e-6)
  assert int(objective.step) == step + 1


def test_annealed_sigma_takes_its_length_as_share_of_the_run():
  objective = objectives.AnnealedSigmaELBO(
    num_steps=200, anneal_share=0.5, initial_sigma=1.0, final_sigma=0.2
  )
  sigmas = [
    float(objective.update(tf.constant(0.0))["sigma"]) for _ in range(120)
  ]
  expected = np.maximum(0.2, 1.0 - 0.8 * np.arange(120) / 100)
  np.testing.assert_allclose(sigmas, expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: objectives.ELBO(sigma=0.0), "`sigma` must be positive"),
    (lambda: objectives.ELBO(sigma=math.nan), "`sigma` .* got nan"),
    (lambda: objectives.ELBO(beta=-1.0), "`beta` .* got -1"),
    (lambda: objectives.BetaELBO(beta=math.inf), "`beta` .* got inf"),
    (
      lambda: objectives.LearnedSigmaELBO(initial_sigma=-0.5),
      r"sigma` must be positive and finite; got -0\.5",
    ),
    (
      lambda: objectives.ClosedFormSigmaELBO(sigma_decay=1.0),
      r"`sigma_decay` must be in \[0, 1\); got 1",
    ),
    (
      lambda: objectives.AnnealedSigmaELBO(num_steps=10, anneal_share=0.0),
      "`anneal_share` must be positive",
    ),
    (
      lambda: objectives.AnnealedSigmaELBO(num_steps=10, final_sigma=0.0),
      "sigma` must be positive",
    ),
    (
      lambda: objectives.AnnealedSigmaELBO(num_steps=0),
      "`num_steps` must be positive",
    ),
  ],
)
def test_bad_arguments_are_named(make, message):
  with pytest.raises(errors.UserError, match=message):
    make()
