# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A training step of every model: four ways of ours, and PyTorch's.

  python -m benchmarks.training_step

The presets' networks under GECO by Algorithm 1, on noise in MNIST's shape: no
time depends on what the images show. Each framework shuffles uint8 images in
memory, draws noise, goes forward and backward, clips the gradient, and takes a
step of Adam and one of λ. Before that, PyTorch's network must have as many
weights, and, given ours, our numbers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import interleaved, performance
from geco_tf import data, runs
from geco_tf.data import pipeline
from geco_tf.runs import build
from geco_tf.training import optimizers, step, strategies
from launch import command_line

try:
  from benchmarks import torch_conv_draw, torch_training, torch_vae
except ImportError:
  torch_training = None

_RATE = 1e-6  # ν of Algorithm 1; no time depends on it.
_RULE = {"update_rule": f"exponential:{_RATE}"}
# Settings of ours, by their name in the table; the first is the others' peer.
WAYS: dict[str, dict[str, Any]] = {
  "float32": {},
  "bfloat16": {"precision": "bfloat16"},
  "XLA": {"xla": True},
  "two devices": {"strategy": "mirrored"},
}


class Case(NamedTuple):
  """A network and how it is trained."""

  config: runs.Config
  num_steps: int  # A block.
  ways: tuple[str, ...] = tuple(WAYS)
  beside_torch: bool = True


_VAE = runs.presets.get("mnist").replace(**_RULE)
_CONV_DRAW = runs.presets.get("conv_draw_mnist_laptop").replace(**_RULE)
CASES = {
  "VAE": Case(_VAE.replace(posterior="mean_field"), 20),
  "VAE+NVP": Case(_VAE, 20),
  "ConvDraw": Case(_CONV_DRAW, 4),
  # Does what each device does for itself lose its weight?
  "VAE+NVP, large batch": Case(
    _VAE.replace(batch_size=512),
    3,
    ways=("float32", "two devices"),
    beside_torch=False,
  ),
}
_ROUNDS = 12
QUICK_SIDE = 20  # The least that has two convolutions, as 28 has.
_SMALL = {"latent_size": 4, "channels": 4, "hidden_size": 8,
          "coupling_width": 4, "num_couplings": 2, "draw_steps": 2,
          "draw_hidden_size": 4, "latent_channels": 1}  # fmt: skip


def noise_source(num_examples: int, side: int = 28) -> data.Source:
  """Grey noise with labels of ten classes, in both splits."""
  random = np.random.RandomState(0)
  shape = [num_examples, side, side, 1]
  images = random.randint(0, 256, shape, dtype=np.uint8)
  labels = random.randint(0, 10, [num_examples]).astype(np.int32)
  split = data.Split(images, labels)
  return data.Source("noise", split, split, 10)


def small(config: runs.Config) -> runs.Config:
  """The same with the smallest network."""
  return config.replace(batch_size=config.batch_size // 8, **_SMALL)


class Trainer:
  """Steps as `training.train` makes them, with a model of their own."""

  def __init__(self, config: runs.Config, source: data.Source):
    """Builds all under the strategy that the config names."""
    strategy = strategies.make(config.strategy)
    with strategy.scope():
      model = build.build_model(config, source.image_shape)
      objective = build.build_objective(config)
      optimizer = optimizers.adam(
        optimizers.WarmupThenDecay(config.learning_rate, 10**6)
      )
      optimizer.build(step.trainable_variables(model, objective))
    self._step = step.TrainStep(
      strategy,
      model,
      objective,
      optimizer,
      seed=0,
      gradient_clip=config.gradient_clip,
      xla=config.xla,
    )
    self._batches = iter(
      pipeline.distributed_training_batches(
        strategy, source.train, config.batch_size, seed=0
      )
    )
    self._taken = 0

  def __call__(self, count: int) -> None:
    """Takes so many steps, and waits for them."""
    self._step.run(
      self._batches,
      tf.constant(self._taken, tf.int64),
      tf.constant(count, tf.int32),
    ).numpy()
    self._taken += count


def noise_shape(config: runs.Config, side: int) -> tuple[int, ...]:
  """Of ε of one example, as PyTorch has it."""
  if config.model == "vae":
    return (config.latent_size,)
  size = side // 4
  return (config.draw_steps, config.latent_channels, size, size)


def torch_network(config: runs.Config, image_shape: tuple[int, int, int]):
  """PyTorch's network of the config's model."""
  if config.model == "vae":
    names = ("posterior", "channels", "hidden_size", "num_couplings",
             "coupling_width")  # fmt: skip
    options = {name: getattr(config, name) for name in names}
    return torch_vae.VAE(image_shape, config.latent_size, **options)
  return torch_conv_draw.ConvDraw(
    image_shape[-1],
    num_steps=config.draw_steps,
    hidden_size=config.draw_hidden_size,
    latent_channels=config.latent_channels,
  )


def measure(is_quick: bool) -> performance.Part:
  """The part of the page."""
  source = noise_source(200, QUICK_SIDE) if is_quick else noise_source(6000)
  rows, remarks = [], []
  for name, case in CASES.items():
    config = small(case.config) if is_quick else case.config
    works: dict[str, interleaved.Work] = {
      way: Trainer(config.replace(**WAYS[way]), source) for way in case.ways
    }
    if case.beside_torch and torch_training is not None:
      works |= _torch_works(config, source)
      remarks.append(f"{name}: {_check_same(config, source)}.")
    times = interleaved.times(
      works,
      rounds=1 if is_quick else _ROUNDS,
      count=1 if is_quick else case.num_steps,
    )
    rows += _rows(f"step of {config.batch_size}, {name}", case, times)
  return performance.Part(rows, remarks)


def _torch_works(
  config: runs.Config, source: data.Source
) -> dict[str, interleaved.Work]:
  """In either order of memory: which is faster depends on the network."""
  side = source.image_shape[0]
  works = {}
  for layout in torch_training.LAYOUTS:
    network = torch_network(config, source.image_shape)
    works[f"PyTorch, {layout}"] = torch_training.steps(
      torch_training.in_layout(network, layout),
      torch_training.Batches(
        source.train.images,
        config.batch_size,
        noise_shape(config, side),
        layout,
      ),
      torch_training.Geco(config.kappa, rate=_RATE, decay=config.decay),
      learning_rate=config.learning_rate,
      gradient_clip=config.gradient_clip,
    )
  return works


def _check_same(config: runs.Config, source: data.Source) -> str:
  model = build.build_model(config, source.image_shape)
  is_vae = config.model == "vae"
  return torch_training.check_same(
    torch_network(config, source.image_shape),
    model,
    tf.constant(source.train.images[:16] / np.float32(255)),
    (config.latent_size,) if is_vae else model.latent_shape,
  )


def _rows(
  what: str, case: Case, times: Mapping[str, interleaved.Times]
) -> list[performance.Row]:
  clocks = {n: t.clock for n, t in times.items()}
  first, *others = case.ways
  rows = []
  if case.beside_torch:
    peers = {n: t for n, t in clocks.items() if n.startswith("PyTorch")}
    peer, peer_ms = "PyTorch", None
    if peers:
      peer, peer_ms = min(peers.items(), key=lambda item: np.median(item[1]))
    rows.append(
      performance.Row(what, f"ours, {first}", clocks[first], peer, peer_ms)
    )
  return rows + [
    performance.Row(
      what, f"ours, {way}", clocks[way], f"ours, {first}", clocks[first]
    )
    for way in others
  ]


if __name__ == "__main__":
  command_line.run(lambda: performance.run({"training_step": measure}))
