# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tilings against quadrature; planes against models that are known."""

import types

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, optimize, stats
from tensorflow_probability import distributions as tfd

from geco_tf import errors, models
from geco_tf.theory import tilings

_NORMAL = tfd.Normal(np.float64(0.0), np.float64(1.0))
_UNIFORM = tfd.Uniform(np.float64(-1.0), np.float64(1.0))
_PRIORS = pytest.mark.parametrize(
  ("marginal", "reference"),
  [(_NORMAL, stats.norm()), (_UNIFORM, stats.uniform(-1.0, 2.0))],
  ids=["gaussian", "uniform"],
)


@_PRIORS
@pytest.mark.parametrize("num_dims", [1, 2, 3])
@pytest.mark.parametrize("num_tiles", [1, 2, 7, 16, 101])
def test_tiles_have_equal_mass_and_cover_every_point_once(
  num_tiles, num_dims, marginal, reference
):
  tiling = tilings.equiprobable(num_tiles, marginal, num_dims=num_dims)
  sides = reference.cdf(tiling.high) - reference.cdf(tiling.low)
  masses = np.prod(sides, axis=1)
  np.testing.assert_allclose(masses, 1.0 / num_tiles, rtol=1e-9)
  np.testing.assert_allclose(
    tilings.prior_masses(tiling, marginal), masses, rtol=1e-9
  )
  z = reference.rvs(size=[500, num_dims], random_state=0)
  covered = np.sum(tilings.is_inside(tiling, z), axis=1)
  np.testing.assert_array_equal(covered, 1)


@_PRIORS
def test_posterior_of_a_tile_has_kl_ln_n_by_quadrature(marginal, reference):
  tiling = tilings.equiprobable(7, marginal, num_dims=1)
  masses = tilings.prior_masses(tiling, marginal)

  def density(z, tile):
    inside = tilings.is_inside(tiling, [[z]])
    return np.exp(
      tilings.log_prob(inside, masses, [reference.logpdf(z)])[0, tile]
    )

  for tile in (0, 3):
    low = max(float(tiling.low[tile, 0]), -9.0)
    high = min(float(tiling.high[tile, 0]), 9.0)
    total, _ = integrate.quad(density, low, high, args=(tile,))
    kl, _ = integrate.quad(
      lambda z, tile=tile: (
        density(z, tile) * np.log(density(z, tile) / reference.pdf(z))
      ),
      low,
      high,
    )
    np.testing.assert_allclose([total, kl], [1.0, np.log(7.0)], rtol=1e-6)
    np.testing.assert_allclose(tilings.kl(masses)[tile], kl, rtol=1e-6)


@_PRIORS
def test_marginal_of_the_tiles_is_the_prior(marginal, reference):
  tiling = tilings.equiprobable(7, marginal)
  z = reference.rvs(size=[100, 2], random_state=0)
  log_prior = reference.logpdf(z).sum(axis=1)
  log_q = tilings.log_prob(
    tilings.is_inside(tiling, z),
    tilings.prior_masses(tiling, marginal),
    log_prior,
  )
  log_marginal = tf.reduce_logsumexp(log_q, axis=1) - np.log(7.0)
  np.testing.assert_allclose(log_marginal, log_prior, rtol=1e-9)


def _overlapping():
  """Three supports on the line: z in (0, .5) is in two, z > 2 in none."""
  supports = np.array([[-np.inf, 0.5], [0.0, 1.5], [1.5, 2.0]])
  masses = [
    integrate.quad(stats.norm.pdf, max(low, -12.0), high)[0]
    for low, high in supports
  ]
  return supports, np.array(masses)


def test_blurred_reconstruction_is_the_least_error_by_quadrature():
  supports, masses = _overlapping()
  x = np.random.RandomState(0).uniform(size=[3, 4])

  def error(g, low, high):
    """(1/n) Σ_i ∫ q(z|x_i) ‖x_i − g‖² dz over low … high, for a constant g."""
    total = 0.0
    for i, (start, stop) in enumerate(supports):
      start, stop = max(start, low), min(stop, high)
      if start < stop:
        share, _ = integrate.quad(stats.norm.pdf, start, stop)
        total += share / masses[i] * np.sum((x[i] - g) ** 2) / 3
    return total

  tiling = tilings.Tiling(
    tf.constant(supports[:, :1]), tf.constant(supports[:, 1:])
  )
  # In each of these only one set of supports is met.
  for low, high in ((-1.0, -0.5), (0.0, 0.5), (0.5, 1.5), (1.5, 2.0)):
    z = 0.5 * (low + high)
    best = optimize.minimize(error, np.zeros(4), args=(low, high), tol=1e-12).x
    inside = tilings.is_inside(tiling, [[z]])
    g = tilings.blurred_reconstruction(inside, masses, x)[0]
    np.testing.assert_allclose(g, best, atol=1e-6)


