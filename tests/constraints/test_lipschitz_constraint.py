# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The decoder's slope: of linear maps it is known."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, errors

_B, _LATENTS, _D = 4, 3, 5


def _linear(seed=0):
  weights = np.random.RandomState(seed).normal(size=[_LATENTS, _D])
  return weights, lambda z: tf.matmul(z, tf.constant(weights))


def _noise(shape):
  return tf.random.stateless_normal(shape, [3, 4], dtype=tf.float64)


def _value(constraint, decoder, z, **more):
  x = np.random.RandomState(9).uniform(size=[len(z), _D])
  return constraint(x, decoder(z), decoder=decoder, latents=z, **more)


@pytest.mark.parametrize("distance", [1e-3, 0.1, 10.0])
def test_value_is_numpys_for_a_linear_decoder(distance):
  weights, decoder = _linear()
  z = tf.constant(np.random.RandomState(1).normal(size=[_B, _LATENTS]))
  constraint = constraints.LipschitzConstraint(2.0, distance=distance)
  value = _value(constraint, decoder, z, noise=_noise)
  directions = _noise([_B, _LATENTS]).numpy()
  directions /= np.linalg.norm(directions, axis=1, keepdims=True)
  expected = np.sum((directions @ weights) ** 2, axis=1) - 4.0
  np.testing.assert_allclose(value.violation, expected, rtol=1e-9)
  np.testing.assert_allclose(value.bound, 4.0)


@pytest.mark.statistical
def test_mean_over_directions_is_the_jacobians_norm_over_its_dimensions():
  weights, decoder = _linear()
  n = 20_000
  value = _value(
    constraints.LipschitzConstraint(2.0),
    decoder,
    tf.zeros([n, _LATENTS], tf.float64),
    noise=_noise,
  )
  slopes = value.violation.numpy() + 4.0
  expected = np.sum(weights**2) / _LATENTS
  # 4.9 standard errors: two-sided, 1e-6.
  assert abs(slopes.mean() - expected) < 4.9 * slopes.std() / np.sqrt(n)
  steepest = np.linalg.svd(weights, compute_uv=False)[0] ** 2
  assert slopes.max() <= steepest * (1.0 + 1e-9)
  assert steepest <= _LATENTS * expected


def test_level_is_the_slope_of_a_scaled_identity():
  z = tf.constant(np.random.RandomState(1).normal(size=[_B, _D]))
  constraint = constraints.LipschitzConstraint(2.0)
  value = _value(constraint, lambda latents: 3.0 * latents, z)
  level = constraint.level(tf.reduce_mean(value.violation), value.bound)
  np.testing.assert_allclose(level, 3.0, rtol=1e-9)


def test_directions_without_noise_are_the_same_every_time():
  _, decoder = _linear()
  z = tf.zeros([_B, _LATENTS], tf.float64)
  values = [
    _value(constraints.LipschitzConstraint(2.0), decoder, z).violation.numpy()
    for _ in range(2)
  ]
  np.testing.assert_array_equal(*values)
  assert len(set(values[0])) == _B


def test_latents_may_have_steps_and_maps():
  z = tf.zeros([2, 3, 4, 4, 1])
  constraint = constraints.LipschitzConstraint(1.0)
  value = constraint(
    tf.zeros([2, 48]),
    tf.zeros([2, 48]),
    decoder=lambda latents: 2.0 * tf.reshape(latents, [2, 48]),
    latents=z,
  )
  np.testing.assert_allclose(value.violation, 3.0, rtol=1e-5)


@pytest.mark.parametrize("distance", [0.0, -1.0, float("nan")])
def test_distance_that_is_none_is_refused(distance):
  with pytest.raises(errors.UserError, match="`distance` must be positive"):
    constraints.LipschitzConstraint(1.0, distance=distance)
