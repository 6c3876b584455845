# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Saving and restoring everything that a run goes on from.

A checkpoint is TensorFlow's files and, written after them, a manifest with the
size and the CRC32 of each: TensorFlow itself looks at the checksums of tensors
alone, and only of those it reads. A manifest that its files do not fit tells of
damage; no manifest, of a process killed in between, or of an older version.
"""

import contextlib
import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import workdir

_CHUNK = 1 << 24
_MANIFEST = ".manifest"


class Checkpoints:
  """The checkpoints of one run, named by step."""

  def __init__(
    self,
    directory: str,
    *,
    keep: int,
    best: Callable[[Sequence[int]], int | None] = lambda steps: None,
    **trackables: Any,
  ):
    """Builds the checkpoints; reads and writes nothing.

    Args:
      directory: where they are.
      keep: how many of the newest to keep.
      best: which of some steps to keep besides.
      **trackables: what is saved, by name.
    """
    self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
    self._directory = directory
    self._keep = keep
    self._best = best
    self._checkpoint = tf.train.Checkpoint(step=self.step, **trackables)
    # TensorFlow looks for it in what it restores; nothing counts with it.
    _ = self._checkpoint.save_counter

  def save(self, step: int) -> None:
    """Writes the state after `step` updates, and drops what is not kept.

    Raises:
      UserError: if it cannot be written; the checkpoints before are whole.
    """
    consequence = what_is_left(self._directory)
    self.step.assign(step)
    path = path_of(self._directory, step)
    try:
      with workdir.explained_writes(path, consequence):
        # Without its manifest it is not trusted while it is written anew.
        _remove(_manifest_of(path))
        self._checkpoint.write(path)
        _write_manifest(path)
        _write_list(self._directory, step)
    except errors.UserError:
      _try_to_remove_leftovers(self._directory)
      if not tf.io.gfile.exists(_manifest_of(path)):
        with contextlib.suppress(tf.errors.OpError, OSError):
          for part in _files_of(path):
            _remove(part)
      raise
    self._drop()

  def restore(self, step: int) -> int:
    """Restores the checkpoint of a step, 0 for none; returns the step.

    Raises:
      UserError: if it cannot be read, or is of another model.
    """
    if step:
      restore_or_explain(self._checkpoint, path_of(self._directory, step))
    return step

  def clean(self, newest: int) -> None:
    """Removes what a killed process left, and sets aside what is damaged.

    Args:
      newest: step of the newest intact checkpoint. Those behind it are of a
        future that is not going to happen, or is going to happen again.

    Raises:
      UserError: if they cannot be moved.
    """
    _try_to_remove_leftovers(self._directory)
    aside = os.path.join(self._directory, "damaged")
    with workdir.explained_writes(aside):
      for step in kept_steps(self._directory):
        if step > newest:
          tf.io.gfile.makedirs(aside)
          for path in _files_of(path_of(self._directory, step)):
            target = os.path.join(aside, os.path.basename(path))
            tf.io.gfile.rename(path, target, overwrite=True)

  def _drop(self) -> None:
    """Too many checkpoints are no reason to stop: the next save drops them."""
    try:
      steps = kept_steps(self._directory)
      kept = {*steps[-self._keep :], self._best(steps)}
      for step in steps:
        if step not in kept:
          for path in _files_of(path_of(self._directory, step)):
            _remove(path)
    except (tf.errors.OpError, OSError) as error:
      workdir.warn(
        f"older checkpoints in {self._directory!r} cannot be removed: "
        f"{workdir.reason(error)}."
      )


def best_step(
  steps: Iterable[int], rows: Iterable[Mapping[str, Any]]
) -> int | None:
  """The feasible step of least KL, judged by the row of metrics at it.

  Args:
    steps: of checkpoints.
    rows: of metrics.jsonl.

  Returns:
    The step; of equals the newest; None where no row says that all constraints
    hold. A checkpoint between two rows is never it.
  """
  at = {row["step"]: row for row in rows}
  feasible = [s for s in steps if s in at and _is_feasible(at[s])]
  if not feasible:
    return None
  return min(feasible, key=lambda step: (at[step]["kl"], -step))


def _is_feasible(row: Mapping[str, Any]) -> bool:
  held = [v for name, v in row.items() if name.endswith("/satisfied")]
  return bool(held) and all(v == 1.0 for v in held) and row["kl"] is not None


def path_of(directory: str, step: int) -> str:
  """The path that TensorFlow knows a checkpoint by."""
  return os.path.join(directory, f"ckpt-{step}")


def kept_steps(directory: str) -> list[int]:
  """The steps of the checkpoints in a directory, oldest first.

  Also of those that have lost a part.
  """
  steps = set()
  for name in _names(directory):
    for ending in (".index", _MANIFEST):
      number = name.removeprefix("ckpt-").removesuffix(ending)
      if name == f"ckpt-{number}{ending}" and number.isdecimal():
        steps.add(int(number))
  return sorted(steps)


def what_is_left(directory: str) -> str:
  """What a run that cannot write any more goes on from, in a sentence."""
  with workdir.explained_writes(directory):
    steps = kept_steps(directory)
  if not steps:
    return "There is no checkpoint yet."
  return (
    f"The checkpoint of step {steps[-1]} is whole: with room and permission to "
    "write, the same command goes on from there."
  )


def newest_intact(
  directory: str,
  *,
  choose: Callable[[Sequence[int]], int] = max,
  tell: Callable[[str], None] = workdir.warn,
) -> int | None:
  """The step of the newest checkpoint that is not damaged.

  Args:
    directory: of the checkpoints.
    choose: which of some steps is wanted, if not the newest.
    tell: hears of every damaged one that is passed over.

  Returns:
    The step; None where there never was a checkpoint.

  Raises:
    UserError: if there was one, and none is intact.
  """
  steps = kept_steps(directory)
  damages: list[str] = []
  while steps:
    step = choose(steps)
    steps.remove(step)
    found = damage(path_of(directory, step))
    if found is None:
      for text in damages:
        tell(f"{text}; the checkpoint of step {step} is taken instead.")
      return step
    damages.append(f"the checkpoint of step {step} is damaged: {found}")
  if damages and _was_finished(directory):
    raise errors.UserError(
      f"No checkpoint in {directory!r} can be used: {'; '.join(damages)}. Put "
      "intact copies there, or begin anew in another workdir."
    )
  if tf.io.gfile.exists(_list_of(directory)):
    raise _gone(directory)
  return None


def step_to_resume(folder: workdir.Workdir, num_steps: int) -> int:
  """The step that a run goes on from, 0 for one that begins.

  A summary of steps that are taken again goes: nobody shall take it for that of
  the weights that are there.

  Args:
    folder: of the run.
    num_steps: that it is to take.

  Raises:
    UserError: if there was a checkpoint, and none is intact.
  """
  directory, summary = folder.file("checkpoints"), folder.file("summary.json")
  step = newest_intact(directory)
  if step is None and workdir.exists(summary):
    raise _gone(directory)
  if step != num_steps:
    with workdir.explained_writes(summary):
      _remove(summary)
  return step or 0


def _gone(directory: str) -> errors.UserError:
  return errors.UserError(
    f"The checkpoints in {directory!r} are gone, and the run had some. Put "
    "copies there, or begin anew in another workdir."
  )


def _was_finished(directory: str) -> bool:
  """Whether any checkpoint ever was, and not only begun."""
  steps = kept_steps(directory)
  manifests = (_manifest_of(path_of(directory, step)) for step in steps)
  return any(map(tf.io.gfile.exists, [_list_of(directory), *manifests]))


def damage(path: str) -> str | None:
  """What is wrong with a checkpoint's files; None if nothing is."""
  name = os.path.basename(path)
  try:
    manifest = workdir.read_json(_manifest_of(path))
    if manifest is None:
      return _unreadable(path)
    for name, kept in manifest["files"].items():
      there = _measured(os.path.join(os.path.dirname(path), name))
      if there["bytes"] != kept["bytes"]:
        return f"{name} has {there['bytes']} of {kept['bytes']} bytes"
      if there != kept:
        return f"{name} has changed since it was written"
  except tf.errors.NotFoundError:
    return f"{name} is missing"
  except (errors.UserError, KeyError, TypeError, AttributeError):
    return f"{os.path.basename(_manifest_of(path))} is not what was written"
  return None


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
    raise errors.UserError(
      f"The checkpoint {path!r} cannot be read: {workdir.reason(error)}."
    ) from error
  except (AssertionError, ValueError) as error:
    if status is not None:
      status.expect_partial()  # One line says it all; TensorFlow has dozens.
    raise errors.UserError(
      f"The checkpoint {path!r} is of another model: {workdir.reason(error)}"
    ) from error


