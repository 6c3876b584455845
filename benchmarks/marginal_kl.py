# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pairs (z, x) a second of an NVP posterior, against a plain tiled inverse.

  python -m benchmarks.marginal_kl

The plain way makes every pair an example of its own: latents repeated, features
tiled, and a context of width 128 concatenated to what every coupling reads. It
computes the same kind of density, of the same number of couplings and widths,
in calls of as many pairs, in graph mode and by XLA. All take turns in the same
run; seconds are those of all cores together, for machines that are not idle,
and the clock's stand beside them. Results in docs/results/marginal_kl.json.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import results
from geco_tf.models import posteriors
from launch import command_line

_REPEATS = flags.DEFINE_integer("repeats", 15, "turns that each way takes.")

_NUM_EXAMPLES, _NUM_LATENTS, _LATENTS_PER_CALL = 500, 200, 4
_NUM_COUPLINGS, _WIDTH, _BOUND, _HIDDEN_SIZE = 4, 128, 2.0, 384
_LATENT_SIZES = (32, 64)


class PlainNVP:
  """The same flow as a reader would first write it down."""

  def __init__(self, latent_size: int):
    """Makes random weights of the sizes of `posteriors.NVP`'s defaults."""
    half = latent_size // 2
    shapes = [[half + _WIDTH, _WIDTH], [_WIDTH, latent_size]]
    self._layers = [
      [tf.Variable(0.05 * tf.random.normal(shape)) for shape in shapes]
      for _ in range(_NUM_COUPLINGS)
    ]

  def pairwise_log_prob(
    self, latents: tf.Tensor, features: posteriors.NVPFeatures
  ) -> tf.Tensor:
    """The density of every pair, [S, N]; of the context, one coupling's."""
    num_latents, num_examples = latents.shape[0], features.loc.shape[0]
    latents = tf.repeat(latents, num_examples, axis=0)
    loc, scale, context = (
      tf.tile(f, [num_latents, 1])
      for f in (features.loc, features.scale, features.context[:, 0])
    )
    halves, log_det = tf.split(latents, 2, axis=-1), 0.0
    for level in reversed(range(_NUM_COUPLINGS)):
      kept, changed = level % 2, (level + 1) % 2
      first, last = self._layers[level]
      inputs = tf.concat([halves[kept], context], axis=-1)
      raw, shift = tf.split(tf.nn.elu(inputs @ first) @ last, 2, axis=-1)
      log_scale = _BOUND * tf.tanh(raw / _BOUND)
      halves[changed] = (halves[changed] - shift) * tf.exp(-log_scale)
      log_det -= tf.reduce_sum(log_scale, axis=-1)
    noise = (tf.concat(halves, axis=-1) - loc) / scale
    log_prob = log_det - tf.reduce_sum(
      0.5 * noise**2 + tf.math.log(scale) + 0.5 * np.log(2.0 * np.pi), axis=-1
    )
    return tf.reshape(log_prob, [num_latents, num_examples])


def _nvp(latent_size: int) -> posteriors.NVP:
  """With variables that are not zero anywhere."""
  nvp = posteriors.NVP(
    latent_size, num_couplings=_NUM_COUPLINGS, coupling_width=_WIDTH
  )
  features = nvp.features(tf.zeros([1, _HIDDEN_SIZE]))
  nvp.sample_and_log_prob(features, tf.zeros([1, latent_size]))
  for variable in nvp.trainable_variables:
    variable.assign_add(0.05 * tf.random.normal(variable.shape))
  return nvp


def _in_calls(log_prob: Callable[..., tf.Tensor], *, xla: bool) -> Any:
  """All latents in turn, some at a time, as `evaluation.marginal_kl` does."""

  def run(latents: tf.Tensor, features: Any) -> tf.Tensor:
    return tf.map_fn(
      lambda some: tf.reduce_logsumexp(log_prob(some, features), axis=1),
      latents,
      parallel_iterations=1,
    )

  return tf.function(run, autograph=False, jit_compile=xla)


def _products() -> Callable[[], Any]:
  """Multiplies large matrices: what the machine can do at most."""
  square = tf.random.normal([1024, 1024])

  @tf.function(autograph=False)
  def products() -> tf.Tensor:
    x = square
    for _ in range(4):
      x = tf.matmul(x, square) * 0.03
    return x

  return products


