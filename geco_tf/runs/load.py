# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Getting a trained model back."""

import os
import zlib

import sonnet as snt
import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import build, checkpoints
from geco_tf.runs.workdir import Workdir


def load(workdir: str, *, step: int | None = None) -> snt.Module:
  """The model that a run left behind.

  Args:
    workdir: the run's folder.
    step: of the checkpoint; None is the newest that is not damaged.

  Returns:
    The model; where the run kept an average of the weights, with the average.

  Raises:
    UserError: if there is no run, no checkpoint, or it is of another model.
  """
  folder = Workdir(workdir)
  config = folder.read_config()
  directory = folder.file("checkpoints")
  if step is None:
    step = checkpoints.newest_intact(directory)
  else:
    _check_step(directory, step)
  if step is None:
    raise errors.UserError(
      f"`workdir` must hold a checkpoint; {os.fspath(workdir)!r} has none yet."
    )
  model = build.build_model(
    config, folder.read_image_shape(), folder.read_context_shape()
  )
  parts = [tf.train.Checkpoint(model=model)]
  if config.weight_average is not None:
    # Over the weights; what is not trained has no average.
    average = tf.train.Checkpoint(averages=list(model.trainable_variables))
    parts.append(tf.train.Checkpoint(weight_average=average))
  path = checkpoints.path_of(directory, step)
  for part in parts:
    checkpoints.restore_or_explain(part, path, partial=True)
  return model


def weights_crc32(model: snt.Module) -> int:
  """Tells the weights of one training from those of another."""
  crc = 0
  for variable in model.variables:
    crc = zlib.crc32(variable.numpy().tobytes(), crc)
  return crc


def kept_steps(workdir: str) -> list[int]:
  """The steps of a run's checkpoints, oldest first."""
  return checkpoints.kept_steps(Workdir(workdir).file("checkpoints"))


def _check_step(directory: str, step: int) -> None:
  steps = checkpoints.kept_steps(directory)
  if step not in steps:
    one = f"one of {', '.join(map(str, steps))}" if steps else "None"
    raise errors.UserError(f"`step` (--checkpoint) must be {one}; got {step}.")
  found = checkpoints.damage(checkpoints.path_of(directory, step))
  if found is not None:
    raise errors.UserError(
      f"The checkpoint of step {step} in {directory!r} is damaged: {found}."
    )
