# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Names to things: every open family of the package has one registry."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from geco_tf import errors


class Registry:
  """Maps the name a user types to the callable that makes the thing.

  The name is the flag's value, the key in the metrics and the key in the
  dictionaries that GECO returns.
  """

  def __init__(self, kind: str):
    """Args: kind: the singular noun that error messages use ("model")."""
    self._kind = kind
    self._builders: dict[str, Callable[..., Any]] = {}

  def register(self, name: str, builder: Callable[..., Any]):
    """Adds builder under name and returns it.

    Running a notebook's cell again may replace what it registered before.

    Raises:
      UserError: if another builder has the name already.
    """
    if name in self._builders and not _is_same(self._builders[name], builder):
      raise errors.UserError(f"The {self._kind} {name!r} exists already.")
    self._builders[name] = builder
    return builder

  def __getitem__(self, name: str) -> Callable[..., Any]:
    if name not in self._builders:
      raise errors.unknown_name(self._kind, name, self._builders)
    return self._builders[name]

  def __contains__(self, name: object) -> bool:
    return name in self._builders

  def names(self) -> tuple[str, ...]:
    return tuple(sorted(self._builders))

  def takes(self, name: str, argument: str) -> bool:
    """Whether the builder of that name has an argument of this name."""
    return argument in _parameters(self[name])

  def build(
    self,
    name: str,
    *args: Any,
    available: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
  ) -> Any:
    """Calls the builder with those available values that it has arguments for.

    Args:
      name: a registered name.
      *args: handed on as they are.
      available: values by argument name; what the builder does not name is
        left out.
      options: values that the builder must have arguments for.

    Raises:
      UserError: if the name is unknown, an option is not an argument, or an
        argument is left without a value.
    """
    builder = self[name]
    parameters = _parameters(builder)
    taken = {k: v for k, v in available.items() if k in parameters}
    for option in options or {}:
      if option not in parameters:
        raise errors.unknown_name(
          f"option of the {self._kind} {name!r}", option, parameters
        )
    given = {**taken, **(options or {})}
    missing = [
      p.name
      for p in list(parameters.values())[len(args) :]
      if p.default is p.empty
      and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
      and p.name not in given
    ]
    if missing:
      raise errors.UserError(
        f"The {self._kind} {name!r} needs `{missing[0]}`; got none."
      )
    return builder(*args, **given)


def _is_same(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
  """Whether both are, or were, one definition in one place."""
  names = [
    (getattr(b, "__module__", None), getattr(b, "__qualname__", None))
    for b in (one, other)
  ]
  return one is other or (names[0] == names[1] and None not in names[0])


def _parameters(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
  """The arguments of a function, or of a class's constructor."""
  if not inspect.isclass(builder):
    return dict(inspect.signature(builder).parameters)
  # The metaclass of a Sonnet module hides them behind *args.
  (_, *arguments) = inspect.signature(builder.__init__).parameters.items()
  return {
    name: p
    for name, p in arguments
    if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
  }
