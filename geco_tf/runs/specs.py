# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The little language of flags: NAME:VALUE,OPTION=VALUE and NAME=VALUE."""

import ast
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from geco_tf import errors


class Spec(NamedTuple):
  """A registered name and what it is given."""

  name: str
  value: str | None  # What stands behind the first colon.


class Call(NamedTuple):
  """A registered name, its number, and options."""

  name: str
  number: float | None
  options: dict[str, Any]


# Commas inside brackets are their value's.
_COMMA = re.compile(r",(?![^(\[]*[)\]])")


def parse(text: str) -> Spec:
  """Takes a text apart: re:0.1 is Spec("re", "0.1"), auto has no value."""
  name, colon, value = text.partition(":")
  return Spec(name, value if colon else None)


def parse_call(text: str) -> Call:
  """Takes a text apart: re:0.1,per=channel is Call("re", 0.1, {"per": ...}).

  Raises:
    UserError: if what stands behind the colon is no number, or an option has no
      "=" or is given twice.
  """
  head, *pairs = _COMMA.split(text)
  spec = parse(head)
  number = None
  if spec.value is not None:
    try:
      number = float(spec.value)
    except ValueError:
      raise errors.UserError(
        f"{text!r} must be NAME:NUMBER; {spec.value!r} is no number."
      ) from None
  options = parse_options(pairs)
  if len(options) < len(pairs):
    raise errors.UserError(f"{text!r} must give each option once.")
  return Call(spec.name, number, options)


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
  """["width=8"] → {"width": 8}; what is no Python literal stays text.

  Raises:
    UserError: if a pair has no "=".
  """
  options = {}
  for pair in pairs:
    name, equals, value = pair.partition("=")
    if not equals:
      raise errors.UserError(f"An option must be NAME=VALUE; got {pair!r}.")
    try:
      options[name] = ast.literal_eval(value)
    except (SyntaxError, ValueError):
      options[name] = value
  return options
