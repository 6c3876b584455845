# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A user's mistake is one line and exit status 2."""

import sys

import pytest
from absl import app, flags

from geco_tf import errors
from launch import command_line


@pytest.fixture
def run(monkeypatch, capsys):
  """Runs main with arguments; gives the exit status and stderr.

  absl's own start is replaced by the two lines of it that matter, since it
  sets up logging and signal handlers for the whole process.
  """
  flag_values = flags.FlagValues()
  flags.DEFINE_integer("steps", 3, "steps.", flag_values=flag_values)
  flags.DEFINE_bool("fast", False, "fast.", flag_values=flag_values)
  monkeypatch.setattr(flags, "FLAGS", flag_values)
  monkeypatch.setattr(
    app,
    "run",
    lambda main, flags_parser: sys.exit(main(flags_parser(sys.argv))),
  )

  def run_main(main, *arguments):
    monkeypatch.setattr(sys, "argv", ["program", *arguments])
    with pytest.raises(SystemExit) as raised:
      command_line.run(main)
    return raised.value.code, capsys.readouterr().err

  return run_main


def _never():
  raise AssertionError("main was called")


def test_main_sees_parsed_flags(run):
  seen = []
  status, text = run(lambda: seen.append(flags.FLAGS.steps), "--steps=7")
  assert (status, text, seen) == (0, "", [7])


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    (["--step=7"], "Unknown flag --step; did you mean --steps?"),
    (["--qqqqq"], "Unknown flag --qqqqq; --help lists them."),
    (["--steps=many"], "steps=many"),
    (["--steps"], "Missing value for flag --steps"),
    (["--nofast=3"], "--nofast=3 does not take an argument"),
    (["train"], "Unexpected argument 'train'"),
    (["--fast", "mnist", "--steps=1"], "Unexpected argument 'mnist'"),
  ],
)
def test_bad_arguments_are_one_line_and_status_2(run, arguments, message):
  status, text = run(_never, *arguments)
  assert status == 2
  assert text.startswith("error: ")
  assert text.count("\n") == 1
  assert message in text


def test_flag_that_must_be_given_is_named_plainly(run):
  flags.DEFINE_string(
    "workdir", None, "folder.", required=True, flag_values=flags.FLAGS
  )
  assert run(_never) == (2, "error: --workdir must be given.\n")


def test_user_error_is_one_line_and_status_2(run):
  def main():
    raise errors.UserError("`kappa` must be positive;\n  got -0.1.")

  assert run(main) == (2, "error: `kappa` must be positive; got -0.1.\n")


def test_fault_of_ours_keeps_its_trace(run):
  def main():
    raise ValueError("a fault")

  with pytest.raises(ValueError, match="a fault"):
    run(main)
