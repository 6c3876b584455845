# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Times several things in one run, a block of each in turn."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

# Does something so many times, and returns when it is done.
Work: TypeAlias = Callable[[int], object]


class Times(NamedTuple):
  """Milliseconds of one of the so many times, in each round."""

  clock: np.ndarray  # [rounds]
  cores: np.ndarray  # [rounds], of all cores together, this process alone.


def times(
  works: Mapping[str, Work],
  *,
  rounds: int,
  count: int | Mapping[str, int],
  before: Callable[[str], object] | None = None,
) -> dict[str, Times]:
  """Name → its times.

  Args:
    works: name → what is done.
    rounds: how many blocks of each.
    count: how many times a block does it, for all or by name.
    before: called with the name before each block, off the clock.
  """
  names = list(works)
  counts = {n: count if isinstance(count, int) else count[n] for n in names}
  for name in names:
    works[name](1)  # Traces and compiles,
    works[name](1)  # and warms up.
  blocks: dict[str, list[np.ndarray]] = {name: [] for name in names}
  for i in range(rounds):
    # The order turns, so that a slow spell hits all alike.
    for name in names[i % len(names) :] + names[: i % len(names)]:
      if before is not None:
        before(name)
      start = _now()
      works[name](counts[name])
      blocks[name].append(1e3 * (_now() - start) / counts[name])
  return {n: Times(*np.transpose(b)) for n, b in blocks.items()}


def repeated(function: Callable[[], object]) -> Work:
  """What calls the function so many times."""

  def many(count: int) -> None:
    for _ in range(count):
      function()

  return many


def _now() -> np.ndarray:
  return np.array([time.perf_counter(), time.process_time()])
