# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Densities against closed forms and SciPy; samplers against the densities."""

import functools
import itertools

import numpy as np
import pytest
from scipy import integrate, special, stats

from geco_tf import errors
from geco_tf.failure_modes import ground_truths

_ONE_LATENT = tuple(
  name
  for name in ground_truths.names()
  if ground_truths.get(name).num_latents == 1
)
_SEMI_CIRCLES = ("discrete_semi_circle", "continuous_semi_circle")


@functools.cache
def _data_grid(name):
  return ground_truths.get(name).data_grid(1.0)


def test_every_name_is_registered():
  assert set(ground_truths.names()) == set(ground_truths.registry.names())
  assert [ground_truths.get(n).name for n in ground_truths.names()] == list(
    ground_truths.names()
  )


def test_error_suggests_a_name():
  with pytest.raises(errors.UserError, match="did you mean 'circle'"):
    ground_truths.get("circel")


@pytest.mark.parametrize("name", ground_truths.names())
def test_density_integrates_to_one(name):
  assert abs(_data_grid(name).mass.sum() - 1.0) < 1e-4


@pytest.mark.parametrize("name", ["figure_8", "clusters", "spiral_dots"])
def test_density_agrees_with_adaptive_quadrature(name):
  truth = ground_truths.get(name)
  x = truth.sample(3, seed=3).x

  def integrand(z, point):
    error = point - truth.function(np.array([[z]]))[0]
    square = z**2 + np.sum(error**2) / truth.noise_variance
    constant = (2.0 * np.pi) ** 1.5 * truth.noise_variance
    return np.exp(-0.5 * square) / constant

  for point, log_prob in zip(x, truth.log_prob(x), strict=True):
    pieces = np.linspace(-7.0, 7.0, 141)
    expected = sum(
      integrate.quad(integrand, low, high, args=(point,), limit=200)[0]
      for low, high in itertools.pairwise(pieces)
    )
    np.testing.assert_allclose(log_prob, np.log(expected), atol=1e-4)


def test_density_of_circle_is_bessels():
  truth = ground_truths.circle()
  x = truth.sample(50, seed=1).x
  radius = np.linalg.norm(x, axis=1)
  # i0e(a) = exp(−a) I₀(a).
  expected = (
    np.log(special.i0e(radius / 0.01))
    - (radius - 1.0) ** 2 / 0.02
    - np.log(2.0 * np.pi * 0.01)
  )
  np.testing.assert_allclose(truth.log_prob(x), expected, atol=1e-8)


def test_density_of_absolute_value_is_a_folded_normal():
  truth = ground_truths.absolute_value()
  x = truth.sample(50, seed=1).x
  # Along the diagonal √2|z| + ε, across it ε alone.
  along, across = (x[:, 0] + x[:, 1]) / 2**0.5, (x[:, 0] - x[:, 1]) / 2**0.5
  total = np.sqrt(2.0 + 0.01)
  share = stats.norm.cdf(along * np.sqrt(2.0) / (0.1 * total))
  expected = (
    stats.norm(scale=total).logpdf(along)
    + np.log(2.0 * share)
    + stats.norm(scale=0.1).logpdf(across)
  )
  # The kink: 9e-5 at the x of these that lies furthest behind it.
  np.testing.assert_allclose(truth.log_prob(x), expected, atol=2e-4)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ground_truths.names())
@pytest.mark.parametrize("direction", [(1.0, 0.0), (0.6, 0.8)])
def test_sampler_follows_the_density(name, direction):
  """A Kolmogorov–Smirnov test of a projection, at 1e-6 for all 14 of them."""
  truth = ground_truths.get(name)
  grid = truth.latent_grid()
  means = truth.function(grid.points) @ direction
  # The projections' distribution as a mixture over 20,000 bins of f(z).
  mass, edges = np.histogram(
    means, 20_000, weights=np.exp(grid.log_prior) * grid.cell
  )
  middles = 0.5 * (edges[:-1] + edges[1:])
  sigma = np.sqrt(truth.noise_variance)
  points = np.linspace(edges[0] - 8.0 * sigma, edges[-1] + 8.0 * sigma, 800)
  cdf = special.ndtr((points[:, np.newaxis] - middles) / sigma) @ mass
  x = truth.sample(20_000, seed=5).x @ direction
  result = stats.kstest(x, lambda t: np.interp(t, points, cdf))
  assert result.pvalue > 1e-6 / 14


