# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Equipartition against Blahut–Arimoto in NumPy, and known rates."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from geco_tf import errors
from geco_tf.theory import equipartition, fixed_points


def _problem(num_examples=60, num_tiles=25, multiplier=1.0, seed=0):
  random = np.random.RandomState(seed)
  x = random.normal(size=[num_examples, 2])
  v = random.normal(size=[num_tiles, 2])
  energy = multiplier * np.sum((x[:, np.newaxis] - v) ** 2, axis=-1)
  return x, v, energy


def _condition(energy, masses):
  """c_a, written as in the paper."""
  z = np.exp(-energy) @ masses
  return np.mean(np.exp(-energy) / z[:, np.newaxis], axis=0)


def _free_energy(energy, masses):
  return -np.mean(np.log(np.exp(-energy) @ masses))


def _blahut_arimoto(energy, num_steps=20_000):
  masses = np.full(energy.shape[1], 1.0 / energy.shape[1])
  for _ in range(num_steps):
    masses = masses * _condition(energy, masses)
  return masses


@pytest.mark.parametrize("multiplier", [0.05, 1.0, 4.0])
def test_condition_holds_to_1e_6(multiplier):
  _, _, energy = _problem(multiplier=multiplier)
  found = equipartition.occupation(energy)
  masses = found.masses.numpy()
  c = _condition(energy, masses)
  is_used = found.is_used(1e-4).numpy()
  assert masses.min() > 0
  np.testing.assert_allclose(masses.sum(), 1.0, rtol=1e-12)
  np.testing.assert_allclose(c[is_used], 1.0, rtol=1e-6)
  assert np.all(c <= 1.0 + 1e-6)
  assert masses[~is_used].sum() < 1e-6
  np.testing.assert_allclose(found.condition, c, rtol=1e-9)


def test_masses_are_those_of_blahut_and_arimoto():
  _, _, energy = _problem(multiplier=2.0)
  found = equipartition.occupation(energy)
  expected = _blahut_arimoto(energy)
  least = _free_energy(energy, expected)
  np.testing.assert_allclose(found.masses, expected, atol=1e-5)
  np.testing.assert_allclose(found.free_energy, least, rtol=1e-9)


def test_kl_and_energy_are_those_of_the_encoder():
  _, _, energy = _problem()
  found = equipartition.occupation(energy)
  masses = found.masses.numpy()
  q = special.softmax(np.log(masses) - energy, axis=1)
  kl = np.mean(np.sum(special.rel_entr(q, masses), axis=1))
  np.testing.assert_allclose(found.kl, kl, rtol=1e-9)
  np.testing.assert_allclose(found.energy, np.mean(np.sum(q * energy, axis=1)))
  np.testing.assert_allclose(found.kl + found.energy, found.free_energy)


@pytest.mark.parametrize(("share", "multiplier"), [(0.5, 2.0), (0.3, 1.5)])
def test_rate_of_a_coin_is_the_difference_of_two_entropies(share, multiplier):
  """Bernoulli(p), Hamming distortion: R(δ) = h(p) − h(δ), δ = 1/(1 + e^λ)."""
  coin = np.arange(100) < 100 * share
  energy = multiplier * (coin[:, np.newaxis] != np.array([True, False]))
  found = equipartition.occupation(energy)
  entropy = lambda p: -special.xlogy(p, p) - special.xlogy(1 - p, 1 - p)  # noqa: E731
  delta = special.expit(-multiplier)
  np.testing.assert_allclose(
    found.kl, entropy(share) - entropy(delta), rtol=1e-6
  )
  np.testing.assert_allclose(
    found.masses[0], (share - delta) / (1 - 2 * delta), rtol=1e-6
  )


@pytest.mark.parametrize("multiplier", [1e2, 1e9])
def test_tiles_of_the_data_are_equiprobable_however_large_the_multiplier(
  multiplier,
):
  x = np.random.RandomState(3).uniform(size=[7, 5])
  found = equipartition.occupation(equipartition.energies(x, x, multiplier))
  np.testing.assert_allclose(found.masses, 1.0 / 7.0, rtol=1e-4)
  np.testing.assert_allclose(found.kl, np.log(7.0), rtol=1e-4)


def test_tiles_that_show_the_same_share_their_mass():
  _, _, energy = _problem(30, 6)
  found = equipartition.occupation(np.concatenate([energy, energy], axis=1))
  alone = equipartition.occupation(energy)
  assert float(found.residual) <= 1e-9
  together = tf.reduce_sum(tf.reshape(found.masses, [2, 6]), axis=0)
  np.testing.assert_allclose(together, alone.masses, atol=1e-6)


