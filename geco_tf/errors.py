# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The one exception that means: the user can mend this."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
  """A mistake in what the user asked for, told in one line.

  Launchers print it without a stack trace and exit with status 2. The message
  names the argument, what it needs and what it got.
  """


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
