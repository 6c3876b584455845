# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Devices by name, and more than one run in a process."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.training import strategies


def test_one_has_one_replica_and_mirrored_has_all_cpus():
  assert strategies.make("one").num_replicas_in_sync == 1
  mirrored = strategies.make("mirrored", virtual_devices=2)
  assert mirrored.num_replicas_in_sync == 2


def test_devices_that_come_too_late_are_refused():
  with pytest.raises(
    errors.UserError, match="runs with 2 and 3 were asked for"
  ):
    strategies.make("mirrored", virtual_devices=3)


def test_second_strategy_of_a_process_reduces_other_shapes():
  """A notebook trains twice: collectives must not take up the first's."""
  for size in (3, 5):
    strategy = strategies.make("mirrored")

    def replica_fn(value):
      replicas = tf.distribute.get_replica_context()
      return replicas.all_reduce(tf.distribute.ReduceOp.SUM, 2.0 * value)

    @tf.function
    def reduce(value, strategy=strategy, replica_fn=replica_fn):
      results = strategy.run(replica_fn, args=(value,))
      return strategy.experimental_local_results(results)

    for result in reduce(tf.ones([size])):
      np.testing.assert_array_equal(result, 4.0 * np.ones(size))
