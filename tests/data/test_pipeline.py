# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The stream of batches is a pure function of seed and position."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import data, errors

_N = 23
_MANY = 300  # More than are shuffled by sorting.


def _split(n=_N, dtype=np.uint8, labels=True):
  """Every example's label is its index."""
  images = np.arange(n).reshape(n, 1, 1, 1) % 256
  if dtype == np.float32:
    images = images / 255.0
  return data.Split(
    images=images.astype(dtype),
    labels=np.arange(n, dtype=np.int32) if labels else None,
  )


def _labels(dataset, num_batches):
  return [b.labels.numpy() for b in dataset.take(num_batches)]


def _stream(num_batches, *, split=None, batch_size=5, seed=0, **kwargs):
  dataset = data.training_batches(
    _split() if split is None else split, batch_size, seed=seed, **kwargs
  )
  return np.stack(_labels(dataset, num_batches))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_batch_has_static_shape_and_unit_range(dtype):
  dataset = data.training_batches(_split(256, dtype), 256, seed=0)
  images, labels, *_ = dataset.element_spec
  assert images == tf.TensorSpec([256, 1, 1, 1], tf.float32)
  assert labels == tf.TensorSpec([256], tf.int32)
  batch = next(iter(dataset))
  np.testing.assert_array_equal(
    batch.images[:, 0, 0, 0], (batch.labels.numpy() / 255.0).astype(np.float32)
  )


def test_labels_are_minus_one_without_labels():
  dataset = data.training_batches(_split(labels=False), 4, seed=0)
  np.testing.assert_array_equal(next(iter(dataset)).labels, [-1] * 4)


@pytest.mark.parametrize("n", [1, 2, 3, 23, 256, 257])
def test_every_epoch_is_a_permutation(n):
  stream = _stream(6 * n, split=_split(n), batch_size=1).reshape(6, n)
  np.testing.assert_array_equal(
    np.sort(stream, axis=1), np.tile(np.arange(n), (6, 1))
  )


def test_epochs_are_permutations_where_batches_straddle_them():
  stream = _stream(_N, batch_size=5).ravel()  # Five epochs in 23 batches.
  np.testing.assert_array_equal(
    np.sort(stream.reshape(5, _N), axis=1), np.tile(np.arange(_N), (5, 1))
  )


def test_batch_of_the_whole_data_set_is_a_permutation():
  for batch in _stream(3, batch_size=_N):
    np.testing.assert_array_equal(np.sort(batch), np.arange(_N))


@pytest.mark.parametrize(
  ("start_step", "n"),
  [(1, _N), (4, _N), (5, _N), (1000, _N), (5, _MANY), (100, _MANY)],
)
def test_resumed_stream_equals_tail_of_the_whole(start_step, n):
  whole = _stream(start_step + 7, split=_split(n))
  np.testing.assert_array_equal(
    _stream(7, split=_split(n), start_step=start_step), whole[start_step:]
  )


def test_stream_is_the_same_every_time():
  np.testing.assert_array_equal(_stream(20), _stream(20))


@pytest.mark.parametrize("n", [_N, _MANY])
def test_seeds_give_different_streams(n):
  streams = [
    _stream(4, split=_split(n), seed=seed) for seed in (0, 1, 256, 2**32, 2**62)
  ]
  assert len({stream.tobytes() for stream in streams}) == 5


@pytest.mark.parametrize("n", [_N, _MANY])
def test_epochs_do_not_repeat(n):
  # A cipher keyed by the low eight bits of the epoch repeats after 256.
  stream = _stream(300, split=_split(n), batch_size=n)
  assert len({tuple(epoch) for epoch in stream}) == 300


@pytest.mark.statistical
def test_orders_of_few_examples_are_uniform():
  # The 24 orders of four examples over 24,000 epochs: chi-square with 23
  # degrees of freedom exceeds 75 at a rate of 2e-7.
  epochs = _stream(1, split=_repeating(4), batch_size=96_000).reshape(-1, 4)
  _, counts = np.unique(epochs, axis=0, return_counts=True)
  assert len(counts) == 24
  assert np.sum((counts - 1_000) ** 2 / 1_000) < 75


