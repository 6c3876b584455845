# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Parts of a long measurement, kept so that a killed one goes on."""

import io
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf.runs import workdir

Arrays = dict[str, np.ndarray]


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
    """
    self._path = path
    if path is None:
      return
    # As JSON gives them back: a tuple has become a list.
    wanted = json.loads(json.dumps(dict(settings)))
    record = os.path.join(path, "settings.json")
    if tf.io.gfile.exists(path) and workdir.read_json(record) != wanted:
      tf.io.gfile.rmtree(path)
    tf.io.gfile.makedirs(path)
    workdir.write_json(record, wanted)

  def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
    """What compute returned, now or before it was stopped."""
    if self._path is None:
      return compute()
    path = os.path.join(self._path, f"{name}.npz")
    if not tf.io.gfile.exists(path):
      write_arrays(path, compute())
    with tf.io.gfile.GFile(path, "rb") as file:
      arrays = np.load(io.BytesIO(file.read()))
      return {key: arrays[key] for key in arrays.files}


def write_arrays(path: str, arrays: Arrays) -> None:
  """Writes an .npz file whole or not at all."""
  content = io.BytesIO()
  named: dict[str, Any] = dict(arrays)
  np.savez(content, **named)
  temporary = f"{path}.tmp"
  with tf.io.gfile.GFile(temporary, "wb") as file:
    file.write(content.getvalue())
  tf.io.gfile.rename(temporary, path, overwrite=True)
