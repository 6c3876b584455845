# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every rule reaches x* and λ* of problems whose answers are known."""

import keras
import numpy as np
import pytest
import scipy.stats

from geco_tf import multipliers
from tests import geco_test_problems as problems

# One setting a rule for all problems; a new rule needs a line here.
_OPTIONS = {
  "augmented_lagrangian": {"rate": 0.01, "penalty": 1.0},
  "auto": {},
  "exponential": {"rate": 0.01},
  "log_ratio": {"rate": 0.01},
  "nu_pi": {"rate": 0.01, "proportional": 0.5},
  "softplus_gradient": {"rate": 1e-3, "beta_2": 0.9999},
}
_RULES = sorted(_OPTIONS)
_KEY = ((4.0, 1.0, 0.25, 0.04), 0.5)


def _build(name):
  return multipliers.registry.build(name, available={}, options=_OPTIONS[name])


def test_every_registered_rule_is_covered():
  assert set(_OPTIONS) == set(multipliers.registry.names())


def test_quadratic_has_one_active_constraint():
  """Against the closed form: x = p − λ Q⁻¹ a, with a·x at its offset."""
  problem = problems.Quadratic()
  multiplier = 1.5 / (1.0 + 1.0 / 2.0 + 1.0 / 4.0)
  np.testing.assert_allclose(problem.multipliers, [multiplier, 0.0], rtol=1e-6)
  expected = np.array([1.5, 1.0, 0.5]) - multiplier / np.array([1.0, 2.0, 4.0])
  np.testing.assert_allclose(problem.solution, expected, rtol=1e-6)
  assert expected[0] - expected[1] < 0.5 - 0.1, "the other one is slack"


def test_exact_linear_gaussian_has_the_expectations_of_the_sampled():
  """The four points give distortion and KL without any noise."""
  problem = problems.ExactLinearGaussian(*_KEY)
  geco = problems.geco_tf.GECO(problem.constraints)
  objective, values = problem.losses(geco, 0)
  expected = problem.exact()
  np.testing.assert_allclose(np.mean(objective), expected.kl, rtol=1e-6)
  distortion = np.mean(values["re"].violation) + _KEY[1]
  np.testing.assert_allclose(
    distortion, np.sum(expected.distortions), rtol=1e-6
  )


@pytest.mark.parametrize("name", _RULES)
def test_rule_reaches_the_quadratic_programs_answer(name):
  problem = problems.Quadratic()
  traces = problems.train(
    problem, _build(name), keras.optimizers.SGD(0.05), 20_000
  )
  np.testing.assert_allclose(traces.points[-1], problem.solution, atol=0.01)
  np.testing.assert_allclose(
    traces.multipliers[-1], problem.multipliers, atol=0.01
  )


@pytest.mark.parametrize("name", _RULES)
def test_rule_reaches_the_water_filling_key(name):
  problem = problems.ExactLinearGaussian(*_KEY)
  optimizer = keras.optimizers.Adam(3e-3)
  traces = problems.train(problem, _build(name), optimizer, 30_000)
  np.testing.assert_allclose(traces.points[-1], problem.solution, rtol=0.01)
  np.testing.assert_allclose(
    traces.multipliers[-1], problem.multipliers, rtol=0.01
  )


def _assert_mean_is(trace, expected, allowance):
  """The mean of a stationary trace [T, N] is as expected.

  Ten blocks, each far longer than anything is correlated, have means that are
  as good as independent: Student's t with 9 degrees of freedom, at a false-fail
  rate of 1e-6 over all N. The allowance is for what noise itself shifts.
  """
  blocks = np.mean(np.array_split(trace.astype(np.float64), 10), axis=1)
  deviation = np.std(blocks, axis=0, ddof=1) / np.sqrt(10)
  quantile = scipy.stats.t.isf(0.5e-6 / trace.shape[1], df=9)
  error = np.abs(blocks.mean(axis=0) - expected)
  assert np.all(error <= quantile * deviation + allowance)
  # A trace that wanders would pass whatever it does.
  assert np.all(quantile * deviation <= 0.1 * np.linalg.norm(expected))


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", _RULES)
def test_rule_reaches_the_noisy_quadratic_programs_answer(name):
  problem = problems.Quadratic(deviation=0.5)
  traces = problems.train(
    problem, _build(name), keras.optimizers.SGD(0.01), 40_000
  )
  _assert_mean_is(traces.points[20_000:], problem.solution, 0.01)
  _assert_mean_is(traces.multipliers[20_000:], problem.multipliers, 0.01)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("name", _RULES)
def test_rule_reaches_the_noisy_water_filling_key(name):
  problem = problems.LinearGaussian(*_KEY)
  optimizer = keras.optimizers.Adam(1e-3)
  traces = problems.train(problem, _build(name), optimizer, 60_000)
  # Weights that jitter by Adam's steps distort by their variance.
  _assert_mean_is(
    traces.points[30_000:], problem.solution, 0.02 * problem.solution
  )
  _assert_mean_is(
    traces.multipliers[30_000:], problem.multipliers, 0.03 * problem.multipliers
  )
