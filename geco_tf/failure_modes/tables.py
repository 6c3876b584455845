# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A user's own numeric table: read, checked, split, standardised."""

import csv
import zipfile
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors

# Tried in this order where an npz file holds several arrays.
_USUAL_KEYS = ("x_train", "x", "data")
_BYTE_ORDER_MARK = "\ufeff"  # Spreadsheets put it in front.
_MIN_ROWS = 10
# The classifier that samples are told from data by is judged in five folds.
_MIN_TEST_ROWS = 5


class Table(NamedTuple):
  """Rows of numbers."""

  values: np.ndarray  # [N, D], float64.
  columns: tuple[str, ...]  # D names; their numbers, where none are known.


class Split(NamedTuple):
  """Standardised: each column less its mean, over its standard deviation."""

  train: np.ndarray  # [N, D]
  test: np.ndarray  # [M, D], in the training rows' units.
  mean: np.ndarray  # [D], of the training rows.
  deviation: np.ndarray  # [D]


def read(spec: str) -> Table:
  """Reads npz:FILE, npz:FILE:KEY or csv:FILE.

  Args:
    spec: what to read; a CSV file's first line may name the columns.

  Returns:
    The table.

  Raises:
    UserError: if it cannot be read, or is no table of finite numbers that vary.
  """
  kind, _, path = spec.partition(":")
  if kind not in ("npz", "csv") or not path:
    raise errors.UserError(
      f"`data` must be npz:FILE, npz:FILE:KEY or csv:FILE; got {spec!r}."
    )
  if kind == "csv":
    return checked(_read_csv(path))
  key = None
  if not tf.io.gfile.exists(path) and ":" in path:
    path, _, key = path.rpartition(":")
  return checked(_read_npz(path, key))


def checked(table: Table) -> Table:
  """The table, if a VAE can be trained on it.

  Raises:
    UserError: if rows are too few, or columns hold NaN or do not vary.
  """
  values = table.values
  if len(values) < _MIN_ROWS:
    raise errors.UserError(
      f"`data` must have {_MIN_ROWS} rows or more; got {len(values)}."
    )
  if not values.shape[1]:
    raise errors.UserError("`data` must have columns; got none.")
  is_bad = ~np.isfinite(values).all(axis=0)
  if is_bad.any():
    raise errors.UserError(
      "`data` must be finite; NaN or infinity stands in "
      f"{_named(table.columns, is_bad)}. Fill these in, or leave them out."
    )
  is_constant = values.max(axis=0) == values.min(axis=0)
  if is_constant.any():
    raise errors.UserError(
      "`data` must vary in every column; one value alone stands in "
      f"{_named(table.columns, is_constant)}. Leave these out."
    )
  return table


def split(table: Table, *, test_share: float, seed: int) -> Split:
  """Draws test rows at random and standardises by the others.

  Raises:
    UserError: if too few rows are left, or a column varies only in those held
      out.
  """
  rng = np.random.default_rng(seed)
  rows = rng.permutation(len(table.values))
  num_test = max(_MIN_TEST_ROWS, round(test_share * len(rows)))
  test, train = table.values[rows[:num_test]], table.values[rows[num_test:]]
  if len(train) < 2:
    raise errors.UserError(
      f"`test_share` must leave two rows or more; {test_share} leaves "
      f"{len(train)} of {len(rows)}."
    )
  # Not by the deviation: that of a repeated .1 may be a rounding error.
  is_constant = train.max(axis=0) == train.min(axis=0)
  if is_constant.any():
    raise errors.UserError(
      "`data` must vary in the training rows too; one value alone stands "
      f"there in {_named(table.columns, is_constant)}. Leave these out."
    )
  mean, deviation = train.mean(axis=0), train.std(axis=0)
  return Split(
    (train - mean) / deviation, (test - mean) / deviation, mean, deviation
  )


def _read_npz(path: str, key: str | None) -> Table:
  _check_exists(path)
  with tf.io.gfile.GFile(path, "rb") as file:
    try:
      with np.load(file) as arrays:
        keys = list(arrays)
        key = _usual_key(keys) if key is None else key
        if key not in keys:
          raise errors.unknown_name(f"array of {path!r}", key, keys)
        values = arrays[key]
    except (
      zipfile.BadZipFile,
      tf.errors.OpError,
      ValueError,
      AttributeError,
      TypeError,
    ) as error:
      if isinstance(error, errors.UserError):
        raise
      raise errors.UserError(f"{path!r} is no npz file: {error}.") from error
  if values.ndim != 2 or values.dtype.kind not in "fiub":
    raise errors.UserError(
      f"The array {key!r} must be a table of numbers, [rows, columns]; got "
      f"{values.dtype} of shape {values.shape}."
    )
  columns = tuple(str(i) for i in range(values.shape[1]))
  return Table(values.astype(np.float64), columns)


def _usual_key(keys: Sequence[str]) -> str:
  if len(keys) == 1:
    return keys[0]
  for key in _USUAL_KEYS:
    if key in keys:
      return key
  raise errors.UserError(
    f"`data` must say which array, as npz:FILE:KEY; got {', '.join(keys)}."
  )


def _read_csv(path: str) -> Table:
  _check_exists(path)
  with tf.io.gfile.GFile(path) as file:
    try:
      lines = [row for row in csv.reader(file) if row]
    except UnicodeDecodeError as error:
      raise errors.UserError(f"{path!r} is no text: {error}.") from error
  if not lines:
    raise errors.UserError(f"{path!r} must hold rows; it is empty.")
  lines[0][0] = lines[0][0].removeprefix(_BYTE_ORDER_MARK)
  columns = tuple(str(i) for i in range(len(lines[0])))
  # A row of numbers of which some are missing is no header.
  if any(cell.strip() and not _is_number(cell) for cell in lines[0]):
    columns, lines = tuple(c.strip() for c in lines[0]), lines[1:]
  if len(columns) == 1 and (";" in columns[0] or "\t" in columns[0]):
    raise errors.UserError(
      f"`data` must have commas between columns; {path!r} begins with "
      f"{columns[0]!r}."
    )
  rows = [_numbers(row, columns, line) for line, row in enumerate(lines, 1)]
  return Table(np.array(rows, np.float64).reshape(-1, len(columns)), columns)


def _numbers(row: Sequence[str], columns: Sequence[str], line: int) -> list:
  if len(row) != len(columns):
    raise errors.UserError(
      f"`data` must have {len(columns)} columns in every row; row {line} has "
      f"{len(row)}."
    )
  for name, cell in zip(columns, row, strict=True):
    if cell.strip() and not _is_number(cell):
      raise errors.UserError(
        f"`data` must be numbers; row {line}, column {name}, is {cell!r}."
      )
  # An empty cell is a missing number.
  return [float(cell) if cell.strip() else np.nan for cell in row]


def _is_number(cell: str) -> bool:
  try:
    float(cell)
  except ValueError:
    return False
  return True


def _check_exists(path: str) -> None:
  if not tf.io.gfile.exists(path):
    raise errors.UserError(f"`data` must be a file; {path!r} is not there.")


def _named(columns: Sequence[str], which: np.ndarray) -> str:
  names = [c for c, is_one in zip(columns, which, strict=True) if is_one]
  noun = "column" if len(names) == 1 else "columns"
  more = f" and {len(names) - 8} more" if len(names) > 8 else ""
  return f"{noun} {', '.join(names[:8])}{more}"
