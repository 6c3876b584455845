# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixed points against NumPy, scikit-learn, and what is known of them."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from scipy import special
from sklearn import mixture

from geco_tf import errors
from geco_tf.theory import fixed_points

_BETAS = np.array([1e-4, 0.03, 0.3])


def _numpy_log_m(data, v, beta, masses):
  """Logarithms of m_ia, (19), by differences: [n, A]."""
  log_kernel = -((data[:, None] - v) ** 2).sum(-1) / beta
  return log_kernel - special.logsumexp(
    log_kernel, axis=1, b=masses, keepdims=True
  )


def _numpy_iteration(data, v, beta, masses):
  """(20)."""
  weights = special.softmax(_numpy_log_m(data, v, beta, masses), axis=0)
  return weights.T @ data


def _numpy_free_energy(data, v, beta, masses):
  log_kernel = -((data[:, None] - v) ** 2).sum(-1) / beta
  return -special.logsumexp(log_kernel, axis=1, b=masses).mean()


def _problem(num_dims, num_examples=60, num_tiles=20):
  rng = np.random.default_rng(num_dims)
  data = rng.normal(size=[num_examples, num_dims]) * 0.4 + 0.1
  initial = rng.uniform(-1, 1, size=[num_tiles, num_dims])
  initial[0] += 30.0  # So far away that all of its weights underflow.
  masses = rng.dirichlet(np.full(num_tiles, 3.0))
  return data, initial, masses


@pytest.fixture(scope="module")
def sweep():
  """25 iterations with a trajectory, in two dimensions and float64."""
  data, initial, masses = _problem(2)
  found = fixed_points.find(
    data,
    _BETAS,
    masses=masses,
    initial=initial,
    smoothing=0.3,
    max_iterations=25,
    tolerance=1e-2,
    keep_trajectory=True,
    dtype=tf.float64,
  )
  return data, initial, masses, found


def _numpy_sweep(
  data, initial, masses, *, smoothing, max_iterations, tolerance
):
  """V and the number of iterations, one β after the other."""
  ends, counts = [], []
  for beta in _BETAS:
    v, norm, count = initial, np.inf, 0
    while count < max_iterations and norm >= tolerance:
      target = _numpy_iteration(data, v, beta, masses)
      new = smoothing * v + (1 - smoothing) * target
      norm, v, count = np.linalg.norm(new - v), new, count + 1
    ends.append(v)
    counts.append(count)
  return np.stack(ends), counts


def test_sweep_equals_numpy_one_beta_at_a_time(sweep):
  data, initial, masses, found = sweep
  expected, counts = _numpy_sweep(
    data, initial, masses, smoothing=0.3, max_iterations=25, tolerance=1e-2
  )
  np.testing.assert_allclose(found.reconstructions, expected, atol=1e-9)
  np.testing.assert_array_equal(found.num_iterations, counts)
  assert len(set(counts)) > 1  # They stop one by one.


def test_sweep_equals_numpy_where_distances_are_a_matrix_product():
  data, initial, masses = _problem(num_dims=12)
  found = fixed_points.find(
    data,
    _BETAS,
    masses=masses,
    initial=initial,
    max_iterations=6,
    tolerance=0.0,
    dtype=tf.float64,
  )
  expected, _ = _numpy_sweep(
    data, initial, masses, smoothing=0.5, max_iterations=6, tolerance=0.0
  )
  np.testing.assert_allclose(found.reconstructions, expected, atol=1e-8)


def test_float32_is_finite_at_the_smallest_beta_and_close_to_float64(sweep):
  data, initial, masses, _ = sweep
  found = fixed_points.find(
    data,
    _BETAS,
    masses=masses,
    initial=initial,
    max_iterations=6,
    tolerance=0.0,
  )
  expected, _ = _numpy_sweep(
    data, initial, masses, smoothing=0.5, max_iterations=6, tolerance=0.0
  )
  assert found.reconstructions.dtype == tf.float32
  # At β = 1e-4 the exponent of the distant tile is −2e7 ± 1: it may land on a
  # neighbour of its nearest point. The others are exact to rounding.
  np.testing.assert_allclose(
    found.reconstructions[:, 1:], expected[:, 1:], atol=2e-4
  )
  assert np.isfinite(found.reconstructions).all()
  assert np.isfinite(found.free_energy).all()


