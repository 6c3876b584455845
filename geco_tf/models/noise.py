# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Noise that does not depend on how many replicas share the batch.

Random numbers are a function of the seed alone. Under several replicas each
one draws the noise of the whole global batch and keeps its own rows, so the
number of replicas changes nothing but the work.
"""

from typing import NamedTuple, TypeAlias

import tensorflow as tf


class ReplicaSeed(NamedTuple):
  """A seed for the global batch, and which part of it this replica holds."""

  seed: tf.Tensor  # [2], int32.
  replica_id: tf.Tensor  # [], int32, in [0, num_replicas).
  num_replicas: int


Seed: TypeAlias = "tf.Tensor | ReplicaSeed"


def normal(shape, seed: Seed, dtype: tf.DType = tf.float32) -> tf.Tensor:
  """Standard normal noise for this replica's rows of the global batch.

  Args:
    shape: of the result; the first dimension is this replica's batch and may
      be a scalar tensor.
    seed: int32 [2] (one replica), or a `ReplicaSeed`.
    dtype: of the result.

  Returns:
    Noise of the given shape.
  """
  if not isinstance(seed, ReplicaSeed):
    return tf.random.stateless_normal(shape, seed, dtype=dtype)
  rows, rest = shape[0], list(shape[1:])
  noise = tf.random.stateless_normal(
    [rows * seed.num_replicas] + rest, seed.seed, dtype=dtype
  )
  start = seed.replica_id * rows
  return tf.slice(noise, [start] + [0] * len(rest), [rows] + rest)


def fold_in(seed: Seed, data: int) -> Seed:
  """An independent seed of the same kind, for the draw numbered `data`."""
  if not isinstance(seed, ReplicaSeed):
    return tf.random.experimental.stateless_fold_in(seed, data)
  return seed._replace(
    seed=tf.random.experimental.stateless_fold_in(seed.seed, data)
  )
