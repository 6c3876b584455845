# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered rule keeps to."""

import functools

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints, errors, multipliers
from tests.conformance import registered
from tests.distribution import two_devices

# Options that a rule cannot do without. A new rule needs a line here.
_OPTIONS = {
  "augmented_lagrangian": {"rate": 0.05},
  "auto": {},
  "exponential": {"rate": 0.05},
  "log_ratio": {"rate": 0.05},
  "nu_pi": {"rate": 0.05, "proportional": 0.5, "smoothing": 0.3},
  "softplus_gradient": {"rate": 0.05},
}
_RULES = sorted(_OPTIONS)
_SHAPES = [(), (3,)]


def _build(name, **more):
  options = {**_OPTIONS[name], **more}
  return multipliers.registry.build(name, available={}, options=options)


def _run(rule, trace, shape, wrap=lambda f: f, dtype=tf.float32):
  """λ after each step of a trace of violations, and the last state."""
  update = wrap(rule.update)
  start = tf.fill(shape, tf.constant(2.0, dtype))
  multiplier = rule.initial_multiplier(start)
  state, path = rule.initial_state(multiplier), []
  for violation in trace:
    c = tf.fill(shape, tf.constant(violation, dtype))
    state, multiplier = update(state, c, c, multiplier)
    path.append(multiplier.numpy())
  return np.array(path), state


def test_every_registered_rule_is_covered():
  assert not registered.missing(multipliers.registry, _OPTIONS)


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
def test_all_is_of_the_multipliers_type(name):
  trace = [2.0, 0.7, -0.1, -0.4, 0.2, 0.0]
  rough, _ = _run(_build(name), trace, (3,))
  exact, state = _run(_build(name), trace, (3,), dtype=tf.float64)
  assert exact.dtype == np.float64
  assert all(field.dtype == tf.float64 for field in state)
  np.testing.assert_allclose(rough, exact, rtol=1e-5)


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


