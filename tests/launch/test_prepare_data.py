# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/data/test_prepare.py prepares MNIST."""

import subprocess
import sys

import pytest


def _run(*arguments):
  return subprocess.run(
    [sys.executable, "-m", "launch.prepare_data", *arguments],
    capture_output=True,
    text=True,
    check=False,
  )


def _last_line(text):
  return text.strip().splitlines()[-1]


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--dataset=mnist", "--form_dir=."], "did you mean --from_dir?"),
    pytest.param(
      ["--dataset=mnist"],
      "--from_dir must be given",
      marks=pytest.mark.slow,
    ),
    pytest.param(
      ["--dataset=mnist", "--from_dir=/nowhere"],
      "/nowhere is not a folder.",
      marks=pytest.mark.slow,
    ),
  ],
)
def test_mistake_is_one_line_and_status_2(arguments, message):
  result = _run(*arguments)
  assert result.returncode == 2
  assert message in _last_line(result.stderr)
  assert "Traceback" not in result.stderr


def test_help_is_status_0_and_lists_the_flags():
  result = _run("--help")
  assert result.returncode == 0
  for flag in ("--dataset", "--from_dir", "--data_dir"):
    assert flag in result.stdout