def _repeating(n):
  return _split(n)._replace(repeats=True)


@pytest.mark.parametrize("n", [1, 7, 257])
def test_batch_of_many_epochs_is_one_permutation_after_the_other(n):
  stream = _stream(3, split=_repeating(n), batch_size=3 * n + 1).ravel()
  epochs = stream[: 9 * n].reshape(9, n)
  np.testing.assert_array_equal(
    np.sort(epochs, axis=1), np.tile(np.arange(n), (9, 1))
  )


@pytest.mark.parametrize("n", [7, 257])
def test_shards_of_a_batch_of_many_epochs_concatenate_to_it(n):
  def stream(**kwargs):
    return _stream(3, split=_repeating(n), batch_size=4 * n, **kwargs)

  shards = [stream(shard_index=s, num_shards=4) for s in range(4)]
  np.testing.assert_array_equal(np.concatenate(shards, axis=1), stream())


@pytest.mark.statistical
def test_epochs_are_uncorrelated():
  # The correlation of two random permutations is normal with variance
  # 1 / (n - 1). Twelve comparisons at 8e-8 each: |z| < 5.37 fails by chance at
  # a rate of 1e-6.
  n, num_epochs = 60_000, 7
  split = data.Split(
    images=np.zeros([n, 1, 1, 1], np.uint8), labels=np.arange(n, dtype=np.int32)
  )
  epochs = _stream(num_epochs, split=split, batch_size=n)
  correlations = np.concatenate(
    [
      [np.corrcoef(epochs[i], epochs[i + 1])[0, 1] for i in range(6)],
      [np.corrcoef(epochs[i], np.arange(n))[0, 1] for i in range(6)],
    ]
  )
  assert np.max(np.abs(correlations)) * np.sqrt(n - 1) < 5.37


@pytest.mark.parametrize("num_shards", [2, 3, 6])
def test_shards_concatenate_to_the_global_batch(num_shards):
  shards = [
    _stream(9, batch_size=6, shard_index=s, num_shards=num_shards)
    for s in range(num_shards)
  ]
  np.testing.assert_array_equal(
    np.concatenate(shards, axis=1), _stream(9, batch_size=6)
  )


@pytest.mark.parametrize(
  ("kwargs", "message"),
  [
    ({"batch_size": 0}, "`batch_size` must be positive; got 0"),
    ({"batch_size": 24}, "at most the 23 examples of the data set; got 24"),
    ({"num_shards": 2}, "divisible by the 2 replicas; got 5"),
    ({"shard_index": 1}, r"`shard_index` must be in \[0, 1\); got 1"),
    ({"start_step": -1}, "`start_step` must not be negative; got -1"),
    ({"seed": -1}, "`seed` must be a whole number .* got -1"),
  ],
)
def test_bad_arguments_are_named(kwargs, message):
  with pytest.raises(errors.UserError, match=message):
    data.training_batches(_split(), **{"batch_size": 5, "seed": 0, **kwargs})


def _two_cpus():
  devices = tf.config.list_logical_devices("CPU")
  if len(devices) < 2:
    pytest.skip("needs two logical CPU devices")
  return [device.name for device in devices[:2]]


def test_mirrored_replicas_share_the_global_batch_in_order():
  strategy = tf.distribute.MirroredStrategy(_two_cpus())
  iterator = iter(
    data.distributed_training_batches(
      strategy, _split(), 6, seed=3, start_step=2
    )
  )
  expected = _stream(8, batch_size=6, seed=3, start_step=2)
  for batch in expected:
    parts = strategy.experimental_local_results(next(iterator).labels)
    assert [len(part) for part in parts] == [3, 3]
    np.testing.assert_array_equal(np.concatenate(parts), batch)