def test_energy_and_order_parameter_equal_numpy(sweep):
  data, _, masses, found = sweep
  for i, beta in enumerate(_BETAS):
    v = found.reconstructions[i].numpy()
    m = np.exp(_numpy_log_m(data, v, beta, masses))
    squared = ((data[:, None] - v) ** 2).sum(-1)
    np.testing.assert_allclose(
      found.order_parameter[i], (m * masses * squared).sum(1).mean(), rtol=1e-10
    )
    np.testing.assert_allclose(
      found.free_energy[i],
      _numpy_free_energy(data, v, beta, masses),
      rtol=1e-10,
    )


def test_free_energy_never_rises(sweep):
  data, _, masses, found = sweep
  for i, beta in enumerate(_BETAS):
    path = [
      _numpy_free_energy(data, v, beta, masses)
      for v in found.trajectory[:, i].numpy()
    ]
    assert (np.diff(path) <= 1e-12 * abs(path[0])).all()
    assert path[-1] < path[0]


def test_trajectory_begins_at_the_start_and_stays_where_it_stopped(sweep):
  _, initial, _, found = sweep
  path = found.trajectory.numpy()
  assert path.shape == (26, len(_BETAS), *initial.shape)
  for i, count in enumerate(found.num_iterations.numpy()):
    np.testing.assert_allclose(path[0, i], initial, atol=1e-14)
    last = np.broadcast_to(found.reconstructions[i], path[count:, i].shape)
    np.testing.assert_array_equal(path[count:, i], last)
    np.testing.assert_allclose(
      np.linalg.norm(path[count, i] - path[count - 1, i]),
      found.step_norm[i],
      rtol=1e-9,
    )


def test_responsibilities_equal_a_gaussian_mixture_of_scikit_learn(sweep):
  data, initial, masses, _ = sweep
  beta = 0.3
  model = mixture.GaussianMixture(len(initial), covariance_type="spherical")
  model.weights_, model.means_ = masses, initial
  model.covariances_ = np.full(len(initial), beta / 2)
  model.precisions_cholesky_ = model.covariances_**-0.5
  found = fixed_points.responsibilities(data, initial, beta, masses)
  np.testing.assert_allclose(found, model.predict_proba(data), atol=1e-12)


def test_small_beta_gives_the_data_and_large_beta_their_mean():
  data = fixed_points.tile_centres(3) * 0.9 + [0.03, -0.02]
  betas = [1e-4, 1e-3, 10.0, 100.0]
  found = fixed_points.find(
    data, betas, tiles_per_side=12, tolerance=1e-9, dtype=tf.float64
  )
  np.testing.assert_allclose(
    found.order_parameter[2:], data.var(axis=0).sum(), rtol=1e-6
  )
  for v in found.reconstructions[2:]:
    np.testing.assert_allclose(
      v, np.tile(data.mean(axis=0), [144, 1]), atol=1e-6
    )
  for v in found.reconstructions[:2]:
    points = fixed_points.merged(v, data).points
    assert len(points) == len(data)
    apart = np.linalg.norm(points[:, None] - data, axis=-1)
    assert apart.min(axis=0).max() < 1e-7


def test_offset_and_scale_of_the_data_do_not_cost_digits():
  """float32 at 1e4 times the spread, and at 1e-4 of it."""
  data, initial, masses = _problem(2)
  plain, moved, shrunk = (
    fixed_points.find(
      data * scale + offset,
      np.array([0.03, 0.3]) * scale**2,
      masses=masses,
      initial=initial * scale + offset,
      tolerance=1e-3 * scale,
    )
    for offset, scale in ((0.0, 1.0), (1e4, 1.0), (0.0, 1e-4))
  )
  for other in (moved, shrunk):
    np.testing.assert_allclose(
      other.num_iterations, plain.num_iterations, atol=1
    )
    np.testing.assert_allclose(
      other.free_energy, plain.free_energy, rtol=1e-5, atol=1e-6
    )
  np.testing.assert_allclose(
    moved.order_parameter, plain.order_parameter, rtol=1e-5
  )
  np.testing.assert_allclose(
    shrunk.order_parameter, 1e-8 * plain.order_parameter, rtol=1e-5
  )
  np.testing.assert_allclose(
    moved.reconstructions, plain.reconstructions + 1e4, atol=2e-3
  )


@pytest.mark.slow
def test_one_tile_has_the_mean_and_one_point_has_all_tiles():
  data, _, _ = _problem(2)
  betas = [1e-4, 1.0, 1e6]
  find = functools.partial(
    fixed_points.find, betas=betas, tolerance=1e-9, dtype=tf.float64
  )
  tile = find(data, tiles_per_side=1)
  np.testing.assert_allclose(
    tile.order_parameter, 3 * [data.var(axis=0).sum()], rtol=1e-9
  )
  np.testing.assert_allclose(
    tile.free_energy, tile.order_parameter / betas, rtol=1e-9
  )
  point = find([[0.3, 0.2]], tiles_per_side=4)
  np.testing.assert_allclose(
    point.reconstructions,
    np.broadcast_to([0.3, 0.2], [3, 16, 2]),
    atol=1e-8,
  )


