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
from geco_tf.evaluation import replicas


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

  Batches are cut over the replicas of the strategy that it is called under.

  Args:
    model: any model of the package, with its variables created.
    geco: holds the constraints; its state is not read.
    batches: of type `Batch`, once through; the last may be smaller.
    has_labels: whether their labels mean anything.
    seed: of the noise; the same seed and batches give the same numbers.

  Returns:
    Name → `Level`.
  """

  def sums(part: replicas.Part, seed: tf.Tensor) -> dict[str, _Sums]:
    batch, seed_of_part = part.examples, part.seed(seed)
    outputs = models.call(model, batch.images, batch.context, seed=seed_of_part)
    values = geco.constraint_values(
      batch.images,
      outputs.reconstruction,
      kl=outputs.kl,
      latents=outputs.latents,
      **objectives.constraint_context(
        model, batch, seed_of_part, has_labels=has_labels
      ),
    )
    return {name: _sums(value, part) for name, value in values.items()}

  compiled = replicas.OverReplicas(sums)
  totals: dict[str, _Sums] = {}
  for i, batch in enumerate(batches):
    for found in compiled(batch, tf.constant([seed, i], tf.int32)):
      for name, more in found.items():
        totals[name] = _added(totals.get(name, _Sums(0.0, 0.0, None)), more)
  return {
    name: _level(geco.constraints[name], total)
    for name, total in totals.items()
  }


class _Sums(NamedTuple):
  """Over examples, each [] or [K]."""

  violation: Any  # Σ w C
  weight: Any  # Σ w
  bound: Any  # The same for any batch.


def _sums(value: constraints.ConstraintValue, part: replicas.Part) -> _Sums:
  violation = value.violation
  weight = tf.ones_like(violation)
  if value.weight is not None:
    weight = tf.cast(value.weight, violation.dtype)
  weight = part.real(weight)
  # An entry without weight stays out even where its C is not finite.
  weighted = tf.math.multiply_no_nan(violation, weight)
  return _Sums(
    tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weight, axis=0), value.bound
  )


def _added(total: _Sums, more: _Sums) -> _Sums:
  return _Sums(
    total.violation + np.asarray(more.violation, np.float64),
    total.weight + np.asarray(more.weight, np.float64),
    np.asarray(more.bound, np.float64),
  )


def _level(constraint: constraints.Constraint, sums: _Sums) -> Level:
  is_seen = sums.weight > 0
  mean = sums.violation / np.where(is_seen, sums.weight, np.nan)
  satisfied = np.asarray(constraint.is_satisfied(mean, sums.bound))
  return Level(
    np.asarray(constraint.level(mean, sums.bound)),
    bool(np.all(satisfied | ~is_seen)),
  )
