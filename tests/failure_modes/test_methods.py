# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training against the closed forms of linear Gaussian models."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize

from geco_tf.constraints import ReconstructionError
from geco_tf.failure_modes import ensembles, methods

_VARIANCES = np.array([9.0, 1.0, 0.25])
_UNIT = np.sqrt(_VARIANCES.mean())  # What networks see the data divided by.


@pytest.fixture(scope="module")
def data():
  """Rows whose covariance is diagonal and known exactly."""
  rows = np.random.default_rng(0).normal(size=[2_000, 3])
  rows -= rows.mean(axis=0)
  whitener = np.linalg.cholesky(np.linalg.inv(np.cov(rows.T, bias=True)))
  return rows @ whitener * np.sqrt(_VARIANCES)


def _fit(data, method, **options):
  return methods.fit(
    data,
    method,
    **{
      "latent_size": 1,
      "variance": 0.5,
      "num_restarts": 2,
      "hidden_sizes": (),
      "num_steps": 1_500,
      "learning_rate": 6e-2,
      **options,
    },
  )


def test_learned_noise_is_that_of_probabilistic_pca(data):
  """σ² is the mean of the variances that one component leaves (Tipping)."""
  ensemble = _fit(data, methods.METHODS["vae_learned"])
  np.testing.assert_allclose(ensemble.variance, 0.625, rtol=0.03)
  weight = ensemble.decoder.weights[0][:, 0].numpy() * _UNIT
  np.testing.assert_allclose(
    np.abs(weight[:, 0]), np.sqrt(9.0 - 0.625), rtol=0.05
  )
  np.testing.assert_allclose(weight[:, 1:], 0.0, atol=0.1)
  # The posterior is Gaussian: nothing is lost by mean field.
  gap = ensemble.log_likelihood(data[:200]) - ensemble.elbo(data[:200])
  assert np.abs(np.mean(gap, axis=1)).max() < 0.02


def test_geco_is_on_the_rate_distortion_curve(data):
  """Reverse water-filling at the distortion that it has come to, near D κ²."""
  kappa_squared = 1.75 / 3.0
  ensemble = _fit(
    data,
    methods.METHODS["geco"],
    latent_size=3,
    variance=kappa_squared,
    num_steps=2_000,
  )
  np.testing.assert_allclose(ensemble.variance, kappa_squared, rtol=0.2)
  kl = ensemble.kl(data, num_samples=20).numpy().mean(axis=1)
  for distortion, found in zip(
    3.0 * ensemble.variance.numpy(), kl, strict=True
  ):
    level = optimize.brentq(
      lambda t, d=distortion: np.minimum(t, _VARIANCES).sum() - d, 0.01, 4.0
    )
    expected = 0.5 * np.log(np.maximum(_VARIANCES / level, 1.0)).sum()
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_constraint_is_that_of_each_restart_alone():
  rng = np.random.default_rng(0)
  targets = tf.constant(rng.normal(size=[8, 3, 2]), tf.float32)
  means = tf.constant(rng.normal(size=[8, 3, 2]), tf.float32)
  together = methods.RestartErrors(0.3, 3)(targets, means)
  for r in range(3):
    alone = ReconstructionError(0.3)(targets[:, r], means[:, r])
    np.testing.assert_allclose(
      together.violation[:, r], alone.violation, rtol=1e-5
    )
    np.testing.assert_allclose(together.bound[r], alone.bound, rtol=1e-5)
    start = together.initial_multiplier[r]
    np.testing.assert_allclose(start, 0.5 / 0.3**2, rtol=1e-6)


@pytest.mark.parametrize("name", ["iwae_3", "geco"])
def test_restart_is_the_same_whatever_the_number_beside_it(data, name):
  """No restart sees another, through Adam, noise, rows or multipliers."""
  trained = [
    _fit(
      data,
      methods.METHODS[name],
      num_restarts=count,
      hidden_sizes=(4,),
      num_steps=15,
      batch_size=10,
    )
    for count in (1, 3)
  ]
  for one, many in zip(*(t.trainable_variables for t in trained), strict=True):
    np.testing.assert_allclose(one[0], many[0], atol=1e-4)


def test_lagging_inference_fits_the_encoder_between_steps(data):
  """Its decoder takes as many steps; its encoder takes more."""
  kept = []
  for encoder_steps in (0, 4):
    method = methods.Method(encoder_steps=encoder_steps)
    ensemble = _fit(data, method, num_steps=15, learning_rate=1e-2)
    fresh = ensembles.Ensemble(
      data, latent_size=1, num_restarts=2, variance=0.5, hidden_sizes=()
    )
    moved = [
      np.abs(a - b).max()
      for a, b in zip(
        ensemble.encoder.variables, fresh.encoder.variables, strict=True
      )
    ]
    kept.append(max(moved))
  assert kept[1] > 2.0 * kept[0]


def test_more_importance_samples_move_nothing_where_q_is_exact(data):
  """The bound's gradient in the decoder is then the ELBO's: same optimum."""
  method = dataclasses.replace(methods.METHODS["iwae_10"], learns_variance=True)
  ensemble = _fit(data, method, num_steps=1_000)
  np.testing.assert_allclose(ensemble.variance, 0.625, rtol=0.04)


def test_beta_weighs_the_kl(data):
  """β = .5 at σ² is the VAE at σ²/2 up to a factor: variances lose σ²β."""
  ensemble = _fit(data, methods.Method(beta=0.5), variance=1.0)
  weight = ensemble.decoder.weights[0][:, 0].numpy() * _UNIT
  np.testing.assert_allclose(np.abs(weight[:, 0]), np.sqrt(8.5), rtol=0.05)


def test_start_is_the_given_function_and_its_posterior():
  """A line: g is the line, and the bound is tight."""
  rng = np.random.default_rng(0)
  direction = np.array([[1.0, 2.0]])
  data = rng.normal(size=[500, 1]) @ direction + rng.normal(size=[500, 2])
  ensemble = ensembles.Ensemble(
    data, latent_size=1, num_restarts=2, variance=1.0, hidden_sizes=()
  )
  methods.start_at(
    ensemble, lambda z: (z @ direction)[np.newaxis], num_steps=500
  )
  latents = np.array([[-2.0], [0.0], [2.0]])
  np.testing.assert_allclose(
    ensemble.decode(latents), np.tile(latents @ direction, [2, 1, 1]), atol=0.02
  )
  gap = ensemble.log_likelihood(data[:100]) - ensemble.elbo(data[:100])
  assert np.abs(np.mean(gap, axis=1)).max() < 0.02