def test_blur_is_the_optimal_decoder_of_the_restricted_priors():
  supports, masses = _overlapping()
  x = np.random.RandomState(0).uniform(size=[3, 4, 4, 1])
  z = np.linspace(-3.0, 1.9, 50)
  inside = (supports[:, 0] <= z[:, None]) & (z[:, None] < supports[:, 1])
  log_q = tilings.log_prob(inside, masses, stats.norm.logpdf(z))
  np.testing.assert_allclose(
    tilings.optimal_reconstruction(log_q, x),
    tilings.blurred_reconstruction(inside, masses, x),
    rtol=1e-9,
  )


def test_hole_has_no_reconstruction():
  inside = tf.constant([[False, False], [True, False]])
  masses, x = np.array([0.5, 0.5]), np.array([[1.0], [2.0]])
  log_q = tilings.log_prob(inside, masses, np.zeros(2))
  for g in (
    tilings.blurred_reconstruction(inside, masses, x),
    tilings.optimal_reconstruction(log_q, x),
  ):
    np.testing.assert_array_equal(g, [[np.nan], [1.0]])


def test_plane_of_a_tiling_shows_its_hole_and_its_marginal_kl():
  """Half of the prior has no tile: q = 2 π on the rest, KL(q ‖ π) = ln 2."""

  def log_prior(z):
    return tf.reduce_sum(tfd.Normal(0.0, 1.0).log_prob(z), axis=-1)

  def log_q(z):
    inside = tf.stack([z[:, 0] > 0.0, z[:, 0] > 0.0], axis=1)
    return tilings.log_prob(inside, [0.5, 0.5], log_prior(z))

  plane = tilings.plane(log_q, log_prior, extent=6.0, resolution=100)
  np.testing.assert_allclose(plane.prior_mass(plane.holes()), 0.5, rtol=1e-5)
  np.testing.assert_allclose(plane.marginal_kl(), np.log(2.0), rtol=1e-5)
  np.testing.assert_allclose(plane.certainty, 0.5, rtol=1e-5)


class _Gaussians:
  """A model whose posteriors are known, with no fast path and no prior."""

  def __init__(self, means, scale):
    self._means = np.asarray(means, np.float32)
    self._scale = np.float32(scale)

  def posterior(self, images):
    scales = self._scale * tf.ones([len(images), self._means.shape[1]])
    return tfd.MultivariateNormalDiag(self._means, scales)


def _plane(means, scale, **options):
  images = np.zeros([len(means), 8, 8, 1], np.float32)
  return tilings.latent_plane(_Gaussians(means, scale), images, **options)


def test_plane_is_scipys_mixture():
  means, scale = np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -1.5]]), 0.6
  plane = _plane(means, scale, resolution=20, extent=2.0)
  z = np.stack(np.meshgrid(plane.axis, plane.axis, indexing="ij"), axis=-1)
  q = [stats.multivariate_normal(m, scale**2).pdf(z) for m in means]
  np.testing.assert_allclose(
    np.exp(plane.log_marginal), np.mean(q, axis=0), rtol=2e-5
  )
  np.testing.assert_allclose(
    plane.log_prior, stats.norm.logpdf(z).sum(-1), rtol=1e-5
  )
  np.testing.assert_array_equal(plane.owner, np.argmax(q, axis=0))
  np.testing.assert_allclose(
    plane.certainty, np.max(q, axis=0) / np.sum(q, axis=0), rtol=2e-5
  )


def test_hole_of_a_narrow_posterior_has_the_mass_that_geometry_says():
  """Of q = N(0, s² I), which falls below ε π outside a circle."""
  s, threshold = 0.5, 0.1
  square = 2.0 * (np.log(1 / threshold) - 2.0 * np.log(s)) / (s**-2 - 1.0)
  plane = _plane([[0.0, 0.0]], s, resolution=300, extent=6.0)
  # A square grid follows a circle to about its spacing.
  np.testing.assert_allclose(
    plane.prior_mass(plane.holes(threshold)), np.exp(-square / 2), rtol=5e-3
  )


