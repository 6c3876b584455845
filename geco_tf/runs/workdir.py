# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run's folder: what stands where, on any `tf.io.gfile` path."""

import contextlib
import importlib.metadata
import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf

from geco_tf import errors, version
from geco_tf.runs.config import Config

# Settings that a run may go on with changed: where it runs, what is kept. On
# other devices sums are rounded otherwise; nothing else of these changes a
# number.
FREE = frozenset(
  {
    "checkpoint_every", "data_dir", "keep_checkpoints", "max_nonfinite_steps",
    "steps_per_call", "strategy", "tpu", "virtual_devices",
  }
)  # fmt: skip
# The least that a file with any content takes on most disks.
_BLOCK = 4096
_PACKAGES = ("tensorflow", "tensorflow-probability", "dm-sonnet", "keras")


class Workdir:
  """The files of one run.

  config.json     the resolved settings and the versions of the software
  checkpoints/    weights, optimizer, multipliers, position
  metrics.jsonl   one row per `log_every` steps
  tensorboard/    the same, and pictures
  figures/        *.png and *.svg
  summary.json    the measurements at the end
  lease.json      who is writing here, while somebody is
  nonfinite/      the step that a run was stopped at, see launch.replay
  """

  def __init__(self, path: str):
    """Args: path: of the folder; need not exist yet."""
    self.path = os.fspath(path)
    if not self.path:
      raise errors.UserError("`workdir` must be a path; got an empty one.")

  def file(self, *names: str) -> str:
    return os.path.join(self.path, *names)

  def create(self) -> None:
    """Makes the folder.

    Raises:
      UserError: if nothing can be written there.
    """
    probe = self.file(".writable")
    try:
      tf.io.gfile.makedirs(self.path)
      # An empty file finds room on a full disk.
      write_bytes(probe, bytes(_BLOCK))
      tf.io.gfile.remove(probe)
    except (tf.errors.OpError, OSError) as error:
      raise errors.UserError(
        f"`workdir` must be a folder that can be written; {self.path!r} "
        f"cannot: {reason(error)}"
      ) from error

  def claim(
    self,
    config: Config,
    image_shape: Sequence[int],
    data: Mapping[str, Any] | None = None,
    *,
    context_shape: Sequence[int] | None = None,
  ) -> None:
    """Writes config.json, or checks that this run's stands there already.

    Args:
      config: of the run.
      image_shape: (H, W, C) of the data that it found.
      data: what else tells these data from others, as JSON has it.
      context_shape: (K, H, W, C), where the images have a context.

    Raises:
      UserError: if the folder holds a run with another config; says what
        differs.
    """
    if not tf.io.gfile.exists(self.file("config.json")):
      stray = self.file("checkpoints")
      if tf.io.gfile.exists(stray):
        raise errors.UserError(
          f"`workdir` {self.path!r} holds checkpoints but no config.json; "
          "choose another, or remove it."
        )
      content = {
        "config": config.to_json(),
        "image_shape": list(image_shape),
        "context_shape": context_shape and list(context_shape),
        "data": dict(data or {}),
        "versions": versions(),
      }
      with explained_writes(self.path):
        write_json(self.file("config.json"), content)
      return
    differences = _differences(self.read_config(), config)
    if self.read_image_shape() != tuple(image_shape):
      differences.append(
        f"images are {self.read_image_shape()} there and {tuple(image_shape)} "
        "here"
      )
    there = read_json(self.file("config.json")).get("data") or {}
    differences += [
      f"the data's {name} is {there[name]} there and {value} here"
      for name, value in (data or {}).items()
      if there.get(name, value) != value
    ]
    if differences:
      raise errors.UserError(
        f"`workdir` {self.path!r} holds a run with another config: "
        f"{'; '.join(differences)}. Choose another workdir, or remove it."
      )

  def read_config(self) -> Config:
    """The config of the run in this folder.

    Raises:
      UserError: if there is none, or it cannot be read.
    """
    return Config.from_json(self._read_run("config"))

  def read_image_shape(self) -> tuple[int, ...]:
    """(H, W, C) of the images the run was made for.

    Raises:
      UserError: as `read_config`.
    """
    return tuple(self._read_run("image_shape"))

  def read_context_shape(self) -> tuple[int, ...] | None:
    """(K, H, W, C) of the context images; None for an unconditional run."""
    shape = self._read_content().get("context_shape")
    return None if shape is None else tuple(shape)

  def _read_run(self, key: str) -> Any:
    path, content = self.file("config.json"), self._read_content()
    if not content.get(key):
      raise errors.UserError(f"{path!r} is no run's config: it has no {key!r}.")
    return content[key]

  def _read_content(self) -> dict[str, Any]:
    path = self.file("config.json")
    content = read_json(path)
    if content is None:
      raise errors.UserError(
        f"`workdir` must hold a run; {self.path!r} has no config.json."
      )
    return content if isinstance(content, dict) else {}

  def read_metrics(self) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, oldest first.

    A damaged line is left out, and warned of unless it is the last one: that
    one a killed process may have torn.
    """
    path = self.file("metrics.jsonl")
    if not tf.io.gfile.exists(path):
      return []
    with tf.io.gfile.GFile(path, "rb") as f:
      lines = f.read().splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
      if (row := _row(line)) is not None:
        rows.append(row)
      elif number < len(lines):
        warn(f"line {number} of {path!r} is damaged and left out.")
    return rows

  def write_metrics(self, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replaces metrics.jsonl: object stores cannot append."""
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_text(self.file("metrics.jsonl"), lines)

  def read_summary(self) -> dict[str, Any] | None:
    """What was measured at the end; None where the run has not ended."""
    try:
      return read_json(self.file("summary.json"))
    except errors.UserError as error:
      raise errors.UserError(
        f"{error} Remove it, and the command that trains measures again."
      ) from error

  def write_summary(self, summary: Mapping[str, Any]) -> None:
    write_json(self.file("summary.json"), summary)


