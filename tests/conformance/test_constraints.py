# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered constraint keeps to."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, errors
from tests.conformance import registered

_B, _SIDE, _LATENTS = 3, 4, 2
_SHAPE = (_B, _SIDE, _SIDE, 1)


def _classifier(images):
  flat = tf.reshape(images, [-1, _SIDE * _SIDE])
  weights = np.random.RandomState(0).normal(size=[_SIDE * _SIDE, 5])
  return tf.matmul(flat, tf.constant(weights, flat.dtype))


# A tolerance, and options that a constraint cannot do without. A new one needs
# a line here.
_ARGUMENTS = {
  "cla": (0.8, {"classifier_fn": _classifier}),
  "fre": (0.2, {"feature_fn": constraints.local_statistics(sides=(2, 3))}),
  "kl": (4.0, {}),
  "lipschitz": (2.0, {}),
  "nll": (5.0, {}),
  "pncc": (0.6, {"patch_size": 3}),
  "re": (0.2, {}),
}
# Given, as XLA draws other numbers.
_NOISE = np.random.RandomState(2).normal(size=[_B, _LATENTS])
_EVERY = pytest.mark.parametrize("name", sorted(_ARGUMENTS))


def _build(name, /, **more):
  kappa, options = _ARGUMENTS[name]
  return constraints.registry.build(
    name, kappa, available={}, options={**options, **more}
  )


def _inputs(dtype=np.float64):
  """Images and a θ that a reconstruction, a code and a decoder are made of."""
  random = np.random.RandomState(1)
  return (
    random.uniform(size=_SHAPE).astype(dtype),
    random.uniform(size=_SHAPE).astype(dtype),
  )


def _value(constraint, x, theta, rows=slice(None)):
  """The constraint where all that a model gives depends on θ."""
  x, theta = tf.convert_to_tensor(x), tf.convert_to_tensor(theta)
  latents = theta[:, :_LATENTS, 0, 0]
  weights = tf.reshape(
    tf.range(_LATENTS * _SIDE * _SIDE, dtype=theta.dtype) / 7.0,
    [_LATENTS, _SIDE * _SIDE],
  )
  kl = tf.reduce_sum(theta**2, [1, 2, 3])

  def decoder(z):
    flat = tf.sin(tf.matmul(z, weights))
    return tf.reshape(flat, [-1, _SIDE, _SIDE, 1]) * (1.0 + theta)

  is_of_the_decoder = "decoder" in constraint.required_context()
  return constraint.evaluate(
    x,
    decoder(latents) if is_of_the_decoder else theta,
    {
      "labels": tf.range(_B)[rows],
      "kl": kl,
      "latents": latents,
      "decoder": decoder,
      "noise": lambda shape: tf.constant(_NOISE)[rows],
    },
  )


