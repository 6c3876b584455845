# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The schedule by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.training import optimizers


def _rates(schedule, steps):
  return [float(schedule(tf.constant(s, tf.int64))) for s in steps]


@pytest.mark.parametrize(
  ("decay", "expected"),
  [
    ("constant", [1.0, 1.0, 1.0, 1.0, 1.0]),
    ("linear", [1.0, 0.8, 0.6, 0.2, 0.2]),
    ("cosine", [1.0, 0.2 + 0.4 * (1 + math.cos(math.pi / 4)), 0.6, 0.2, 0.2]),
  ],
)
def test_decay_without_warmup_is_as_by_hand(decay, expected):
  schedule = optimizers.WarmupThenDecay(
    3e-3, 80, decay=decay, final_learning_rate=0.2
  )
  rates = _rates(schedule, [0, 20, 40, 80, 1_000])
  np.testing.assert_allclose(rates, 3e-3 * np.array(expected), rtol=1e-6)


@pytest.mark.parametrize("decay", ["constant", "linear", "cosine"])
def test_warmup_rises_by_equal_steps_to_the_highest_rate(decay):
  schedule = optimizers.WarmupThenDecay(2e-3, 100, decay=decay, warmup_steps=4)
  rates = _rates(schedule, [0, 1, 2, 3, 4])
  expected = 2e-3 * np.array([0.25, 0.5, 0.75, 1.0, 1.0])
  np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.parametrize("warmup_steps", [0, 1, 50])
@pytest.mark.parametrize("decay", ["constant", "linear", "cosine"])
def test_schedule_is_continuous_and_falls_to_its_end(decay, warmup_steps):
  """No step is larger than the rise's or the cosine's steepest, π/2 a span."""
  num_steps = 200
  schedule = optimizers.WarmupThenDecay(
    1.0, num_steps, decay=decay, warmup_steps=warmup_steps
  )
  rates = np.array(_rates(schedule, range(num_steps + 1)))
  steepest = 0.5 * math.pi * 0.9 / (num_steps - warmup_steps)
  if warmup_steps > 1:
    steepest = max(steepest, 1.0 / warmup_steps)
  assert np.abs(np.diff(rates)).max() <= steepest * (1 + 1e-4)
  assert np.all(np.diff(rates[warmup_steps:]) <= 0.0)
  final = 1.0 if decay == "constant" else 0.1
  np.testing.assert_allclose(rates[-1], final, rtol=1e-6)


def test_schedule_survives_its_config():
  schedule = optimizers.WarmupThenDecay(
    3e-3, 80, decay="cosine", warmup_steps=7, final_learning_rate=0.3
  )
  again = optimizers.WarmupThenDecay(**schedule.get_config())
  steps = [0, 3, 7, 40, 80]
  assert _rates(again, steps) == _rates(schedule, steps)


def test_adam_takes_its_rate_from_the_schedule():
  """Adam's first step is the rate itself, whatever the gradient's size."""
  schedule = optimizers.WarmupThenDecay(0.4, 10, warmup_steps=4)
  optimizer = optimizers.adam(schedule)
  assert isinstance(optimizer, keras.optimizers.Optimizer)
  variable = tf.Variable([1.0, 1.0])
  optimizer.build([variable])
  optimizer.apply_gradients([(tf.constant([5.0, -0.5]), variable)])
  np.testing.assert_allclose(variable, [0.9, 1.1], rtol=1e-5)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"decay": "cosin"}, "Unknown schedule 'cosin'; did you mean 'cosine'"),
    ({"warmup_steps": 10}, "fewer than num_steps=10; got 10"),
    ({"warmup_steps": -1}, "`warmup_steps` must be at least 0"),
  ],
)
def test_bad_arguments_are_named(arguments, message):
  with pytest.raises(errors.UserError, match=message):
    optimizers.WarmupThenDecay(1e-3, 10, **arguments)


def test_adam_moves_as_kerass_does():
  """Five steps of two variables, rates that change: to float32's rounding."""
  rng = np.random.RandomState(0)
  start = [rng.normal(size=(3, 4)), rng.normal(size=5)]
  gradients = [[rng.normal(size=w.shape) for w in start] for _ in range(5)]
  ends = []
  for make in (keras.optimizers.Adam, optimizers.adam):
    optimizer = make(optimizers.WarmupThenDecay(0.1, 10, decay="cosine"))
    variables = [tf.Variable(w, dtype=tf.float32) for w in start]
    optimizer.build(variables)
    for step in gradients:
      step = [tf.constant(g, tf.float32) for g in step]
      optimizer.apply_gradients(zip(step, variables, strict=True))
    ends.append([*variables, *optimizer.variables])
  assert len(ends[0]) == len(ends[1])
  for expected, got in zip(*ends, strict=True):
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-7)
