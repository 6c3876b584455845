# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/failure_modes/test_diagnose.py trains."""

import subprocess
import sys


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "launch.diagnose", *arguments],
    capture_output=True,
    text=True,
    check=False,
  )


def test_mistake_is_one_line_and_status_2():
  result = _run("--data=csv:/nowhere.csv", "--num_steps=0")
  assert result.returncode == 2
  assert "`num_steps` must be" in result.stderr.strip().splitlines()[-1]
  assert "Traceback" not in result.stderr
