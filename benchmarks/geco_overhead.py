# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a constraint costs over the ELBO: GECO here, cooper in PyTorch.

  python -m benchmarks.geco_overhead

The network of the preset mnist on noise in MNIST's shape, and the same network
in PyTorch, where cooper's simultaneous optimizer holds the same constraint and
neither of the two clips its gradient.
"""

from benchmarks import interleaved, performance, training_step
from geco_tf import runs
from launch import command_line

try:
  from benchmarks import torch_training
except ImportError:
  torch_training = None

_ROUNDS, _STEPS = 150, 20
_RATE = 1e-6  # Of cooper's λ; no time depends on it.


def measure(is_quick: bool) -> performance.Part:
  """The part of the page."""
  config = runs.presets.get("mnist")
  source = training_step.noise_source(6000)
  if is_quick:
    config = training_step.small(config)
    source = training_step.noise_source(200, training_step.QUICK_SIDE)
  works: dict[str, interleaved.Work] = {
    objective: training_step.Trainer(
      config.replace(objective=objective), source
    )
    for objective in ("geco", "elbo")
  }
  if torch_training is not None:
    works |= _torch_works(config, source)
  times = interleaved.times(
    works, rounds=1 if is_quick else _ROUNDS, count=1 if is_quick else _STEPS
  )
  clocks = {name: t.clock for name, t in times.items()}
  what = f"step of {config.batch_size}, VAE+NVP"
  pairs = (
    (what, "ours, GECO", "geco", "ours, ELBO", "elbo"),
    (
      f"{what} in PyTorch",
      "cooper, `SimultaneousOptimizer`",
      "cooper",
      "PyTorch, ELBO",
      "PyTorch",
    ),
  )
  return performance.Part(
    [
      performance.Row(w, one, clocks.get(n), other, clocks.get(m))
      for w, one, n, other, m in pairs
    ]
  )


def _torch_works(config, source) -> dict[str, interleaved.Work]:
  layout = torch_training.LAYOUTS[0]

  def parts():
    network = training_step.torch_network(config, source.image_shape)
    batches = torch_training.Batches(
      source.train.images,
      config.batch_size,
      training_step.noise_shape(config, source.image_shape[0]),
      layout,
    )
    return network, batches

  works = {
    "PyTorch": torch_training.steps(
      *parts(),
      torch_training.neg_elbo(config.sigma),
      learning_rate=config.learning_rate,
      gradient_clip=None,
    )
  }
  if torch_training.cooper is not None:
    works["cooper"] = torch_training.cooper_steps(
      *parts(),
      kappa=config.kappa,
      initial_multiplier=0.5 / config.sigma**2,
      learning_rate=config.learning_rate,
      rate=_RATE,
    )
  return works


if __name__ == "__main__":
  command_line.run(lambda: performance.run({"geco_overhead": measure}))
