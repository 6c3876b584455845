# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Steps of the rules by hand, and what auto promises."""

import math

import keras
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
  "rule",
  [
    multipliers.AugmentedLagrangian,
    multipliers.Exponential,
    multipliers.LogRatio,
    multipliers.NuPI,
    multipliers.SoftplusGradient,
  ],
)
@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_bad_rate_is_refused(rule, rate):
  with pytest.raises(errors.UserError, match="`rate` must be positive"):
    rule(rate=rate)


def _auto_by_hand(relative, start):
  """The equations of Auto's docstring in float64, whatever its constants."""
  climb, fall = auto._FASTEST_CLIMB, auto._FASTEST_FALL
  least, whole = auto._LEAST_PATH, auto._WHOLE_PATH
  log_multiplier = first = math.log(start)
  highest, lowest, before = -math.inf, math.inf, None
  path = []
  for t, r in enumerate(relative, start=1):
    e = min(max(r, -1.0), 1.0)
    highest, lowest = max(highest, r), min(lowest, r)
    done = min((highest - lowest) / max(highest, 1.0), 1.0)
    v = (whole * done + least) / (t + auto._WARMUP_STEPS)
    gain = auto._GAIN_UP if e > 0 else auto._GAIN_DOWN
    log_multiplier += min(max(gain * v * e, -fall * v), climb * v)
    change = e - (e if before is None else before)
    log_multiplier += auto._PROPORTIONAL * change
    log_multiplier = min(max(log_multiplier, first - 12.0), first + 12.0)
    before = e
    path.append(math.exp(log_multiplier))
  return path


@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_auto_follows_its_equations(scale):
  """Also where κ is nearly met from the start, and its way is not measured."""
  random = np.random.RandomState(0)
  relative = 2.0 * np.exp(-np.arange(300) / 60.0) - 0.3
  relative = scale * (relative + 0.2 * random.normal(size=300))
  assert (relative.max() > 1.0) == (scale == 1.0) and (relative < 0).any()
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

  The speed v is at most p / (t + w). But for the w, which calm the first steps,
  slowing by s scales v by 1/s. Between the times a and b the integral parts
  differ by at most

    fall p ∫ (1/(τ + w/s) − 1/(τ + w)) dτ ≤ fall p ln((a + w) / (a + w/s))

  and the proportional part, a sum of differences of e, not at all.
  """
  slowdown, steps, a = 10, 2_000, 500
  # Falls from ln 20 through 0 and swings around it.
  time = np.arange(1, steps * slowdown + 1) / slowdown
  trace = 3.2 * np.exp(-time / 150.0) - 0.2 + 0.2 * np.sin(time / 100.0)
  fast = np.log(_path(multipliers.Auto(), trace[slowdown - 1 :: slowdown]))
  slow = np.log(_path(multipliers.Auto(), trace, jit=True))
  slow = slow[slowdown - 1 :: slowdown]
  largest_speed = auto._FASTEST_FALL * (auto._WHOLE_PATH + auto._LEAST_PATH)
  warmup = auto._WARMUP_STEPS
  bound = largest_speed * np.log((a + warmup) / (a + warmup / slowdown))
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


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_auto_stops_at_its_bounds(sign):
  # Most of the way at once, and then so long that even the climb is there.
  relative = sign * np.append(10.0, np.ones(1_000_000))
  log_change = np.log(_path(multipliers.Auto(), relative, jit=True)[-1] / 2.0)
  expected = math.copysign(_LARGEST_CHANGE, sign)
  np.testing.assert_allclose(log_change, expected, rtol=1e-5)


def test_auto_comes_back_from_a_constraint_long_satisfied():
  """Nothing winds up: λ rises with the first violation, from where it is."""
  trace = np.concatenate([np.full(3_000, -0.8), np.full(3_000, 0.8)])
  path = _path(multipliers.Auto(), trace)
  assert np.all(np.diff(path[:3_000]) < 0) and path[2_999] < 0.05
  assert np.all(np.diff(path[2_999:]) > 0)
  # Down it goes slower by the step: no jump to 0 at any time.
  assert np.all(np.diff(np.log(path[:3_000])) > -0.03)


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


def test_nu_pi_follows_its_equations():
  rule = multipliers.NuPI(0.1, proportional=0.7, smoothing=0.4)
  log_multiplier, smoothed = math.log(2.0), None
  trace, expected = [0.5, 3.0, -0.25, -40.0, 0.0, 0.3], []
  for r in trace:
    e = min(max(r, -1.0), 1.0)
    before = e if smoothed is None else smoothed
    smoothed = 0.4 * before + 0.6 * e
    log_multiplier += 0.1 * e + 0.7 * (smoothed - before)
    expected.append(math.exp(log_multiplier))
  np.testing.assert_allclose(_path(rule, trace), expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("units", "plain"),
  [("relative", multipliers.LogRatio), ("constraint", multipliers.Exponential)],
)
def test_nu_pi_without_proportional_part_is_integral_control(units, plain):
  trace = np.random.RandomState(0).normal(size=50)
  for smoothing in (0.0, 0.9):
    rule = multipliers.NuPI(0.03, smoothing=smoothing, units=units)
    np.testing.assert_array_equal(
      _path(rule, trace), _path(plain(rate=0.03), trace)
    )


def test_nu_pi_without_smoothing_adds_the_change_of_the_error():
  """The velocity form: all of k_p (e_t − e_0) is there at any time."""
  trace = np.clip(np.random.RandomState(1).normal(size=50), -1.0, 1.0)
  path = np.log(_path(multipliers.NuPI(0.03, proportional=0.5), trace))
  plain = np.log(_path(multipliers.LogRatio(0.03), trace))
  np.testing.assert_allclose(path - plain, 0.5 * (trace - trace[0]), atol=1e-5)


def test_softplus_gradient_is_adam_on_the_root():
  """Beside Keras's Adam, and the gradient of −λC by autodiff (λ₀ = 1)."""
  trace = np.random.RandomState(2).normal(size=40).astype(np.float32) + 0.3
  root = tf.Variable(math.log(math.e - 1.0))
  adam = keras.optimizers.Adam(0.05, epsilon=1e-8)
  expected = []
  for violation in trace:
    with tf.GradientTape() as tape:
      loss = -(tf.math.softplus(root) ** 2) * violation
    adam.apply_gradients([(tape.gradient(loss, root), root)])
    expected.append(float(tf.math.softplus(root) ** 2))
  path = _path(multipliers.SoftplusGradient(0.05), trace, start=1.0)
  np.testing.assert_allclose(path, expected, rtol=1e-4)
  # λ₀ is nothing but the unit of λ.
  path = _path(multipliers.SoftplusGradient(0.05), trace, start=7.0)
  np.testing.assert_allclose(path, 7.0 * np.array(expected), rtol=1e-4)


