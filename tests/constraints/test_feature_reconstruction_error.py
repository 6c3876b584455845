# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The feature reconstruction error, and the features that come with it."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, errors
from geco_tf.constraints import feature_functions, windows
from tests.conformance import registered

_SHAPE = (5, 6, 8, 2)


def _images(seed=0, shape=_SHAPE):
  random = np.random.RandomState(seed)
  return random.uniform(size=shape), random.uniform(size=shape)


def _mean_and_deviation(images, side):
  """By loops, over windows that tile images whose sides they divide."""
  b, h, w, c = images.shape
  out = np.zeros((b, h // side, w // side, 2 * c))
  for i in range(h // side):
    for j in range(w // side):
      cell = images[:, i * side : (i + 1) * side, j * side : (j + 1) * side]
      out[:, i, j, :c] = cell.mean(axis=(1, 2))
      out[:, i, j, c:] = np.sqrt(cell.var(axis=(1, 2)) + 1e-6)
  return out


def test_one_map_is_numpys_squared_distance():
  x, g = _images()
  weights = np.random.RandomState(2).normal(size=[96, 7])

  def feature_fn(images):
    return tf.matmul(tf.reshape(images, [-1, 96]), weights)

  constraint = constraints.FeatureReconstructionError(
    0.3, feature_fn=feature_fn
  )
  value = constraint(tf.constant(x), tf.constant(g))
  f, h = x.reshape(5, 96) @ weights, g.reshape(5, 96) @ weights
  expected = np.sum((f - h) ** 2, axis=1) - 7 * 0.3**2
  np.testing.assert_allclose(value.violation, expected, rtol=1e-12)
  np.testing.assert_allclose(value.bound, 7 * 0.3**2, rtol=1e-12)
  np.testing.assert_allclose(
    value.initial_multiplier, 1.0 / (20.0 * 0.3**2), rtol=1e-10
  )


def test_identity_features_are_the_reconstruction_error():
  x, g = map(tf.constant, _images())
  fre = constraints.FeatureReconstructionError(0.3, feature_fn=lambda i: i)(
    x, g
  )
  re = constraints.ReconstructionError(0.3)(x, g)
  np.testing.assert_allclose(fre.violation, re.violation, rtol=1e-12)
  np.testing.assert_allclose(fre.bound, re.bound, rtol=1e-12)


def test_maps_of_all_sizes_count_alike():
  x, g = _images()
  constraint = constraints.FeatureReconstructionError(
    0.2, feature_fn=constraints.local_statistics(sides=(2,))
  )
  both = constraints.FeatureReconstructionError(
    0.2,
    feature_fn=lambda images: {"fine": images, "coarse": images[:, :1, :1]},
  )
  value = both(tf.constant(x), tf.constant(g))
  squares = (x - g) ** 2
  mean = 0.5 * (squares.mean((1, 2, 3)) + squares[:, 0, 0].mean(-1))
  expected = (96 + 2) * (mean - 0.2**2)
  np.testing.assert_allclose(value.violation, expected, rtol=1e-12)
  assert constraint(tf.constant(x), tf.constant(g)).bound > 0.0


def test_every_registered_feature_function_is_covered():
  covered = ["local_statistics"]
  assert not registered.missing(feature_functions.registry, covered)


def test_local_statistics_are_numpys():
  x, _ = _images()
  fine, coarse = constraints.local_statistics(sides=(2, 3))(tf.constant(x))
  np.testing.assert_allclose(fine, _mean_and_deviation(x, 2), rtol=1e-12)
  tall = x[:, :, :6]
  (tiled,) = constraints.local_statistics(sides=(3,))(tf.constant(tall))
  np.testing.assert_allclose(tiled, _mean_and_deviation(tall, 3), rtol=1e-12)
  # 8 is no multiple of 3: windows begin at 0, 2 or 3, and 5.
  assert coarse.shape == (5, 2, 3, 4)


def test_local_deviation_has_gradient_zero_where_it_is_zero():
  flat = tf.Variable(np.full((1, 4, 4, 1), 0.3))
  with tf.GradientTape() as tape:
    (maps,) = constraints.local_statistics(sides=(2,))(flat)
    total = tf.reduce_sum(maps[..., 1])
  np.testing.assert_allclose(maps[..., 1], 1e-3, rtol=1e-9)
  np.testing.assert_array_equal(tape.gradient(total, flat), 0.0)


def test_local_deviation_does_not_cancel_in_float32():
  x = 0.5 + 1e-3 * np.random.RandomState(0).normal(size=(1, 8, 8, 1))
  (maps,) = constraints.local_statistics(sides=(8,))(x.astype(np.float32))
  expected = np.sqrt(x.var() + 1e-6)
  np.testing.assert_allclose(maps[0, 0, 0, 1], expected, rtol=1e-4)


@pytest.mark.parametrize(
  ("side", "size", "stride"), [(8, 3, 2), (9, 4, 4), (7, 7, 1), (10, 4, 3)]
)
def test_windows_cover_every_pixel_and_are_slices(side, size, stride):
  index = np.arange(side * side).reshape(1, side, side, 1)
  cut = windows.windows(tf.constant(index), size, stride).numpy()
  assert set(cut.ravel()) == set(range(side * side))
  starts = cut[0, :, 0, 0, 0, 0] // side
  assert starts[0] == 0 and starts[-1] == side - size
  assert np.all(np.diff(starts) <= stride)
  for i, row in enumerate(starts):
    for j, column in enumerate(starts):
      np.testing.assert_array_equal(
        cut[0, i, j, ..., 0],
        index[0, row : row + size, column : column + size, 0],
      )


def test_window_larger_than_the_image_is_refused():
  with pytest.raises(errors.UserError, match=r"side 8 must fit .* 6 by 8"):
    constraints.local_statistics()(tf.zeros(_SHAPE))
  with pytest.raises(errors.UserError, match=r"need images \[B, H, W, C\]"):
    constraints.local_statistics()(tf.zeros([2, 9]))


@pytest.mark.parametrize("side", [1, 0, 2.5, "x", True])
def test_side_that_is_none_is_refused(side):
  with pytest.raises(errors.UserError, match="`sides` must be a whole number"):
    constraints.local_statistics(sides=(4, side))


def test_feature_functions_of_the_users_are_registered_by_name(monkeypatch):
  registry = feature_functions.registry
  monkeypatch.setattr(registry, "_builders", dict(registry._builders))
  feature_functions.register("edges", lambda: tf.identity)
  assert registry.build("edges", available={}) is tf.identity


def test_level_is_the_rms_of_the_features():
  x, g = map(tf.constant, _images())
  fre = constraints.FeatureReconstructionError(0.3, feature_fn=lambda i: i)
  value = fre(x, g)
  level = fre.level(tf.reduce_mean(value.violation), value.bound)
  expected = np.sqrt(np.mean((x.numpy() - g.numpy()) ** 2))
  np.testing.assert_allclose(level, expected, rtol=1e-12)
