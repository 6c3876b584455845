# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Steps of the rules by hand, and what auto promises."""

import math

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints, errors, multipliers
from geco_tf.multipliers import auto

_LARGEST_CHANGE = 12.0


def _path(rule, relative, *, start=2.0, jit=False):
  """λ after each step of a trace of relative violations [T] or [T, K]."""
  relative = tf.constant(relative, tf.float32)
  first = tf.fill(relative.shape[1:], start)

  @tf.function(jit_compile=jit)
  def run(relative):
    state, multiplier = rule.initial_state(first), first
    path = tf.TensorArray(tf.float32, size=relative.shape[0])
    for t in tf.range(relative.shape[0]):
      r = relative[t]
      state, multiplier = rule.update(state, r, r, multiplier)
      path = path.write(t, multiplier)
    return path.stack()

  return run(relative).numpy()


def test_exponential_steps_by_violation_in_its_own_units():
  rule = multipliers.Exponential(rate=0.1)
  state = rule.initial_state(tf.constant(2.0))
  log_multiplier, multiplier = math.log(2.0), tf.constant(2.0)
  for violation in (3.0, -7.0, 0.0, 12.0):
    state, multiplier = rule.update(
      state, tf.constant(violation), tf.constant(99.0), multiplier
    )
    log_multiplier += 0.1 * violation
    np.testing.assert_allclose(multiplier, math.exp(log_multiplier), rtol=1e-6)


def test_exponential_starts_at_one():
  natural = tf.constant([7.0, 0.2])
  start = multipliers.Exponential(rate=0.1).initial_multiplier(natural)
  np.testing.assert_array_equal(start, [1.0, 1.0])


def test_exponential_comes_back_from_overflow():
  """λ is kept as its logarithm, which does not overflow."""
  rule = multipliers.Exponential(rate=1.0)
  state = rule.initial_state(tf.constant(1.0))
  state, multiplier = rule.update(
    state, tf.constant(200.0), tf.constant(1.0), tf.constant(1.0)
  )
  assert np.isinf(multiplier)
  _, multiplier = rule.update(
    state, tf.constant(-199.0), tf.constant(-1.0), multiplier
  )
  np.testing.assert_allclose(multiplier, math.e, rtol=1e-5)


def test_log_ratio_steps_by_clipped_relative_violation():
  rule = multipliers.LogRatio(rate=0.1)
  state = rule.initial_state(tf.constant(2.0))
  log_multiplier, multiplier = math.log(2.0), tf.constant(2.0)
  for relative in (0.5, 3.0, -0.25, -40.0, 0.0):
    state, multiplier = rule.update(
      state, tf.constant(99.0), tf.constant(relative), multiplier
    )
    log_multiplier += 0.1 * min(max(relative, -1.0), 1.0)
    np.testing.assert_allclose(multiplier, math.exp(log_multiplier), rtol=1e-6)


@pytest.mark.parametrize(
  "rule", [multipliers.Exponential, multipliers.LogRatio]
)
@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_bad_rate_is_refused(rule, rate):
  with pytest.raises(errors.UserError, match="`rate` must be positive"):
    rule(rate=rate)


def _auto_by_hand(relative, start):
  """The equations of Auto's docstring in float64, whatever its constants."""
  gain, climb, fall = auto._GAIN, auto._FASTEST_CLIMB, auto._FASTEST_FALL
  log_multiplier = first = math.log(start)
  highest, lowest, before = -math.inf, math.inf, None
  path = []
  for t, r in enumerate(relative, start=1):
    e = min(max(r, -1.0), 1.0)
    highest, lowest = max(highest, r), min(lowest, r)
    v = (highest - lowest + 0.5) / (t + 100.0)
    log_multiplier += min(max(gain * v * e, -fall * v), climb * v)
    change = e - (e if before is None else before)
    log_multiplier += auto._PROPORTIONAL * change
    log_multiplier = min(max(log_multiplier, first - 12.0), first + 12.0)
    before = e
    path.append(math.exp(log_multiplier))
  return path


def test_auto_follows_its_equations():
  random = np.random.RandomState(0)
  relative = 2.0 * np.exp(-np.arange(300) / 60.0) - 0.3
  relative += 0.2 * random.normal(size=300)
  assert relative.max() > 1.0 and (relative < 0).any()
  path = _path(multipliers.Auto(), relative)
  # 300 additions of float32 to ln λ ≈ 1: 300 · 6e-8.
  np.testing.assert_allclose(path, _auto_by_hand(relative, 2.0), rtol=2e-5)