_PRODUCT_OPERATIONS = 4 * 2 * 1024**3


def _seconds(function: Callable[[], Any]) -> tuple[float, float]:
  """Of all cores together, and of the clock."""
  cores, clock = time.process_time(), time.perf_counter()
  tf.nest.map_structure(lambda t: t.numpy(), function())
  return time.process_time() - cores, time.perf_counter() - clock


def operations_per_pair(latent_size: int) -> int:
  """Multiplications and additions of the products that a pair needs.

  The first layer of the coupling that is undone first is once for each z.
  """
  half = latent_size // 2
  first, last = 2 * half * _WIDTH, 2 * _WIDTH * latent_size
  return (_NUM_COUPLINGS - 1) * first + _NUM_COUPLINGS * last


def _measure(latent_size: int) -> dict[str, Any]:
  nvp, plain = _nvp(latent_size), PlainNVP(latent_size)
  features = nvp.features(tf.random.normal([_NUM_EXAMPLES, _HIDDEN_SIZE]))
  latents = tf.random.normal(
    [_NUM_LATENTS // _LATENTS_PER_CALL, _LATENTS_PER_CALL, latent_size]
  )
  ways: dict[str, Callable[[], Any]] = {"products": _products()}
  for name, way, xla in (
    ("ours", nvp, True),
    ("plain, graph", plain, False),
    ("plain, XLA", plain, True),
  ):
    run = _in_calls(way.pairwise_log_prob, xla=xla)
    ways[name] = lambda run=run: run(latents, features)
  for way in ways.values():
    way()  # Compiles.
  turns: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
  for _ in range(_REPEATS.value):
    for name, way in ways.items():
      turns[name].append(_seconds(way))
  return _rates(turns, latent_size)


def _rates(
  turns: dict[str, list[tuple[float, float]]], latent_size: int
) -> dict[str, Any]:
  pairs = _NUM_EXAMPLES * _NUM_LATENTS
  cores = {n: np.array([turn[0] for turn in t]) for n, t in turns.items()}
  peak = statistics.median(_PRODUCT_OPERATIONS / cores["products"])
  found: dict[str, Any] = {"matmul_gflops": peak / 1e9}
  for name in ("ours", "plain, graph", "plain, XLA"):
    rate = pairs / cores[name]
    found[name] = {
      "pairs_per_core_second": _spread(rate),
      "pairs_per_clock_second": _spread(
        [pairs / turn[1] for turn in turns[name]]
      ),
    }
    if name != "ours":
      found[name]["ratio"] = _spread(cores[name] / cores["ours"])
  ours = found["ours"]["pairs_per_core_second"]["median"]
  found["share_of_matmul_peak"] = ours * operations_per_pair(latent_size) / peak
  return found


def _spread(values: Any) -> dict[str, float]:
  return {
    "median": float(np.median(values)),
    "lowest": float(np.min(values)),
    "highest": float(np.max(values)),
  }


def main() -> None:
  """Prints pairs a second, and keeps them in docs/results/."""
  tf.random.set_seed(0)
  found: dict[str, Any] = {
    "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    "repeats": _REPEATS.value,
    "latent_size": {},
  }
  for latent_size in _LATENT_SIZES:
    measured = _measure(latent_size)
    found["latent_size"][str(latent_size)] = measured
    print(
      f"latent {latent_size}: {measured['share_of_matmul_peak']:.0%} of the "
      f"matrix product's {measured['matmul_gflops']:.0f} GFLOP/s a core"
    )
    for name in ("ours", "plain, graph", "plain, XLA"):
      rate = measured[name]["pairs_per_core_second"]
      line = (
        f"  {name:14} {rate['median'] / 1e3:6.0f} thousand pairs a core-second "
        f"({rate['lowest'] / 1e3:.0f} to {rate['highest'] / 1e3:.0f})"
      )
      if name != "ours":
        ratio = measured[name]["ratio"]
        line += (
          f", ours {ratio['median']:.2f}× "
          f"({ratio['lowest']:.2f} to {ratio['highest']:.2f})"
        )
      print(line)
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  (results.FOLDER / "marginal_kl.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
  command_line.run(main)
