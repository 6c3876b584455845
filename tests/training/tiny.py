# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The smallest run that has every part, and how two runs are compared."""

import numpy as np
import tensorflow as tf

from geco_tf import runs

NUM_STEPS = 40


def config(**changes) -> runs.Config:
  """A run of seconds, most of which is tracing."""
  return runs.Config(
    dataset="digits",
    posterior="mean_field",
    latent_size=4,
    channels=4,
    hidden_size=16,
    coupling_width=8,
    num_couplings=2,
    num_steps=NUM_STEPS,
    log_every=10,
    evaluate_every=20,
    checkpoint_every=10,
    steps_per_call=7,
    kappa=0.2,
  ).replace(**changes)


def checkpointed(workdir) -> dict[str, np.ndarray]:
  """All that the newest checkpoint of a run holds, by key."""
  path = tf.train.latest_checkpoint(str(workdir / "checkpoints"))
  reader = tf.train.load_checkpoint(path)
  return {
    key: np.asarray(reader.get_tensor(key))
    for key in reader.get_variable_to_shape_map()
    if key != "_CHECKPOINTABLE_OBJECT_GRAPH"
  }


def without_timings(rows):
  """Rows of metrics, but for what a clock decides."""
  return [
    {k: v for k, v in row.items() if k != "steps_per_second"} for row in rows
  ]


def assert_same_run(one, other):
  """Bit for bit: every checkpointed value and every row of metrics."""
  there, here = checkpointed(one), checkpointed(other)
  assert there.keys() == here.keys()
  assert any("optimizer" in key for key in there)
  assert any("window" in key for key in there)
  for key, value in there.items():
    np.testing.assert_array_equal(value, here[key], err_msg=key)
  rows = [runs.Workdir(str(w)).read_metrics() for w in (one, other)]
  assert [r["step"] for r in rows[0]] == [10, 20, 30, 40]
  assert without_timings(rows[0]) == without_timings(rows[1])