def test_augmented_lagrangian_moves_by_addition_and_leaves_zero():
  rule = multipliers.AugmentedLagrangian(0.25)
  path = _path(rule, [0.5, 4.0, -9.0, -9.0, -9.0, -9.0, -9.0, -9.0, 1.0])
  # λ₀ = 2: .25 · 2 for each unit of e, clipped to ±1.
  expected = [2.25, 2.75, 2.25, 1.75, 1.25, 0.75, 0.25, 0.0, 0.5]
  np.testing.assert_allclose(path, expected, rtol=1e-6)


@pytest.mark.parametrize("c", [-9.0, -2.0, -0.4, 0.0, 0.7, 5.0])
def test_augmented_lagrangian_is_rockafellars(c):
  """λC + P = (max(0, λ + w C)² − λ²) / 2w, w = ρ λ₀ / b."""
  natural, multiplier, bound, rho = 2.0, 3.0, 4.0, 1.6
  rule = multipliers.AugmentedLagrangian(0.1, penalty=rho)
  variable = tf.Variable(c)
  with tf.GradientTape() as tape:
    penalty = rule.penalty(
      variable,
      state=rule.initial_state(tf.constant(natural)),
      multiplier=tf.constant(multiplier),
      bound=tf.constant(bound),
    )
    total = penalty + multiplier * variable
  w = rho * natural / bound
  weight = max(0.0, multiplier + w * c)
  expected = (weight**2 - multiplier**2) / (2.0 * w)
  np.testing.assert_allclose(total, expected, rtol=1e-5, atol=1e-6)
  gradient = tape.gradient(total, variable)
  np.testing.assert_allclose(gradient, weight, rtol=1e-5, atol=1e-6)


def test_augmented_lagrangian_has_no_penalty_where_the_bound_is_zero():
  rule = multipliers.AugmentedLagrangian(0.1)
  zero = rule.penalty(
    tf.constant([2.0, -2.0]),
    state=rule.initial_state(tf.ones([2])),
    multiplier=tf.ones([2]),
    bound=tf.zeros([2]),
  )
  assert float(zero) == 0.0


def test_augmented_lagrangian_weighs_the_batch_by_the_moving_average():
  """In GECO the gradient is that of (λ + w C_ma) Ĉ, C_ma with Ĉ in it."""
  constraint = constraints.ReconstructionError(1.0)
  rule = multipliers.AugmentedLagrangian(0.1, penalty=0.5)
  geco = geco_tf.GECO([constraint], rule, decay=0.5)
  x = tf.constant([[0.0, 2.0]])
  geco.update(geco.constraint_values(x, x + 3.0))
  g = tf.Variable(x + 2.0)
  with tf.GradientTape() as tape:
    loss = geco.lagrangian(tf.zeros([1]), geco.constraint_values(x, g))
  gradient = tape.gradient(loss, g)
  # Ĉ: 2·9 − 2, then 2·4 − 2; b = 2; λ₀ = 1/20.
  average, multiplier = 0.5 * 16.0 + 0.5 * 6.0, (1.0 + 0.1) / 20.0
  w = 0.5 / 20.0 / 2.0
  np.testing.assert_allclose(
    loss, multiplier * average + 0.5 * w * average**2, rtol=1e-6
  )
  weight = multiplier + w * average
  np.testing.assert_allclose(gradient, weight * 2.0 * (g - x), rtol=1e-6)


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: multipliers.NuPI(0.1, smoothing=1.0), r"`smoothing` .* \[0, 1\)"),
    (lambda: multipliers.NuPI(0.1, proportional=math.nan), "`proportional`"),
    (lambda: multipliers.NuPI(0.1, units="nats"), "Unknown units 'nats'"),
    (lambda: multipliers.SoftplusGradient(0.1, beta_2=1.0), "`beta_2` must"),
    (lambda: multipliers.SoftplusGradient(0.1, epsilon=0.0), "`epsilon` must"),
    (
      lambda: multipliers.AugmentedLagrangian(0.1, penalty=-1.0),
      "`penalty` must be positive",
    ),
    (lambda: multipliers.LogRatio("fast"), "`rate` must be a number; got 'f"),
    (lambda: multipliers.NuPI(0.1, proportional="a"), "must be a number"),
    (lambda: multipliers.SoftplusGradient(0.1, beta_1="a"), "`beta_1` must be"),
  ],
)
def test_bad_option_is_named(make, message):
  with pytest.raises(errors.UserError, match=message):
    make()
