# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What GECO's step costs over the ELBO's: both in one run, interleaved.

  python -m benchmarks.geco_overhead

About three minutes on two cores. Times do not depend on what the images show,
so these are noise in MNIST's shape, with the network of the preset.
"""

import json
import time

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import results
from geco_tf import data, runs
from geco_tf.data import pipeline
from geco_tf.runs import build
from geco_tf.training import optimizers, step, strategies
from launch import command_line

_ROUNDS = flags.DEFINE_integer("rounds", 40, "blocks of each objective.")
_STEPS = flags.DEFINE_integer("steps", 20, "steps a block.")

_OBJECTIVES = ("elbo", "geco")


class _Runner:
  """Steps of one objective, with its own model and optimizer."""

  def __init__(self, objective: str, source: data.Source):
    config = runs.presets.get("mnist").replace(objective=objective)
    strategy = strategies.make("one")
    with strategy.scope():
      model = build.build_model(config, source.image_shape)
      loss = build.build_objective(config)
      optimizer = optimizers.adam(
        optimizers.WarmupThenDecay(config.learning_rate, 10**6)
      )
      optimizer.build(step.trainable_variables(model, loss))
    self._step = step.TrainStep(
      strategy,
      model,
      loss,
      optimizer,
      seed=0,
      gradient_clip=config.gradient_clip,
    )
    self._batches = iter(
      pipeline.distributed_training_batches(
        strategy, source.train, config.batch_size, seed=0
      )
    )
    self._taken = 0

  def milliseconds_per_step(self, count: int) -> float:
    start = time.perf_counter()
    self._step.run(
      self._batches,
      tf.constant(self._taken, tf.int64),
      tf.constant(count, tf.int32),
    ).numpy()
    self._taken += count
    return 1e3 * (time.perf_counter() - start) / count


def main() -> None:
  """Prints the ratio and keeps it in docs/results/."""
  images = np.random.RandomState(0).randint(0, 256, [6000, 28, 28, 1])
  split = data.Split(images.astype(np.uint8), None)
  source = data.Source("noise", split, split, None)
  runners = {name: _Runner(name, source) for name in _OBJECTIVES}
  for runner in runners.values():
    runner.milliseconds_per_step(_STEPS.value)  # Traces and warms up.
  times: dict[str, list[float]] = {name: [] for name in _OBJECTIVES}
  for i in range(_ROUNDS.value):
    # Which goes first alternates, so that a slow spell hits both alike.
    for name in _OBJECTIVES[:: 1 if i % 2 else -1]:
      times[name].append(runners[name].milliseconds_per_step(_STEPS.value))
  ratios = np.array(times["geco"]) / np.array(times["elbo"])
  low, high = np.percentile(ratios, [25, 75])
  found = {
    "ratio": float(np.median(ratios)),
    "ratio_quartiles": [float(low), float(high)],
    **{f"{n}_ms": float(np.median(t)) for n, t in times.items()},
    "rounds": _ROUNDS.value,
    "steps_per_round": _STEPS.value,
  }
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  (results.FOLDER / "geco_overhead.json").write_text(json.dumps(found) + "\n")
  print(
    f"GECO / ELBO: {found['ratio']:.3f} (quartiles {low:.3f} to {high:.3f}); "
    f"{found['geco_ms']:.1f} ms against {found['elbo_ms']:.1f} ms a step"
  )


if __name__ == "__main__":
  command_line.run(main)
