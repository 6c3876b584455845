# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A κ that is still to be found: auto:p25."""

import re
from typing import NamedTuple

from geco_tf import errors

_AUTO = re.compile(r"auto:p(\d+(?:\.\d+)?)")


class AutoKappa(NamedTuple):
  """A place between what a probe run reaches and what knowing nothing gives."""

  percent: float  # 0 is the one, 100 the other.

  def __str__(self) -> str:
    return f"auto:p{self.percent:g}"

  def between(self, reached: float, scale: float) -> float:
    """The κ there, on a logarithmic scale: reached^(1 − p) · scale^p."""
    share = self.percent / 100.0
    return reached ** (1.0 - share) * scale**share


def parse(text: str) -> float | AutoKappa:
  """A number, or auto:pNN.

  Raises:
    UserError: if it is neither.
  """
  text = text.strip()
  if match := _AUTO.fullmatch(text):
    percent = float(match.group(1))
    if percent < 100.0:
      return AutoKappa(percent)
  try:
    return float(text)
  except ValueError:
    raise errors.UserError(
      "`kappa` must be a number, or auto:pNN with NN from 0 to below 100; got "
      f"{text!r}."
    ) from None