def test_auto_has_no_rate():
  rule = multipliers.registry.build("auto", available={"rate": 1.0})
  assert isinstance(rule, multipliers.Auto)
  with pytest.raises(
    errors.UserError, match="option of the update rule 'auto'"
  ):
    multipliers.registry.build("auto", available={}, options={"rate": 1.0})


def test_auto_is_invariant_to_the_networks_speed():
  """A trace ten times slower gives the same path in its own time.

  The speed v is (range + ½) / (t + 100). But for the 100, which calm the first
  steps, slowing by s scales v by 1/s. Between the times a and b the integral
  parts differ by at most

    fall (range + ½) ∫ (1/(τ + 100/s) − 1/(τ + 100)) dτ
      ≤ fall (range + ½) ln((a + 100) / (a + 100/s))

  and the proportional part, a sum of differences of e, not at all.
  """
  slowdown, steps, a = 10, 2_000, 500
  # Falls from ln 20 through 0 and swings around it.
  time = np.arange(1, steps * slowdown + 1) / slowdown
  trace = 3.2 * np.exp(-time / 150.0) - 0.2 + 0.2 * np.sin(time / 100.0)
  fast = np.log(_path(multipliers.Auto(), trace[slowdown - 1 :: slowdown]))
  slow = np.log(_path(multipliers.Auto(), trace, jit=True))
  slow = slow[slowdown - 1 :: slowdown]
  largest_speed = auto._FASTEST_FALL * (np.ptp(trace) + 0.5)
  bound = largest_speed * np.log((a + 100.0) / (a + 100.0 / slowdown))
  # The sums are left against right ends: one step of the largest speed more.
  bound += largest_speed / a
  moved = fast - fast[a]
  difference = (slow - slow[a]) - moved
  assert np.abs(difference[a:]).max() < bound
  # A rule with a rate would differ by ten times the way itself.
  assert np.abs(moved[a:]).max() > bound


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e6, 1e30])
@pytest.mark.parametrize("pattern", ["up", "down", "both"])
def test_auto_stays_in_its_bounds_and_finite(size, pattern):
  sign = {
    "up": np.ones(300), "down": -np.ones(300), "both": (-1.0) ** np.arange(300)
  }[pattern]  # fmt: skip
  # Growing, so that there is a range for the speed.
  relative = size * sign * np.linspace(0.1, 1.0, 300)
  log_change = np.log(_path(multipliers.Auto(), relative) / 2.0)
  assert np.all(np.isfinite(log_change))
  assert np.abs(log_change).max() <= _LARGEST_CHANGE * (1 + 1e-5)
  if size == 1e30 and pattern != "both":
    expected = math.copysign(_LARGEST_CHANGE, sign[0])
    np.testing.assert_allclose(log_change[-1], expected, rtol=1e-5)


def test_auto_leaves_multiplier_where_violation_is_zero():
  path = _path(multipliers.Auto(), np.zeros(50))
  np.testing.assert_allclose(path, 2.0, rtol=1e-6)


def test_auto_stays_finite_when_relative_violation_overflows():
  """A first batch far off: C is finite, C / bound is not."""
  constraint = constraints.ReconstructionError(1e-3, reduction="mean")
  geco = geco_tf.GECO([constraint], "auto")
  x = tf.random.stateless_uniform([4, 8], [1, 2])
  for error in (1e18, 0.1, 0.1):
    values = geco.constraint_values(x, x + error)
    assert np.all(np.isfinite(values["re"].violation))
    geco.update(values)
  assert int(geco.num_skipped["re"]) == 0
  assert np.isfinite(geco.multipliers["re"])


def test_auto_entries_evolve_as_scalars():
  random = np.random.RandomState(0)
  relative = random.normal(size=(60, 3)) * [0.1, 1.0, 5.0] + [0.0, 1.0, -2.0]
  together = _path(multipliers.Auto(), relative)
  for k in range(3):
    alone = _path(multipliers.Auto(), relative[:, k])
    np.testing.assert_allclose(together[:, k], alone, rtol=1e-6)
