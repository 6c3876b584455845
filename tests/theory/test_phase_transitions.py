# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Phase transitions where they are known: 2 λ_max of a cluster's covariance."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.theory import fixed_points, mixtures, phase_transitions


def _collapses(data, betas):
  """Whether deviations from the mean shrink, at each β.

  They start at 1e-3 of its scale. In 2,000 iterations .5 % above the critical β
  divides them by e^10, and .5 % below multiplies them as much.
  """
  noise = np.random.default_rng(1).normal(size=[8, data.shape[1]])
  initial = data.mean(axis=0) + 1e-3 * noise
  found = fixed_points.find(
    data,
    betas,
    initial=initial,
    smoothing=0.0,
    max_iterations=2000,
    tolerance=0.0,
    dtype=tf.float64,
  )
  spread = found.reconstructions.numpy().std(axis=1).max(axis=1)
  return spread < initial.std(axis=0).max()


def test_cloud_collapses_at_twice_its_largest_variance():
  rng = np.random.default_rng(0)
  data = rng.normal(size=[200, 2]) @ [[0.5, 0.1], [0.0, 0.2]]
  low, high = 0.1, 2.0
  # Bisection, sixteen parts at a time.
  while high / low > 1.002:
    betas = np.geomspace(low, high, 17)
    collapses = _collapses(data, betas)
    assert (np.diff(collapses.astype(int)) >= 0).all()
    first = int(np.argmax(collapses))
    low, high = betas[first - 1], betas[first]
  centred = data - data.mean(axis=0)
  expected = 2 * np.linalg.eigvalsh(centred.T @ centred / 200)[-1]
  np.testing.assert_allclose(np.sqrt(low * high), expected, rtol=5e-3)
  np.testing.assert_allclose(
    phase_transitions.collapse_beta(data), expected, rtol=1e-12
  )


@pytest.fixture(scope="module")
def nested():
  data = mixtures.nested_clusters(160)
  found = fixed_points.find(
    data,
    np.geomspace(2e-3, 2.0, 40),
    tiles_per_side=10,
    max_iterations=2000,
    tolerance=1e-4,
  )
  return data, found


def test_spikes_are_where_nested_clusters_merge(nested):
  """Within the grid's spacing of 2 λ_max of the clusters of each level."""
  data, found = nested
  which = np.arange(len(data))
  spacing = found.betas[1] / found.betas[0]
  transitions = phase_transitions.transitions(data, found)
  assert len(transitions) == 3
  # Parts are told apart by the last bits first.
  for transition, num_clusters in zip(transitions, (1, 2, 4), strict=True):
    expected = [
      phase_transitions.collapse_beta(data[which % num_clusters == k])
      for k in range(num_clusters)
    ]
    assert min(expected) / spacing < transition.beta < max(expected) * spacing
    # Responsibilities are shared a little with the neighbouring clusters.
    assert 0.95 * min(expected) < transition.predicted < 1.1 * max(expected)
  heights = [transition.height for transition in transitions]
  assert heights == sorted(heights, reverse=True)


def test_merged_fixed_points_are_counted_in_each_phase(nested):
  data, found = nested
  for beta, expected in ((0.006, 8), (0.05, 4), (0.3, 2), (1.5, 1)):
    i = np.argmin(np.abs(np.log(found.betas.numpy() / beta)))
    points = fixed_points.merged(found.reconstructions[i], data).points
    assert len(points) == expected


def test_transitions_follow_the_scale_of_the_data(nested):
  """Data × 1e-3: β_c × 1e-6, heights too, whatever was merged."""
  data, found = nested
  scaled = found._replace(
    betas=tf.cast(found.betas, tf.float64) * 1e-6,
    order_parameter=tf.cast(found.order_parameter, tf.float64) * 1e-6,
    reconstructions=tf.cast(found.reconstructions, tf.float64) * 1e-3,
  )
  np.testing.assert_allclose(
    phase_transitions.transitions(data * 1e-3, scaled),
    np.array(phase_transitions.transitions(data, found)) * 1e-6,
    rtol=1e-5,
  )


def test_nothing_splits_above_the_collapse():
  """What curvature is left there is the rounding of u."""
  data = mixtures.nested_clusters(40)
  betas = np.geomspace(1.5, 4.0, 8)
  found = fixed_points.find(data, betas, tiles_per_side=4)
  assert phase_transitions.transitions(data, found) == []


def test_copies_of_one_point_have_no_transition():
  data = np.tile([[0.3, 0.2]], [9, 1])
  found = fixed_points.find(data, [0.1, 0.2, 0.3, 0.4], tiles_per_side=4)
  assert phase_transitions.transitions(data, found) == []


def test_splitting_beta_is_that_of_the_widest_merged_cluster():
  rng = np.random.default_rng(0)
  clusters = [
    rng.normal(size=[50, 2]) * 0.1 + [5.0, 0.0],
    rng.normal(size=[50, 2]) * 0.2 - [5.0, 0.0],
  ]
  v = np.repeat([cluster.mean(axis=0) for cluster in clusters], 3, axis=0)
  found = phase_transitions.splitting_beta(np.concatenate(clusters), v, 0.5)
  expected = max(map(phase_transitions.collapse_beta, clusters))
  np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(
  ("scale", "function", "expected"),
  [
    ("log", lambda beta: np.log(beta) ** 2, 2.0),
    ("linear", lambda beta: 3.0 * beta**2 + beta, 6.0),
  ],
)
def test_curvature_of_a_parabola_is_exact(scale, function, expected):
  betas = np.array([0.1, 0.15, 0.4, 1.0, 1.1])
  found = phase_transitions.curvature(betas, function(betas), scale=scale)
  np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_spikes_are_sorted_by_height():
  betas = np.geomspace(0.01, 1.0, 50)
  u = np.interp(np.log(betas), np.log(betas)[[0, 10, 30, 49]], [0, 1, 5, 5])
  found = phase_transitions.spikes(betas, u, num=2)
  np.testing.assert_array_equal(found, [30, 10])


@pytest.mark.parametrize(
  "betas", [[0.1, 0.2], [0.3, 0.2, 0.1], [0.0, 0.1, 0.2], [0.1, 0.1, 0.2]]
)
def test_grid_that_has_no_curvature_is_refused(betas):
  with pytest.raises(errors.UserError, match="`betas` must be at least 3"):
    phase_transitions.curvature(betas, np.zeros(len(betas)))


@pytest.mark.parametrize("u", [[0.0, 1.0], [0.0, 1.0, np.nan]])
def test_order_parameter_that_does_not_fit_is_refused(u):
  with pytest.raises(errors.UserError, match="`order_parameter` must be 3 fin"):
    phase_transitions.curvature([1, 2, 3], u)


def test_unknown_scale_is_refused():
  with pytest.raises(errors.UserError, match=r"Unknown scale 'logs'.*'log'"):
    phase_transitions.curvature([1, 2, 3], [0, 0, 0], scale="logs")
