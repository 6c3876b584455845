# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/failure_modes/test_diagnose.py trains."""

import subprocess
import sys

import pytest


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "launch.diagnose", *arguments],
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ([], "--data must have a value"),
    (["--data=csv:/nowhere.csv", "--num_steps=0"], "`num_steps` must be"),
    (["--data=csv:/nowhere.csv"], "'/nowhere.csv' is not there"),
  ],
)
def test_mistake_is_one_line_and_status_2(arguments, message):
  result = _run(*arguments)
  assert result.returncode == 2
  assert message in result.stderr.strip().splitlines()[-1]
  assert "Traceback" not in result.stderr
