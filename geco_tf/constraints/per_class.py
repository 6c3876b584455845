# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A multiplier for each class: the first indexed constraint."""

from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base


class PerClass(base.Constraint):
  """A scalar constraint, held within every class on its own.

    C_k = mean of C over the examples with label k,   k = 0, ..., K − 1

  so that no class is paid for by another. An entry whose class is absent from a
  batch is left alone. κ, bound, relative violation and level are the inner
  constraint's. The natural multiplier is the inner one's over K: with equal
  multipliers and classes, Σ_k λ_k C_k is λ C.

  Source: ours; indexed multipliers are those of Cooper (Gallego-Posada et al.).
  """

  def __init__(
    self,
    constraint: base.Constraint,
    *,
    num_classes: int,
    name: str | None = None,
  ):
    """Builds the constraint.

    Args:
      constraint: what to hold; a scalar one.
      num_classes: K.
      name: the key in values, metrics and multipliers; the constraint's own by
        default.

    Raises:
      UserError: if constraint is a vector, or num_classes no size.
    """
    if constraint.size is not None:
      raise errors.UserError(
        f"`constraint` must be scalar to have a multiplier for each class; "
        f"{constraint.name!r} has {constraint.size} entries."
      )
    self.constraint = constraint
    self.num_classes = base.check_size("num_classes", num_classes)
    self.size = self.num_classes
    self.name = constraint.name if name is None else name

  def required_context(self) -> tuple[str, ...]:
    return ("labels", *self.constraint.required_context())

  def __call__(  # type: ignore[override]
    self,
    targets: tf.Tensor,
    reconstruction: tf.Tensor,
    *,
    labels: tf.Tensor,
    all_labels: tf.Tensor | None = None,
    **context: Any,
  ) -> base.ConstraintValue:
    """The constraint on one batch.

    Args:
      targets: [B, ...].
      reconstruction: [B, ...], g(z).
      labels: of the targets, [B], whole numbers from 0 to K − 1.
      all_labels: those of all replicas, [n B], where n share a batch: the
        gradient is then that of the whole batch's mean. Not used where the
        inner constraint has weights of its own.
      **context: what the inner constraint names.

    Returns:
      The `ConstraintValue`, violation [B, K], the weight one-hot.

    Raises:
      UserError: if labels are not [B], or one has no class.
    """
    labels = base.check_labels(labels, self.num_classes, reconstruction)
    value = self.constraint.evaluate(
      targets, reconstruction, {**context, "labels": labels}
    )
    violation = value.violation
    weight, shared_weight = self._one_hot(labels, violation.dtype), None
    if value.weight is not None:
      weight *= tf.cast(value.weight, violation.dtype)[:, tf.newaxis]
    elif all_labels is not None:
      sizes = tf.stack([tf.shape(labels)[0], tf.shape(all_labels)[0]])
      size, total_size = tf.unstack(tf.cast(sizes, violation.dtype))
      counts = tf.reduce_sum(self._one_hot(all_labels, violation.dtype), axis=0)
      shared_weight = counts * (size / total_size)
    return base.ConstraintValue(
      violation=tf.repeat(violation[:, tf.newaxis], self.num_classes, axis=1),
      weight=weight,
      bound=tf.fill([self.num_classes], value.bound),
      initial_multiplier=tf.fill(
        [self.num_classes], value.initial_multiplier / self.num_classes
      ),
      shared_weight=shared_weight,
    )

  def _one_hot(self, labels: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
    return tf.one_hot(labels, self.num_classes, dtype=dtype)

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    return self.constraint.level(mean, bound)

  def relative_violation(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    return self.constraint.relative_violation(moving_average, bound)

  def is_satisfied(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    return self.constraint.is_satisfied(moving_average, bound)
