# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered rule keeps to."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import multipliers

# Options that a rule cannot do without. A new rule needs a line here.
_OPTIONS = {
  "auto": {},
  "exponential": {"rate": 0.05},
  "log_ratio": {"rate": 0.05},
}
_RULES = sorted(_OPTIONS)
_SHAPES = [(), (3,)]


def _build(name):
  return multipliers.registry.build(name, available={}, options=_OPTIONS[name])


def _run(rule, trace, shape, wrap=lambda f: f):
  """λ after each step of a trace of violations, and the last state."""
  update = wrap(rule.update)
  multiplier = rule.initial_multiplier(tf.fill(shape, 2.0))
  state, path = rule.initial_state(multiplier), []
  for violation in trace:
    c = tf.fill(shape, tf.constant(violation, tf.float32))
    state, multiplier = update(state, c, c, multiplier)
    path.append(multiplier.numpy())
  return np.array(path), state


def test_every_registered_rule_is_covered():
  assert set(_OPTIONS) == set(multipliers.registry.names())


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("name", _RULES)
def test_state_has_the_multipliers_shape(name, shape):
  rule = _build(name)
  start = rule.initial_state(tf.fill(shape, 2.0))
  path, state = _run(rule, [0.5], shape)
  assert path.shape == (1, *shape)
  assert type(state) is type(start)
  assert len(state) > 0
  for before, after in zip(start, state, strict=True):
    assert before.shape == after.shape == shape
    assert before.dtype == after.dtype


@pytest.mark.parametrize("name", _RULES)
def test_multiplier_rises_when_violated_and_falls_when_satisfied(name):
  path, _ = _run(_build(name), [0.5] * 20, ())
  assert np.all(np.diff(path) > 0)
  path, _ = _run(_build(name), [-0.5] * 20, ())
  assert np.all(np.diff(path) < 0)


@pytest.mark.parametrize("violation", [0.0, 1e-20, -1e-20, 50.0, -1e3])
@pytest.mark.parametrize("name", _RULES)
def test_multiplier_is_never_negative_nor_nan(name, violation):
  path, _ = _run(_build(name), [violation] * 5, ())
  assert np.all(path >= 0.0)


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("name", _RULES)
def test_graph_equals_eager(name, shape):
  trace = [2.0, 0.7, -0.1, -0.4, 0.2, 0.0]
  eager, eager_state = _run(_build(name), trace, shape)
  graph, graph_state = _run(_build(name), trace, shape, tf.function)
  np.testing.assert_allclose(graph, eager, rtol=1e-6)
  for a, b in zip(graph_state, eager_state, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", _RULES)
def test_rule_holds_no_state_of_its_own(name):
  """Two multipliers may share one rule."""
  rule = _build(name)
  first, _ = _run(rule, [0.5] * 5, ())
  second, _ = _run(rule, [0.5] * 5, ())
  np.testing.assert_array_equal(first, second)
  assert rule.penalty(tf.constant([1.0, 2.0])).shape == ()
