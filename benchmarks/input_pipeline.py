# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast the input pipeline makes batches of every task, on its own.

  python -m benchmarks.input_pipeline --dataset=mnist

Under a minute. A model that takes s batches a second is fed n times faster than
it consumes where a row shows n·s; what the pipeline takes of the cores beside
the model is s times the milliseconds.
"""

import functools
import json
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks import results
from geco_tf import data
from geco_tf.data import paper_tasks, pixels
from launch import command_line

_DATASET = flags.DEFINE_string("dataset", "mnist", "labelled, one channel.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its data.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "examples a batch.")
_BATCHES = flags.DEFINE_integer("batches", 100, "batches a block.")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "blocks of each kind.")

# What is made of the source, by the name of a row.
_KINDS: dict[str, Callable[[data.Source], data.Source]] = {
  "as stored": lambda source: source,
  **{name: data.task_registry[name] for name in data.task_registry.names()},
  "color, stacked": functools.partial(paper_tasks.color, variant="stacked"),
  "pixel_noise": functools.partial(pixels.degrade, pixel_noise=0.1),
  "bit_depth": functools.partial(pixels.degrade, bit_depth=5),
}


class _Block(NamedTuple):
  """What some batches took."""

  batches_per_second: float
  cpu_milliseconds: float  # A batch, over all threads.


def _measure(split: data.Split, num_batches: int) -> _Block:
  batches = iter(data.training_batches(split, _BATCH_SIZE.value, seed=0))
  for _ in range(num_batches // 5):
    next(batches)  # Traces, and fills the buffers.
  start, cpu_start = time.perf_counter(), time.process_time()
  for _ in range(num_batches):
    next(batches)
  seconds = time.perf_counter() - start
  cpu_seconds = time.process_time() - cpu_start
  return _Block(num_batches / seconds, 1e3 * cpu_seconds / num_batches)


def main() -> None:
  """Prints the table and keeps it in docs/results/."""
  source = data.load(_DATASET.value, data_dir=_DATA_DIR.value)
  splits = {name: make(source).train for name, make in _KINDS.items()}
  blocks: dict[str, list[_Block]] = {name: [] for name in splits}
  # Interleaved, so that a slow spell hits all alike.
  for _ in range(_ROUNDS.value):
    for name, split in splits.items():
      blocks[name].append(_measure(split, _BATCHES.value))
  print(f"{'':16}{'batches/s':>10}{'quartiles':>16}{'CPU ms/batch':>14}")
  found = {}
  for name, measured in blocks.items():
    rates, milliseconds = np.transpose(measured)
    low, median, high = np.percentile(rates, [25, 50, 75])
    found[name] = {
      "batches_per_second": round(median),
      "quartiles": [round(low), round(high)],
      "cpu_milliseconds": round(float(np.median(milliseconds)), 3),
    }
    quartiles = f"{low:.0f} to {high:.0f}"
    print(
      f"{name:16}{median:10.0f}{quartiles:>16}{np.median(milliseconds):14.2f}"
    )
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  found["batch_size"] = _BATCH_SIZE.value
  path = results.FOLDER / "input_pipeline.json"
  path.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
  command_line.run(main)
