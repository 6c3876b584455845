# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How every command starts: a user's mistake is one line and exit status 2."""

import difflib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from absl import app, flags, logging

from geco_tf import errors

USER_ERROR_STATUS = 2


def run(
  main: Callable[[], object],
  *,
  if_stopped: str = "the same command goes on, or begins anew",
) -> None:
  """Parses the flags, calls main and ends the process.

  Exit status 2 and one line on stderr answer an unknown flag, a bad value, an
  argument that is no flag, and a UserError of main; 1 a lost worker; 143 and
  130 the signals. Other exceptions are faults of ours and keep their trace.

  Args:
    main: takes nothing; flags are parsed when it is called.
    if_stopped: what an interrupted user is told.
  """
  app.run(lambda argv: _call(main, if_stopped), flags_parser=_parse)


def _call(main: Callable[[], object], if_stopped: str) -> int:
  if not ("verbosity" in flags.FLAGS and flags.FLAGS["verbosity"].present):
    # TensorFlow and TFDS tell much at level INFO that is of no use here.
    logging.set_verbosity(logging.WARNING)
  try:
    main()
  except KeyboardInterrupt as stopped:
    text = str(stopped) or f"error: stopped; {if_stopped}."
    print(text, file=sys.stderr)
    return getattr(stopped, "status", 130)
  except (errors.UserError, errors.LostWorker) as error:
    _print(str(error))
    return 1 if isinstance(error, errors.LostWorker) else USER_ERROR_STATUS
  return 0


def _parse(argv: Sequence[str]) -> list[str]:
  """Parses flags as absl does, whose own parser exits with status 1."""
  try:
    arguments = flags.FLAGS(argv)
  except flags.UnrecognizedFlagError as error:
    _fail(_unknown_flag(error.flagname))
  except (flags.Error, ValueError) as error:  # This one for --noflag=value.
    said, is_missing, _ = str(error).partition(" must have a value other")
    _fail(f"{said.split()[-1]} must be given." if is_missing else said)
  except SystemExit:
    sys.exit(0)  # Help was asked for and given; absl calls that a failure.
  if len(arguments) > 1:
    _fail(f"Unexpected argument {arguments[1]!r}; give --name=value.")
  return arguments


def _unknown_flag(name: str) -> str:
  nearest = difflib.get_close_matches(name, list(flags.FLAGS), n=1, cutoff=0.5)
  hint = f"did you mean --{nearest[0]}?" if nearest else "--help lists them."
  return f"Unknown flag --{name}; {hint}"


def _fail(message: str) -> NoReturn:
  _print(message)
  sys.exit(USER_ERROR_STATUS)


def _print(message: str) -> None:
  print(f"error: {' '.join(message.split())}", file=sys.stderr)