def test_every_registered_constraint_is_covered():
  assert not registered.missing(constraints.registry, _ARGUMENTS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@_EVERY
def test_value_has_the_documented_shapes_and_the_inputs_type(name, dtype):
  value = _value(_build(name), *_inputs(dtype))
  assert value.violation.shape == (_B,)
  assert value.bound.shape == value.initial_multiplier.shape == ()
  assert value.weight is None
  for tensor in (value.violation, value.bound, value.initial_multiplier):
    assert tensor.dtype == dtype
    assert np.all(np.isfinite(tensor))
  assert value.bound > 0.0
  assert value.initial_multiplier > 0.0


@_EVERY
def test_float32_is_float64_rounded(name):
  exact = _value(_build(name), *_inputs())
  value = _value(_build(name), *_inputs(np.float32))
  # Differences of images in float32, divided by h² = .01 at worst.
  np.testing.assert_allclose(
    value.violation, exact.violation, rtol=1e-5, atol=2e-4
  )
  np.testing.assert_allclose(value.bound, exact.bound, rtol=1e-6)
  np.testing.assert_allclose(
    value.initial_multiplier, exact.initial_multiplier, rtol=1e-5
  )


@_EVERY
def test_replicas_parts_are_those_of_the_whole(name):
  """λ's first value is of the whole batch and is handed out by GECO."""
  constraint, (x, theta) = _build(name), _inputs()
  whole = _value(constraint, x, theta)
  for rows in (slice(0, 2), slice(2, None)):
    part = _value(constraint, x[rows], theta[rows], rows)
    np.testing.assert_allclose(
      part.violation, whole.violation[rows], rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(part.bound, whole.bound, rtol=1e-9)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["graph", "xla"])
@_EVERY
def test_compiled_for_any_batch_equals_eager(name, jit_compile):
  constraint = _build(name)
  # XLA knows shapes when it compiles.
  spec = tf.TensorSpec([_B if jit_compile else None, *_SHAPE[1:]], tf.float64)

  @tf.function(input_signature=[spec, spec], jit_compile=jit_compile)
  def compiled(x, theta):
    value = _value(constraint, x, theta)
    return value.violation, value.bound, value.initial_multiplier

  eager = _value(constraint, *_inputs())
  for one, other in zip(
    compiled(*_inputs()),
    (eager.violation, eager.bound, eager.initial_multiplier),
    strict=True,
  ):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@_EVERY
def test_gradient_is_that_of_finite_differences(name):
  constraint, (x, theta) = _build(name), _inputs()
  weights = np.array([1.0, -2.0, 3.0])  # Tells the examples apart.

  @tf.function
  def total(t):
    return tf.reduce_sum(weights * _value(constraint, x, t).violation)

  variable = tf.Variable(theta)
  with tf.GradientTape() as tape:
    loss = total(variable)
  gradient = tape.gradient(loss, variable).numpy()
  step, expected = 1e-5, np.zeros_like(theta)
  for index in np.ndindex(theta.shape):
    shift = np.zeros_like(theta)
    shift[index] = step
    difference = total(tf.constant(theta + shift)) - total(
      tf.constant(theta - shift)
    )
    expected[index] = difference / (2 * step)
  scale = np.abs(expected).max()
  # Truncation is of order step², rounding of 1e-16 / step.
  np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-7 * scale)
  assert scale > 0.0


@pytest.mark.parametrize("grey", [0.0, 0.5])
@_EVERY
def test_value_and_gradient_are_finite_where_nothing_varies(name, grey):
  x = np.full(_SHAPE, grey, np.float32)
  theta = tf.Variable(x)
  with tf.GradientTape() as tape:
    value = _value(_build(name), x, theta)
    loss = tf.reduce_sum(value.violation)
  assert np.isfinite(loss)
  assert np.isfinite(value.initial_multiplier)
  assert value.initial_multiplier > 0.0
  assert np.all(np.isfinite(tape.gradient(loss, theta)))


@_EVERY
def test_level_is_kappa_at_the_bound_and_tells_which_side(name):
  constraint, (kappa, _) = _build(name), _ARGUMENTS[name]
  value = _value(constraint, *_inputs())
  bound = value.bound
  level = constraint.level(tf.zeros_like(bound), bound)
  np.testing.assert_allclose(level, kappa, rtol=1e-12)
  relative = [
    float(constraint.relative_violation(share * bound, bound))
    for share in (-0.5, 0.0, 0.5)
  ]
  assert relative[0] < relative[1] == 0.0 < relative[2]
  assert bool(constraint.is_satisfied(0.029 * bound, bound))
  assert not bool(constraint.is_satisfied(0.07 * bound, bound))


@_EVERY
def test_relative_violation_is_finite_everywhere(name):
  constraint = _build(name)
  bound = _value(constraint, *_inputs()).bound
  for mean in (-bound, 1e9 * bound, -1e9 * bound):
    assert np.isfinite(constraint.relative_violation(mean, bound))


@_EVERY
def test_name_is_an_option(name):
  assert _build(name).name == name
  assert _build(name, name="other").name == "other"


@pytest.mark.parametrize("kappa", [float("nan"), float("inf"), "x", None])
@_EVERY
def test_kappa_that_is_no_number_is_refused(name, kappa):
  with pytest.raises(errors.UserError, match="`kappa` must be"):
    constraints.registry.build(
      name, kappa, available={}, options=_ARGUMENTS[name][1]
    )


@pytest.mark.parametrize(
  ("name", "key"),
  [
    (n, key) for n in sorted(_ARGUMENTS) for key in _build(n).required_context()
  ],
)
def test_missing_context_is_named(name, key):
  constraint = _build(name)
  others = dict.fromkeys(set(constraint.required_context()) - {key}, 0)
  with pytest.raises(
    errors.UserError, match=f"{name!r} needs `{key}`; pass {key}="
  ):
    constraint.evaluate(*map(tf.constant, _inputs()), others)