def test_copies_of_points_change_nothing():
  data, initial, masses = _problem(2, num_examples=7)
  once, often = (
    fixed_points.find(
      x, _BETAS, masses=masses, initial=initial, dtype=tf.float64
    )
    for x in (data, np.repeat(data, 5, axis=0))
  )
  for field in ("reconstructions", "order_parameter", "free_energy"):
    np.testing.assert_allclose(
      getattr(often, field), getattr(once, field), rtol=1e-9, atol=1e-9
    )


def test_sweep_equals_numpy_on_a_line():
  data, initial, masses = _problem(1)
  found = fixed_points.find(
    data,
    _BETAS,
    masses=masses,
    initial=initial,
    max_iterations=6,
    tolerance=0.0,
    dtype=tf.float64,
  )
  expected, _ = _numpy_sweep(
    data, initial, masses, smoothing=0.5, max_iterations=6, tolerance=0.0
  )
  np.testing.assert_allclose(found.reconstructions, expected, atol=1e-9)


def test_sigma_goes_to_zero_with_a_tile_for_each_example():
  data = fixed_points.tile_centres(3) * 0.9 + [0.03, -0.02]
  found = fixed_points.learn_sigma(data, initial_sigma=0.3, tiles_per_side=12)
  sigmas = found.sigmas.numpy()
  assert sigmas[0] == 0.3
  assert (np.diff(sigmas) <= 0).all()
  assert sigmas[-1] <= 1e-6
  assert np.isfinite(found.reconstructions).all()


def test_sigma_stops_at_the_quantization_error_with_fewer_tiles():
  data = np.array([[-1.0, 0.0], [-0.8, 0.0], [0.8, 0.0], [1.0, 0.0]])
  found = fixed_points.learn_sigma(
    data, initial_sigma=0.3, initial=[[-0.5, 0.0], [0.5, 0.1]]
  )
  # Both coordinates share it: (.1² + 0)/2.
  np.testing.assert_allclose(found.sigmas[-1], 0.1 / np.sqrt(2), rtol=1e-6)


def test_tiles_are_merged_by_distance():
  v = [[0.0, 0.0], [1.0, 0.0], [0.004, 0.0], [0.996, 0.0], [1.0, 0.004]]
  data = [[-2.0, 0.0], [2.0, 0.0]]  # Total variance 4.
  found = fixed_points.merged(v, data, distance=0.005)
  np.testing.assert_array_equal(found.counts, [3, 2])
  np.testing.assert_allclose(found.points, [[2.996 / 3, 0.004 / 3], [0.002, 0]])


def test_start_is_at_the_centres_of_tiles_within_the_noise():
  data = np.zeros([5, 2])
  v = fixed_points.initial_reconstructions(data, tiles_per_side=4, noise=0.02)
  away = np.abs(v - fixed_points.tile_centres(4))
  assert 0 < away.max() <= 0.02 * 0.5
  np.testing.assert_allclose(
    np.unique(fixed_points.tile_centres(4)), [-0.75, -0.25, 0.25, 0.75]
  )


def test_start_lies_in_the_principal_plane_of_many_dimensions():
  rng = np.random.default_rng(0)
  scales = np.array([3.0, 2.0, 0.1, 0.1, 0.1])
  data = rng.normal(size=[2000, 5]) * scales + 1.0
  v = fixed_points.initial_reconstructions(data, tiles_per_side=8, noise=0.0)
  spread = v.std(axis=0) / np.sqrt(1 / 3)  # Of a uniform square of ±1.
  np.testing.assert_allclose(spread, [6, 4, 0, 0, 0], atol=0.5)
  np.testing.assert_allclose(v.mean(axis=0), data.mean(axis=0), atol=1e-9)


