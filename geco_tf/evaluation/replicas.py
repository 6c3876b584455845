# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches of a measurement cut over the replicas of a strategy.

Nothing crosses replicas on the way: each returns a result for its part, and
they are brought together on the host.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from geco_tf.models import noise


class Part(NamedTuple):
  """What a replica is given of a batch of B examples."""

  examples: Any  # As given: tensors [b, …], b = B / num_parts, rounded up.
  is_real: tf.Tensor  # [b]; false where an example only fills the part up.
  number: tf.Tensor  # [], in [0, num_parts).
  num_parts: int

  def seed(self, seed: tf.Tensor) -> noise.Seed:
    """For the noise that the whole batch would have of this seed."""
    if self.num_parts == 1:
      return seed
    return noise.ReplicaSeed(seed, self.number, self.num_parts)

  def real(self, values: tf.Tensor) -> tf.Tensor:
    """Values [b, …], with 0 for what only fills up."""
    if self.num_parts == 1:
      return values
    is_real = tf.reshape(self.is_real, [-1] + [1] * (values.shape.rank - 1))
    return tf.where(is_real, values, tf.zeros_like(values))


class OverReplicas:
  """A compiled function of a batch, of which every replica takes a part.

  The replicas are those of the strategy in whose scope this is made: of several
  processes, those of this one, so that one process may measure alone. Without a
  strategy the whole batch is the only part.
  """

  def __init__(self, function: Callable[..., Any], *, autograph: bool = True):
    """Prepares the function; it is traced when it is called.

    Args:
      function: of a `Part` and what is shared, to nested tensors.
      autograph: whether Python's `if` and `for` of tensors are converted; a
        function that raises `UserError` must do without.
    """
    self._function = function
    self._strategy = tf.distribute.get_strategy()
    self.num_parts = 1
    if tf.distribute.has_strategy():
      self.num_parts = len(self._strategy.extended.worker_devices)
    # A method's traces are counted over all objects, and TensorFlow warns of
    # many; a partial's are its own.
    self._compiled = tf.function(
      functools.partial(self._run), autograph=autograph, reduce_retracing=True
    )

  def __call__(self, examples: Any, *shared: Any) -> tuple[Any, ...]:
    """Calls the function.

    Args:
      examples: nested tensors [B, …], or None among them.
      *shared: tensors that every replica is given whole.

    Returns:
      What it returns for each part, in order.
    """
    return self._compiled(examples, *shared)

  def _run(self, examples: Any, *shared: Any) -> tuple[Any, ...]:
    results = self._strategy.run(self._of_part, (examples, *shared))
    return self._strategy.experimental_local_results(results)

  def _of_part(self, examples: Any, *shared: Any) -> Any:
    first = tf.nest.flatten(examples)[0]
    count = first.shape[0]
    if count is None:
      count = tf.shape(first)[0]
    if self.num_parts == 1:
      only = Part(examples, tf.fill([count], True), tf.constant(0), 1)
      return self._function(only, *shared)
    replicas = tf.distribute.get_replica_context()
    in_all = tf.convert_to_tensor(replicas.replica_id_in_sync_group)
    number = in_all % self.num_parts
    size = -(-count // self.num_parts)
    places = number * size + tf.range(size)
    there = tf.minimum(places, count - 1)
    mine = tf.nest.map_structure(
      lambda t: None if t is None else tf.gather(t, there), examples
    )
    return self._function(
      Part(mine, places < count, number, self.num_parts), *shared
    )