def test_many_empty_tiles_are_served():
  """Here Blahut and Arimoto's iteration is far off after 20,000 steps."""
  _, _, energy = _problem(200, 100)
  found = equipartition.occupation(energy)
  assert float(found.residual) <= 1e-9
  assert int(found.num_iterations) < 30
  slow = _blahut_arimoto(energy, 1_000)
  assert float(found.free_energy) < _free_energy(energy, slow)


def test_energies_are_scaled_squared_distances():
  x, v, energy = _problem(multiplier=3.0)
  np.testing.assert_allclose(
    equipartition.energies(x, v, 3.0), energy, rtol=1e-12
  )


def test_settled_tiles_are_a_fixed_point_of_the_simulation():
  """Simulated at uniform masses, merged, settled, then simulated again."""
  random = np.random.RandomState(4)
  centres = np.repeat([[0.0, 0.0], [2.0, 0.0], [0.0, 3.0]], [5, 10, 15], axis=0)
  x = centres + 0.4 * random.normal(size=centres.shape)
  beta = 1.0
  simulated = fixed_points.find(x, [beta], tiles_per_side=6)
  merged = fixed_points.merged(simulated.reconstructions[0], x)
  start = np.asarray(merged.points, np.float64)
  tiles = equipartition.settle(x, start, 1.0 / beta, tolerance=1e-14)
  masses = tiles.occupation.masses
  again = fixed_points.find(
    x,
    [beta],
    masses=masses,
    initial=tiles.reconstructions,
    tolerance=1e-12,
    dtype=tf.float64,
  )
  np.testing.assert_allclose(
    again.free_energy[0], tiles.occupation.free_energy, rtol=1e-9
  )
  aggregate = tf.reduce_mean(
    fixed_points.responsibilities(x, again.reconstructions[0], beta, masses),
    axis=0,
  )
  np.testing.assert_allclose(aggregate, masses, atol=1e-6)
  assert int(tf.reduce_sum(tf.cast(tiles.occupation.is_used(), tf.int32))) > 1


def test_lists_are_computed_in_float64():
  x, v, energy = _problem(num_examples=20, num_tiles=8)
  found = equipartition.energies(x.tolist(), v.tolist(), 1.0)
  np.testing.assert_allclose(found, energy, rtol=1e-12, atol=1e-13)
  assert equipartition.energies(x.astype("f"), v, 1.0).dtype == tf.float32
  tiles = equipartition.settle(x.tolist(), v.tolist(), 2.0)
  expected = equipartition.settle(x, v, 2.0)
  assert tiles.occupation.free_energy == expected.occupation.free_energy


def test_settling_lowers_the_free_energy():
  x, v, energy = _problem(multiplier=4.0)
  before = equipartition.occupation(energy).free_energy
  once = equipartition.settle(x, v, 4.0, max_rounds=1).occupation.free_energy
  more = equipartition.settle(x, v, 4.0, max_rounds=5).occupation.free_energy
  assert before > once > more


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (
      lambda: equipartition.occupation(np.array([[1.0, np.nan]])),
      "`energy` must be finite",
    ),
    (
      lambda: equipartition.occupation(np.ones(3)),
      r"`energy` must be a finite matrix; got the shape \(3,\)",
    ),
    (
      lambda: equipartition.occupation(np.ones([0, 3])),
      r"`energy` must be a finite matrix; got the shape \(0, 3\)",
    ),
    (
      lambda: equipartition.occupation(np.zeros([1, 10**6])),
      "Newton steps of 1,000,000 tiles need about .* GiB",
    ),
    (
      lambda: equipartition.settle([[1.0, 2.0], [3.0]], [[0.0, 0.0]], 1.0),
      "`data` must be numbers, all rows of one length",
    ),
    (
      lambda: equipartition.energies([[np.inf]], [[0.0]], 1.0),
      "`data` must be finite",
    ),
    (
      lambda: equipartition.energies([[0.0]], [[np.nan]], 1.0),
      "`reconstructions` must be finite",
    ),
    (
      lambda: equipartition.energies([[0.0]], [[0.0]], 0.0),
      "`multiplier` must be positive and finite; got 0",
    ),
    (
      lambda: equipartition.energies(np.ones([3, 2]), np.ones([3, 1]), 1.0),
      r"`reconstructions` must be \[A, 2\]; got \[3, 1\]",
    ),
  ],
)
def test_what_has_no_answer_is_refused(call, message):
  with pytest.raises(errors.UserError, match=message):
    call()
