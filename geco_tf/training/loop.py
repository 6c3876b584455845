# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The host's side of training: calls, rows, measurements, checkpoints."""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from geco_tf.training import metrics_log
from geco_tf.training.progress import Progress

_SKIPPED = re.compile(r"geco/(.+)/skipped")


class Intervals(NamedTuple):
  """After how many steps what happens."""

  total: int
  call: int
  log: int
  evaluate: int
  checkpoint: int

  def next_stop(self, step: int) -> int:
    """Where the call that starts at `step` ends."""
    stops = [
      step + self.call - step % self.call,
      *(every * (step // every + 1) for every in self[2:]),
      self.total,
    ]
    return min(stops)


class Step(Protocol):
  """Takes steps on the device."""

  @property
  def metric_names(self) -> tuple[str, ...]:
    """What the columns of `run`'s result are; known after its first call."""

  def run(
    self, batches: Iterator[Any], first_step: tf.Tensor, count: tf.Tensor
  ) -> tf.Tensor:
    """Takes `count` steps and returns their metrics, [count, M]."""


def run(
  train_step: Step,
  batches: Iterator[Any],
  first_step: int,
  intervals: Intervals,
  *,
  make_row: Callable[[int, Mapping[str, float]], dict[str, float]],
  window: metrics_log.Window,
  log: metrics_log.MetricsLog,
  evaluate: Callable[[int], Mapping[str, float]],
  save: Callable[[int], None] | None,
  progress: Progress,
  examine: Callable[[], Iterable[str]] = tuple,
  check: Callable[[int, int], None] = lambda step, nonfinite: None,
  is_stopping: Callable[[], bool] = lambda: False,
) -> int:
  """Trains from first_step to the end, or until it is to stop.

  Args:
    train_step: takes the steps.
    batches: the strategy's, beginning at first_step.
    first_step: updates taken before.
    intervals: after how many steps what happens.
    make_row: a row of metrics, from the step and the means since the last one.
    window: metrics since the last row.
    log: takes the rows.
    evaluate: step → what a row gains at a measurement.
    save: keeps the state after a step; None for a run without a folder.
    progress: shows the rows.
    examine: what to warn of, after a measurement.
    check: is given, after each call, the step and how many updates before it
      were skipped in a row; may raise.
    is_stopping: whether to save and stop, asked once after each call.

  Returns:
    The step it has come to.
  """
  step, since, clock = first_step, first_step, time.monotonic()
  warned: set[str] = set()
  in_a_row = 0
  is_stopped = False
  while step < intervals.total and not is_stopped:
    stop = intervals.next_stop(step)
    steps = train_step.run(
      batches,
      tf.constant(step, tf.int64),
      tf.constant(stop - step, tf.int32),
    )
    steps = np.asarray(steps)
    in_a_row = _skipped_in_a_row(train_step.metric_names, steps, in_a_row)
    for name, at in _skipped(train_step.metric_names, steps, step):
      if name not in warned:
        warned.add(name)
        progress.warn(
          f"the constraint {name!r} was not finite at step {at}; such steps "
          f"change nothing (geco/{name}/skipped tells their share)."
        )
    step = stop
    window.add(train_step.metric_names, steps)
    progress.advance(step)
    is_measured = step % intervals.evaluate == 0 or step == intervals.total
    if step % intervals.log == 0 or is_measured:
      row = make_row(step, window.pop_means())
      seconds = max(time.monotonic() - clock, 1e-9)
      row["steps_per_second"] = (step - since) / seconds
      if is_measured:
        row.update(evaluate(step))
      log.add(row)
      progress.show(row)
      if is_measured and step < intervals.total:
        for text in examine():
          progress.warn(text)
      since, clock = step, time.monotonic()
    check(step, in_a_row)
    is_stopped = is_stopping()
    is_due = step % intervals.checkpoint == 0 or step == intervals.total
    if save is not None and (is_due or is_stopped):
      save(step)
  return step


def _skipped_in_a_row(
  names: Sequence[str], steps: np.ndarray, before: int
) -> int:
  """How many steps up to the last one were not finite.

  Args:
    names: of the metrics.
    steps: [count, M], the metrics of each step.
    before: how many were not up to the first one.
  """
  columns = [
    i
    for i, name in enumerate(names)
    if name == "skipped_gradients" or _SKIPPED.fullmatch(name)
  ]
  is_skipped = np.any(steps[:, columns] > 0, axis=1)
  if is_skipped.all():
    return before + len(steps)
  return int(np.argmin(is_skipped[::-1]))


def _skipped(
  names: Sequence[str], steps: np.ndarray, first_step: int
) -> Iterator[tuple[str, int]]:
  """Constraints that were not finite, and the first step of each.

  Args:
    names: of the metrics.
    steps: [count, M], the metrics of each step.
    first_step: updates taken before.
  """
  for name, column in zip(names, steps.T, strict=True):
    if (match := _SKIPPED.fullmatch(name)) and column.any():
      yield match.group(1), first_step + int(np.argmax(column > 0)) + 1
