# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Devices by name, and more than one run in a process."""

import json

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


def _tf_config(cluster=None, task=None):
  cluster = {"worker": ["a:1", "b:2"]} if cluster is None else cluster
  task = {"type": "worker", "index": 0} if task is None else task
  return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize(
  "text",
  [
    _tf_config(),
    _tf_config(
      {"chief": ["[::1]:80"], "worker": ["b:2"]}, {"type": "chief", "index": 0}
    ),
  ],
)
def test_tf_config_of_a_job_is_taken(text):
  assert strategies.check_tf_config(text) == text


@pytest.mark.parametrize(
  ("text", "message"),
  [
    (None, "needs the environment variable TF_CONFIG on every worker"),
    ("", "it is not set"),
    ('{"cluster": ', "got '{\"cluster\": '."),
    ('{"cluster": ', "`TF_CONFIG` must be JSON, as "),
    ("[]", "must be a record; got []"),
    (
      '{"task": {}}',
      'must have "cluster", addresses by kind of task; got None',
    ),
    (_tf_config({"ps": ["a:1"]}), "chief and worker alone; got 'ps'"),
    (_tf_config({"worker": []}), "a list of HOST:PORT for 'worker'; got []"),
    (_tf_config({"worker": ["a"]}), "HOST:PORT for 'worker'; got ['a']"),
    (_tf_config({"worker": ["a:65536"]}), "'worker'; got ['a:65536']"),
    (_tf_config({"worker": ["a:0"]}), "HOST:PORT for 'worker'; got ['a:0']"),
    (_tf_config({"worker": ["a:1", "a:1"]}), "every address once; got 'a:1'"),
    (
      _tf_config({"chief": ["a:1"], "worker": ["a:1"]}),
      "every address once; got 'a:1'",
    ),
    (_tf_config({"chief": ["a:1", "b:1"]}), "must have one chief"),
    (_tf_config(task={}), 'must have "task", with a "type" out of'),
    (_tf_config(task={"type": "chief", "index": 0}), "out of ['worker']"),
    (_tf_config(task={"type": "worker"}), 'whole number "index"; got None'),
    (_tf_config(task={"type": "worker", "index": "1"}), "\"index\"; got '1'"),
    (
      _tf_config(task={"type": "worker", "index": 2}),
      "a task \"index\" below the 2 of 'worker'; got 2",
    ),
    (_tf_config(task={"type": "worker", "index": -1}), "got -1"),
  ],
)
def test_mistake_in_tf_config_is_named(text, message, monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)
  if text is not None:
    monkeypatch.setenv("TF_CONFIG", text)
  with pytest.raises(errors.UserError) as raised:
    strategies.make("multi_worker")
  assert message in str(raised.value)
  assert "\n" not in str(raised.value)


def test_job_that_comes_too_late_is_refused(monkeypatch):
  """Devices of several workers are fixed before the first operation."""
  tf.constant(1.0)
  monkeypatch.setenv("TF_CONFIG", _tf_config())
  with pytest.raises(errors.UserError, match="before TensorFlow runs anything"):
    strategies.make("multi_worker")


def test_port_that_is_taken_is_told_in_one_line(monkeypatch):
  def fail():
    raise tf.errors.UnknownError(None, None, "Could not start\ngRPC server")

  monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", fail)
  task = {"type": "worker", "index": 1}
  monkeypatch.setenv("TF_CONFIG", _tf_config(task=task))
  with pytest.raises(errors.LostWorker) as raised:
    strategies.make("multi_worker")
  assert "this worker, b:2 in TF_CONFIG" in str(raised.value)
  assert "Could not start gRPC server" in str(raised.value)


def test_machine_without_a_tpu_is_told_in_one_line():
  with pytest.raises(errors.UserError) as raised:
    strategies.make("tpu", tpu="local")
  assert "`strategy` tpu needs a TPU; 'local' is none" in str(raised.value)
  assert "\n" not in str(raised.value)


def test_one_process_is_its_own_chief():
  for name in ("one", "mirrored"):
    workers = strategies.Workers(strategies.make(name))
    assert (workers.count, workers.is_chief) == (1, True)
    assert workers.from_chief(7) == 7
    assert workers.any(True) and not workers.any(False)
