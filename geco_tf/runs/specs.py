# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The little language of flags: NAME:VALUE and NAME=VALUE."""

import ast
from collections.abc import Iterable
from typing import Any, NamedTuple

from geco_tf import errors


class Spec(NamedTuple):
  """A registered name and what it is given."""

  name: str
  value: str | None  # What stands behind the first colon.


def parse(text: str) -> Spec:
  """Takes a text apart: re:0.1 is Spec("re", "0.1"), auto has no value."""
  name, colon, value = text.partition(":")
  return Spec(name, value if colon else None)


def parse_number(text: str) -> tuple[str, float | None]:
  """Takes a text apart: re:0.1 is ("re", 0.1).

  Raises:
    UserError: if what stands behind the colon is not a number.
  """
  spec = parse(text)
  if spec.value is None:
    return spec.name, None
  try:
    return spec.name, float(spec.value)
  except ValueError:
    raise errors.UserError(
      f"{text!r} must be NAME:NUMBER; {spec.value!r} is no number."
    ) from None


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
