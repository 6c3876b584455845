# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""`fit` on two devices is `fit` on one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, errors
from tests.distribution import two_devices
from tests.integrations import problems

pytestmark = pytest.mark.filterwarnings(
  "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


def _sgd():
  """Linear in gradients: rounding stays rounding."""
  return keras.optimizers.SGD(0.02)


@pytest.fixture(scope="module")
def strategy():
  return two_devices.strategy()


@pytest.fixture(scope="module")
def mirrored(strategy):
  """A model after two epochs on two devices, its history, and its state.

  The model is trained further, by and by.
  """
  x, y = problems.data()
  with strategy.scope():
    model = problems.model(_sgd())
    history = problems.fit(model, validation_data=(x[:20], y[:20]))
  return model, history.history, problems.state(model)


def test_two_devices_go_the_way_of_one(mirrored):
  """With a last batch of three: two examples there, and one here."""
  _, history, state = mirrored
  alone = problems.model(_sgd())
  x, y = problems.data()
  expected = problems.fit(alone, validation_data=(x[:20], y[:20])).history
  assert history.keys() == expected.keys()
  for name, values in expected.items():
    np.testing.assert_allclose(
      history[name], values, rtol=2e-5, atol=1e-5, err_msg=name
    )
  there = problems.state(alone).values()
  for (name, here), other in zip(state.items(), there, strict=True):
    np.testing.assert_allclose(here, other, rtol=1e-5, atol=1e-6, err_msg=name)


class _Groups(constraints.Constraint):
  """The error within each of two groups, as inputs tell them apart."""

  name, size = "groups", 2

  def __init__(self, weight_dtype=tf.float32):
    self._weight_dtype = weight_dtype

  def __call__(self, targets, reconstruction, *, inputs):
    error = tf.reduce_sum((targets - reconstruction) ** 2, axis=1)
    # The second group is rare: many parts of a batch have none of it.
    is_rare = inputs[:, 0] > 1.0
    return constraints.ConstraintValue(
      violation=tf.repeat(error[:, tf.newaxis] - 0.5, 2, axis=1),
      weight=tf.cast(
        tf.one_hot(tf.cast(is_rare, tf.int32), 2), self._weight_dtype
      ),
      bound=tf.fill([2], 0.5),
      initial_multiplier=tf.ones([2]),
    )


@pytest.mark.parametrize(
  "weight_dtype", [tf.float32, tf.bool, tf.int32, tf.float64], ids=str
)
def test_weighted_constraint_goes_the_way_of_one(strategy, weight_dtype):
  with strategy.scope():
    groups = _Groups(weight_dtype)
    shared = problems.model(_sgd(), constraints=[groups])
    history = problems.fit(shared).history
  alone = problems.model(_sgd(), constraints=[_Groups()])
  expected = problems.fit(alone).history
  for name, values in expected.items():
    np.testing.assert_allclose(
      history[name], values, rtol=2e-5, atol=1e-5, err_msg=name
    )


def test_state_is_equal_on_both_devices(mirrored, strategy):
  model, *_ = mirrored
  for name, variable in model.geco.state.items():
    first, second = strategy.experimental_local_results(variable)
    np.testing.assert_array_equal(first, second, err_msg=name)


@pytest.mark.slow
def test_training_resumed_on_two_devices_has_the_same_multipliers(
  mirrored, strategy, tmp_path
):
  model, *_ = mirrored
  path = tmp_path / "whole.keras"
  model.save(path)
  with strategy.scope():
    loaded = keras.models.load_model(path)
    problems.assert_same_state(problems.state(loaded), problems.state(model))
    problems.fit(loaded, 1)
  problems.fit(model, 1)
  problems.assert_same_state(problems.state(loaded), problems.state(model))


def test_non_finite_example_on_one_device_stops_both(mirrored):
  x, y = problems.data()
  model, *_ = mirrored
  before = problems.state(model)
  y[-1] = np.nan
  # One batch, the last example of which is the second device's.
  with pytest.warns(UserWarning, match="'re' was not finite in 1 updates"):
    model.fit(x[-8:], y[-8:], batch_size=8, shuffle=False, verbose=0)
  after = problems.state(model)
  for name in before:
    if "kernel" in name or "bias" in name or name == "re/multiplier":
      np.testing.assert_array_equal(before[name], after[name], err_msg=name)
  assert after["re/num_skipped"] == before["re/num_skipped"] + 1


def test_device_without_examples_does_no_harm(mirrored, strategy):
  """A last batch of one."""
  x, y = problems.data()
  model, *_ = mirrored
  skipped = int(model.geco.num_skipped["re"])
  logs = model.fit(x[:17], y[:17], batch_size=16, shuffle=False, verbose=0)
  values = {name: value for name, (value,) in logs.history.items()}
  assert np.all(np.isfinite(list(values.values()))), values
  assert values["geco/re/skipped"] == skipped
  for weight in model.get_weights():
    assert np.all(np.isfinite(weight))
  test_state_is_equal_on_both_devices(mirrored, strategy)


def test_loss_of_compile_is_not_divided_by_replicas(strategy):
  """Keras divides it, for gradients that are added."""
  x, y = problems.data()
  with strategy.scope():
    model = problems.model(
      _sgd(), {"loss": "mse", "run_eagerly": True}, objective=None
    )
  net = problems.net()
  # Both replicas are given the whole batch here.
  logs = model.train_on_batch(x, y, return_dict=True)
  expected = np.mean((net(x).numpy() - y) ** 2) + float(sum(net.losses))
  np.testing.assert_allclose(logs["objective"], expected, rtol=1e-5)


@pytest.mark.parametrize(
  "option", [{"jit_compile": True}, {"steps_per_execution": 2}], ids=str
)
def test_what_fails_across_replicas_is_refused(option, strategy):
  with strategy.scope():
    model = problems.model(compile_options=option)
  (name,) = option
  with pytest.raises(errors.UserError, match=f"`{name}` must be "):
    problems.fit(model)
