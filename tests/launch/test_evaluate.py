# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/evaluation/test_evaluate.py measures."""

import subprocess
import sys

from geco_tf import training
from tests.training import tiny


def test_finished_run_is_measured(tmp_path):
  training.train(
    tiny.config(num_steps=10, checkpoint_every=10), workdir=str(tmp_path)
  )
  result = subprocess.run(
    [
      sys.executable, "-m", "launch.evaluate", f"--workdir={tmp_path}",
      "--part=likelihood", "--num_examples=20",
    ],
    capture_output=True, text=True, check=False,
  )  # fmt: skip
  assert result.returncode == 0, result.stderr
  assert "digits, checkpoint of step 10" in result.stdout
  assert (tmp_path / "evaluation.json").is_file()


def test_mistake_is_one_line_and_status_2(tmp_path):
  result = subprocess.run(
    [sys.executable, "-m", "launch.evaluate", f"--workdir={tmp_path}"],
    capture_output=True,
    text=True,
    check=False,
  )
  assert result.returncode == 2
  assert "must hold a run" in result.stderr.strip().splitlines()[-1]
  assert "Traceback" not in result.stderr