@pytest.mark.parametrize("xla", [None, True], ids=["graph", "xla"])
@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("name", _RULES)
def test_compiled_equals_eager(name, shape, xla):
  trace = [2.0, 0.7, -0.1, -0.4, 0.2, 0.0]
  eager, eager_state = _run(_build(name), trace, shape)
  wrap = functools.partial(tf.function, jit_compile=xla)
  graph, graph_state = _run(_build(name), trace, shape, wrap)
  np.testing.assert_allclose(graph, eager, rtol=1e-6)
  for a, b in zip(graph_state, eager_state, strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", _RULES)
def test_checkpoint_carries_the_whole_state(name, tmp_path):
  def build():
    error = constraints.ReconstructionError(kappa=0.2)
    return geco_tf.GECO([error], update_rule=_build(name))

  def run(geco, steps):
    multipliers_ = []
    for step in steps:
      images = tf.random.stateless_uniform([4, 8], [7, step])
      geco.update(geco.constraint_values(images, images * (1.0 - 0.2 * step)))
      multipliers_.append(geco.multipliers["re"].numpy())
    return multipliers_

  straight, saved, resumed = (build() for _ in range(3))
  for geco in (straight, saved):
    run(geco, range(3))
  path = tf.train.Checkpoint(geco=saved).write(str(tmp_path / "state"))
  tf.train.Checkpoint(geco=resumed).read(path).assert_consumed()
  there, here = run(straight, range(3, 6)), run(resumed, range(3, 6))
  np.testing.assert_array_equal(there, here)
  assert len(set(here)) > 1


def _under(strategy, rule, num_steps=6):
  """GECO, and λ and C_ma after each update that replicas shared.

  Of unlike parts; violated at first, and satisfied in the end.
  """
  with strategy.scope():
    error = constraints.ReconstructionError(0.2, per="channel", num_channels=3)
    geco = geco_tf.GECO([error], update_rule=rule)
  rows = 8 // strategy.num_replicas_in_sync

  def replica_fn(images, reconstruction):
    replicas = tf.distribute.get_replica_context()
    start = tf.convert_to_tensor(replicas.replica_id_in_sync_group) * rows
    part = start + tf.range(rows)
    geco.update(
      geco.constraint_values(
        tf.gather(images, part), tf.gather(reconstruction, part)
      )
    )

  @tf.function
  def step(*batch):
    strategy.run(replica_fn, args=batch)

  path = []
  for i in range(num_steps):
    images = tf.random.stateless_uniform([8, 2, 2, 3], [7, i])
    images *= tf.reshape(tf.linspace(0.2, 1.0, 8), [8, 1, 1, 1])
    batch = images, images * (1.0 - 1.0 / (1 + i))
    if i == 0:
      with strategy.scope():
        geco.initialize(geco.constraint_values(*batch))
    step(*batch)
    path.append((geco.multipliers["re"], geco.moving_averages["re"]))
  return geco, np.array(path)


@pytest.mark.parametrize("name", _RULES)
def test_two_replicas_are_equal_and_equal_to_one_device(name):
  strategy = two_devices.strategy()
  two, two_path = _under(strategy, _build(name))
  one, one_path = _under(
    tf.distribute.OneDeviceStrategy("/cpu:0"), _build(name)
  )
  np.testing.assert_allclose(two_path, one_path, rtol=1e-5, atol=1e-6)
  assert np.all(np.diff(two_path[:, 0], axis=0) != 0.0), "λ moves"
  for shared, alone in zip(two.variables, one.variables, strict=True):
    first, second = strategy.experimental_local_results(shared)
    np.testing.assert_array_equal(first.numpy(), second.numpy())
    np.testing.assert_allclose(
      first.numpy(), alone.numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", _RULES)
def test_rule_holds_no_state_of_its_own(name):
  """Two multipliers may share one rule."""
  rule = _build(name)
  first, _ = _run(rule, [0.5] * 5, ())
  second, _ = _run(rule, [0.5] * 5, ())
  np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", _RULES)
def test_penalty_is_a_scalar_that_leaves_no_negative_weight(name):
  """λ + dP/dC ≥ 0: no violation is ever asked for."""
  rule = _build(name)
  multiplier = tf.constant([0.0, 0.5, 3.0])
  state = rule.initial_state(tf.constant([2.0, 2.0, 2.0]))
  for violation in (-1e3, -0.3, 0.0, 0.3, 1e3):
    c = tf.Variable(tf.fill([3], violation))
    with tf.GradientTape() as tape:
      penalty = rule.penalty(
        c, state=state, multiplier=multiplier, bound=tf.ones([3])
      )
      loss = penalty + tf.reduce_sum(multiplier * c)
    assert penalty.shape == ()
    assert np.all(tape.gradient(loss, c).numpy() >= -1e-6)


@pytest.mark.parametrize("name", _RULES)
def test_frozen_multiplier_is_held_and_then_moves_as_from_the_start(name):
  trace = [0.5, 0.9, -0.2, 0.4, 0.1, -0.3]
  path, _ = _run(_build(name), trace, ())
  frozen, _ = _run(_build(name, freeze_steps=3), [9.0, 9.0, 9.0, *trace], ())
  start = _build(name).initial_multiplier(tf.constant(2.0))
  np.testing.assert_array_equal(frozen[:3], [start] * 3)
  np.testing.assert_array_equal(frozen[3:], path)


@pytest.mark.parametrize("name", _RULES)
def test_multiplier_moves_at_every_so_manieth_update_alone(name):
  trace = [0.5, 0.9, -0.2]
  path, _ = _run(_build(name), trace, ())
  between = [v for c in trace for v in (9.0, c)]
  slowed, _ = _run(_build(name, update_every=2), between, ())
  np.testing.assert_array_equal(slowed[1::2], path)
  np.testing.assert_array_equal(slowed[2::2], path[:-1])


@pytest.mark.parametrize("name", _RULES)
def test_bounded_multiplier_leaves_its_bound_at_once(name):
  bounded = _build(name, lowest=0.9, highest=2.1)
  # As long at a bound as it takes to wind up, and to change the gradient's
  # sign under Adam.
  trace = [0.9] * 40 + [-0.9] * 60 + [0.9] * 40
  path, state = _run(bounded, trace, (3,), tf.function)
  assert path.min() >= 0.9 * (1 - 1e-6) and path.max() <= 2.1 * (1 + 1e-6)
  np.testing.assert_allclose(path[39], [2.1] * 3, rtol=1e-6)
  np.testing.assert_allclose(path[99], [0.9] * 3, rtol=1e-6)
  patience = 15 if name == "softplus_gradient" else 1
  assert np.all(path[39 + patience] < 2.1 * (1 - 1e-6))
  assert np.all(path[99 + patience] > 0.9 * (1 + 1e-6))
  for field in state:
    assert field.shape == (3,)
    assert np.all(np.isfinite(field))


@pytest.mark.parametrize(
  ("options", "message"),
  [
    ({"lowest": -1.0}, "`lowest` must be at least 0"),
    ({"lowest": 3.0, "highest": 2.0}, "below `highest`; got lowest=3.0"),
    ({"freeze_steps": -1}, "`freeze_steps` must be a whole number"),
    ({"freeze_steps": 1.5}, "`freeze_steps` must be a whole number"),
    ({"freeze_steps": "x"}, "`freeze_steps` must be a number; got 'x'"),
    ({"freeze_steps": np.inf}, "`freeze_steps` must be a whole number"),
    ({"highest": "x"}, "`highest` must be a number; got 'x'"),
    ({"update_every": 0}, "`update_every` must be .* at least 1; got 0"),
    ({"freeze": 3}, "option of the update rule .*did you mean 'freeze_steps'"),
  ],
)
def test_bad_restraint_is_named(options, message):
  with pytest.raises(errors.UserError, match=message):
    _build("auto", **options)


@pytest.mark.parametrize("name", _RULES)
def test_restraints_are_off_unless_asked_for(name):
  assert not isinstance(_build(name), multipliers.Restrained)
  assert isinstance(_build(name, freeze_steps=1), multipliers.Restrained)


def test_restraints_can_be_stacked():
  inner = _build("augmented_lagrangian", freeze_steps=1)
  rule = multipliers.Restrained(inner, freeze_steps=1, highest=2.05)
  path, _ = _run(rule, [0.5] * 4, ())
  np.testing.assert_allclose(path, [2.0, 2.0, 2.05, 2.05], rtol=1e-6)
