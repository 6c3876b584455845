# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The reconstruction error: value, gradient, units, edges."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, errors

_SHAPE = (5, 4, 3, 2)
_D = 24


def _images(seed=0, shape=_SHAPE):
  random = np.random.RandomState(seed)
  return random.uniform(size=shape), random.uniform(size=shape)


@pytest.mark.parametrize(
  ("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-12)]
)
@pytest.mark.parametrize(
  ("reduction", "scale"), [("sum", 1.0), ("mean", 1 / _D)]
)
def test_value_is_numpys(reduction, scale, dtype, rtol):
  x, g = _images()
  value = constraints.ReconstructionError(0.3, reduction=reduction)(
    tf.constant(x, dtype), tf.constant(g, dtype)
  )
  error = np.sum((x - g) ** 2, axis=(1, 2, 3))
  expected = scale * (error - _D * 0.3**2)
  np.testing.assert_allclose(value.violation, expected, rtol=rtol)
  np.testing.assert_allclose(value.bound, scale * _D * 0.3**2, rtol=rtol)
  assert value.violation.dtype == dtype
  assert value.weight is None


@pytest.mark.parametrize(
  ("reduction", "scale"), [("sum", 1.0), ("mean", 1 / _D)]
)
def test_multiplier_starts_at_a_tenth_of_the_gaussian_decoders(
  reduction, scale
):
  x = np.zeros(_SHAPE)  # Whatever the data.
  value = constraints.ReconstructionError(0.3, reduction=reduction)(x, x)
  expected = 1.0 / (2.0 * 0.3**2) / 10.0 / scale
  np.testing.assert_allclose(value.initial_multiplier, expected, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_gradient_is_that_of_finite_differences(reduction):
  x, g = _images(shape=(2, 2, 2, 1))
  constraint = constraints.ReconstructionError(0.3, reduction=reduction)
  weights = np.array([1.0, -2.0])  # Tells the examples apart.

  def total(reconstruction):
    value = constraint(tf.constant(x), reconstruction)
    return tf.reduce_sum(weights * value.violation)

  reconstruction = tf.Variable(g)
  with tf.GradientTape() as tape:
    loss = total(reconstruction)
  gradient = tape.gradient(loss, reconstruction).numpy()
  step, expected = 1e-5, np.zeros_like(g)
  for index in np.ndindex(g.shape):
    shift = np.zeros_like(g)
    shift[index] = step
    difference = total(tf.constant(g + shift)) - total(tf.constant(g - shift))
    expected[index] = difference / (2 * step)
  # The error is quadratic, so central differences are exact but for rounding,
  # about 1e-16 / step.
  np.testing.assert_allclose(gradient, expected, rtol=1e-8, atol=1e-9)


def test_unknown_batch_size_is_served():
  constraint = constraints.ReconstructionError(0.3)
  spec = tf.TensorSpec([None, 4, 3, 2], tf.float64)

  @tf.function(input_signature=[spec, spec])
  def in_graph(x, g):
    return constraint(x, g)

  x, g = _images()
  for graph, eager in zip(in_graph(x, g), constraint(x, g), strict=True):
    if eager is not None:
      np.testing.assert_allclose(graph, eager, rtol=1e-12)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(
  ("ratio", "expected"), [(1.0299, True), (1.0301, False)]
)
def test_satisfied_ends_at_three_percent_of_kappa(ratio, expected, reduction):
  kappa = 0.2
  constraint = constraints.ReconstructionError(kappa, reduction=reduction)
  x = tf.zeros(_SHAPE, tf.float64)
  value = constraint(x, x + ratio * kappa)
  mean = tf.reduce_mean(value.violation)
  assert bool(constraint.is_satisfied(mean, value.bound)) is expected


def test_relative_violation_is_log_ratio_of_squared_errors():
  constraint = constraints.ReconstructionError(0.2)
  x = tf.zeros(_SHAPE, tf.float64)
  value = constraint(x, x + 0.5)
  relative = constraint.relative_violation(value.violation, value.bound)
  np.testing.assert_allclose(relative, np.log(0.25 / 0.04), rtol=1e-12)


def test_relative_violation_is_finite_for_perfect_reconstruction():
  constraint = constraints.ReconstructionError(0.2)
  x = tf.ones(_SHAPE)
  value = constraint(x, x)
  relative = constraint.relative_violation(value.violation, value.bound)
  assert np.all(np.isfinite(relative)) and np.all(relative < -1.0)


@pytest.mark.parametrize(
  ("kappa", "message"),
  [
    (0.0, r"`kappa` must be positive and finite; got 0\.0"),
    (-0.1, r"`kappa` must be positive and finite; got -0\.1"),
    (float("nan"), "`kappa` must be positive and finite; got nan"),
    (float("inf"), "`kappa` must be positive and finite; got inf"),
    ("x", "`kappa` must be a number; got 'x'"),
    (None, "`kappa` must be a number; got None"),
  ],
)
def test_bad_kappa_is_refused_at_construction(kappa, message):
  with pytest.raises(errors.UserError, match=message):
    constraints.ReconstructionError(kappa)


def test_unknown_reduction_is_refused_at_construction():
  with pytest.raises(errors.UserError, match="did you mean 'mean'"):
    constraints.ReconstructionError(0.1, reduction="meen")


def test_shapes_that_differ_are_refused():
  constraint = constraints.ReconstructionError(0.1)
  with pytest.raises(
    errors.UserError, match="must have the shape of `targets`"
  ):
    constraint(tf.zeros([2, 8, 8, 1]), tf.zeros([2, 8, 8, 3]))


def test_outputs_that_are_several_are_refused():
  images, kl = tf.zeros([2, 8, 8, 1]), tf.zeros([2])
  with pytest.raises(errors.UserError, match="`reconstruction` must be one te"):
    constraints.ReconstructionError(0.1)(images, (images, kl))


def test_base_constraint_measures_in_bounds_and_clips():
  class Plain(constraints.Constraint):
    name = "plain"

    def __call__(self, targets, reconstruction, **context):
      raise NotImplementedError

  violation, bound = tf.constant([0.1, 0.03, -9.0, 9.0]), tf.constant(2.0)
  relative = Plain().relative_violation(violation, bound)
  np.testing.assert_allclose(relative, [0.05, 0.015, -1.0, 1.0], rtol=1e-6)
  satisfied = Plain().is_satisfied(violation, bound).numpy().tolist()
  assert satisfied == [False, True, True, False]


@pytest.mark.parametrize(
  ("reduction", "scale"), [("sum", 1.0), ("mean", 1.0 / 12.0)]
)
def test_each_channel_is_numpys(reduction, scale):
  x, g = _images()
  value = constraints.ReconstructionError(
    0.3, reduction=reduction, per="channel", num_channels=2
  )(tf.constant(x), tf.constant(g))
  error = np.sum((x - g) ** 2, axis=(1, 2))
  np.testing.assert_allclose(
    value.violation, scale * (error - 12 * 0.3**2), rtol=1e-12
  )
  np.testing.assert_allclose(value.bound, [scale * 12 * 0.3**2] * 2)
  np.testing.assert_allclose(
    tf.broadcast_to(value.initial_multiplier, [2]),
    [1.0 / (20.0 * 0.3**2 * scale)] * 2,
  )


def test_each_region_is_numpys_also_where_sides_do_not_divide():
  x, g = _images(shape=(5, 7, 5, 2))
  constraint = constraints.ReconstructionError(0.3, per="region", grid=3)
  value = constraint(tf.constant(x), tf.constant(g))
  squares = (x - g) ** 2
  # Sides 7 and 5 in three: 2, 2, 3 and 1, 2, 2.
  rows, columns = [(0, 2), (2, 4), (4, 7)], [(0, 1), (1, 3), (3, 5)]
  for k, ((a, b), (c, d)) in enumerate((r, c) for r in rows for c in columns):
    size = (b - a) * (d - c) * 2
    expected = squares[:, a:b, c:d].sum((1, 2, 3)) - size * 0.3**2
    np.testing.assert_allclose(value.violation[:, k], expected, rtol=1e-12)
    np.testing.assert_allclose(value.bound[k], size * 0.3**2)


@pytest.mark.parametrize(
  "options", [{"per": "channel", "num_channels": 2}, {"per": "region"}]
)
def test_entries_add_up_to_the_whole_image(options):
  x, g = map(tf.constant, _images())
  whole = constraints.ReconstructionError(0.3)(x, g)
  parts = constraints.ReconstructionError(0.3, **options)(x, g)
  np.testing.assert_allclose(
    tf.reduce_sum(parts.violation, axis=1), whole.violation, rtol=1e-12
  )
  np.testing.assert_allclose(tf.reduce_sum(parts.bound), whole.bound)


def test_level_is_the_rmse_of_each_entry():
  x, g = _images()
  constraint = constraints.ReconstructionError(
    0.3, per="channel", num_channels=2
  )
  value = constraint(tf.constant(x), tf.constant(g))
  level = constraint.level(tf.reduce_mean(value.violation, 0), value.bound)
  expected = np.sqrt(np.mean((x - g) ** 2, axis=(0, 1, 2)))
  np.testing.assert_allclose(level, expected, rtol=1e-12)


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"per": "chanel"}, "Unknown per 'chanel'; did you mean 'channel'"),
    ({"per": "channel"}, "`num_channels` must be a whole .* got None"),
    ({"per": "region", "grid": 0}, "`grid` must be a whole .* got 0"),
    ({"grid": 3}, "`grid` is for per=.region.; got 3 with per='image'"),
    ({"per": "region", "grid": "2x2"}, "`grid` must be a whole .* got '2x2'"),
  ],
)
def test_mistake_in_entries_is_refused_at_construction(options, message):
  with pytest.raises(errors.UserError, match=message):
    constraints.ReconstructionError(0.1, **options)


def test_entries_that_the_images_have_not_are_refused():
  x = tf.zeros(_SHAPE)
  by_channel = constraints.ReconstructionError(
    0.1, per="channel", num_channels=3
  )
  with pytest.raises(errors.UserError, match="that of the images, 2; got 3"):
    by_channel(x, x)
  by_region = constraints.ReconstructionError(0.1, per="region", grid=5)
  with pytest.raises(errors.UserError, match=r"at most the side .* got 5"):
    by_region(x, x)