_DATA = np.zeros([6, 2])


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"betas": [0.1, 0.0]}, "`betas` must be positive and finite; got 0"),
    ({"betas": [-1.0]}, "`betas` must be positive and finite; got -1"),
    ({"betas": [np.nan]}, "`betas` must be positive and finite; got nan"),
    ({"betas": 0.1}, "`betas` must be a list"),
    ({"data": [[0.0, np.inf]]}, "`data` must be finite"),
    ({"data": np.zeros(3)}, "`data` must be a finite matrix"),
    ({"data": np.zeros([3, 1])}, "`initial` must be given"),
    ({"masses": np.full(4, 0.2)}, "`masses` must sum to 1; got the sum 0.8"),
    ({"masses": [0.5, 0.5]}, "`masses` must be 4 positive numbers"),
    ({"masses": [0.5, 0.5, 0.0, 0.0]}, "`masses` must be 4 positive numbers"),
    ({"initial": np.zeros([4, 3])}, "`initial` must be"),
    ({"initial": np.full([4, 2], np.nan)}, "`initial` must be finite"),
    ({"data": [["a", "b"]]}, "`data` must be numbers.*got list"),
    ({"data": [[0.0, 1.0], [1.0]]}, "`data` must be numbers, all rows of one"),
    ({"data": np.full([2, 2], [[1e300], [0]])}, "`data` must be finite"),
    ({"tiles_per_side": 0}, "`tiles_per_side` must be a whole number"),
    ({"tiles_per_side": 2.5}, "must be a whole number, at least 1; got 2.5"),
    ({"smoothing": 1.0}, "`smoothing` must be at least 0 and below 1"),
    ({"max_iterations": 0}, "`max_iterations` must be a whole number"),
    ({"tolerance": -1.0}, "`tolerance` must be 0 or more"),
    ({"memory_limit": 100}, "4 tiles × 6 examples × 1 betas need about"),
    ({"tiles_per_side": 10**6}, "1,000,000,000,000 tiles × 6 examples.*GiB"),
  ],
)
def test_bad_argument_is_told_in_one_line(arguments, message):
  given = {"data": _DATA, "betas": [0.1], "tiles_per_side": 2, **arguments}
  with pytest.raises(errors.UserError, match=message) as raised:
    fixed_points.find(**given)
  assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
  "call",
  [
    lambda: fixed_points.initial_reconstructions(_DATA, tiles_per_side=10**5),
    lambda: fixed_points.learn_sigma(
      _DATA, initial_sigma=1.0, tiles_per_side=10**5
    ),
  ],
)
def test_grid_too_large_for_memory_is_told_before_it_is_made(call):
  with pytest.raises(errors.UserError, match=r"10,000,000,000 tiles need.*GiB"):
    call()


@pytest.mark.parametrize(
  ("v", "betas"), [([2, 4, 3], [0.1]), ([2, 4, 2], [0.1]), ([4, 2], [0.1])]
)
def test_reconstructions_of_another_shape_are_refused(v, betas):
  message = r"`reconstructions` must be \[1, A, 2\]"
  with pytest.raises(errors.UserError, match=message):
    fixed_points.order_parameter(_DATA, np.zeros(v), betas)


def test_responsibilities_too_many_for_memory_are_told():
  data = np.broadcast_to([0.0, 1.0], [10**6, 2])
  message = "1,000,000 tiles × 1,000,000 examples need about .* GiB"
  with pytest.raises(errors.UserError, match=message):
    fixed_points.responsibilities(data, data, 0.1)
  with pytest.raises(errors.UserError, match=message):
    fixed_points.free_energy(data, data[np.newaxis], [0.1])


def test_sigma_that_is_not_positive_is_refused():
  with pytest.raises(errors.UserError, match="`initial_sigma` must be"):
    fixed_points.learn_sigma(_DATA, initial_sigma=0.0)


@pytest.mark.parametrize("beta", [0.0, -1.0, np.nan])
def test_quantities_at_a_beta_that_is_not_positive_are_refused(beta):
  data, v = np.eye(3), np.zeros([4, 3])
  with pytest.raises(errors.UserError, match="`betas` must be positive"):
    fixed_points.responsibilities(data, v, beta)
  with pytest.raises(errors.UserError, match="`betas` must be positive"):
    fixed_points.order_parameter(data, v[np.newaxis], [beta])


@pytest.mark.parametrize(
  ("reconstructions", "distance", "message"),
  [
    (np.full([3, 2], np.nan), 0.1, "`reconstructions` must be finite"),
    (np.zeros([0, 2]), 0.1, "`reconstructions` must be a finite"),
    (np.zeros([3, 2]), -1.0, "`distance` must be 0 or more"),
  ],
)
def test_merging_what_is_no_set_of_points_is_refused(
  reconstructions, distance, message
):
  """A NaN is near nothing: the search for its group would not end."""
  with pytest.raises(errors.UserError, match=message):
    fixed_points.merged(reconstructions, _DATA, distance=distance)
