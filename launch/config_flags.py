# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""absl flags from the fields of the config: one field, one flag."""

import dataclasses
import types
import typing
from collections.abc import Callable
from typing import Any

from absl import flags


def define(config_class: type, defaults: str | None = None) -> None:
  """Defines a flag for every setting.

  Args:
    config_class: the dataclass whose fields are the settings.
    defaults: where a flag that is not given takes its value from, for --help;
      None if from the field's own default.
  """
  hints = typing.get_type_hints(config_class)
  for field in dataclasses.fields(config_class):
    default = field.default if defaults is None else defaults
    help_text = f"{field.metadata['help']} (default: {default})"
    if (parse := field.metadata.get("parse")) is not None:
      flags.DEFINE(_Parser(parse), field.name, None, help_text)
    else:
      _DEFINERS[_base_type(hints[field.name])](field.name, None, help_text)


def given(config_class: type) -> dict[str, Any]:
  """The settings whose flags stand on the command line."""
  return {
    f.name: _value(flags.FLAGS[f.name].value)
    for f in dataclasses.fields(config_class)
    if flags.FLAGS[f.name].present
  }


class _Parser(flags.ArgumentParser):
  """Absl's form of a function from text."""

  def __init__(self, parse: Callable[[str], Any]):
    super().__init__()
    self._parse = parse

  def parse(self, argument: str) -> Any:
    return self._parse(argument)


_DEFINERS = {
  str: flags.DEFINE_string,
  int: flags.DEFINE_integer,
  float: flags.DEFINE_float,
  bool: flags.DEFINE_bool,
  tuple: flags.DEFINE_multi_string,
}


def _base_type(hint: Any) -> type:
  """Int of int | None, tuple of tuple[str, ...]."""
  if isinstance(hint, types.UnionType):
    (hint,) = (t for t in typing.get_args(hint) if t is not type(None))
  return typing.get_origin(hint) or hint


def _value(value: Any) -> Any:
  return tuple(value) if isinstance(value, list) else value
