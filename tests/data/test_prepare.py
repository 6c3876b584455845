# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Preparing a data set from files, without the internet."""

import gzip
import subprocess
import sys

import numpy as np
import pytest

from geco_tf import data, errors
from geco_tf.data import prepare

_FILES = (
  "t10k-images-idx3-ubyte.gz",
  "t10k-labels-idx1-ubyte.gz",
  "train-images-idx3-ubyte.gz",
  "train-labels-idx1-ubyte.gz",
)


def test_unknown_data_set_is_named(tmp_path):
  with pytest.raises(
    errors.UserError, match=r"'mnits'; did you mean .*'mnist'"
  ):
    prepare.prepare("mnits", from_dir=str(tmp_path), data_dir=str(tmp_path))


@pytest.mark.parametrize(
  ("name", "wanted"),
  [
    ("mnist", "t10k-images-idx3-ubyte.gz"),
    ("fashion_mnist", "train-labels-idx1-ubyte.gz"),
    ("cifar10", "cifar-10-binary.tar.gz"),
    ("celeb_a", "img_align_celeba.zip"),
  ],
)
def test_missing_files_are_named(tmp_path, name, wanted):
  with pytest.raises(
    errors.UserError, match=rf"must hold .*{wanted}.* lacks .*{wanted}"
  ):
    prepare.prepare(name, from_dir=str(tmp_path), data_dir=str(tmp_path))


def test_only_what_is_missing_is_called_missing(tmp_path):
  for name in _FILES[1:]:
    (tmp_path / name).write_bytes(b"")
  with pytest.raises(errors.UserError, match=rf"lacks {_FILES[0]}\.$"):
    prepare.prepare("mnist", from_dir=str(tmp_path), data_dir=str(tmp_path))


def test_missing_folder_is_named(tmp_path):
  with pytest.raises(errors.UserError, match="none is not a folder"):
    prepare.prepare(
      "mnist", from_dir=str(tmp_path / "none"), data_dir=str(tmp_path)
    )


def test_other_content_is_refused_before_anything_is_written(tmp_path):
  from_dir, data_dir = tmp_path / "files", tmp_path / "data"
  from_dir.mkdir()
  for name in _FILES:
    (from_dir / name).write_bytes(b"not the digits")
  with pytest.raises(
    errors.UserError,
    match=(
      r"ubyte\.gz is not the published file: its SHA-256 must be [0-9a-f]{64} "
      r"\([0-9,]+ bytes\); got [0-9a-f]{64} \(14 bytes\)"
    ),
  ):
    prepare.prepare("mnist", from_dir=str(from_dir), data_dir=str(data_dir))
  assert not data_dir.exists()


def _read_idx(path, offset):
  with gzip.open(path) as file:
    return np.frombuffer(file.read(), np.uint8, offset=offset)


def _sorted_rows(images, labels):
  rows = np.column_stack([images.reshape(len(labels), -1), labels])
  return rows[np.lexsort(rows.T)].astype(np.uint8)


def test_mnist_is_prepared_from_the_published_files(real_data_dir, tmp_path):
  """By the command that users run; the content is that of the files."""
  from_dir = real_data_dir / "mnist"
  if not from_dir.is_dir():
    pytest.skip(f"real data: {from_dir} is missing")
  before = {path: path.stat().st_mtime_ns for path in from_dir.iterdir()}
  result = subprocess.run(
    [
      sys.executable,
      "-m",
      "launch.prepare_data",
      "--dataset=mnist",
      f"--from_dir={from_dir}",
      f"--data_dir={tmp_path}",
    ],
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 0, result.stderr
  assert "Prepared 'mnist' (60,000 train, 10,000 test)" in result.stdout
  assert before == {p: p.stat().st_mtime_ns for p in from_dir.iterdir()}

  source = data.load("mnist", data_dir=str(tmp_path), download=False)
  for split, prefix in ((source.train, "train"), (source.test, "t10k")):
    images = _read_idx(from_dir / f"{prefix}-images-idx3-ubyte.gz", 16)
    labels = _read_idx(from_dir / f"{prefix}-labels-idx1-ubyte.gz", 8)
    np.testing.assert_array_equal(
      _sorted_rows(split.images, split.labels), _sorted_rows(images, labels)
    )
  again = prepare.prepare(
    "mnist", from_dir=str(from_dir), data_dir=str(tmp_path)
  )
  assert "is prepared already" in again
