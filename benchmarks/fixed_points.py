# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixed points of a whole sweep of β, beside NumPy.

  python -m benchmarks.fixed_points

64 β × 1,024 tiles × 1,000 points. `fixed_points.find` goes on from block to
block, its order parameter and free energy at the end of each included; NumPy
iterates from where it is. NumPy is written twice, as the equations stand and
with the algebra of `fixed_points` (one exponential for each weight).
"""

from collections.abc import Callable

import numpy as np

from benchmarks import interleaved, peaks, performance
from geco_tf.theory import fixed_points, mixtures
from launch import command_line

_ROUNDS = 6
_ITERATIONS = {"ours": 40, "as the equations stand": 2, "one exponential": 2,
               "exponentials": 1, "products": 1}  # fmt: skip
_NUM_BETAS, _TILES_PER_SIDE, _NUM_EXAMPLES = 64, 32, 1000
_SMOOTHING = 0.5


def numpy_as_equations(
  data: np.ndarray, v: np.ndarray, beta: np.float32
) -> np.ndarray:
  """(19) and (20) in log-space, as they stand; uniform masses."""
  squared = (data**2).sum(1)[:, np.newaxis] + (v**2).sum(1) - 2.0 * data @ v.T
  log_kernel = -squared / beta
  largest = log_kernel.max(1, keepdims=True)
  evidence = np.exp(log_kernel - largest).mean(1, keepdims=True)
  log_m = log_kernel - largest - np.log(evidence)
  weights = np.exp(log_m - log_m.max(0))
  return (weights.T @ data) / weights.sum(0)[:, np.newaxis]


def numpy_one_exponential(
  data: np.ndarray, v: np.ndarray, beta: np.float32
) -> np.ndarray:
  """The same in place and with one exponential; tiles near the data only."""
  ones = np.ones([len(data), 1], data.dtype)
  # ‖x‖² is the same for all tiles, and drops out.
  right = np.concatenate([2.0 * v, -(v**2).sum(1, keepdims=True)], 1) / beta
  left = np.concatenate([data, ones], 1)
  kernel = left @ right.T
  kernel -= kernel.max(1, keepdims=True)
  np.exp(kernel, out=kernel)
  sums = kernel.T @ (left / kernel.mean(1, keepdims=True))
  return sums[:, :-1] / np.maximum(sums[:, -1:], 1e-30)


class _Sweep:
  """Every β's V, moved by ours, and read by all."""

  def __init__(self, num_betas: int):
    self.data = mixtures.circles(_NUM_EXAMPLES).astype(np.float32)
    self._betas = np.geomspace(1e-3, 1.0, num_betas, dtype=np.float32)
    start = fixed_points.initial_reconstructions(
      self.data, tiles_per_side=_TILES_PER_SIDE
    )
    self._v = np.repeat(start[np.newaxis].astype(np.float32), num_betas, axis=0)

  @property
  def num_weights(self) -> int:
    return len(self._betas) * len(self.data) * self._v.shape[1]

  def ours(self, count: int) -> None:
    found = fixed_points.find(
      self.data,
      self._betas,
      initial=self._v,
      smoothing=_SMOOTHING,
      max_iterations=count,
      tolerance=0.0,
    )
    self._v = found.reconstructions.numpy()

  def by(self, step: Callable[..., np.ndarray]) -> interleaved.Work:
    def iterate(count: int) -> None:
      for beta, v in zip(self._betas, self._v, strict=True):
        for _ in range(count):
          v = _SMOOTHING * v + (1.0 - _SMOOTHING) * step(self.data, v, beta)

    return iterate


def measure(is_quick: bool) -> performance.Part:
  """The part of the page."""
  num_betas = 1 if is_quick else _NUM_BETAS
  sweep = _Sweep(num_betas)
  times = interleaved.times(
    {
      "ours": sweep.ours,
      "as the equations stand": sweep.by(numpy_as_equations),
      "one exponential": sweep.by(numpy_one_exponential),
      "exponentials": peaks.exponentials(),
      "products": peaks.products(),
    },
    rounds=1 if is_quick else _ROUNDS,
    count=1 if is_quick else _ITERATIONS,
  )
  rows = [
    performance.Row(
      f"iteration of {num_betas} β",
      "`fixed_points.find`",
      times["ours"].clock,
      f"NumPy, {name}",
      times[name].clock,
    )
    for name in ("as the equations stand", "one exponential")
  ]
  return performance.Part(rows, [_remark(sweep, times)])


def _remark(sweep: _Sweep, times: dict[str, interleaved.Times]) -> str:
  seconds = 1e-3 * float(np.median(times["ours"].clock))
  # Per weight: D differences, squares and sums; products with [x, 1] and π.
  num_dims = sweep.data.shape[1]
  operations = sweep.num_weights * (3 * num_dims + 2 * (num_dims + 1) + 2)
  exponentials = peaks.exponentials_per_second(times["exponentials"].clock)
  products = peaks.operations_per_second(times["products"].clock)
  of_exponentials = sweep.num_weights / seconds / exponentials
  of_products = operations / seconds / products
  return (
    f"`fixed_points.find` makes {100 * of_exponentials:.0f} % of the "
    f"exponentials a second that XLA makes of numbers in memory "
    f"({1e-9 * exponentials:.2f}e9), and {100 * of_products:.0f} % of the "
    f"operations of large matrix products ({1e-9 * products:.0f} GFLOP/s)."
  )


if __name__ == "__main__":
  command_line.run(lambda: performance.run({"fixed_points": measure}))
