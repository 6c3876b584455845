# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training a judge and judging, as users type it."""

import json
import os
import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[2]


def _run(command, *arguments):
  # A process of its own: commands share the names of their flags.
  done = subprocess.run(
    [sys.executable, "-m", f"launch.{command}", *arguments],
    capture_output=True,
    text=True,
    cwd=_ROOT,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
  )
  return done.returncode, done.stdout, done.stderr


def test_command_trains_and_prints_the_test_accuracy(tmp_path):
  status, out, err = _run(
    "train_classifier",
    f"--workdir={tmp_path}",
    "--num_steps=2",
    "--model_option=channels=2",
  )
  assert status == 0, err
  summary = json.loads((tmp_path / "summary.json").read_text())
  assert summary["num_steps"] == 2
  assert f"{summary['test_accuracy']:.5g}" in out
  assert f"The classifier is in {tmp_path}/." in out


def test_folder_that_is_no_run_is_one_line_and_status_2(tmp_path):
  status, _, err = _run(
    "judge_samples", f"--workdir={tmp_path}", f"--classifier={tmp_path}"
  )
  assert status == 2
  last = err.strip().splitlines()[-1]
  assert last.startswith("error: `workdir` must hold a run;")
  assert "Traceback" not in err
