# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What ends a command otherwise than well, and is no fault of ours."""

import difflib
import signal
from collections.abc import Iterable


class UserError(ValueError):
  """A mistake in what the user asked for, told in one line.

  Launchers print it without a stack trace and exit with status 2. The message
  names the argument, what it needs and what it got.
  """


class Stopped(KeyboardInterrupt):
  """A signal asked for an end.

  Launchers print it as one line and exit with 128 + the signal's number, as a
  process does that the signal kills: 143 for SIGTERM, 130 for SIGINT.
  Schedulers start such a job again.
  """

  def __init__(self, number: int, text: str = ""):
    """Args: number: of the signal; text: what is left, in a sentence."""
    super().__init__(text)
    self.status = 128 + number
    self.signal_name = signal.Signals(number).name

  @classmethod
  def after(cls, step: int, num_steps: int, number: int) -> "Stopped":
    """The end of a run whose state after `step` updates is saved."""
    return cls(
      number,
      f"stopped by {signal.Signals(number).name}; step {step} of {num_steps} "
      "is saved, and the same command goes on from there.",
    )

  @classmethod
  def at_once(cls, newest: int | None, number: int) -> "Stopped":
    """The end of a run that starts, or measures, and saves nothing.

    Args:
      newest: step of its last checkpoint; None where there is none.
      number: of the signal.
    """
    name = signal.Signals(number).name
    if newest is None:
      return cls(
        number,
        f"stopped by {name} before the first checkpoint; the same command "
        "begins anew.",
      )
    return cls(
      number,
      f"stopped by {name}; the same command goes on from the checkpoint of "
      f"step {newest}.",
    )


class LostWorker(RuntimeError):
  """Another worker of the job is gone; told in one line, exit status 1."""


def in_short(text: str, size: int = 200) -> str:
  """Another's message as a part of a line, cut at a word."""
  text = " ".join(text.split())
  if len(text) > size:
    text = (text[:size].rpartition(" ")[0] or text[:size]) + "…"
  return text.removesuffix(".")


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UserError:
  """The error for a name that is not among the known ones, nearest first."""
  known = sorted(known)
  if not known:
    return UserError(f"Unknown {kind} {name!r}; there are none.")
  nearest = difflib.get_close_matches(str(name), known, n=3, cutoff=0.5)
  hint = (
    f"did you mean {' or '.join(repr(n) for n in nearest)}?"
    if nearest
    else f"known: {', '.join(known)}."
  )
  return UserError(f"Unknown {kind} {name!r}; {hint}")
