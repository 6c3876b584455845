# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a trained model stands against its constraints."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import constraints, models, objectives
from geco_tf import geco as geco_lib


class Level(NamedTuple):
  """A constraint over a set of examples."""

  # In units of κ: [] or [K], nan for an entry without examples.
  value: np.ndarray
  satisfied: bool  # In every entry that has examples.


def constraint_levels(
  model: snt.Module,
  geco: geco_lib.GECO,
  batches: Iterable[Any],
  *,
  has_labels: bool,
  seed: int = 0,
) -> dict[str, Level]:
  """What every κ is to be compared with, on fixed examples.

  Args:
    model: any model of the package, with its variables created.
    geco: holds the constraints; its state is not read.
    batches: of type `Batch`, once through; the last may be smaller.
    has_labels: whether their labels mean anything.
    seed: of the noise; the same seed and batches give the same numbers.

  Returns:
    Name → `Level`.
  """

  @tf.function(reduce_retracing=True)
  def sums(batch: Any, seed: tf.Tensor) -> dict[str, _Sums]:
    outputs = models.call(model, batch.images, batch.context, seed=seed)
    values = geco.constraint_values(
      batch.images,
      outputs.reconstruction,
      kl=outputs.kl,
      latents=outputs.latents,
      **objectives.constraint_context(
        model, batch, seed, has_labels=has_labels
      ),
    )
    return {name: _sums(value) for name, value in values.items()}

  totals: dict[str, _Sums] = {}
  for i, batch in enumerate(batches):
    for name, part in sums(batch, tf.constant([seed, i], tf.int32)).items():
      there = totals.get(name, _Sums(0.0, 0.0, None))
      totals[name] = _Sums(
        there.violation + np.asarray(part.violation, np.float64),
        there.weight + np.asarray(part.weight, np.float64),
        np.asarray(part.bound, np.float64),
      )
  return {
    name: _level(geco.constraints[name], total)
    for name, total in totals.items()
  }


class _Sums(NamedTuple):
  """Over examples, each [] or [K]."""

  violation: Any  # Σ w C
  weight: Any  # Σ w
  bound: Any  # The same for any batch.


def _sums(value: constraints.ConstraintValue) -> _Sums:
  violation = value.violation
  weight = tf.ones_like(violation)
  if value.weight is not None:
    weight = tf.cast(value.weight, violation.dtype)
  # An entry without weight stays out even where its C is not finite.
  weighted = tf.math.multiply_no_nan(violation, weight)
  return _Sums(
    tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weight, axis=0), value.bound
  )


def _level(constraint: constraints.Constraint, sums: _Sums) -> Level:
  is_seen = sums.weight > 0
  mean = sums.violation / np.where(is_seen, sums.weight, np.nan)
  satisfied = np.asarray(constraint.is_satisfied(mean, sums.bound))
  return Level(
    np.asarray(constraint.level(mean, sums.bound)),
    bool(np.all(satisfied | ~is_seen)),
  )
