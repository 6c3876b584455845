# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Any function as a constraint."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints, errors

_X = np.random.RandomState(0).uniform(size=(4, 3, 3, 1)).astype(np.float32)


def _darkness(targets, reconstruction):
  del targets
  return tf.reduce_mean(reconstruction, axis=[1, 2, 3]) - 0.1


def test_value_is_the_functions():
  constraint = constraints.from_callable(
    _darkness, name="dark", bound=0.1, initial_multiplier=7.0
  )
  value = constraint(None, _X)
  np.testing.assert_allclose(
    value.violation, _X.mean((1, 2, 3)) - 0.1, rtol=1e-6
  )
  np.testing.assert_allclose(value.bound, 0.1)
  np.testing.assert_allclose(value.initial_multiplier, 7.0)
  geco = geco_tf.GECO(constraint)
  geco.update(geco.constraint_values(_X, _X))
  assert geco.multipliers["dark"] > 7.0


def test_context_that_the_function_names_reaches_it_and_no_other():
  def by_label(targets, reconstruction, labels, kl=None):
    assert kl is None
    return tf.cast(labels, tf.float32)

  geco = geco_tf.GECO(constraints.from_callable(by_label, name="labelled"))
  with pytest.raises(errors.UserError, match="'labelled' needs `labels`"):
    geco.constraint_values(_X, _X)
  values = geco.constraint_values(_X, _X, labels=[0, 1, 2, 3], decoder=1)
  np.testing.assert_array_equal(values["labelled"].violation, [0, 1, 2, 3])


def test_vector_of_the_declared_size():
  def columns(targets, reconstruction, **context):
    return tf.reduce_mean(reconstruction, axis=[1, 3])

  geco = geco_tf.GECO(constraints.from_callable(columns, name="c", size=3))
  values = geco.constraint_values(_X, _X)
  assert values["c"].bound.shape == values["c"].initial_multiplier.shape == (3,)
  geco.update(values)
  np.testing.assert_allclose(
    geco.moving_averages["c"], _X.mean(axis=(0, 1, 3)), rtol=1e-6
  )


def test_shape_that_was_not_declared_is_refused():
  geco = geco_tf.GECO(
    constraints.from_callable(lambda x, g: tf.reduce_mean(g), name="scalar")
  )
  with pytest.raises(
    errors.UserError,
    match=r"'scalar' .* must have violations of shape \(4,\); got \(\)",
  ):
    geco.constraint_values(_X, _X)


def test_violations_of_a_part_of_the_batch_are_refused():
  geco = geco_tf.GECO(
    constraints.from_callable(lambda x, g: g[:3, 0, 0, 0], name="part")
  )
  with pytest.raises(errors.UserError, match=r"shape \(4,\); got \(3,\)"):
    geco.constraint_values(_X, _X)


def test_whole_numbers_are_refused():
  geco = geco_tf.GECO(
    constraints.from_callable(lambda x, g: tf.argmax(g[:, 0, 0], 1), name="top")
  )
  with pytest.raises(
    errors.UserError, match=r"'top' must return floating .* in"
  ):
    geco.constraint_values(_X, _X)


@pytest.mark.parametrize("option", ["bound", "initial_multiplier"])
@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_scale_that_is_none_is_refused(option, value):
  with pytest.raises(errors.UserError, match=f"`{option}` must be positive"):
    constraints.from_callable(_darkness, name="dark", **{option: value})


def test_function_of_one_argument_is_refused_at_once():
  with pytest.raises(errors.UserError, match=r"\(targets, .*takes \(g\)"):
    constraints.from_callable(lambda g: g[:, 0, 0, 0], name="one")


def test_what_is_no_function_is_refused():
  with pytest.raises(errors.UserError, match=r"`function` must be .* got 0\.1"):
    constraints.from_callable(0.1, name="number")


def test_function_that_returns_nothing_is_named():
  geco = geco_tf.GECO(constraints.from_callable(lambda x, g: None, name="no"))
  with pytest.raises(errors.UserError, match="'no' must return its violations"):
    geco.constraint_values(_X, _X)
