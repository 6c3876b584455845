# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where calls end: the host looks whenever there is something to do."""

import numpy as np
import pytest

from geco_tf.training import loop


@pytest.mark.parametrize(
  ("step", "expected"),
  [(0, 7), (7, 10), (10, 14), (14, 20), (20, 21), (28, 30), (40, 41)],
)
def test_next_stop_is_the_nearest_that_matters(step, expected):
  intervals = loop.Intervals(
    total=41, call=7, log=10, evaluate=20, checkpoint=30
  )
  assert intervals.next_stop(step) == expected


@pytest.mark.parametrize("call", [1, 7, 50, 1_000])
@pytest.mark.parametrize("first_step", [0, 30])
def test_stops_are_at_every_row_measurement_and_checkpoint(call, first_step):
  intervals = loop.Intervals(
    total=145, call=call, log=10, evaluate=25, checkpoint=30
  )
  stops, step = [], first_step
  while step < intervals.total:
    stop = intervals.next_stop(step)
    assert 0 < stop - step <= call
    stops.append(step := stop)
  assert stops[-1] == intervals.total
  for every in (10, 25, 30):
    due = {s for s in range(first_step + 1, 146) if s % every == 0}
    assert due <= set(stops)


@pytest.mark.parametrize(
  ("gradients", "constraint", "before", "expected"),
  [
    ([0, 0, 0], [0, 0, 0], 5, 0),
    ([1, 1, 0], [0, 0, 0], 5, 0),
    ([1, 0, 1], [0, 0, 0], 5, 1),
    ([0, 1, 1], [0, 0, 0], 5, 2),
    ([1, 1, 1], [0, 0, 0], 5, 8),
    ([1, 1, 1], [1, 1, 1], 0, 3),
    # One or the other is enough.
    ([0, 1, 0], [0, 0, 1], 5, 2),
    ([1, 0, 0], [0, 1, 1], 5, 8),
  ],
)
def test_skipped_in_a_row_are_those_up_to_the_last_step(
  gradients, constraint, before, expected
):
  names = ("loss", "skipped_gradients", "geco/re/skipped", "kl")
  losses = np.ones(3)
  steps = np.stack([losses, gradients, constraint, losses], axis=1)
  assert loop._skipped_in_a_row(names, steps, before) == expected


def test_constraint_whose_name_says_skipped_skips_nothing():
  names = ("geco/skipped_frames/multiplier", "geco/skipped_frames/skipped")
  steps = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]])
  assert loop._skipped_in_a_row(names, steps[:2], 5) == 1
  assert loop._skipped_in_a_row(names, steps, 5) == 0


def test_nothing_is_skipped_where_no_metric_says_so():
  assert loop._skipped_in_a_row(("loss",), np.ones((3, 1)), 5) == 0