def test_prior_as_posterior_has_no_holes_and_only_blurs():
  plane = _plane(np.zeros([4, 2]), 1.0, resolution=16)
  assert not np.any(plane.holes())
  assert np.all(plane.blurs())
  np.testing.assert_allclose(plane.certainty, 0.25, rtol=1e-6)
  np.testing.assert_allclose(plane.prior_mass(plane.blurs()), 1.0, rtol=1e-6)


@pytest.mark.parametrize("posterior", ["mean_field", "nvp"])
def test_package_models_are_seen_through_their_fast_path(posterior):
  model = models.VAE(
    (8, 8, 1), 2, posterior=posterior, channels=2, hidden_size=8,
    coupling_width=4, num_couplings=2,
  )  # fmt: skip
  images = np.random.RandomState(0).uniform(size=[5, 8, 8, 1])
  images = images.astype(np.float32)
  model(images, seed=tf.constant([0, 0]))
  plane = tilings.latent_plane(model, images, resolution=8)
  slow = types.SimpleNamespace(posterior=model.posterior)
  expected = tilings.latent_plane(slow, images, resolution=8)
  for field, other in zip(plane, expected, strict=True):
    np.testing.assert_allclose(field, other, rtol=1e-4, atol=1e-5)


def test_model_in_float64_has_the_plane_of_its_weights():
  rough, exact = (
    models.VAE((8, 8, 1), 2, channels=2, hidden_size=8, precision=precision)
    for precision in ("float32", "float64")
  )
  images = tf.random.stateless_uniform([5, 8, 8, 1], [1, 2])
  for model in (rough, exact):
    model(images, seed=tf.constant([3, 4]))
  for one, other in zip(rough.variables, exact.variables, strict=True):
    other.assign(tf.cast(one, tf.float64))
  for field, other in zip(
    tilings.latent_plane(exact, images, resolution=8),
    tilings.latent_plane(rough, images, resolution=8),
    strict=True,
  ):
    np.testing.assert_allclose(field, other, rtol=1e-4, atol=1e-5)


def test_blocks_do_not_change_the_plane(monkeypatch):
  means = np.random.RandomState(0).normal(size=[3, 2])
  whole = _plane(means, 0.5, resolution=10)
  monkeypatch.setattr(tilings, "_PAIRS_PER_BLOCK", 21)
  for field, other in zip(
    whole, _plane(means, 0.5, resolution=10), strict=True
  ):
    np.testing.assert_allclose(field, other, rtol=1e-6)


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (
      lambda: _plane(np.zeros([2, 3]), 1.0),
      "`model` must have 2 latents to be seen as a plane; got 3",
    ),
    (
      lambda: _plane(np.zeros([2, 2]), 1.0, extent=0.0),
      "`extent` must be positive and finite; got 0",
    ),
    (
      lambda: _plane(np.zeros([2, 2]), 1.0, resolution=1),
      "`resolution` must be at least 2; got 1",
    ),
    (
      lambda: _plane(np.full([2, 2], np.nan), 1.0, resolution=4),
      "densities ln q.* must be numbers; some are NaN",
    ),
    (
      lambda: _plane(np.zeros([0, 2]), 1.0),
      "`images` must be at least 1; got none",
    ),
    (
      lambda: _plane(np.zeros([2, 2]), 1.0, resolution=4).holes(0.0),
      "`threshold` must be positive and finite; got 0",
    ),
    (
      lambda: _plane(np.zeros([2, 2]), 1.0, resolution=10**6),
      r"1,000,000 × 1,000,000 points need about .* GiB",
    ),
    (
      lambda: tilings.equiprobable(7, tfd.MultivariateNormalDiag([0.0, 0.0])),
      r"`marginal` must be of one latent.*got MultivariateNormalDiag .*\[2\]",
    ),
    (
      lambda: tilings.equiprobable(0, _NORMAL),
      "`num_tiles` must be a whole number, at least 1; got 0",
    ),
    (
      lambda: tilings.equiprobable(3, _NORMAL, num_dims=0),
      "`num_dims` must be a whole number, at least 1; got 0",
    ),
  ],
)
def test_what_has_no_answer_is_refused(call, message):
  with pytest.raises(errors.UserError, match=message):
    call()
