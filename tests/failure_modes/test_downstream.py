# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Downstream tasks against closed forms and quadrature."""

import numpy as np
import pytest
from scipy import spatial, stats

from geco_tf.failure_modes import (
  downstream,
  ground_truths,
  mean_field,
  methods,
  semi_supervised,
)

_TINY = downstream.Effort(
  num_rows=100,
  num_test_rows=40,
  num_restarts=2,
  num_steps=5,
  num_importance_samples=10,
)


def test_gap_at_entangled_axes_is_that_of_the_best_gaussian_by_quadrature():
  truth = downstream.correlated_factors(0.8, 0.5)
  x = truth.sample(5, seed=0).x
  fit = mean_field.best_mean_field(
    truth.decode, truth.variance, x, truth.latent_grid()
  )
  np.testing.assert_allclose(
    fit.gap, downstream.gap_of_factors(0.8, 0.5), atol=2e-3
  )
  entangled = truth.alternative
  fit = mean_field.best_mean_field(
    entangled.decode, entangled.variance, x, entangled.latent_grid()
  )
  np.testing.assert_allclose(fit.gap, 0.0, atol=2e-3)


def test_entangled_twin_has_the_same_density():
  truth = downstream.correlated_factors(0.8, 0.1)
  x = truth.sample(20, seed=0).x
  matrix = truth.function(np.eye(2)).T
  exact = stats.multivariate_normal(
    np.zeros(2), matrix @ matrix.T + 0.1 * np.eye(2)
  )
  for model in (truth, truth.alternative):
    np.testing.assert_allclose(model.log_prob(x), exact.logpdf(x), atol=1e-6)


def test_matched_correlation_knows_permutations_and_rotations():
  true = np.random.default_rng(0).normal(size=[20_000, 2])
  monotone = np.stack([-(true[:, 1] ** 3), np.exp(true[:, 0])], axis=1)
  assert downstream.matched_correlation(monotone, true) == pytest.approx(1.0)
  rotated = true @ np.array([[1.0, 1.0], [-1.0, 1.0]]) / np.sqrt(2.0)
  # A rank correlation of Gaussians is 6/π asin(ρ/2); 6 errors of 1/√n.
  expected = 6.0 / np.pi * np.arcsin(np.sqrt(0.5) / 2.0)
  assert downstream.matched_correlation(rotated, true) == pytest.approx(
    expected, abs=6.0 / np.sqrt(20_000)
  )


def test_projection_is_the_nearest_point():
  rng = np.random.default_rng(0)
  manifold, points = rng.normal(size=[50, 2]), rng.normal(size=[10, 2])
  nearest = spatial.distance.cdist(points, manifold).argmin(axis=1)
  np.testing.assert_array_equal(
    downstream.project(points, manifold), manifold[nearest]
  )


@pytest.fixture(scope="module")
def classifier():
  truth = ground_truths.get("circle")
  drawn = truth.sample(100, seed=0)
  return downstream._BayesClassifier(truth, [-0.5, 0.5]), drawn


def test_classifier_has_the_true_posteriors_mass(classifier):
  bayes, drawn = classifier
  truth = ground_truths.get("circle")
  grid = truth.latent_grid()
  weights = np.exp(truth.posterior_log_prob(drawn.x, grid)) * grid.cell
  one_hot = np.eye(3)[np.digitize(grid.points[:, 0], [-0.5, 0.5])]
  np.testing.assert_allclose(
    bayes._masses(drawn.x)[0], weights @ one_hot, atol=2e-3
  )


def test_attack_stays_in_its_ball_and_lowers_the_true_class(classifier):
  bayes, drawn = classifier
  classes = np.digitize(drawn.latents[:, 0], [-0.5, 0.5])
  attacked = bayes.attack(drawn.x, classes, 0.2)
  assert np.linalg.norm(attacked - drawn.x, axis=1).max() < 0.2 + 1e-9
  rows = np.arange(len(classes))
  before = bayes._masses(drawn.x)[0][rows, classes]
  after = bayes._masses(attacked)[0][rows, classes]
  assert np.log(after).mean() < np.log(before).mean() - 0.1
  np.testing.assert_array_equal(bayes.attack(drawn.x, classes, 0.0), drawn.x)


def test_attack_goes_up_the_classifiers_loss(classifier):
  """The first step, against differences of −ln p(y|x)."""
  bayes, drawn = classifier
  classes = np.digitize(drawn.latents[:, 0], [-0.5, 0.5])
  step = bayes.attack(drawn.x, classes, 1e-4, num_steps=1) - drawn.x
  rows, slope = np.arange(len(classes)), []
  for axis in np.eye(2):
    sides = [
      -np.log(bayes._masses(drawn.x + sign * 1e-5 * axis)[0][rows, classes])
      for sign in (1.0, -1.0)
    ]
    slope.append(sides[0] - sides[1])
  slope = np.stack(slope, axis=1)
  is_steep = np.linalg.norm(slope, axis=1) > 1e-7
  cosine = np.sum(slope * step, axis=1)[is_steep]
  cosine /= (np.linalg.norm(slope, axis=1) * np.linalg.norm(step, axis=1))[
    is_steep
  ]
  assert is_steep.sum() > 20
  np.testing.assert_allclose(cosine, 1.0, atol=1e-3)


def test_label_entropy_is_below_that_of_the_prior():
  discrete = ground_truths.get("discrete_semi_circle")
  found = downstream.label_entropy(discrete)
  grid = discrete.data_grid()
  one, other = (discrete.given(y).log_prob(grid.x) for y in (0.0, 1.0))
  share = 1.0 / (1.0 + np.exp(other - one))
  exact = -grid.mean(
    share * np.log(share + 1e-300) + (1 - share) * np.log(1 - share + 1e-300)
  )
  # 500 rows of a number between 0 and 4: 6 errors of about .6/√500.
  assert found == pytest.approx(exact, abs=0.16)


@pytest.mark.parametrize(
  "name", ["discrete", pytest.param("continuous", marks=pytest.mark.slow)]
)
def test_collapse_is_measured_for_every_method(name):
  truth = ground_truths.get(f"{name}_semi_circle")
  found = downstream.functional_collapse(
    truth,
    {
      "geco_label": semi_supervised.Method(is_constrained=True, label_kappa=0.5)
    },
    _TINY,
    num_labelled=10,
    held=(-1.0, 1.0) if name == "continuous" else (0.0, 1.0),
  )
  assert 0.1 < found["truth"]["distance"] < 1.0
  row = found["geco_label"]
  assert len(row["distance"]) == 2
  # Total variation and KL divergences have known ranges.
  assert (np.array(row["distance"]) <= 1.0).all()
  assert (np.array([row["kl"], row["kl_given"]]) > 0.0).all()


def test_tasks_give_a_number_for_every_restart():
  truth = ground_truths.get("circle")
  compared = {"vae": methods.METHODS["vae"]}
  sizes = downstream.latent_dimensions(truth, compared["vae"], (1, 2), _TINY)
  assert [row["latent_size"] for row in sizes] == [1, 2]
  assert all(len(row["elbo"]) == 2 for row in sizes)
  found = downstream.adversarial_defence(
    truth, [0.0], compared, [0.0, 2.0], _TINY
  )
  assert found["accuracy"]["none"][0] > 0.9 > found["accuracy"]["none"][1]
  assert found["displacement"]["truth"] < 0.05 < found["displacement"]["vae"]
