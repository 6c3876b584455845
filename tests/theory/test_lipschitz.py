# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Projections against their conditions of optimality."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from geco_tf import errors
from geco_tf.theory import fixed_points, lipschitz, mixtures

_SIDE = 6
_LATENTS = fixed_points.tile_centres(_SIDE)
_NUM_TILES = _SIDE**2
_RADIUS = 1.5 * 2 / _SIDE  # Neighbours along sides and diagonals.
_UNIFORM = np.full(_NUM_TILES, 1 / _NUM_TILES)
_MASSES = np.random.default_rng(0).dirichlet(np.full(_NUM_TILES, 3.0))
_DATA = mixtures.lines(90)
_BETAS = (0.01, 0.1)


def _gradient(v, target, weights, of, edge_weights):
  """Of Σ_a N_a ‖v_a − F_a‖² + Σ_ab W_ab ‖v_a − v_b‖², edge by edge: [A, D]."""
  gradient = 2 * weights[:, None] * (v - target)
  for a, b, weight in zip(of.first, of.second, edge_weights, strict=True):
    gradient[a] += 4 * weight * (v[a] - v[b])
    gradient[b] -= 4 * weight * (v[a] - v[b])
  return gradient


@pytest.mark.parametrize("radius", [_RADIUS, None])
@pytest.mark.parametrize("solver", ["dense", "sparse"])
def test_projection_is_optimal_with_tiles_that_no_data_use(solver, radius):
  rng = np.random.default_rng(0)
  of = lipschitz.pairs(_LATENTS, radius)
  target = rng.normal(size=[_NUM_TILES, 2])
  weights = rng.uniform(size=_NUM_TILES)
  weights[: _NUM_TILES // 3] = 0.0
  edge_weights = rng.uniform(size=len(of.first))
  v = lipschitz.project(
    tf.constant(target),
    tf.constant(weights),
    of,
    tf.constant(edge_weights),
    solver=solver,
  ).numpy()
  gradient = _gradient(v, target, weights, of, edge_weights)
  np.testing.assert_allclose(gradient, 0.0, atol=1e-8)
  # Anything else costs more Dirichlet energy or more error.
  assert _energy(v, of, edge_weights) < _energy(target, of, edge_weights)


def _energy(v, of, edge_weights):
  squared = ((v[of.first] - v[of.second]) ** 2).sum(-1)
  return 2 * (edge_weights * squared).sum()


def test_dirichlet_energy_counts_both_orders():
  of = lipschitz.pairs(_LATENTS, _RADIUS)
  v = np.random.default_rng(0).normal(size=[_NUM_TILES, 2])
  masses = np.random.default_rng(1).dirichlet(np.ones(_NUM_TILES))
  expected = 0.0
  for a in range(_NUM_TILES):
    for b in range(_NUM_TILES):
      if 0 < np.linalg.norm(_LATENTS[a] - _LATENTS[b]) <= _RADIUS:
        expected += 7.0 * masses[a] * masses[b] * ((v[a] - v[b]) ** 2).sum()
  found = lipschitz.dirichlet_energy(of, v, 7.0, masses)
  np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_integers_are_reconstructions_too():
  of = lipschitz.pairs([[0.0], [2.0]])
  np.testing.assert_allclose(of.slopes([[0], [3]]), [1.5])
  energy = lipschitz.dirichlet_energy(of, [[0], [3]], 1.0)
  np.testing.assert_allclose(energy, 2 * 0.25 * 9.0)


def test_part_that_nothing_holds_stays_where_it_is():
  """Two tiles, two more apart from them; no data use the latter."""
  latents = np.array([[0.0, 0], [0.1, 0], [5, 0], [5.1, 0]])
  of = lipschitz.pairs(latents, 0.2)
  target = tf.constant([[0.0, 0], [1, 0], [7, 7], [7, 7]], tf.float64)
  weights = tf.constant([1.0, 1.0, 0.0, 0.0], tf.float64)
  v = lipschitz.project(target, weights, of, tf.ones([2], tf.float64))
  np.testing.assert_allclose(v[2:], target[2:], atol=1e-6)
  # 2 (v − F) ± 4 (v_0 − v_1) = 0.
  np.testing.assert_allclose(v[:2, 0], [0.4, 0.6], rtol=1e-9)


def _free_energy(v, beta, masses):
  log_kernel = -((_DATA[:, None] - v) ** 2).sum(-1) / beta
  return -special.logsumexp(log_kernel, axis=1, b=masses).mean()


@pytest.fixture(scope="module")
def free():
  """Reconstructions without a constraint, [B, A, D]."""
  return fixed_points.find(
    _DATA, _BETAS, tiles_per_side=_SIDE, max_iterations=100
  ).reconstructions.numpy()


@pytest.mark.parametrize("masses", [None, _MASSES], ids=["uniform", "other"])
def test_penalty_lowers_free_energy_and_its_own_together(free, masses):
  omega = 20.0
  operator = lipschitz.FixedPenalty(_LATENTS, omega, radius=_RADIUS)
  found = fixed_points.find(
    _DATA,
    _BETAS,
    tiles_per_side=_SIDE,
    masses=masses,
    operator=operator,
    max_iterations=40,
    keep_trajectory=True,
    dtype=tf.float64,
  )
  masses = _UNIFORM if masses is None else masses
  edge_weights = (
    omega * masses[operator.pairs.first] * masses[operator.pairs.second]
  )
  for i, beta in enumerate(_BETAS):
    trajectory = found.trajectory[:, i].numpy()
    path = [
      _free_energy(v, beta, masses) + _energy(v, operator.pairs, edge_weights)
      for v in trajectory
    ]
    assert (np.diff(path) <= 1e-10).all()
    assert path[-1] < path[0] - 0.1
    constrained = _energy(trajectory[-1], operator.pairs, edge_weights)
    assert constrained < 0.8 * _energy(free[i], operator.pairs, edge_weights)


@pytest.fixture(scope="module")
def bounded():
  operator = lipschitz.Bound(_LATENTS, 0.6, radius=_RADIUS)
  found = fixed_points.find(
    _DATA,
    _BETAS,
    masses=_MASSES,
    tiles_per_side=_SIDE,
    operator=operator,
    max_iterations=600,
    tolerance=1e-6,
    dtype=tf.float64,
  )
  return operator, found


def test_bound_holds_and_is_reached(bounded, free):
  operator, found = bounded
  largest = operator.pairs.slopes(found.reconstructions).numpy().max(axis=1)
  np.testing.assert_allclose(largest, 0.6, rtol=1e-3)
  assert (operator.pairs.slopes(free).numpy().max(axis=1) > 1.0).all()


@pytest.mark.parametrize("radius", [_RADIUS, None], ids=["local", "global"])
@pytest.mark.parametrize("slope", [0.05, 0.3])
def test_tight_bound_holds_in_float32_by_default(slope, radius):
  """Tight ones move far in each iteration; steps get small before they hold."""
  operator = lipschitz.Bound(_LATENTS, slope, radius=radius)
  found = fixed_points.find(
    _DATA, [1e-3, 0.2], tiles_per_side=_SIDE, operator=operator
  )
  slopes = operator.pairs.slopes(found.reconstructions).numpy().max(axis=1)
  np.testing.assert_array_less(slopes, slope * (1 + 1e-3))
  np.testing.assert_allclose(
    found.excess, np.maximum(slopes / slope - 1, 0), atol=1e-5
  )


def test_bound_that_iterations_do_not_reach_is_kept_by_the_last_projection():
  operator = lipschitz.Bound(_LATENTS, 0.3, radius=_RADIUS)
  found = fixed_points.find(
    _DATA,
    _BETAS,
    tiles_per_side=_SIDE,
    operator=operator,
    max_iterations=3,
    keep_trajectory=True,
    dtype=tf.float64,
  )
  assert (operator.excess(found.trajectory[-1]).numpy() > 0.01).all()
  assert (found.excess.numpy() <= operator.tolerance).all()


def test_bound_that_is_not_kept_is_seen_in_the_excess(monkeypatch):
  monkeypatch.setattr(lipschitz.Bound, "_MAX_LAST_STEPS", 1)
  operator = lipschitz.Bound(_LATENTS, 0.3, radius=_RADIUS, max_steps=1)
  found = fixed_points.find(
    _DATA, _BETAS, tiles_per_side=_SIDE, operator=operator, max_iterations=3
  )
  assert (found.excess.numpy() > 0.01).all()


def test_one_tile_is_bound_to_nothing():
  found = fixed_points.find(
    _DATA,
    [0.1],
    tiles_per_side=1,
    operator=lipschitz.Bound(np.zeros([1, 2]), 1.0, radius=1.0),
  )
  np.testing.assert_allclose(
    found.order_parameter, _DATA.var(axis=0).sum(), rtol=1e-5
  )
  assert found.excess[0] == 0


def test_bound_has_the_multipliers_of_an_optimum(bounded):
  """Ω ≥ 0, 0 where a slope is below K, and V is the projection with it."""
  operator, found = bounded
  of = operator.pairs
  omega = operator.omega(found.state, _MASSES).numpy()
  slopes = of.slopes(found.reconstructions).numpy()
  assert (omega >= 0).all()
  assert (omega > 0).any(axis=1).all()
  assert (omega[slopes < 0.59] == 0).all()
  for i, beta in enumerate(_BETAS):
    v = found.reconstructions[i].numpy()
    q = fixed_points.responsibilities(_DATA, v, beta, _MASSES).numpy()
    occupancy = q.sum(axis=0)
    weights = occupancy / len(_DATA) / beta
    target = (q.T @ _DATA) / occupancy[:, None]
    edge_weights = omega[i] * _MASSES[of.first] * _MASSES[of.second]
    gradient = _gradient(v, target, weights, of, edge_weights)
    scale = np.abs(2 * weights[:, None] * (v - target)).max()
    assert np.abs(gradient).max() < 2e-3 * scale


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (
      lambda: lipschitz.pairs(_LATENTS, 0.3),
      r"`radius` must be at least one tile.*got 0\.3",
    ),
    (
      lambda: lipschitz.pairs(np.broadcast_to(_LATENTS[:1], [10**7, 2])),
      r"the pairs of 10,000,000 tiles need about .* GiB",
    ),
    (
      lambda: lipschitz.FixedPenalty(_LATENTS, -1.0),
      "`omega` must be 0 or more; got -1",
    ),
    (
      lambda: lipschitz.FixedPenalty(_LATENTS, [1.0, 2.0]),
      r"`omega` must be one number or \[630\]",
    ),
    (
      lambda: lipschitz.FixedPenalty(_LATENTS, 1.0, solver="sparce"),
      r"Unknown solver 'sparce'.*'sparse'",
    ),
    (
      lambda: lipschitz.Bound(_LATENTS, 0.0),
      "`slope` must be positive and finite; got 0",
    ),
    (
      lambda: lipschitz.pairs(np.zeros([3, 2])),
      "`latents` must be distinct; two are the same",
    ),
    (
      lambda: fixed_points.find(
        _DATA, [0.1], tiles_per_side=2, operator=lipschitz.Bound(_LATENTS, 1.0)
      ),
      "The operator's `latents` must be 4, as many as .* tiles; got 36",
    ),
    (
      lambda: lipschitz.dirichlet_energy(
        lipschitz.pairs(_LATENTS), np.zeros([36, 2]), 1.0, np.full(36, 0.5)
      ),
      "`masses` must sum to 1; got the sum 18",
    ),
    (
      lambda: lipschitz.pairs(_LATENTS).slopes(np.zeros([40, 2])),
      r"`reconstructions` must be of 36 tiles.*got the shape \(40, 2\)",
    ),
    (
      lambda: lipschitz.project(
        tf.zeros([2, 1]),
        tf.ones([2]),
        lipschitz.pairs([[0.0], [1.0]]),
        tf.ones([1]),
        solver="lu",
      ),
      "Unknown solver 'lu'",
    ),
  ],
)
def test_bad_argument_is_told_in_one_line(make, message):
  with pytest.raises(errors.UserError, match=message):
    make()
