# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two-sample tests: against loops, and against samples known to be equal."""

import numpy as np
import pytest
from scipy import stats

from geco_tf import errors
from geco_tf.evaluation import two_sample


def _naive_mmd(one, other, width):
  def mean(a, b, skip_same):
    values = [
      np.exp(-np.sum((x - y) ** 2) / width)
      for i, x in enumerate(a)
      for j, y in enumerate(b)
      if not (skip_same and i == j)
    ]
    return np.mean(values)

  return (
    mean(one, one, True)
    + mean(other, other, True)
    - 2 * mean(one, other, False)
  )


def test_mmd_is_the_sum_over_pairs():
  rng = np.random.default_rng(0)
  one, other = rng.normal(size=[9, 2]), rng.normal(size=[12, 2]) + 0.5
  pooled = np.concatenate([one, other])
  distances = [
    np.sum((x - y) ** 2) for i, x in enumerate(pooled) for y in pooled[:i]
  ]
  expected = _naive_mmd(one, other, np.median(distances))
  found = two_sample.mmd(one, other, num_permutations=10)
  np.testing.assert_allclose(found.statistic, expected, atol=1e-12)


@pytest.mark.statistical
def test_mmd_p_values_are_uniform_for_equal_distributions():
  """Kolmogorov and Smirnov's test at 1e-6; fixed seeds make it repeatable."""
  rng = np.random.default_rng(1)
  p_values = [
    two_sample.mmd(
      rng.normal(size=[20, 2]), rng.normal(size=[20, 2]), num_permutations=99
    ).p_value
    for _ in range(200)
  ]
  assert stats.kstest(p_values, "uniform").pvalue > 1e-6


def test_classifier_is_right_half_of_the_time_for_equal_distributions():
  rng = np.random.default_rng(2)
  found = two_sample.classifier_test(
    rng.normal(size=[400, 3]), rng.normal(size=[300, 3])
  )
  assert found.low < 0.5 < found.high
  assert found.p_value > 1e-6


@pytest.mark.parametrize(
  "change",
  [lambda x: x + 0.8, lambda x: 2.0 * x, lambda x: x[:, :1] * [1, 1, 1]],
)
def test_both_tests_see_another_mean_scale_or_correlation(change):
  rng = np.random.default_rng(3)
  one, other = rng.normal(size=[300, 3]), change(rng.normal(size=[300, 3]))
  assert two_sample.mmd(one, other, num_permutations=199).p_value <= 0.005
  found = two_sample.classifier_test(one, other)
  assert found.p_value < 1e-4
  assert found.low > 0.5


@pytest.mark.parametrize(
  "size", [10, pytest.param(200, marks=pytest.mark.slow)]
)
def test_classifier_of_many_columns_takes_few_products(size):
  """Without the cut, 1,000 columns have 501,500 products."""
  rng = np.random.default_rng(5)
  one, other = rng.normal(size=[size, 1_000]), rng.normal(size=[size, 1_000])
  assert two_sample.classifier_test(one, other).p_value > 1e-6
  if size == 200:  # The same shift of all columns is a principal component.
    assert two_sample.classifier_test(one, other + 0.5).p_value < 1e-6


def test_interval_is_clopper_and_pearsons():
  rng = np.random.default_rng(4)
  found = two_sample.classifier_test(
    rng.normal(size=[50, 2]), rng.normal(size=[50, 2]) + 1.0
  )
  right = round(found.accuracy * 100)
  expected = stats.beta.ppf(
    [0.025, 0.975], [right, right + 1], [101 - right, 100 - right]
  )
  np.testing.assert_allclose([found.low, found.high], expected, rtol=1e-6)


@pytest.mark.parametrize("test", [two_sample.mmd, two_sample.classifier_test])
def test_error_when_samples_do_not_fit(test):
  with pytest.raises(errors.UserError, match="two points or more"):
    test(np.ones([1, 2]), np.ones([5, 2]))
  with pytest.raises(errors.UserError, match="same columns; got 2 and 3"):
    test(np.ones([5, 2]), np.ones([5, 3]))
