# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a split in memory to batches, as a pure function of seed and position.

Example i of the stream is entry i mod N of epoch i div N, and each epoch is a
permutation drawn from (seed, epoch). So a run that resumes at a step needs no
state of the iterator, and how many replicas share a batch changes nothing about
what is in it. Where a task draws partners for an example, they too are drawn
from seed and place in the stream; in evaluation an example's are always the
same.
"""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.data import batch, counter_random, sources

# With four rounds, the default of tf.random.experimental.index_shuffle, the
# permutations of 60,000 examples in successive epochs are correlated 30 times
# more than chance allows; with eight a trace is left.
_SHUFFLE_ROUNDS = 16
# The cipher behind it draws from 65,536 numbers or more until one is below N;
# for so few examples, sorting random numbers is faster.
_FEW_EXAMPLES = 256
# Keep numbers of the same seed apart.
_PARTNERS, _ORDERS = 0, 1


class Evaluation(NamedTuple):
  """A fixed set of examples, once through."""

  batches: tf.data.Dataset  # Of Batch; the last one may be smaller.
  num_examples: int


def training_batches(
  split: sources.Split,
  batch_size: int,
  *,
  seed: int,
  start_step: int = 0,
  shard_index: int = 0,
  num_shards: int = 1,
) -> tf.data.Dataset:
  """Endless shuffled batches, from any step on.

  Args:
    split: N examples.
    batch_size: B, the global batch size.
    seed: of the permutations; a whole number from 0 on.
    start_step: the step that the first batch belongs to.
    shard_index: s, which part of every global batch to give.
    num_shards: n, into how many parts a global batch is cut; part s has its
      rows [s B / n, (s + 1) B / n).

  Returns:
    A data set of Batch with B / n examples each.

  Raises:
    UserError: if B is not in [1, N] (a split that repeats takes any from 1
      on) or not divisible by n.
  """
  _check_batch_size(split, batch_size, num_shards)
  if not 0 <= shard_index < num_shards:
    raise errors.UserError(
      f"`shard_index` must be in [0, {num_shards}); got {shard_index}."
    )
  return _stream(
    split,
    batch_size,
    seed=seed,
    start_step=start_step,
    shards=range(shard_index, shard_index + 1),
    num_shards=num_shards,
  )


def distributed_training_batches(
  strategy: tf.distribute.Strategy,
  split: sources.Split,
  batch_size: int,
  *,
  seed: int,
  start_step: int = 0,
) -> tf.distribute.DistributedDataset:
  """Endless shuffled batches, cut evenly among the replicas of a strategy.

  The replicas' parts, in order, are the global batch that `training_batches`
  gives for the same step.

  Args:
    strategy: who shares a batch.
    split: N examples.
    batch_size: B, the global batch size.
    seed: of the permutations; a whole number from 0 on.
    start_step: the step that the first batch belongs to.

  Returns:
    A distributed data set of Batch, B / n examples a replica.

  Raises:
    UserError: if B is not in [1, N] (a split that repeats takes any from 1
      on) or not divisible by the number n of replicas.
  """
  num_replicas = strategy.num_replicas_in_sync
  _check_batch_size(split, batch_size, num_replicas)

  def dataset_fn(context: tf.distribute.InputContext) -> tf.data.Dataset:
    # An input pipeline feeds the replicas of one host in turn, so it gives
    # their parts of one step before it comes to the next step.
    num_local = num_replicas // context.num_input_pipelines
    first = context.input_pipeline_id * num_local
    return _stream(
      split,
      batch_size,
      seed=seed,
      start_step=start_step,
      shards=range(first, first + num_local),
      num_shards=num_replicas,
    )

  return strategy.distribute_datasets_from_function(dataset_fn)


def evaluation_batches(
  split: sources.Split,
  batch_size: int,
  *,
  num_examples: int | None = None,
  seed: int = 0,
) -> Evaluation:
  """A fixed set of examples, in batches, once through.

  Args:
    split: N examples.
    batch_size: B; the last batch holds what is left.
    num_examples: how many to take; None, or more than there are, is all of
      them, in order. Otherwise they are drawn by `seed`, and a smaller number
      takes the first of what a larger one takes.
    seed: of that draw.

  Returns:
    The batches and the number of examples in them.

  Raises:
    UserError: if a size is not positive.
  """
  if batch_size < 1:
    raise errors.UserError(f"`batch_size` must be positive; got {batch_size}.")
  if num_examples is not None and num_examples < 1:
    raise errors.UserError(
      f"`num_examples` must be positive; got {num_examples}."
    )
  indices = np.arange(split.num_examples)
  if num_examples is not None and num_examples < split.num_examples:
    # RandomState's stream never changes between versions of NumPy.
    indices = np.random.RandomState(seed).permutation(indices)[:num_examples]
    if split.view is None:
      # Taken here, since the pipeline copies the examples that it is given.
      split, indices = sources.take(split, indices), np.arange(num_examples)
  view = sources.view_of(split)
  with tf.device("CPU:0"):
    read = view.make_reader(split.images)
    dataset = tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)
    dataset = dataset.map(
      lambda some: read(some, counter_random.words(view.partner_key, some)),
      num_parallel_calls=tf.data.AUTOTUNE,
      deterministic=True,
    )
    return Evaluation(dataset.prefetch(tf.data.AUTOTUNE), len(indices))


def _check_batch_size(
  split: sources.Split, batch_size: int, num_replicas: int
) -> None:
  if batch_size < 1:
    raise errors.UserError(f"`batch_size` must be positive; got {batch_size}.")
  if batch_size > split.num_examples and not split.repeats:
    raise errors.UserError(
      f"`batch_size` must be at most the {split.num_examples} examples of the "
      f"data set; got {batch_size}."
    )
  if batch_size % num_replicas:
    raise errors.UserError(
      f"`batch_size` must be divisible by the {num_replicas} replicas; got "
      f"{batch_size}."
    )


def _stream(
  split: sources.Split,
  batch_size: int,
  *,
  seed: int,
  start_step: int,
  shards: range,
  num_shards: int,
) -> tf.data.Dataset:
  """For each step from start_step on, the given parts of its global batch."""
  if start_step < 0:
    raise errors.UserError(
      f"`start_step` must not be negative; got {start_step}."
    )
  if not 0 <= seed < 2**63:
    raise errors.UserError(
      f"`seed` must be a whole number in [0, 2**63); got {seed}."
    )
  shard_size = batch_size // num_shards
  with tf.device("CPU:0"):
    read = sources.view_of(split).make_reader(split.images)
    partner_key = counter_random.fold(seed, _PARTNERS)

    def make_batch(count: tf.Tensor) -> batch.Batch:
      step = start_step + count // len(shards)
      shard = shards.start + count % len(shards)
      first = step * batch_size + shard * shard_size
      positions = first + tf.range(shard_size, dtype=tf.int64)
      return read(
        _shuffled(positions, split.num_examples, seed),
        counter_random.words(partner_key, positions),
      )

    dataset = tf.data.Dataset.counter(dtype=tf.int64).map(
      make_batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    return dataset.prefetch(tf.data.AUTOTUNE)


def _shuffled(positions: tf.Tensor, num_examples: int, seed: int) -> tf.Tensor:
  """Which example stands at each position [B] of the endless stream."""
  epochs, places = positions // num_examples, positions % num_examples
  # B consecutive positions touch no more epochs than this.
  num_epochs = 1 + math.ceil((positions.shape[0] - 1) / num_examples)
  if num_examples <= _FEW_EXAMPLES:
    order = _orders(
      epochs[0] + tf.range(num_epochs, dtype=tf.int64), num_examples, seed
    )
    return tf.gather_nd(order, tf.stack([epochs - epochs[0], places], axis=1))
  keys = tf.stack([_key(seed, epochs[0] + i) for i in range(num_epochs)])
  return tf.raw_ops.RandomIndexShuffle(
    index=places,
    seed=tf.gather(keys, epochs - epochs[0]),
    max_index=tf.constant(num_examples - 1, tf.int64),
    rounds=_SHUFFLE_ROUNDS,
  )


def _orders(epochs: tf.Tensor, num_examples: int, seed: int) -> tf.Tensor:
  """The permutation of each of the epochs [E]: [E, N], int64."""
  keys = counter_random.words(counter_random.fold(seed, _ORDERS), epochs)
  words = counter_random.words(keys[:, tf.newaxis], tf.range(num_examples))
  return tf.cast(tf.argsort(tf.bitcast(words, tf.int64)), tf.int64)


def _key(seed: int, epoch: tf.Tensor) -> tf.Tensor:
  """The key [3] of an epoch's permutation.

  The cipher uses only the low bits of its key, eight of each number for 65,536
  examples or fewer: (seed, epoch) itself would repeat after 256 epochs, and
  after 256 seeds.
  """
  return tf.random.stateless_uniform(
    [3],
    seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
    minval=None,
    maxval=None,
    dtype=tf.uint32,
    alg="philox",
  )