def test_mirrored_batches_have_static_shapes():
  strategy = tf.distribute.MirroredStrategy(_two_cpus())
  batches = data.distributed_training_batches(strategy, _split(), 6, seed=3)
  shapes = []
  strategy.run(
    lambda batch: shapes.append(batch.images.shape), (next(iter(batches)),)
  )
  assert shapes == [[3, 1, 1, 1]] * 2


def test_missing_context_is_none_on_every_replica():
  strategy = tf.distribute.MirroredStrategy(_two_cpus())
  batches = iter(
    data.distributed_training_batches(strategy, _split(), 6, seed=3)
  )
  contexts = []

  @tf.function
  def run(iterator):
    strategy.run(
      lambda batch: contexts.append((batch.context, batch.context_labels)),
      (next(iterator),),
    )

  run(iter(batches))
  assert contexts == [(None, None)] * 2


def test_default_strategy_gives_the_global_batch():
  batches = data.distributed_training_batches(
    tf.distribute.get_strategy(), _split(), 6, seed=3
  )
  np.testing.assert_array_equal(
    np.stack([next(it).labels for it in [iter(batches)] for _ in range(5)]),
    _stream(5, batch_size=6, seed=3),
  )


class _Hosts:
  """What the pipeline needs of a strategy that spans several machines."""

  def __init__(self, num_hosts, num_replicas):
    self.num_replicas_in_sync = num_replicas
    self._num_hosts = num_hosts

  def distribute_datasets_from_function(self, dataset_fn):
    return [
      dataset_fn(
        tf.distribute.InputContext(
          num_input_pipelines=self._num_hosts,
          input_pipeline_id=host,
          num_replicas_in_sync=self.num_replicas_in_sync,
        )
      )
      for host in range(self._num_hosts)
    ]


@pytest.mark.parametrize(
  ("num_hosts", "num_replicas"), [(2, 2), (2, 6), (3, 3)]
)
def test_each_host_gives_the_parts_of_its_replicas(num_hosts, num_replicas):
  datasets = data.distributed_training_batches(
    _Hosts(num_hosts, num_replicas), _split(), 6, seed=1
  )
  num_local = num_replicas // num_hosts
  by_host = [
    np.reshape(_labels(dataset, 4 * num_local), (4, -1)) for dataset in datasets
  ]
  np.testing.assert_array_equal(
    np.concatenate(by_host, axis=1), _stream(4, batch_size=6, seed=1)
  )


def test_batch_not_divisible_by_replicas_is_named():
  with pytest.raises(errors.UserError, match="the 2 replicas; got 5"):
    data.distributed_training_batches(_Hosts(1, 2), _split(), 5, seed=0)


def test_evaluation_takes_all_in_order_with_a_partial_batch():
  evaluation = data.evaluation_batches(_split(), 5)
  labels = [b.labels.numpy() for b in evaluation.batches]
  assert [len(part) for part in labels] == [5, 5, 5, 5, 3]
  np.testing.assert_array_equal(np.concatenate(labels), np.arange(_N))
  assert evaluation.num_examples == _N


def test_evaluation_takes_all_if_more_are_asked_for():
  evaluation = data.evaluation_batches(_split(), 5, num_examples=100)
  assert evaluation.num_examples == _N


def test_evaluation_subset_is_fixed_and_nested():
  def take(n, **kwargs):
    evaluation = data.evaluation_batches(_split(), 4, num_examples=n, **kwargs)
    assert evaluation.num_examples == n
    return np.concatenate([b.labels.numpy() for b in evaluation.batches])

  np.testing.assert_array_equal(take(10), take(10))
  np.testing.assert_array_equal(take(6), take(10)[:6])
  assert len(set(take(10))) == 10
  assert not np.array_equal(take(10), take(10, seed=1))


@pytest.mark.parametrize(
  ("kwargs", "message"),
  [
    ({"batch_size": 0}, "`batch_size` must be positive; got 0"),
    ({"num_examples": 0}, "`num_examples` must be positive; got 0"),
  ],
)
def test_bad_evaluation_arguments_are_named(kwargs, message):
  with pytest.raises(errors.UserError, match=message):
    data.evaluation_batches(_split(), **{"batch_size": 5, **kwargs})