def _names(directory: str) -> list[str]:
  if not tf.io.gfile.isdir(directory):
    return []
  # Object stores end the names of folders with a slash.
  return [n.rstrip("/") for n in tf.io.gfile.listdir(directory)]


def _files_of(path: str) -> list[str]:
  """A checkpoint's files; the manifest, which tells of the others, last."""
  directory, start = os.path.dirname(path), f"{os.path.basename(path)}."
  names = [n for n in _names(directory) if n.startswith(start)]
  names.sort(key=lambda n: (n.endswith(_MANIFEST), n))
  return [os.path.join(directory, n) for n in names]


def _manifest_of(path: str) -> str:
  return f"{path}{_MANIFEST}"


def _list_of(directory: str) -> str:
  return os.path.join(directory, "checkpoint")


def _write_manifest(path: str) -> None:
  files = {os.path.basename(p): _measured(p) for p in _files_of(path)}
  workdir.write_json(_manifest_of(path), {"files": files})


def _write_list(directory: str, newest: int) -> None:
  """For `tf.train.latest_checkpoint`; and it tells that there were some."""
  name = f'"ckpt-{newest}"'
  workdir.write_text(
    _list_of(directory),
    f"model_checkpoint_path: {name}\nall_model_checkpoint_paths: {name}\n",
  )


def _measured(path: str) -> dict[str, int]:
  """Size and checksum of a file."""
  size, crc = 0, 0
  with tf.io.gfile.GFile(path, "rb") as f:
    while chunk := f.read(_CHUNK):
      size += len(chunk)
      crc = zlib.crc32(chunk, crc)
  return {"bytes": size, "crc32": crc}


def _unreadable(path: str) -> str | None:
  """Reads every tensor of a checkpoint without a manifest."""
  try:
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
    return workdir.reason(error)
  return None


def _remove(path: str) -> None:
  if tf.io.gfile.exists(path):
    tf.io.gfile.remove(path)


def _try_to_remove_leftovers(directory: str) -> None:
  """Files of checkpoints that were never finished; a full disk needs room."""
  whole = {f"ckpt-{step}" for step in kept_steps(directory)}
  for name in _names(directory):
    path = os.path.join(directory, name)
    try:
      if name.startswith("ckpt-") and tf.io.gfile.isdir(path):
        tf.io.gfile.rmtree(path)  # ckpt-N_temp
      elif name.endswith(".tmp") or (
        name.startswith("ckpt-") and name.partition(".")[0] not in whole
      ):
        tf.io.gfile.remove(path)
    except (tf.errors.OpError, OSError):
      pass
