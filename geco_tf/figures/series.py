# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Columns of a run's metrics, which need not have every key in every row."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Rows = Sequence[Mapping[str, Any]]

_MULTIPLIER = re.compile(r"geco/(.+)/multiplier")


def check(rows: Rows) -> None:
  """Raises ValueError if there is no row, or one without a step."""
  if not rows:
    raise ValueError("`rows` must hold at least one row; got none.")
  for i, row in enumerate(rows):
    if "step" not in row:
      raise ValueError(f"Every row must have a 'step'; row {i} has none.")


def columns(rows: Rows, *keys: str) -> tuple[np.ndarray, ...]:
  """The steps, then one array for each key, from the rows that have them all.

  A value that is null or not a number is nan, which a line leaves out as a gap;
  a row without one of the keys was not measured, and is left out.

  Args:
    rows: dictionaries with a `step`.
    *keys: the metrics.

  Returns:
    1 + len(keys) arrays [number of rows that have every key], float64.
  """
  found = [row for row in rows if all(key in row for key in keys)]
  return tuple(
    np.array(
      [np.nan if row[key] is None else float(row[key]) for row in found],
      dtype=np.float64,
    )
    for key in ("step", *keys)
  )


def constraint_names(rows: Rows) -> tuple[str, ...]:
  """The constraints that have a multiplier in any row, in order of the name."""
  matches = (_MULTIPLIER.fullmatch(key) for row in rows for key in row)
  return tuple(sorted({match.group(1) for match in matches if match}))
