# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which of two ways of training costs less KL at the same error?"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


def kl_at(
  rmse: float, *, of_rmse: float, kl: float, multiplier: float, num_dims: int
) -> float:
  """What a run's KL would be at another RMSE near its own, to first order.

    KL + λ D (RMSE'² − RMSE²),  as dKL/d(D RMSE²) = −λ where training has ended

  At a few thousand steps it has not: λ is up to 1.7 times the slope between
  runs of neighbouring κ, so that a KL may be moved by 40 % too much.

  Args:
    rmse: where to look, RMSE below; data in [0, 1].
    of_rmse: where the run ended, RMSE' above.
    kl: of the run, nats.
    multiplier: λ it ended with, of the squared error summed over dimensions.
    num_dims: D.

  Returns:
    Nats.
  """
  return kl + multiplier * num_dims * (of_rmse**2 - rmse**2)


class Interpolated(NamedTuple):
  """A sweep's KL between two of its runs."""

  kl: float  # Nats; nan outside of the sweep.
  low: float  # RMSE of the two runs.
  high: float
  error: float  # Relative: how far off the line may be. BUILD_NOTES 64.


# Half the second derivative of ln KL by ln RMSE that is reckoned with at least.
_CURVATURE = 3.5


def interpolated_kl(
  rmse: float, points: Sequence[tuple[float, float]]
) -> Interpolated:
  """KL of a sweep at an RMSE, on the straight lines of ln KL over ln RMSE.

    error = c ln(RMSE/low) ln(high/RMSE)

  with c the largest second divided difference of the sweep that has both `low`
  and `high` in it, and no less than 3.5.

  Args:
    rmse: where to look, of data in [0, 1].
    points: RMSE and KL, nats, of the runs of the sweep; both positive.

  Returns:
    The KL, what it is between, and how far off the line may be; all nan outside
    of the sweep.
  """
  x, y = np.array(sorted(points)).T
  if not x[0] <= rmse <= x[-1]:
    return Interpolated(*[math.nan] * 4)
  after = max(1, int(np.searchsorted(x, rmse)))
  low, high = float(x[after - 1]), float(x[after])
  log_x, log_y = np.log(x), np.log(y)
  slopes = np.diff(log_y) / np.diff(log_x)
  bends = np.abs(np.diff(slopes)) / (log_x[2:] - log_x[:-2])
  curvature = max([_CURVATURE, *bends[max(0, after - 2) : after]])
  return Interpolated(
    kl=math.exp(np.interp(math.log(rmse), log_x, log_y)),
    low=low,
    high=high,
    error=float(curvature * math.log(rmse / low) * math.log(high / rmse)),
  )
