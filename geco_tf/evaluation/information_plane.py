# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which of two ways of training costs less KL at the same error?"""

import math
from collections.abc import Sequence

import numpy as np


def kl_at(
  rmse: float, *, of_rmse: float, kl: float, multiplier: float, num_dims: int
) -> float:
  """What a run's KL would be at another RMSE near its own, to first order.

    KL + λ D (RMSE'² − RMSE²),  as dKL/d(D RMSE²) = −λ where training has ended

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


def interpolated_kl(
  rmse: float, points: Sequence[tuple[float, float]]
) -> float:
  """KL of a sweep at an RMSE, on the straight lines of ln KL over ln RMSE.

  Args:
    rmse: where to look, of data in [0, 1].
    points: RMSE and KL, nats, of the runs of the sweep; both positive.

  Returns:
    Nats; nan outside of the sweep.
  """
  x, y = np.log(np.array(sorted(points))).T
  return float(
    np.exp(np.interp(math.log(rmse), x, y, left=np.nan, right=np.nan))
  )
