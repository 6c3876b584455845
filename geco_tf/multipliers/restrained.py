# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bounds, a late start and a slower beat for any rule."""

import collections
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.multipliers import base


class Restrained(base.UpdateRule):
  """Another rule that may move λ only there and then.

  The rule inside sees nothing of the steps in which λ is held. At a bound its
  λ is put there too: nothing winds up, and λ leaves the bound as soon as the
  violation changes its sign. Of a registered rule these are further options.

  Source: what public ports of GECO do against explosions; all off in the paper.
  """

  def __init__(
    self,
    rule: base.UpdateRule,
    *,
    lowest: float = 0.0,
    highest: float = math.inf,
    freeze_steps: int = 0,
    update_every: int = 1,
  ):
    """Wraps a rule.

    Args:
      rule: how λ moves, where it may.
      lowest: λ is never below, in λ's units.
      highest: λ is never above, in λ's units.
      freeze_steps: λ is held during so many updates from the start.
      update_every: λ moves in each so-manieth update after that alone.

    Raises:
      UserError: if not 0 ≤ lowest < highest, freeze_steps is negative, or
        update_every is not positive.
    """
    self._lowest = base.check_number(lowest, "lowest")
    self._highest = base.check_number(highest, "highest")
    if not 0.0 <= self._lowest < self._highest:
      raise errors.UserError(
        "`lowest` must be at least 0 and below `highest`; got "
        f"lowest={lowest} and highest={highest}."
      )
    self._rule = rule
    self._freeze_steps = _check_whole("freeze_steps", freeze_steps, least=0)
    self._update_every = _check_whole("update_every", update_every, least=1)
    self._inner_type = type(rule.initial_state(tf.ones([])))
    self._state_type = _with_count(self._inner_type)

  def initial_state(self, multiplier: tf.Tensor) -> Any:
    inner = self._rule.initial_state(multiplier)
    return self._state_type(*inner, tf.zeros_like(multiplier, tf.int64))

  def initial_multiplier(self, natural: tf.Tensor) -> tf.Tensor:
    return self._bounded(self._rule.initial_multiplier(natural))

  def update(
    self,
    state: Any,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[Any, tf.Tensor]:
    old = self._inner(state)
    num_calls = state[-1] + 1
    since = num_calls - self._freeze_steps
    moves = (since > 0) & (since % self._update_every == 0)
    new, unbounded = self._rule.update(
      old, moving_average, relative_violation, multiplier
    )
    bounded = self._bounded(unbounded)
    new = _where(
      tf.not_equal(bounded, unbounded), self._rule.moved_to(new, bounded), new
    )
    state = self._state_type(*_where(moves, new, old), num_calls)
    return state, tf.where(moves, bounded, multiplier)

  def moved_to(self, state: Any, multiplier: tf.Tensor) -> Any:
    inner = self._rule.moved_to(self._inner(state), multiplier)
    return self._state_type(*inner, state[-1])

  def penalty(
    self,
    constraint: tf.Tensor,
    *,
    state: Any,
    multiplier: tf.Tensor,
    bound: tf.Tensor,
  ) -> tf.Tensor:
    return self._rule.penalty(
      constraint, state=self._inner(state), multiplier=multiplier, bound=bound
    )

  def _inner(self, state: Any) -> Any:
    return self._inner_type(*state[:-1])

  def _bounded(self, multiplier: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(multiplier, self._lowest, self._highest)


def with_options(builder: Callable[..., base.UpdateRule]):
  """A builder with the options of `Restrained` beside its own.

  Without any of them it builds the plain rule.
  """
  _, _, *added = inspect.signature(Restrained.__init__).parameters.values()
  own = inspect.signature(builder).parameters.values()
  names = {p.name for p in added}

  @functools.wraps(builder, updated=())
  def build(*args: Any, **options: Any) -> base.UpdateRule:
    restraints = {k: options.pop(k) for k in names & options.keys()}
    rule = builder(*args, **options)
    return Restrained(rule, **restraints) if restraints else rule

  # The registry reads it to know which options there are.
  build.__signature__ = inspect.Signature([*own, *added])  # type: ignore
  return build


def _with_count(state_type: Any) -> Any:
  """A NamedTuple with one more field, for the number of calls.

  It is the last; under a rule that is restrained twice it is there twice, the
  second renamed.
  """
  fields = (*state_type._fields, "num_calls")
  return collections.namedtuple("RestrainedState", fields, rename=True)


def _where(condition: tf.Tensor, yes: Any, no: Any) -> Any:
  """The fields of one state or the other, entry by entry."""
  fields = (tf.where(condition, a, b) for a, b in zip(yes, no, strict=True))
  return type(no)(*fields)


def _check_whole(name: str, value: int, *, least: int) -> int:
  number = base.check_number(value, name)
  if isinstance(value, bool) or not number.is_integer() or number < least:
    raise errors.UserError(
      f"`{name}` must be a whole number, at least {least}; got {value}."
    )
  return int(number)
