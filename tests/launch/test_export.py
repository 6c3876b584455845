# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/runs/test_export.py measures."""

import subprocess
import sys

from geco_tf import runs
from geco_tf.runs import build, checkpoints
from tests.training import tiny


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "launch.export", *arguments],
    capture_output=True,
    text=True,
    check=False,
  )


def test_unfinished_run_is_one_line_and_status_2_unless_allowed(tmp_path):
  config = tiny.config()
  folder = runs.Workdir(str(tmp_path / "run"))
  folder.create()
  folder.claim(config, (8, 8, 1))
  checkpoints.Checkpoints(
    folder.file("checkpoints"),
    keep=1,
    model=build.build_model(config, (8, 8, 1)),
  ).save(10)
  result = _run(f"--workdir={folder.path}")
  assert result.returncode == 2
  assert "is at step 10 of 40 steps" in result.stderr.strip().splitlines()[-1]
  assert "Traceback" not in result.stderr
  result = _run(f"--workdir={folder.path}", "--allow_unfinished")
  assert result.returncode == 0, result.stderr
  assert "encode, decode, reconstruct, sample" in result.stdout
  assert (tmp_path / "run" / "export" / "model_card.md").exists()
