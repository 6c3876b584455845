# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The average of the weights by hand, and its loan to the model."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf.training import weight_average


@pytest.fixture
def variables():
  return [tf.Variable([1.0, 2.0]), tf.Variable(3.0)]


def test_update_is_as_by_hand(variables):
  average = weight_average.WeightAverage(variables, 0.75)
  expected = [np.array([1.0, 2.0]), np.array(3.0)]
  for step in range(4):
    for i, variable in enumerate(variables):
      variable.assign_add((1.0 + step) * tf.ones_like(variable))
      expected[i] = 0.75 * expected[i] + 0.25 * variable.numpy()
    average.update()
    for ours, theirs in zip(average.averages, expected, strict=True):
      np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-6)


def _saved(average, folder):
  return tf.train.Checkpoint(average=average).write(str(folder / "state"))


def test_averages_are_checkpointed_and_not_trained(variables, tmp_path):
  average = weight_average.WeightAverage(variables, 0.5)
  assert len(average.averages) == 2
  assert not any(v.trainable for v in average.averages)
  keys = [n for n, _ in tf.train.list_variables(_saved(average, tmp_path))]
  assert sum("averages" in key for key in keys) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_applied_lends_the_averages_and_gives_the_weights_back(
  variables, fails
):
  average = weight_average.WeightAverage(variables, 0.5)
  for variable in variables:
    variable.assign_add(2.0 * tf.ones_like(variable))
  average.update()
  try:
    with average.applied():
      seen = [v.numpy() for v in variables]
      if fails:
        raise KeyboardInterrupt
  except KeyboardInterrupt:
    assert fails
  np.testing.assert_array_equal(seen[0], [2.0, 3.0])
  np.testing.assert_array_equal(seen[1], 4.0)
  np.testing.assert_array_equal(variables[0].numpy(), [3.0, 4.0])
  np.testing.assert_array_equal(variables[1].numpy(), 5.0)
  np.testing.assert_array_equal(average.averages[0].numpy(), [2.0, 3.0])
