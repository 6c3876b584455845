# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Densities of pairs (z, x) of an NVP posterior, and a plain tiled inverse.

  python -m benchmarks.marginal_kl

The plain way makes every pair an example of its own: latents repeated, features
tiled, and a context of width 128 concatenated to what every coupling reads. It
computes the same kind of density, of the same number of couplings and widths,
in calls of as many pairs, in graph mode and by XLA.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks import interleaved, peaks, performance
from geco_tf.models import posteriors
from launch import command_line

_ROUNDS = 9
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


def operations_per_pair(latent_size: int) -> int:
  """Multiplications and additions of the products that a pair needs.

  The first layer of the coupling that is undone first is once for each z.
  """
  half = latent_size // 2
  first, last = 2 * half * _WIDTH, 2 * _WIDTH * latent_size
  return (_NUM_COUPLINGS - 1) * first + _NUM_COUPLINGS * last


def measure(is_quick: bool) -> performance.Part:
  """The part of the page."""
  tf.random.set_seed(0)
  rows, remarks = [], []
  num_latents = _LATENTS_PER_CALL if is_quick else _NUM_LATENTS
  num_pairs = _NUM_EXAMPLES * num_latents
  for latent_size in _LATENT_SIZES:
    times = _times(latent_size, num_latents, 1 if is_quick else _ROUNDS)
    rows += _rows(f"{num_pairs:,} pairs, {latent_size} latents", times)
    remarks.append(_remark(latent_size, num_pairs, times))
  return performance.Part(rows, remarks)


def _times(
  latent_size: int, num_latents: int, rounds: int
) -> dict[str, interleaved.Times]:
  nvp, plain = _nvp(latent_size), PlainNVP(latent_size)
  features = nvp.features(tf.random.normal([_NUM_EXAMPLES, _HIDDEN_SIZE]))
  latents = tf.random.normal(
    [num_latents // _LATENTS_PER_CALL, _LATENTS_PER_CALL, latent_size]
  )
  works = {"products": peaks.products()}
  for name, way, xla in (
    ("ours", nvp, True),
    ("graph", plain, False),
    ("XLA", plain, True),
  ):
    run = _in_calls(way.pairwise_log_prob, xla=xla)
    works[name] = interleaved.repeated(
      lambda run=run: run(latents, features).numpy()
    )
  return interleaved.times(works, rounds=rounds, count=1)


def _rows(
  what: str, times: dict[str, interleaved.Times]
) -> list[performance.Row]:
  return [
    performance.Row(
      what,
      "ours",
      times["ours"].clock,
      f"TensorFlow, each pair an example, {name}",
      times[name].clock,
    )
    for name in ("graph", "XLA")
  ]


def _remark(
  latent_size: int, num_pairs: int, times: dict[str, interleaved.Times]
) -> str:
  seconds = 1e-3 * float(np.median(times["ours"].cores))
  pairs = num_pairs / seconds
  peak = peaks.operations_per_second(times["products"].cores)
  share = pairs * operations_per_pair(latent_size) / peak
  return (
    f"{latent_size} latents: ours makes {1e-3 * pairs:.0f} thousand pairs a "
    f"core-second, {100 * share:.0f} % of what large matrix products "
    f"reach ({1e-9 * peak:.0f} GFLOP/s a core)."
  )


if __name__ == "__main__":
  command_line.run(lambda: performance.run({"marginal_kl": measure}))
