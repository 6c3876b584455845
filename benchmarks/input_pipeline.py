# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast the input pipeline makes batches, on its own.

  python -m benchmarks.input_pipeline

Against `tf.data` as one would write it (a full shuffle buffer, which cannot
begin at a step) and PyTorch's DataLoader with two workers, which read a batch
at a time. What a task makes of the images is timed against the images as they
are stored: 60,000 of noise in MNIST's shape, as no time depends on what they
show.
"""

import functools
from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from benchmarks import interleaved, performance, training_step
from geco_tf import data
from geco_tf.data import paper_tasks, pixels
from launch import command_line

try:
  from benchmarks import torch_examples
except ImportError:
  torch_examples = None

_BATCH_SIZE, _BATCHES, _ROUNDS = 64, 100, 7
_UNTIMED_BATCHES = 20  # Fill the buffers, which are full after a pause.
_NUM_WORKERS = 2

# What is made of the stored images, by the name of a row.
_KINDS: dict[str, Callable[[data.Source], data.Source]] = {
  **{name: data.task_registry[name] for name in data.task_registry.names()},
  "color, stacked": functools.partial(paper_tasks.color, variant="stacked"),
  "pixel_noise": functools.partial(pixels.degrade, pixel_noise=0.1),
  "bit_depth": functools.partial(pixels.degrade, bit_depth=5),
}


def measure(is_quick: bool) -> performance.Part:
  """The part of the page."""
  source = training_step.noise_source(600 if is_quick else 60_000)
  works = {"stored": _ours(source.train), "tf.data": _plain(source.train)}
  if torch_examples is not None:
    batches = torch_examples.batches(
      source.train.images,
      source.train.labels,
      _BATCH_SIZE,
      num_workers=_NUM_WORKERS,
    )
    works["DataLoader"] = _Stream(batches)
  works |= {name: _ours(make(source).train) for name, make in _KINDS.items()}
  times = interleaved.times(
    works,
    rounds=1 if is_quick else _ROUNDS,
    count=1 if is_quick else _BATCHES,
    before=lambda name: works[name](_UNTIMED_BATCHES),
  )
  clocks = {name: t.clock for name, t in times.items()}
  what, stored = f"batch of {_BATCH_SIZE}", clocks["stored"]
  rows = [
    performance.Row(what, "ours", stored, peer, clocks.get(name))
    for name, peer in (
      ("tf.data", "`tf.data`, shuffle and batch"),
      ("DataLoader", f"PyTorch's DataLoader, {_NUM_WORKERS} workers"),
    )
  ]
  rows += [
    performance.Row(
      what, f"ours, {name}", clocks[name], "ours, as stored", stored
    )
    for name in _KINDS
  ]
  cores = float(np.median(times["stored"].cores))
  return performance.Part(
    rows,
    [f"A batch as stored takes {cores:.2f} ms of all cores together."],
  )


class _Stream:
  """Takes so many batches of one iterator.

  It stays for all rounds: while others are alive, tf.data may take twenty
  seconds to give one up.
  """

  def __init__(self, batches: Iterable):
    self._iterator = iter(batches)

  def __call__(self, count: int) -> None:
    for _ in range(count):
      next(self._iterator)


def _ours(split: data.Split) -> _Stream:
  return _Stream(data.training_batches(split, _BATCH_SIZE, seed=0))


def _plain(split: data.Split) -> _Stream:
  dataset = tf.data.Dataset.from_tensor_slices((split.images, split.labels))
  dataset = dataset.shuffle(split.num_examples, seed=0).repeat()
  dataset = dataset.batch(_BATCH_SIZE, drop_remainder=True).map(
    lambda images, labels: (tf.cast(images, tf.float32) / 255.0, labels),
    num_parallel_calls=tf.data.AUTOTUNE,
  )
  return _Stream(dataset.prefetch(tf.data.AUTOTUNE))


if __name__ == "__main__":
  command_line.run(lambda: performance.run({"input_pipeline": measure}))
