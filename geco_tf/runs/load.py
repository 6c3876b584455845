# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Getting a trained model back."""

import os

import sonnet as snt
import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import build, checkpoints
from geco_tf.runs.workdir import Workdir


def load(workdir: str) -> snt.Module:
  """The model that a run left behind, with its newest weights.

  Args:
    workdir: the run's folder.

  Returns:
    The model; where the run kept an average of the weights, with the average.

  Raises:
    UserError: if there is no run, no checkpoint, or it is of another model.
  """
  folder = Workdir(workdir)
  config = folder.read_config()
  directory = folder.file("checkpoints")
  path = tf.train.latest_checkpoint(directory)
  if path is None:
    raise errors.UserError(
      f"`workdir` must hold a checkpoint; {os.fspath(workdir)!r} has none yet."
    )
  model = build.build_model(
    config, folder.read_image_shape(), folder.read_context_shape()
  )
  if config.weight_average is None:
    kept = tf.train.Checkpoint(model=model)
  else:
    average = tf.train.Checkpoint(averages=list(model.trainable_variables))
    kept = tf.train.Checkpoint(weight_average=average)
  checkpoints.restore_or_explain(kept, path, partial=True)
  return model
