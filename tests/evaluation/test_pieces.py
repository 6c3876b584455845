# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pieces are made once, again where damaged, and nobody else's are removed."""

import numpy as np
import pytest

from geco_tf import errors
from geco_tf.evaluation import pieces


def _arrays(value):
  return lambda: {"value": np.full(3, value)}


def _get(folder, value, **settings):
  kept = pieces.Pieces(str(folder), settings)
  return kept.get("one", _arrays(value))["value"].tolist()


def test_piece_is_made_once_and_again_under_other_settings(tmp_path):
  assert _get(tmp_path, 1.0, seed=(0,)) == [1.0] * 3
  assert _get(tmp_path, 2.0, seed=(0,)) == [1.0] * 3
  assert _get(tmp_path, 2.0, seed=(1,)) == [2.0] * 3


@pytest.mark.parametrize("num_bytes", [0, 10, 200])
def test_damaged_piece_is_made_again(tmp_path, num_bytes):
  _get(tmp_path, 1.0)
  file = tmp_path / "one.npz"
  file.write_bytes(file.read_bytes()[:num_bytes])
  assert _get(tmp_path, 2.0) == [2.0] * 3
  assert _get(tmp_path, 3.0) == [2.0] * 3


@pytest.mark.parametrize("name", ["thesis.tex", "data.npz"])
def test_folder_of_other_files_is_refused_and_left_alone(tmp_path, name):
  (tmp_path / name).write_text("mine")
  with pytest.raises(errors.UserError, match=f"holds other files, as '{name}'"):
    pieces.Pieces(str(tmp_path), {"seed": 0})
  assert [f.name for f in tmp_path.iterdir()] == [name]


def test_file_beside_pieces_of_other_settings_is_not_removed(tmp_path):
  _get(tmp_path, 1.0, seed=0)
  (tmp_path / "notes").mkdir()
  with pytest.raises(errors.UserError, match="holds other files, as 'notes"):
    _get(tmp_path, 2.0, seed=1)
  assert (tmp_path / "notes").is_dir() and (tmp_path / "one.npz").is_file()


def test_folder_that_cannot_be_written_is_one_line(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UserError, match="cannot be written: ") as told:
    pieces.Pieces(str(tmp_path / "file" / "folder"), {})
  assert "\n" not in str(told.value)
