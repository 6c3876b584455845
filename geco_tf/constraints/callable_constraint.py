# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A constraint from any function."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base


def from_callable(
  function: Callable[..., tf.Tensor],
  *,
  name: str,
  bound: float = 1.0,
  initial_multiplier: float = 1.0,
  size: int | None = None,
) -> base.Constraint:
  """A constraint that holds E[function(x, g(z), ...)] ≤ 0.

    >>> darker = geco_tf.constraints.from_callable(
    ...   lambda x, g: tf.reduce_mean(g, axis=[1, 2, 3]) - 0.1,
    ...   name="darker",
    ...   bound=0.1,
    ... )

  Args:
    function: (targets [B, ...], reconstruction [B, ...], and by keyword what
      else it names: labels, latents, decoder, kl, ...) → violations [B], or
      [B, K] for K = size. At most 0 is satisfied; differentiable with respect
      to what is to change.
    name: the key in values, metrics and multipliers.
    bound: the size of the tolerance, in the function's units: violations are
      measured in it by rules that know no units, and 3 % of it is satisfied.
    initial_multiplier: the natural λ: what a unit of violation is worth, in
      units of the objective.
    size: None for a scalar constraint, K for a vector.

  Returns:
    The constraint.

  Raises:
    UserError: if the function does not take (targets, reconstruction, ...), or
      bound or initial_multiplier is not positive and finite; of the constraint,
      if the function returns other than floating numbers [B] or [B, K].
  """
  return _FromCallable(function, name, bound, initial_multiplier, size)


class _FromCallable(base.Constraint):
  """See `from_callable`."""

  def __init__(
    self,
    function: Callable[..., tf.Tensor],
    name: str,
    bound: float,
    initial_multiplier: float,
    size: int | None,
  ):
    if not callable(function):
      raise errors.UserError(f"`function` must be callable; got {function!r}.")
    base.required_context(function)  # Refuses one of other arguments.
    self._function = function
    self.name = name
    self._bound = base.check_tolerance("bound", bound)
    self._initial_multiplier = base.check_tolerance(
      "initial_multiplier", initial_multiplier
    )
    if size is not None:
      self.size = base.check_size("size", size)

  def required_context(self) -> tuple[str, ...]:
    return base.required_context(self._function)

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> base.ConstraintValue:
    returned = self._function(
      targets, reconstruction, **base.accepted(self._function, context)
    )
    if returned is None:
      raise errors.UserError(
        f"The function of the constraint {self.name!r} must return its "
        "violations; got None."
      )
    violation = tf.convert_to_tensor(returned)
    if not violation.dtype.is_floating:
      raise errors.UserError(
        f"The function of the constraint {self.name!r} must return floating "
        f"numbers, to be differentiable; got {violation.dtype.name}."
      )
    shape = [] if self.size is None else [self.size]
    return base.ConstraintValue(
      violation=violation,
      weight=None,
      bound=tf.fill(shape, tf.cast(self._bound, violation.dtype)),
      initial_multiplier=tf.fill(
        shape, tf.cast(self._initial_multiplier, violation.dtype)
      ),
    )