@pytest.mark.parametrize("name", ["absolute_value", *_SEMI_CIRCLES])
def test_alternative_has_the_same_density(name):
  truth = ground_truths.get(name)
  x = truth.sample(40, seed=2).x
  np.testing.assert_allclose(
    truth.alternative.log_prob(x), truth.log_prob(x), atol=1e-3
  )


@pytest.mark.parametrize("name", ["circle", "continuous_semi_circle"])
def test_posterior_is_bayes_rule(name):
  truth = ground_truths.get(name)
  x, grid = truth.sample(3, seed=4).x, truth.latent_grid()
  log_posterior = truth.posterior_log_prob(x, grid)
  np.testing.assert_allclose(
    np.sum(np.exp(log_posterior), axis=1) * grid.cell, 1.0, rtol=1e-9
  )
  points = np.array([7, len(grid.points) // 3, len(grid.points) // 2])
  error = x[:, np.newaxis] - truth.function(grid.points[points])
  log_likelihood = stats.norm(scale=np.sqrt(truth.noise_variance)).logpdf(error)
  expected = (
    log_likelihood.sum(axis=-1)
    + stats.norm.logpdf(grid.points[points]).sum(axis=-1)
    - truth.log_prob(x)[:, np.newaxis]
  )
  np.testing.assert_allclose(
    log_posterior[:, points], expected, rtol=1e-9, atol=1e-8
  )


def test_labels_given_average_to_the_whole_density():
  truth = ground_truths.discrete_semi_circle()
  x = truth.sample(30, seed=6).x
  halves = [np.exp(truth.given(y).log_prob(x)) for y in (0, 1)]
  np.testing.assert_allclose(
    np.log(0.5 * (halves[0] + halves[1])), truth.log_prob(x), atol=1e-4
  )


def test_labels_choose_the_angle():
  sample = ground_truths.discrete_semi_circle().sample(4_000, seed=0)
  # Cut below the circle, not at the end of the arc.
  angle = np.arctan2(-sample.x[:, 0], sample.x[:, 1]) + 0.5 * np.pi
  assert set(sample.labels) == {0, 1}
  # E π√U = 2π/3, E πU³ = π/4.
  assert abs(angle[sample.labels == 0].mean() - 2.0 * np.pi / 3.0) < 0.1
  assert abs(angle[sample.labels == 1].mean() - np.pi / 4.0) < 0.1


def test_label_of_continuous_semi_circle_is_its_latent():
  truth = ground_truths.continuous_semi_circle()
  sample = truth.sample(10, seed=0)
  np.testing.assert_array_equal(sample.labels, sample.latents[:, 1])
  given = truth.given(1.5)
  both = truth.function(np.array([[0.3, 1.5]]))
  np.testing.assert_allclose(given.function(np.array([[0.3]])), both)


def test_error_when_a_label_is_given_to_a_model_without():
  with pytest.raises(errors.UserError, match="'circle', which has none"):
    ground_truths.circle().given(0)


@pytest.mark.parametrize("name", _ONE_LATENT)
def test_sample_is_a_function_of_the_seed(name):
  truth = ground_truths.get(name)
  first, again = truth.sample(5, seed=9), truth.sample(5, seed=9)
  np.testing.assert_array_equal(first.x, again.x)
  assert first.labels is None
  assert np.any(first.x != truth.sample(5, seed=10).x)


def test_thinned_grid_keeps_expectations():
  grid = _data_grid("figure_8")
  thin = grid.thinned(100)
  assert len(thin.x) == 100
  assert grid.thinned(len(grid.x)) is grid
  np.testing.assert_allclose(thin.mass.sum(), 1.0)
  # Points follow one another along x₁, so that the draw is stratified by it.
  np.testing.assert_allclose(
    thin.mean(thin.x[:, 0]), grid.mean(grid.x[:, 0]), atol=0.02
  )
