# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Parts of a long measurement, kept so that a killed one goes on."""

import io
import json
import os
import time
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import workdir

Arrays = dict[str, np.ndarray]


def tenths(name: str, say: Callable[[str], None]) -> Callable[[int, int], None]:
  """A function of how much of how much is done, which says so at each tenth."""
  told, start = [0], time.monotonic()

  def tell(done: int, total: int) -> None:
    if 10 * done // total > told[0]:
      told[0] = 10 * done // total
      say(f"{name}: {10 * told[0]} %, {time.monotonic() - start:.0f} s")

  return tell


class Pieces:
  """Named arrays that were computed under the same settings.

  A piece stands on disk whole or not at all, so that a measurement which is
  killed and started again is the one left alone, bit for bit.
  """

  def __init__(self, path: str | None, settings: Mapping[str, Any]):
    """Opens the folder; pieces made under other settings are removed.

    Args:
      path: any `tf.io.gfile` path; None keeps nothing.
      settings: all that decides a number, as JSON can hold it.

    Raises:
      UserError: if the folder holds files that are no pieces, or cannot be
        written.
    """
    self._path = path
    if path is None:
      return
    # As JSON gives them back: a tuple has become a list.
    wanted = json.loads(json.dumps(dict(settings)))
    record = os.path.join(path, "settings.json")
    with workdir.explained_writes(path):
      tf.io.gfile.makedirs(path)
      if workdir.read_json(record) != wanted:
        _empty(path)
        workdir.write_json(record, wanted)

  def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
    """What compute returned, now or before it was stopped."""
    if self._path is None:
      return compute()
    path = os.path.join(self._path, f"{name}.npz")
    found = _read(path)
    if found is None:
      found = compute()
      write_arrays(path, found)
    return found


def _empty(path: str) -> None:
  """Removes the pieces of other settings, and nothing else."""
  names = tf.io.gfile.listdir(path)
  pieces = [n for n in names if n.endswith((".npz", ".npz.tmp"))]
  others = set(names) - {*pieces, "settings.json", "settings.json.tmp"}
  if others or (pieces and "settings.json" not in names):
    raise errors.UserError(
      f"`folder` must be empty or of pieces; {path!r} holds other files, as "
      f"{min(others or pieces)!r}."
    )
  for name in pieces:
    tf.io.gfile.remove(os.path.join(path, name))


def _read(path: str) -> Arrays | None:
  """The arrays of a piece; None if it is missing or damaged."""
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path, "rb") as file:
    content = io.BytesIO(file.read())
  try:
    arrays = np.load(content)
    return {key: arrays[key] for key in arrays.files}
  except (zipfile.BadZipFile, EOFError, ValueError):
    return None


def write_arrays(path: str, arrays: Arrays) -> None:
  """Writes an .npz file whole or not at all.

  Raises:
    UserError: if it cannot be written.
  """
  content = io.BytesIO()
  named: dict[str, Any] = dict(arrays)
  np.savez(content, **named)
  with workdir.explained_writes(path):
    workdir.write_bytes(path, content.getvalue())