def _row(line: bytes) -> dict[str, Any] | None:
  """A line of metrics.jsonl; None if it is not what was written."""
  try:
    row = json.loads(line)
  except ValueError:  # Not JSON, or not even text.
    return None
  return row if isinstance(row, dict) and "step" in row else None


def warn(text: str) -> None:
  """Tells the user of what went wrong and was helped."""
  print(f"warning: {text}", file=sys.stderr, flush=True)


def write_text(path: str, text: str) -> None:
  """Writes a file whole or not at all."""
  write_bytes(path, text.encode())


def write_bytes(path: str, content: bytes) -> None:
  """Writes a file whole or not at all."""
  temporary = f"{path}.tmp"
  try:
    with tf.io.gfile.GFile(temporary, "wb") as f:
      f.write(content)
    tf.io.gfile.rename(temporary, path, overwrite=True)
  except BaseException:
    with contextlib.suppress(tf.errors.OpError, OSError):
      tf.io.gfile.remove(temporary)
    raise


@contextlib.contextmanager
def explained_writes(path: str, consequence: str = "") -> Iterator[None]:
  """What cannot be written inside is a UserError that says why.

  Args:
    path: of what is written.
    consequence: a sentence on what that means for the user.
  """
  try:
    yield
  except (tf.errors.OpError, OSError) as error:
    raise errors.UserError(
      f"{path!r} cannot be written: {reason(error)}. {consequence}".strip()
    ) from error


def reason(error: BaseException) -> str:
  """What TensorFlow or the system says of a file, in a short line."""
  text = getattr(error, "message", None) or str(error)
  if isinstance(error, tf.errors.OpError):
    # {{node ...}} /a/long/path; No space left on device [Op:SaveV2]
    text = re.sub(r"\{\{.*?\}\}|\[Op:\w+\]", "", text).strip()
    # What follows on lines of their own is who noticed it.
    text = text.partition("\n")[0].rpartition("; ")[2]
  return errors.in_short(text)


def write_json(path: str, content: Any) -> None:
  """Writes JSON that a person can read."""
  write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def last_name(path: str) -> str:
  """The last part of a path: what a run's folder is called."""
  return os.path.basename(os.fspath(path).rstrip("/"))


def exists(path: str) -> bool:
  """Whether there is such a file."""
  return bool(tf.io.gfile.exists(path))


def read_json(path: str) -> Any:
  """The content of a JSON file; None where there is no file.

  Raises:
    UserError: if the file is not JSON.
  """
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path) as f:
    try:
      return json.load(f)
    except ValueError as error:  # Not JSON, or not even text.
      raise errors.UserError(f"{path!r} is not JSON: {error}.") from error


def _differences(there: Config, here: Config) -> list[str]:
  old, new = there.to_json(), here.to_json()
  return [
    f"{name} is {old[name]} there and {new[name]} here"
    for name in old
    if old[name] != new[name] and name not in FREE
  ]


def versions() -> dict[str, str]:
  """Of this package and of what decides its numbers."""
  found = {
    "geco_tf": version.__version__,
    "python": platform.python_version(),
  }
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      # TensorFlow's wheel has another name on TPUs.
      found[package] = "not found by this name"
  return found
