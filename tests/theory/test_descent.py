# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Descent on any constraint: equation 20 for RE, stationary for all."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from geco_tf import errors
from geco_tf.theory import descent, fixed_points

_RNG = np.random.default_rng(0)
_DATA = _RNG.normal(size=[30, 2])
_INITIAL = tf.constant(_RNG.normal(size=[6, 2]))
_MASSES = _RNG.dirichlet(np.full(6, 3.0))


def _reconstruction_error(data, v):
  return tf.reduce_sum((data[:, tf.newaxis] - v) ** 2, axis=-1) - 0.1


def _two_constraints(data, v):
  """Robust errors of either dimension: [n, A, 2]."""
  return tf.math.log(tf.cosh(data[:, tf.newaxis] - v))


def test_descent_is_equation_20_for_the_reconstruction_error():
  multiplier = 4.0
  found = descent.descend(
    _DATA,
    _reconstruction_error,
    multiplier,
    _INITIAL,
    step_size=1 / (2 * multiplier),
    masses=_MASSES,
    max_iterations=10,
    tolerance=0.0,
  )
  expected = fixed_points.find(
    _DATA,
    [1 / multiplier],
    masses=_MASSES,
    initial=_INITIAL,
    smoothing=0.0,
    max_iterations=10,
    tolerance=0.0,
    dtype=tf.float64,
  )
  np.testing.assert_allclose(
    found.reconstructions, expected.reconstructions[0], atol=1e-12
  )
  assert (np.diff(found.free_energies) <= 0).all()


def test_descent_ends_where_the_lagrangian_is_stationary():
  multipliers = np.array([3.0, 5.0])
  found = descent.descend(
    _DATA,
    _two_constraints,
    multipliers,
    _INITIAL,
    step_size=0.1,
    masses=_MASSES,
    max_iterations=2000,
    tolerance=1e-9,
  )
  v = found.reconstructions.numpy()
  apart = v - _DATA[:, None]
  energy = np.log(np.cosh(apart)) @ multipliers
  q = special.softmax(np.log(_MASSES) - energy, axis=1)
  # (6): the mean over q of λᵀ∂C/∂v, where d ln cosh = tanh.
  stationary = np.einsum("na,nak->ak", q, np.tanh(apart) * multipliers)
  np.testing.assert_allclose(stationary, 0.0, atol=1e-6)
  num = int(found.num_iterations)
  path = found.free_energies.numpy()
  assert num < 2000 and np.isnan(path[num:]).all()
  assert (np.diff(path[:num]) <= 1e-12).all()


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"data": [[np.nan, 0.0]]}, "`data` must be finite"),
    ({"multipliers": -1.0}, "`multipliers` must be 0 or more; got -1"),
    ({"step_size": 0.0}, "`step_size` must be positive and finite; got 0"),
    ({"step_size": np.inf}, "`step_size` must be positive and finite"),
    ({"masses": np.full(6, 0.1)}, "`masses` must sum to 1; got the sum 0.6"),
    ({"masses": [0.5, 0.5]}, "`masses` must be 6 positive numbers"),
    ({"max_iterations": 0}, "`max_iterations` must be a whole number"),
    ({"tolerance": np.nan}, "`tolerance` must be 0 or more; got nan"),
    ({"data": _DATA[:, 0]}, "`data` must be a finite matrix"),
    ({"initial": np.full([6, 2], np.nan)}, "`initial` must be finite"),
    (
      {"initial": np.zeros([6, 3])},
      r"`initial` must be \[A, 2\]; got \[6, 3\]",
    ),
    # As many multipliers as tiles are not one for each tile.
    ({"multipliers": np.ones(6)}, r"finite numbers \[30, 6, 6\].*\[30, 6\]"),
    ({"constraint_fn": _two_constraints}, r"\[30, 6\].*got .* \[30, 6, 2\]"),
    (
      {"constraint_fn": lambda x, v: tf.reduce_sum(x) + tf.reduce_sum(v)},
      r"\[30, 6\].*got the shape \[\]",
    ),
    (
      {"constraint_fn": lambda x, v: tf.zeros([30, 6], tf.float64)},
      "`constraint_fn` must have a gradient",
    ),
  ],
)
def test_bad_argument_is_told_in_one_line(arguments, message):
  given = {
    "data": _DATA,
    "constraint_fn": _reconstruction_error,
    "multipliers": 1.0,
    "initial": _INITIAL,
    "step_size": 0.5,
    **arguments,
  }
  with pytest.raises(errors.UserError, match=message):
    descent.descend(**given)
