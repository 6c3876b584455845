# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a user may get wrong, told in one line each."""

import numbers
from typing import Any

import numpy as np

from geco_tf import errors


def array(name: str, values: Any, dtype: Any = np.float64) -> np.ndarray:
  """By way of NumPy, since TensorFlow makes Python's floats float32 first."""
  try:
    with np.errstate(over="ignore"):
      return np.asarray(values, dtype)
  except (TypeError, ValueError):
    raise errors.UserError(
      f"`{name}` must be numbers, all rows of one length; got "
      f"{type(values).__name__}."
    ) from None


def matrix(name: str, values: Any, dtype: Any = np.float64) -> np.ndarray:
  """Of finite numbers, with a row and a column at least."""
  values = array(name, values, dtype)
  if values.ndim != 2 or not values.size:
    raise errors.UserError(
      f"`{name}` must be a finite matrix; got the shape {values.shape}."
    )
  finite(name, values)
  return values


def finite(name: str, values: np.ndarray) -> None:
  """Nothing, if all are."""
  if not np.isfinite(values).all():
    raise errors.UserError(f"`{name}` must be finite; some values are not.")


def betas(values: Any, dtype: Any = np.float64) -> np.ndarray:
  """[B], positive and finite."""
  values = array("betas", values, dtype)
  if values.ndim != 1 or not values.size:
    raise errors.UserError(
      f"`betas` must be a list of numbers; got the shape {values.shape}."
    )
  for beta in values:
    positive("betas", beta)
  return values


def masses(values: Any, num_tiles: int, dtype: Any = np.float64) -> np.ndarray:
  """π_a, [A], of sum 1; uniform, if none are given."""
  if values is None:
    return np.full([num_tiles], 1.0 / num_tiles, dtype)
  values = array("masses", values, dtype)
  if values.shape != (num_tiles,) or not (values > 0).all():
    raise errors.UserError(
      f"`masses` must be {num_tiles} positive numbers; got the shape "
      f"{values.shape} with a least of {values.min(initial=np.inf):g}."
    )
  total = values.sum(dtype=np.float64)
  if not abs(total - 1.0) < 1e-5:
    raise errors.UserError(f"`masses` must sum to 1; got the sum {total:g}.")
  return values


def positive(name: str, number: float) -> None:
  """Nothing, if it is, and finite."""
  if not 0 < number < np.inf:
    raise errors.UserError(
      f"`{name}` must be positive and finite; got {number:g}."
    )


def not_negative(name: str, number: float) -> None:
  """Nothing, if it is not."""
  if not number >= 0:
    raise errors.UserError(f"`{name}` must be 0 or more; got {number:g}.")


def whole(name: str, number: Any) -> None:
  """Nothing, if it counts something: 1, 2 and so on."""
  if not isinstance(number, numbers.Integral) or number < 1:
    raise errors.UserError(
      f"`{name}` must be a whole number, at least 1; got {number}."
    )
