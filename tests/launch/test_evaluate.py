# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/evaluation/test_evaluate.py measures."""

import subprocess
import sys


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
