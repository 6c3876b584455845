# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""pNCC: value, invariances, flat patches."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, errors

_SHAPE = (4, 8, 8, 3)


def _images(seed=0, shape=_SHAPE):
  random = np.random.RandomState(seed)
  return random.uniform(size=shape), random.uniform(size=shape)


def _constraint(kappa=0.7, **options):
  return constraints.PatchNormalizedCrossCorrelation(
    kappa, **{"patch_size": 4, **options}
  )


def _mean_correlation(x, g, size, stride, floor):
  """By loops over places, a vector with an extra coordinate for each patch."""
  found = []
  starts = range(0, x.shape[1] - size + 1, stride)
  for i in starts:
    for j in starts:
      units = []
      for images in (x, g):
        patch = images[:, i : i + size, j : j + size].reshape(len(x), -1)
        extra = np.full((len(x), 1), np.sqrt(patch.shape[1] * floor))
        vector = np.hstack([patch - patch.mean(1, keepdims=True), extra])
        units.append(vector / np.linalg.norm(vector, axis=1, keepdims=True))
      found.append(np.sum(units[0] * units[1], axis=1))
  return np.mean(found, axis=0)


@pytest.mark.parametrize("floor", [1e-4, 0.1])
@pytest.mark.parametrize(("size", "stride"), [(4, 2), (4, 4), (8, 3), (2, 1)])
def test_value_is_numpys(size, stride, floor):
  x, g = _images()
  constraint = _constraint(patch_size=size, stride=stride, variance_floor=floor)
  value = constraint(tf.constant(x), tf.constant(g))
  expected = 0.7 - _mean_correlation(x, g, size, stride, floor)
  np.testing.assert_allclose(value.violation, expected, rtol=1e-9, atol=1e-12)
  np.testing.assert_allclose(value.bound, 0.3, rtol=1e-12)
  np.testing.assert_allclose(value.initial_multiplier, 8 * 8 * 3 / 20 / 0.3)


def test_above_the_floor_it_is_pearsons_correlation():
  x, g = _images(shape=(3, 4, 4, 1))
  found = _constraint(variance_floor=1e-14).correlations(x, g)
  expected = [
    np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(x, g, strict=True)
  ]
  np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-9)


def test_gain_and_offset_of_each_patch_are_free():
  """Patches side by side, each with brightness and contrast of its own."""
  x, g = _images()
  random = np.random.RandomState(3)
  gains = np.kron(random.uniform(0.2, 5.0, [4, 2, 2]), np.ones([4, 4]))
  offsets = np.kron(random.normal(size=[4, 2, 2]), np.ones([4, 4]))
  changed = gains[..., np.newaxis] * g + offsets[..., np.newaxis]
  constraint = _constraint(stride=4, variance_floor=1e-12)
  np.testing.assert_allclose(
    constraint.correlations(x, changed),
    constraint.correlations(x, g),
    rtol=1e-8,
    atol=1e-10,
  )


def test_negated_contrast_has_the_opposite_correlation():
  x, g = _images()
  constraint = _constraint(variance_floor=1e-14)
  np.testing.assert_allclose(
    constraint.correlations(x, 1.0 - g),
    -constraint.correlations(x, g),
    rtol=1e-9,
    atol=1e-12,
  )


@pytest.mark.parametrize("flat_share", [0.0, 0.5, 1.0])
def test_perfect_reconstruction_has_one_everywhere(flat_share):
  x, _ = _images()
  x[:, : int(8 * flat_share)] = 0.4
  found = _constraint().correlations(x, x)
  np.testing.assert_allclose(found, 1.0, rtol=1e-12)


def test_flat_is_like_flat_and_unlike_texture():
  _, texture = _images()
  flat = np.full(_SHAPE, 0.2)
  constraint = _constraint()
  np.testing.assert_allclose(constraint.correlations(flat, flat + 0.5), 1.0)
  # Deviation .29 against a floor of .01.
  assert np.max(np.abs(constraint.correlations(flat, texture))) < 0.05
  assert np.max(np.abs(constraint.correlations(texture, flat))) < 0.05


def test_correlation_never_leaves_its_range():
  x, g = _images()
  for floor in (1e-9, 1e-4, 1.0):
    found = np.abs(_constraint(variance_floor=floor).correlations(x, 1e3 * g))
    assert np.all(found <= 1.0 + 1e-12)


def test_gradient_at_a_flat_reconstruction_points_to_the_target():
  x, _ = _images(shape=(1, 4, 4, 1))
  flat = tf.Variable(np.full((1, 4, 4, 1), 0.5))
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(_constraint(variance_floor=1e-4)(x, flat).violation)
  gradient = tape.gradient(loss, flat).numpy().ravel()
  centered = x.ravel() - x.mean()
  floor = 16 * 1e-4
  expected = -centered / np.sqrt((centered @ centered + floor) * floor)
  np.testing.assert_allclose(gradient, expected, rtol=1e-9)


@pytest.mark.parametrize(
  ("kappa", "options", "message"),
  [
    (1.0, {}, r"`kappa` must be in \(-1, 1\), a correlation; got 1\.0"),
    (-1.0, {}, r"`kappa` must be in \(-1, 1\), a correlation; got -1\.0"),
    (7.0, {}, r"`kappa` must be in \(-1, 1\), a correlation; got 7\.0"),
    (0.5, {"patch_size": 1}, "`patch_size` must be a whole number of at least"),
    (0.5, {"stride": 0}, "`stride` must be a whole number of at least 1; got"),
    (0.5, {"stride": 5}, "`stride` must be at most patch_size=4"),
    (0.5, {"variance_floor": 0.0}, "`variance_floor` must be positive"),
  ],
)
def test_mistake_is_named_at_construction(kappa, options, message):
  with pytest.raises(errors.UserError, match=message):
    _constraint(kappa, **options)


def test_negative_kappa_is_a_correlation_too():
  x, g = _images()
  assert _constraint(-0.5)(tf.constant(x), tf.constant(g)).bound == 1.5


def test_patch_larger_than_the_image_is_refused():
  with pytest.raises(errors.UserError, match=r"side 9 must fit .* 8 by 8"):
    _constraint(patch_size=9)(tf.zeros(_SHAPE), tf.zeros(_SHAPE))


def test_level_is_the_mean_correlation():
  x, g = _images()
  constraint = _constraint(0.7)
  value = constraint(tf.constant(x), tf.constant(g))
  level = constraint.level(tf.reduce_mean(value.violation), value.bound)
  expected = _mean_correlation(x, g, 4, 2, 1e-4).mean()
  np.testing.assert_allclose(level, expected, rtol=1e-10)
