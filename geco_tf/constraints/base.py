# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a constraint is, and how one is made."""

import abc
import math
from typing import Any, NamedTuple

import tensorflow as tf

from geco_tf import errors

# A constraint counts as satisfied within this share of its tolerance.
SLACK = 0.03


class ConstraintValue(NamedTuple):
  """A constraint on one batch: all that the multipliers ever read.

  C ≤ 0 is satisfied. K is the number of entries of a vector constraint; a
  scalar constraint leaves the dimension out: [B, K] is [B], and [K] is [].
  """

  violation: tf.Tensor  # [B, K], C(x, g(z)), in the constraint's own units.
  weight: tf.Tensor | None  # [B, K] ≥ 0, the share of each example; None is 1.
  bound: tf.Tensor  # [K] > 0, the size of the tolerance in C's units.
  initial_multiplier: tf.Tensor  # [K] > 0, the natural λ to start from.


class Constraint(abc.ABC):
  """C(x, g(z)), held so that E[C] ≤ 0.

  Subclasses compute `violation` and say how large the tolerance is; the rest
  has defaults. Whatever else a constraint needs from the model or the data
  comes by keyword: a `__call__` that names `labels`, say, is given them, and an
  absent one is an error that names it. A registered constraint is built with
  its tolerance as the first argument.

  Attributes:
    name: the key in `values`, in the metrics and in `geco.multipliers`.
    size: None for a scalar constraint, K for a vector of K entries.
  """

  name: str
  size: int | None = None

  @abc.abstractmethod
  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> ConstraintValue:
    """The constraint on one batch.

    Args:
      targets: [B, ...], what should be reconstructed.
      reconstruction: [B, ...], g(z).
      **context: what else the constraint names (`labels`, `decoder`, ...).

    Returns:
      The `ConstraintValue`; differentiable with respect to reconstruction.
    """

  def relative_violation(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    """The violation in units of the tolerance, within ±1 by clipping.

    Args:
      moving_average: [K], C_ma.
      bound: [K], as in `ConstraintValue`.

    Returns:
      [K], positive where violated.
    """
    return tf.clip_by_value(moving_average / bound, -1.0, 1.0)

  def is_satisfied(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    """Whether C_ma exceeds the tolerance by at most 3 %: bool [K]."""
    return moving_average <= SLACK * bound


class PositiveErrorConstraint(Constraint):
  """A constraint of the form error − bound with an error that is never below 0.

  Relative violation is ln(error / bound): it measures in ratios, so that the
  way from ten times too much to the bound and from a tenth are as long.
  """

  def relative_violation(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    # Finite where the error is 0, and where the ratio overflows.
    ratio = tf.clip_by_value(1.0 + moving_average / bound, 1e-12, 1e12)
    return tf.math.log(ratio)


def check_tolerance(name: str, value: float, *, positive: bool = True) -> float:
  """Returns value as a float if it can be a tolerance.

  Raises:
    UserError: if it is not a finite number, or not positive where it must be.
  """
  try:
    number = float(value)
  except (TypeError, ValueError):
    raise errors.UserError(
      f"`{name}` must be a number; got {value!r}."
    ) from None
  if not math.isfinite(number) or (positive and number <= 0):
    need = "positive and finite" if positive else "finite"
    raise errors.UserError(f"`{name}` must be {need}; got {value!r}.")
  return number
