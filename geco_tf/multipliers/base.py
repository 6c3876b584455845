# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What an update rule is."""

import abc
import math
from typing import Any, NamedTuple

import tensorflow as tf

from geco_tf import errors


class LogState(NamedTuple):
  """The state of a rule that moves ln λ and remembers nothing else."""

  log_multiplier: tf.Tensor  # [K]; λ may overflow where this does not.


class UpdateRule(abc.ABC):
  """How λ moves: a pure function of what was seen.

  Rules hold options only. Their state is a NamedTuple of tensors, each
  of the multiplier's shape ([] or [K]), so that an entry of a vector constraint
  that was absent from the batch can be left as it was. `GECO` keeps it in
  variables.
  """

  @abc.abstractmethod
  def initial_state(self, multiplier: tf.Tensor) -> Any:
    """The state before the first update, for a constraint that starts at λ."""

  def initial_multiplier(self, natural: tf.Tensor) -> tf.Tensor:
    """λ before the first update, given the constraint's natural scale [K]."""
    return natural

  @abc.abstractmethod
  def update(
    self,
    state: Any,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[Any, tf.Tensor]:
    """One step of λ.

    Args:
      state: as `initial_state` or the last call returned it.
      moving_average: [K], C_ma with this batch in it; > 0 is violated.
      relative_violation: [K], the same in units of the tolerance.
      multiplier: [K], λ.

    Returns:
      The next state, and λ ≥ 0 [K].
    """

  def moved_to(self, state: Any, multiplier: tf.Tensor) -> Any:
    """The state with λ [K] put elsewhere, and the rest as it was.

    `Restrained` asks for it at a bound, so that λ leaves as soon as the sign of
    the violation changes. Rules need it that keep λ as something else than a
    field `log_multiplier`.
    """
    if "log_multiplier" in getattr(state, "_fields", ()):
      return state._replace(log_multiplier=tf.math.log(multiplier))
    return state

  def penalty(
    self,
    constraint: tf.Tensor,
    *,
    state: Any,
    multiplier: tf.Tensor,
    bound: tf.Tensor,
  ) -> tf.Tensor:
    """What the Lagrangian gains beside λC.

    Args:
      constraint: [K], C_ma by value and this batch's Ĉ by gradient.
      state: as `update` gets it in this step.
      multiplier: [K], λ.
      bound: [K], the size of the tolerance in C's units.

    Returns:
      [], in units of the objective; its derivative by C is at least −λ.
    """
    del state, multiplier, bound
    return tf.zeros([], constraint.dtype)


class LogStep(UpdateRule):
  """ln λ ← ln λ + ν · error, for rules that remember ln λ alone."""

  def __init__(self, rate: float):
    """Args: rate: ν, in nats of λ per step and unit of the error."""
    self.rate = check_rate(rate)

  @abc.abstractmethod
  def error(
    self, moving_average: tf.Tensor, relative_violation: tf.Tensor
  ) -> tf.Tensor:
    """What λ answers to, [K]."""

  def initial_state(self, multiplier: tf.Tensor) -> LogState:
    return LogState(tf.math.log(multiplier))

  def update(
    self,
    state: LogState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[LogState, tf.Tensor]:
    del multiplier
    log_multiplier = state.log_multiplier + self.rate * self.error(
      moving_average, relative_violation
    )
    return LogState(log_multiplier), tf.exp(log_multiplier)


def check_rate(rate: float, name: str = "rate") -> float:
  """Returns rate as a float.

  Raises:
    UserError: if it is not positive and finite.
  """
  number = check_number(rate, name)
  if not (math.isfinite(number) and number > 0):
    raise errors.UserError(f"`{name}` must be positive and finite; got {rate}.")
  return number


def check_number(value: float, name: str) -> float:
  """Returns value as a float.

  Raises:
    UserError: if it is no number.
  """
  try:
    return float(value)
  except (TypeError, ValueError):
    raise errors.UserError(
      f"`{name}` must be a number; got {value!r}."
    ) from None


def check_share(value: float, name: str) -> float:
  """Returns value as a float.

  Raises:
    UserError: if it is not in [0, 1).
  """
  share = check_number(value, name)
  if not 0.0 <= share < 1.0:
    raise errors.UserError(f"`{name}` must be in [0, 1); got {value}.")
  return share
