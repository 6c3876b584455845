# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where calls end: the host looks whenever there is something to do."""

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
