# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command: one item from what is kept, and the list."""

import os
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[2]


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "launch.reproduce", *arguments],
    capture_output=True,
    check=False,
    cwd=_ROOT,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    text=True,
  )


def test_figure_is_drawn_from_the_kept_results(tmp_path):
  done = _run(
    "--item=figure3", "--dataset=mnist", "--nomay_train", f"--outdir={tmp_path}"
  )
  assert done.returncode == 0, done.stderr
  assert "| ConvDraw, MNIST | GECO | 0.1 |" in done.stdout
  assert (tmp_path / "figure3_laptop" / "figure3.png").is_file()


def test_item_without_its_data_is_one_line_and_status_2(tmp_path):
  done = _run("--item=table2", "--dataset=svhn", f"--outdir={tmp_path}")
  assert done.returncode == 2
  assert "`dataset` must be of this item (cifar10, mnist)" in done.stderr
  assert "Traceback" not in done.stderr
