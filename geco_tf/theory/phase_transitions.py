# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Phase transitions: the β at which reconstructions merge.

The order parameter is u(β), the expected squared error. Where fixed points
merge its slope jumps, and its second derivative has a spike. A cluster that has
collapsed to its mean stays so as long as

  β > 2 λ_max(Cov of the cluster),

the biased covariance's largest eigenvalue, because near the mean an iteration
multiplies deviations by 2 Cov / β. That is the prediction.

Source: "Taming VAEs", section 3.2, figure 2.
"""

from typing import Any, NamedTuple

import numpy as np

from geco_tf import errors
from geco_tf.theory import checks, fixed_points

SCALES = ("log", "linear")


class Transition(NamedTuple):
  """A spike of the curvature."""

  beta: float  # where it is, a β of the sweep.
  height: float  # |d²u/dx²|, x = ln β or β.
  predicted: float  # by the linear stability of what is merged above it.


def curvature(betas: Any, order_parameter: Any, *, scale: str = "log") -> Any:
  """d²u/d(ln β)², or d²u/dβ², by differences of three points.

  Over a grid that is even in β, or with d²u/dβ², the transitions at small β
  swamp all others: heights of spikes go as 1/β. Take a grid that is even in
  ln β, and the scale "log".

  Args:
    betas: [B], ascending, B ≥ 3.
    order_parameter: u, [B].
    scale: "log" or "linear".

  Returns:
    [B − 2], at betas[1:-1], float64; units of u, or of u/β².

  Raises:
    UserError: if betas do not ascend, are fewer than 3 or not positive, u is
      not finite or of another length, or the scale is unknown.
  """
  betas = checks.array("betas", betas)
  u = checks.array("order_parameter", order_parameter)
  if betas.shape != u.shape or not np.isfinite(u).all():
    raise errors.UserError(
      f"`order_parameter` must be {betas.size} finite numbers; got the shape "
      f"{u.shape}."
    )
  if len(betas) < 3 or not (np.diff(betas) > 0).all() or betas[0] <= 0:
    raise errors.UserError(
      "`betas` must be at least 3, positive and ascending; got "
      f"{betas.tolist()[:4]}."
    )
  if scale not in SCALES:
    raise errors.unknown_name("scale", scale, SCALES)
  x = np.log(betas) if scale == "log" else betas
  slope = np.diff(u) / np.diff(x)
  return 2.0 * np.diff(slope) / (x[2:] - x[:-2])


def spikes(
  betas: Any, order_parameter: Any, *, num: int = 3, scale: str = "log"
) -> np.ndarray:
  """Where |d²u/dx²| is largest among its local maxima.

  Args:
    betas: [B], ascending.
    order_parameter: u, [B].
    num: how many, at most.
    scale: "log" or "linear", of x.

  Returns:
    Indices into betas, highest spike first.

  Source: "Taming VAEs", figure 2.
  """
  height = np.abs(curvature(betas, order_parameter, scale=scale))
  padded = np.concatenate([[-np.inf], height, [-np.inf]])
  is_peak = (padded[1:-1] >= padded[:-2]) & (padded[1:-1] > padded[2:])
  peaks = np.flatnonzero(is_peak)
  return peaks[np.argsort(height[peaks])[::-1][:num]] + 1


def transitions(
  data: Any,
  found: fixed_points.FixedPoints,
  *,
  masses: Any = None,
  num: int = 3,
  scale: str = "log",
  distance: float = 1e-2,
) -> list[Transition]:
  """The highest spikes of a sweep, each with its prediction.

  The prediction is `splitting_beta` of the fixed points at the next β above the
  spike: of the clusters that are collapsed there, the first that will split
  when β is lowered. Where all are one below the spike too, it is rounding.

  Args:
    data: [n, D], those of the sweep.
    found: the sweep, its betas ascending.
    masses: π_a, [A], those of the sweep.
    num: how many, at most.
    scale: "log" or "linear".
    distance: tiles nearer than that are one fixed point, in units of √(total
      variance of the data).

  Returns:
    The transitions, highest spike first.
  """
  betas = found.betas.numpy()
  u = found.order_parameter.numpy()
  v = found.reconstructions.numpy()
  if not np.ptp(checks.matrix("data", data), axis=0).any():
    return []  # One point has no scale, and nothing to split.
  height = np.abs(curvature(betas, u, scale=scale))
  indices = [
    i
    for i in spikes(betas, u, num=len(betas), scale=scale)
    if len(fixed_points.merged(v[i - 1], data, distance=distance).counts) > 1
  ]
  return [
    Transition(
      beta=float(betas[i]),
      height=float(height[i - 1]),
      predicted=splitting_beta(
        data, v[i + 1], betas[i + 1], masses, distance=distance
      ),
    )
    for i in indices[:num]
  ]


def collapse_beta(data: Any) -> float:
  """2 λ_max(Cov): above it, and near the mean, all collapses to the mean.

  Args:
    data: of one cluster, [n, D].

  Returns:
    β, units of x².

  Raises:
    UserError: if data are not a finite matrix.
  """
  data = checks.matrix("data", data)
  centred = data - data.mean(axis=0)
  return float(2.0 * np.linalg.eigvalsh(centred.T @ centred / len(data))[-1])


def splitting_beta(
  data: Any,
  reconstructions: Any,
  beta: float,
  masses: Any = None,
  *,
  distance: float = 1e-2,
) -> float:
  """The β below which the first of several merged fixed points splits.

    max_a 2 λ_max(Cov_a),   Cov_a weighted by w_ia = m_ia / Σ_j m_ja

  It is exact for tiles that are merged, whatever their neighbours: deviations
  within a group, of mean 0, multiply by 2 Cov_a / β in an iteration.

  Args:
    data: [n, D].
    reconstructions: fixed points at β, [A, D].
    beta: where they are.
    masses: π_a, [A]; None is uniform.
    distance: tiles nearer than that are one fixed point, in units of √(total
      variance of the data).

  Returns:
    β, units of x². Above `beta` where there is nothing merged, as in a sweep
    that did not converge.
  """
  data = checks.matrix("data", data)
  v = checks.matrix("reconstructions", reconstructions)
  q = fixed_points.responsibilities(data, v, beta, masses).numpy()
  points = fixed_points.merged(v, data, distance=distance).points
  owner = np.argmin(((v[:, np.newaxis] - points) ** 2).sum(-1), axis=1)
  shares = np.stack([q[:, owner == k].sum(1) for k in range(len(points))])
  # m of a group is its share over its mass, which drops out of the weights.
  used = shares.sum(1) > 1e-9 * len(data)
  weights = shares[used] / shares[used].sum(1, keepdims=True)  # [K, n]
  data = data - data.mean(axis=0)  # Where its squares are smallest.
  means = weights @ data
  second = np.einsum("kn,nd,ne->kde", weights, data, data, optimize=True)
  covariances = second - means[:, :, np.newaxis] * means[:, np.newaxis]
  return float(2.0 * np.linalg.eigvalsh(covariances)[:, -1].max())
