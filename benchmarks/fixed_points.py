# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixed points of a whole sweep of β, beside NumPy in the same run.

  python -m benchmarks.fixed_points

64 β × 1,024 tiles × 1,000 points × 400 iterations; about two minutes on two
cores. NumPy makes some iterations from the same start before, and some from
where TensorFlow ended after it; its seconds are scaled up, each iteration being
the same work. It is written twice, as the equations stand and with the algebra
of `fixed_points` (one exponential for each weight). Seconds of all cores
together stand beside those of the clock, for machines that are not idle.
"""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import results
from geco_tf.theory import fixed_points, mixtures
from launch import command_line

_ITERATIONS = flags.DEFINE_integer("iterations", 400, "of TensorFlow.")
_NUMPY_ITERATIONS = flags.DEFINE_integer(
  "numpy_iterations", 5, "of NumPy, twice."
)

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


class _Seconds(NamedTuple):
  """Of one iteration at every β."""

  clock: float
  cores: float  # of all cores together


def _timed(function: Callable[[], Any]) -> tuple[Any, np.ndarray]:
  start = np.array([time.perf_counter(), time.process_time()])
  result = function()
  end = np.array([time.perf_counter(), time.process_time()])
  return result, end - start


def _numpy_seconds(step: Callable, data, betas, starts) -> np.ndarray:
  """From starts, [B, A, D]."""

  def iterate():
    for beta, v in zip(betas, starts, strict=True):
      for _ in range(_NUMPY_ITERATIONS.value):
        v = _SMOOTHING * v + (1.0 - _SMOOTHING) * step(data, v, beta)

  return _timed(iterate)[1] / _NUMPY_ITERATIONS.value


def _tensorflow(data, betas, initial, num: int) -> tuple[Any, np.ndarray]:
  """The last V, and the seconds of all that is done."""
  return _timed(
    lambda: fixed_points.find(
      data,
      betas,
      initial=initial,
      smoothing=_SMOOTHING,
      max_iterations=num,
      tolerance=0.0,
    ).reconstructions.numpy()
  )


def _peaks() -> tuple[float, float]:
  """Exponentials a second and operations a second that the machine can do."""
  # As many numbers as one β's weights.
  numbers = tf.random.normal([_NUM_EXAMPLES, _TILES_PER_SIDE**2])
  square = tf.random.normal([1024, 1024])

  @tf.function(jit_compile=True)
  def exponentials(x):
    for _ in tf.range(50):
      x = tf.exp(-x)
    return x

  @tf.function
  def products(x):
    for _ in tf.range(20):
      x = tf.matmul(x, square) * 0.03
    return x

  rates = []
  for function, argument, count in (
    (exponentials, numbers, 50 * tf.size(numbers).numpy()),
    (products, square, 20 * 2 * 1024**3),
  ):
    function(argument).numpy()
    start = time.perf_counter()
    function(argument).numpy()
    rates.append(count / (time.perf_counter() - start))
  return rates[0], rates[1]


def _measure(data, betas, initial) -> dict[str, _Seconds]:
  _tensorflow(data, betas, initial, 1)  # Compiles.
  _, constant = _tensorflow(data, betas, initial, 1)
  steps = {"plain": numpy_as_equations, "tuned": numpy_one_exponential}
  starts = np.repeat(initial[np.newaxis], len(betas), axis=0)
  before = {n: _numpy_seconds(f, data, betas, starts) for n, f in steps.items()}
  ends, total = _tensorflow(data, betas, initial, 1 + _ITERATIONS.value)
  after = {n: _numpy_seconds(f, data, betas, ends) for n, f in steps.items()}
  found = {n: _Seconds(*(before[n] + after[n]) / 2) for n in steps}
  found["ours"] = _Seconds(*(total - constant) / _ITERATIONS.value)
  return found


def main() -> None:
  """Prints the seconds, and keeps them in docs/results/."""
  data = mixtures.circles(_NUM_EXAMPLES).astype(np.float32)
  betas = np.geomspace(1e-3, 1.0, _NUM_BETAS, dtype=np.float32)
  initial = fixed_points.initial_reconstructions(
    data, tiles_per_side=_TILES_PER_SIDE
  ).astype(np.float32)
  weights = _NUM_BETAS * len(initial) * len(data)
  exp_peak, flop_peak = _peaks()
  seconds = _measure(data, betas, initial)
  ours = seconds["ours"]
  # Per weight: D differences, squares and sums; products with [x, 1] and π.
  num_dims = data.shape[1]
  operations = weights * (3 * num_dims + 2 * (num_dims + 1) + 2)
  found = {
    "iterations": _ITERATIONS.value,
    "numpy_iterations_measured": 2 * _NUMPY_ITERATIONS.value,
    "seconds": {
      n: [_ITERATIONS.value * x for x in s] for n, s in seconds.items()
    },
    "share_of_exp_throughput": weights / ours.clock / exp_peak,
    "share_of_matmul_peak": operations / ours.clock / flop_peak,
  }
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  (results.FOLDER / "fixed_points.json").write_text(json.dumps(found) + "\n")
  for label, name in (
    ("fixed_points.find", "ours"),
    ("NumPy, as the equations stand", "plain"),
    ("NumPy, one exponential", "tuned"),
  ):
    clock, cores = found["seconds"][name]
    print(
      f"{label:30} {clock:7.1f} s ({cores:.0f} s of all cores), "
      f"{seconds[name].clock / ours.clock:.1f}× "
      f"({seconds[name].cores / ours.cores:.1f}×)"
    )
  print(
    f"{100 * found['share_of_exp_throughput']:.0f} % of the machine's "
    f"exponentials a second ({exp_peak / 1e9:.2f}e9), "
    f"{100 * found['share_of_matmul_peak']:.0f} % of its matrix product "
    f"({flop_peak / 1e9:.0f} GFLOP/s)."
  )


if __name__ == "__main__":
  command_line.run(main)
