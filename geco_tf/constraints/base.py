# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a constraint is, and how one is made."""

import abc
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from geco_tf import errors

# A constraint counts as satisfied within this share of its tolerance.
SLACK = 0.03
# The same where what is measured is the square of what κ is.
SQUARE_SLACK = (1.0 + SLACK) ** 2 - 1.0


class ConstraintValue(NamedTuple):
  """A constraint on one batch: all that the multipliers ever read.

  C ≤ 0 is satisfied. K is the number of entries of a vector constraint; a
  scalar constraint leaves the dimension out: [B, K] is [B], and [K] is [].
  """

  violation: tf.Tensor  # [B, K], C(x, g(z)), in the constraint's own units.
  weight: tf.Tensor | None  # [B, K] ≥ 0, the share of each example; None is 1.
  bound: tf.Tensor  # [K] > 0, the size of the tolerance in C's units.
  initial_multiplier: tf.Tensor  # [K] > 0, the natural λ to start from.
  # [K], Σ w over all replicas by their number, where a constraint knows it: the
  # loss divides this replica's Σ w C by it. None is this one's own Σ w.
  shared_weight: tf.Tensor | None = None


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
    slack: the share of the bound that C_ma may exceed it by and still count as
      satisfied.
  """

  name: str
  size: int | None = None
  slack: float = SLACK

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

  def required_context(self) -> tuple[str, ...]:
    """The keywords that the constraint cannot do without."""
    return required_context(self.__call__)

  def reads(self, key: str) -> bool:
    """Whether the constraint, or one inside it, names this context keyword."""
    return key in {p.name for p in _context_parameters(self.__call__)}

  def evaluate(
    self,
    targets: tf.Tensor,
    reconstruction: tf.Tensor,
    context: Mapping[str, Any],
  ) -> ConstraintValue:
    """The constraint on one batch, given what it names of a context.

    Args:
      targets: [B, ...].
      reconstruction: [B, ...], g(z).
      context: keyword → what a model or the data offer; None is not offered.

    Returns:
      The `ConstraintValue`.

    Raises:
      UserError: if what the constraint needs is not offered, or its violations
        or weights are not [B] or [B, K].
    """
    for key in self.required_context():
      if context.get(key) is None:
        raise errors.UserError(
          f"The constraint {self.name!r} needs `{key}`; pass {key}=... to "
          "constraint_values."
        )
    value = self(targets, reconstruction, **accepted(self.__call__, context))
    shape = tf.TensorShape([_batch_size(targets)]).concatenate(
      [] if self.size is None else [self.size]
    )
    parts = {"violations": value.violation, "weights": value.weight}
    for what, part in parts.items():
      found = tf.TensorShape(None if part is None else part.shape)
      if not found.is_compatible_with(shape):
        raise errors.UserError(
          f"The constraint {self.name!r} of size {self.size} must have "
          f"{what} of shape {shape}; got {found}."
        )
    return value

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """What the tolerance is compared with, in the tolerance's units.

    Args:
      mean: [K], of the violation.
      bound: [K], as in `ConstraintValue`.

    Returns:
      [K]; the violation itself where a subclass knows nothing better.
    """
    del bound
    return mean

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
    """Whether C_ma exceeds the tolerance by at most its slack: bool [K]."""
    return moving_average <= self.slack * bound


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


def _batch_size(targets: Any) -> int | None:
  """B, where it is known."""
  shape = tf.TensorShape(getattr(targets, "shape", None))
  return shape[0] if shape.rank else None


def required_context(function: Callable[..., Any]) -> tuple[str, ...]:
  """The keywords without a default of f(targets, reconstruction, ...)."""
  return tuple(
    p.name
    for p in _context_parameters(function)
    if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
  )


def accepted(
  function: Callable[..., Any], context: Mapping[str, Any]
) -> dict[str, Any]:
  """The part of a context that a function names; all of it for **context."""
  parameters = _context_parameters(function)
  if any(p.kind is p.VAR_KEYWORD for p in parameters):
    return dict(context)
  names = {p.name for p in parameters}
  return {k: v for k, v in context.items() if k in names}


def _context_parameters(
  function: Callable[..., Any],
) -> list[inspect.Parameter]:
  """What a function may be given beside targets and reconstruction."""
  parameters = list(inspect.signature(function).parameters.values())
  if len(parameters) < 2:
    raise errors.UserError(
      "The function of a constraint must take (targets, reconstruction, ...); "
      f"got one that takes {inspect.signature(function)}."
    )
  return parameters[2:]


def natural_multiplier(variance: tf.Tensor) -> tf.Tensor:
  """1 / (2 Var x), the natural λ of a squared error Σ_d (x_d − g_d)²: [].

  At this λ = 1/2σ² a model that answers with one grey for all pays half a nat a
  dimension. Where nothing varies there is no scale: then it is 1.

  Args:
    variance: of the targets about their grand mean, [].
  """
  return tf.where(
    tf.equal(variance, 0.0), tf.ones_like(variance), 1.0 / (2.0 * variance)
  )


def starting_multiplier(num_dims: Any, bound: Any) -> Any:
  """D / (20 b), where the λ of an error of D dimensions starts.

  A tenth of the λ at which the error that is allowed costs half a nat a
  dimension, as under a Gaussian decoder of σ = κ: 1/(20 κ²) of a squared error.
  That is below what most networks need. Latents that a larger λ brings in early
  are not given back for the rest of a run, and cost KL (BUILD_NOTES 4).

  Args:
    num_dims: D.
    bound: b > 0, as in `ConstraintValue`; of the shape of D or without one.
  """
  return num_dims / (20.0 * bound)


def as_pair(targets: Any, reconstruction: Any) -> tuple[tf.Tensor, tf.Tensor]:
  """Both as tensors, if one could be the reconstruction of the other.

  Raises:
    UserError: if one is no tensor, as the several outputs of a model are not,
      or their shapes or types differ.
  """
  targets = _as_tensor("targets", targets)
  reconstruction = _as_tensor("reconstruction", reconstruction)
  if not targets.shape.is_compatible_with(reconstruction.shape):
    raise errors.UserError(
      f"`reconstruction` must have the shape of `targets`, "
      f"{targets.shape}; got {reconstruction.shape}."
    )
  if targets.dtype != reconstruction.dtype:
    raise errors.UserError(
      f"`reconstruction` must have the type of `targets`, "
      f"{targets.dtype.name}; got {reconstruction.dtype.name}."
    )
  return targets, reconstruction


def _as_tensor(name: str, value: Any) -> tf.Tensor:
  try:
    return tf.convert_to_tensor(value)
  except (TypeError, ValueError, tf.errors.InvalidArgumentError):
    raise errors.UserError(
      f"`{name}` must be one tensor [B, ...]; got {value!r}."
    ) from None


def check_labels(labels: Any, num_classes: int, images: Any) -> tf.Tensor:
  """Returns labels [B] as a tensor if each of them has a class.

  Args:
    labels: one for each image.
    num_classes: K.
    images: [B, ...], what they label.

  Raises:
    UserError: if they are not [B], or not whole numbers from 0 to K − 1. What
      is not known yet in a graph is TensorFlow's InvalidArgumentError.
  """
  labels = tf.convert_to_tensor(labels)
  expected = tf.TensorShape([_batch_size(images)])
  if not labels.shape.is_compatible_with(expected):
    raise errors.UserError(
      f"`labels` must be [B], one for each image: {expected}; got "
      f"{labels.shape}."
    )
  if not labels.dtype.is_integer:
    raise errors.UserError(
      f"`labels` must be whole numbers; got the type {labels.dtype.name}."
    )
  known = tf.get_static_value(labels)
  if known is None:
    in_range = tf.debugging.Assert(
      tf.reduce_all((labels >= 0) & (labels < num_classes)),
      [
        f"`labels` must be from 0 to {num_classes - 1}; the least and the "
        "largest are",
        tf.reduce_min(labels),
        tf.reduce_max(labels),
      ],
    )
    with tf.control_dependencies([in_range]):
      return tf.identity(labels)
  wrong = known[(known < 0) | (known >= num_classes)]
  if wrong.size:
    raise errors.UserError(
      f"`labels` must be from 0 to {num_classes - 1}, a class each; got "
      f"{wrong[0]}."
    )
  return labels


def check_name(name: Any) -> str:
  """Returns the name of a constraint if it can be one.

  It becomes a part of keys, of flags and of variables' names.

  Raises:
    UserError: if it is not a Python identifier.
  """
  if not isinstance(name, str) or not name.isidentifier():
    raise errors.UserError(
      "`name` of a constraint must be letters, digits and _, no digit first; "
      f"got {name!r}."
    )
  return name


def check_size(name: str, value: Any, *, least: int = 1) -> int:
  """Returns value if it is a whole number of at least `least`.

  Raises:
    UserError: if it is not.
  """
  if isinstance(value, bool) or not isinstance(value, int) or value < least:
    raise errors.UserError(
      f"`{name}` must be a whole number of at least {least}; got {value!r}."
    )
  return value


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
