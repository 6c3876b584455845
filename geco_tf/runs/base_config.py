# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every config is: a record whose fields are flags, and JSON in a file."""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any

from geco_tf import errors

_Self = typing.TypeVar("_Self", bound="BaseConfig")


def field(
  default: Any, help_text: str, *, parse: Callable[[str], Any] | None = None
) -> Any:
  """A setting: its default, and what --help says of it.

  Args:
    default: the value where nothing is set.
    help_text: what --help says.
    parse: text of the flag to a value, where the type alone does not tell.
  """
  metadata = {"help": help_text, "parse": parse}
  return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class BaseConfig:
  """The base of configs. Each field is a flag of the same name."""

  def replace(self: _Self, **changes: Any) -> _Self:
    """A copy with other values.

    Raises:
      UserError: if a name is not a field.
    """
    names = [f.name for f in dataclasses.fields(self)]
    for name in changes:
      if name not in names:
        raise errors.unknown_name("setting", name, names)
    return dataclasses.replace(self, **changes)

  def to_json(self) -> dict[str, Any]:
    """The fields as JSON has them."""
    return dataclasses.asdict(self)

  @classmethod
  def from_json(cls: type[_Self], values: Any) -> _Self:
    """The inverse of `to_json`.

    Raises:
      UserError: if a name is not a field: another version wrote it.
    """
    if not isinstance(values, dict):
      raise errors.UserError(f"A config must be a record; got {values!r}.")
    values = {
      k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
    }
    return cls().replace(**values)


def check_types(config: BaseConfig) -> None:
  """Raises a UserError for a value that is not of its field's type."""
  hints = typing.get_type_hints(type(config))
  for item in dataclasses.fields(config):
    value, hint = getattr(config, item.name), hints[item.name]
    allowed = (
      typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    )
    kinds = tuple(typing.get_origin(kind) or kind for kind in allowed)
    if float in kinds:
      kinds += (int,)
    is_bool = isinstance(value, bool) and bool not in kinds
    if is_bool or not isinstance(value, kinds):
      name = hint.__name__ if isinstance(hint, type) else hint
      raise errors.UserError(
        f"`{item.name}` must be of type {name}; got {value!r}."
      )


def check_positive(config: BaseConfig, names: Iterable[str]) -> None:
  """Raises a UserError for a number that is not positive and finite."""
  for name in names:
    value = getattr(config, name)
    if not (math.isfinite(value) and value > 0):
      raise errors.UserError(
        f"`{name}` must be positive and finite; got {value}."
      )
