# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints survive a lost list of them, and say when they are damaged."""

import pathlib

import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import checkpoints


def _saved(directory):
  value = tf.Variable(1.0)
  manager = checkpoints.Checkpoints(str(directory), keep=3, value=value)
  for step in (80, 120):
    value.assign(step)
    manager.save(step)


def _restored(directory):
  value = tf.Variable(0.0)
  manager = checkpoints.Checkpoints(str(directory), keep=3, value=value)
  return manager.restore(), float(value.numpy())


def test_newest_is_found_without_the_list(tmp_path):
  _saved(tmp_path)
  (tmp_path / "checkpoint").unlink()
  assert _restored(tmp_path) == (120, 120.0)


def test_truncated_checkpoint_is_named(tmp_path):
  _saved(tmp_path)
  (data,) = pathlib.Path(tmp_path).glob("ckpt-120.data*")
  data.write_bytes(data.read_bytes()[:2])
  with pytest.raises(errors.UserError, match="ckpt-120' cannot be read"):
    _restored(tmp_path)
