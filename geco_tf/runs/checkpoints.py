# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Saving and restoring everything that a run goes on from."""

import os
from typing import Any

import tensorflow as tf

from geco_tf import errors


class Checkpoints:
  """The checkpoints of one run, named by step."""

  def __init__(self, directory: str, *, keep: int, **trackables: Any):
    """Args: directory; keep: how many; trackables: what is saved, by name."""
    self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
    self._checkpoint = tf.train.Checkpoint(step=self.step, **trackables)
    self._manager = tf.train.CheckpointManager(
      self._checkpoint, directory, max_to_keep=keep
    )

  @property
  def latest(self) -> str | None:
    """Path of the newest complete checkpoint."""
    return self._manager.latest_checkpoint or _newest(self._manager.directory)

  def save(self, step: int) -> None:
    """Writes the state after `step` updates."""
    self.step.assign(step)
    self._manager.save(checkpoint_number=step)

  def restore(self) -> int:
    """Restores the newest checkpoint and returns its step; 0 without one.

    Raises:
      UserError: if the checkpoint is of another model.
    """
    if self.latest is None:
      return 0
    restore_or_explain(self._checkpoint, self.latest)
    return int(self.step.numpy())


def _newest(directory: str) -> str | None:
  """The newest checkpoint by its name, where the list of them was lost."""
  paths = tf.io.gfile.glob(os.path.join(directory, "ckpt-*.index"))
  paths = [path.removesuffix(".index") for path in paths]
  return max(paths, key=lambda p: int(p.rpartition("-")[2]), default=None)


def restore_or_explain(
  checkpoint: tf.train.Checkpoint, path: str, *, partial: bool = False
) -> None:
  """Restores path into checkpoint.

  Args:
    checkpoint: of objects whose variables exist.
    path: of a checkpoint.
    partial: whether the file may hold more than is asked for.

  Raises:
    UserError: if it does not hold these variables in these shapes.
  """
  status = None
  try:
    status = checkpoint.restore(path)
    if partial:
      status.assert_existing_objects_matched()
      status.expect_partial()
    else:
      status.assert_consumed()
  except (tf.errors.OpError, IndexError) as error:
    reason = " ".join(str(error).split())[:200]
    raise errors.UserError(
      f"The checkpoint {path!r} cannot be read: {reason} Remove its files to "
      "go on from the one before."
    ) from error
  except (AssertionError, ValueError) as error:
    if status is not None:
      status.expect_partial()  # One line says it all; TensorFlow has dozens.
    reason = " ".join(str(error).split())[:200]
    raise errors.UserError(
      f"The checkpoint {path!r} is of another model: {reason}"
    ) from error
