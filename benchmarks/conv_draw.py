# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast ConvDraw trains: against its plain definition and PyTorch.

  python -m benchmarks.conv_draw
  python -m benchmarks.conv_draw --only=losses

All in one run, interleaved: forward, backward and Adam of the GQN form. Before
that, PyTorch's network is given our weights and must give our numbers. Needs
torch for its rows; everything else runs without. The second command trains the
laptop's size with float32 and with bfloat16 on MNIST.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import interleaved, results
from geco_tf import data, models
from geco_tf.data import pipeline
from geco_tf.models import noise
from geco_tf.models.conv_draw import plain
from launch import command_line

try:
  import torch

  from benchmarks import torch_conv_draw, torch_training
except ImportError:
  torch = None

_ROUNDS = flags.DEFINE_integer("rounds", 12, "blocks of each network.")
_STEPS = flags.DEFINE_integer("steps", 4, "steps a block.")
_THREADS = flags.DEFINE_integer("threads", 2, "threads of every framework.")
_ONLY = flags.DEFINE_enum("only", None, ["speed", "losses"], "one part alone.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps MNIST.")
_LOSS_STEPS = flags.DEFINE_integer("loss_steps", 500, "steps of --only=losses.")

_SIDE, _BATCH_SIZE = 28, 64
_SIZES = {"num_steps": 6, "hidden_size": 64, "latent_channels": 8}
_LAPTOP_SIZES = {"num_steps": 4, "hidden_size": 32, "latent_channels": 4}
_MULTIPLIER = 20.0  # λ of the squared error; no time depends on it.
_LEARNING_RATE = 1e-3
_SEED = (0, 0)


def main() -> None:
  """Prints the tables and keeps them in docs/results/."""
  tf.config.threading.set_intra_op_parallelism_threads(_THREADS.value)
  found = {}
  if _ONLY.value in (None, "speed"):
    found.update(_speed())
  if _ONLY.value in (None, "losses"):
    found.update(_losses())
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  path = results.FOLDER / "conv_draw.json"
  kept = json.loads(path.read_text()) if path.exists() else {}
  path.write_text(json.dumps({**kept, **found}) + "\n")


# Speed.


def _speed() -> dict[str, object]:
  images = tf.random.stateless_uniform([_BATCH_SIZE, _SIDE, _SIDE, 1], [1, 2])
  steps: dict[str, interleaved.Work] = {
    "ours, float32": _our_step("float32", images),
    "ours, bfloat16": _our_step("bfloat16", images),
    "plain TensorFlow": _plain_step(images),
  }
  if torch is None:
    print("PyTorch is not installed: no rows of it (pip install torch).")
  else:
    torch.set_num_threads(_THREADS.value)
    model, network = _model("float32"), torch_conv_draw.ConvDraw(1, **_SIZES)
    same = torch_training.check_same(network, model, images, model.latent_shape)
    print(f"PyTorch: {same}")
    for layout in torch_training.LAYOUTS:
      steps[f"PyTorch, {layout}"] = _torch_step(images, layout)
  for precision in ("float32", "bfloat16"):
    steps[f"peak, {precision}"] = _large_convolution(precision)
  times = {
    name: found.clock.tolist()
    for name, found in interleaved.times(
      steps, rounds=_ROUNDS.value, count=_STEPS.value
    ).items()
  }
  peaks = {
    name: _LARGE_FLOPS / np.median(times[f"peak, {name}"]) / 1e6
    for name in ("float32", "bfloat16")
  }
  return {"speed": _report(times, peaks)}


def _our_step(precision: str, images: tf.Tensor) -> interleaved.Work:
  model = _model(precision)
  return _tensorflow_step(
    model, lambda: model(images, seed=tf.constant(_SEED)), images
  )


def _plain_step(images: tf.Tensor) -> interleaved.Work:
  model = _model("float32")

  def outputs() -> models.VAEOutputs:
    epsilon = noise.normal([len(images), *model.latent_shape], _SEED)
    return plain.outputs_of(model, images, None, epsilon)

  return _tensorflow_step(model, outputs, images)


def _model(
  precision: str, sizes: Mapping[str, int] = _SIZES
) -> models.ConvDraw:
  tf.random.set_seed(0)
  return models.ConvDraw((_SIDE, _SIDE, 1), precision=precision, **sizes)


def _tensorflow_step(
  model: models.ConvDraw,
  outputs_fn: Callable[[], models.VAEOutputs],
  images: tf.Tensor,
) -> interleaved.Work:
  optimizer = keras.optimizers.Adam(_LEARNING_RATE)
  optimizer.build(model.trainable_variables)

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      loss = _loss(images, outputs_fn())
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(
      zip(gradients, model.trainable_variables, strict=True)
    )
    return loss

  return interleaved.repeated(lambda: step().numpy())


def _loss(images: tf.Tensor, outputs: models.VAEOutputs) -> tf.Tensor:
  """The mean over the batch of KL + λ ‖x − g‖²."""
  error = tf.math.squared_difference(images, outputs.reconstruction)
  error = tf.reduce_sum(error, axis=[1, 2, 3])
  return tf.reduce_mean(outputs.kl + _MULTIPLIER * error)


def _torch_step(images: tf.Tensor, layout: str) -> interleaved.Work:
  side, channels = _SIDE // 4, _SIZES["latent_channels"]
  network = torch_conv_draw.ConvDraw(1, **_SIZES)
  return torch_training.steps(
    torch_training.in_layout(network, layout),
    torch_training.Batches(
      np.uint8(255 * images.numpy()),
      _BATCH_SIZE,
      (_SIZES["num_steps"], channels, side, side),
      layout,
    ),
    torch_training.neg_elbo(math.sqrt(0.5 / _MULTIPLIER)),
    learning_rate=_LEARNING_RATE,
    gradient_clip=None,
  )


# The machine's peak, and what a step asks of it.

_LARGE = {"side": 28, "channels": 128, "kernel_size": 3}
_LARGE_FLOPS = (
  2 * _BATCH_SIZE * _LARGE["side"] ** 2
  * (_LARGE["kernel_size"] * _LARGE["channels"]) ** 2
)  # fmt: skip


def _large_convolution(precision: str) -> interleaved.Work:
  """A convolution with nothing that would slow it."""
  dtype, side = tf.as_dtype(precision), _LARGE["side"]
  size, channels = _LARGE["kernel_size"], _LARGE["channels"]
  maps = tf.cast(tf.random.normal([_BATCH_SIZE, side, side, channels]), dtype)
  kernel = tf.random.normal([size, size, channels, channels])
  kernel = tf.cast(kernel, dtype)

  @tf.function
  def convolve(maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return tf.nn.conv2d(maps, kernel, 1, "SAME")

  return interleaved.repeated(lambda: convolve(maps, kernel))


class _Work(NamedTuple):
  """Floating-point operations of a step, forward and backward."""

  definition: float
  ours: float


def _work() -> _Work:
  """Counted by hand: convolutions and what stands in for them, no more.

  A product with weights is worth three, one forward and two backward; one with
  a constant matrix, two.
  """
  steps, size = _SIZES["num_steps"], _SIZES["hidden_size"]
  latents, taps, block = _SIZES["latent_channels"], 25, 16
  places = (_SIDE // 4) ** 2
  algorithm = models.conv_draw.convolutions.Fourier(7, 5, tf.float32)
  once = block * size + 9 * size**2  # The feature network, at every place.
  inference, generation = 4 * size * 4 * size, (latents + 2 * size) * 4 * size
  heads = 2 * size * 2 * latents
  canvas = 2 * block * size**2
  definition = places * (
    once + steps * (taps * (inference + generation + heads) + canvas)
  )
  products = size * 4 * size + steps * (heads + latents * 4 * size)
  products += (steps - 1) * (3 + 2) * size * 4 * size
  forward = size + steps * (3 * size + latents)
  back = 4 * size + steps * (8 * size + 4 * latents)
  kernels = (5 * size + latents + size) * 4 * size + heads
  rank = algorithm.rank
  ours = 3 * (places * once + rank * products)
  transforms = rank * places * (forward + back) + rank * taps * kernels / 64
  return _Work(
    definition=2 * _BATCH_SIZE * 3 * definition,
    ours=2 * _BATCH_SIZE * (ours + 2 * transforms),
  )


def _report(
  times: dict[str, list[float]], peaks: dict[str, float]
) -> dict[str, object]:
  rows = {name: t for name, t in times.items() if not name.startswith("peak")}
  medians = {name: float(np.median(t)) for name, t in rows.items()}
  torch_medians = [t for name, t in medians.items() if "PyTorch" in name]
  best = min(torch_medians, default=None)
  for name, t in rows.items():
    rate = "" if best is None else f"{best / medians[name]:7.2f} × PyTorch"
    print(
      f"{name:28}{medians[name]:8.1f} ms a step ({min(t):.1f} to {max(t):.1f})"
      f"{rate}"
    )
  work = _work()
  print(
    f"a step asks {work.definition / 1e9:.0f} GFLOP as defined, "
    f"{work.ours / 1e9:.0f} as we compute it"
  )
  for precision, peak in peaks.items():
    milliseconds = medians[f"ours, {precision}"]
    done, worth = (w / milliseconds / 1e6 for w in (work.ours, work.definition))
    print(
      f"{precision}: a large convolution runs at {peak:.0f} GFLOP/s; ours at "
      f"{done:.0f}, {done / peak:.0%} of it, worth {worth:.0f} as defined"
    )
  return {
    "milliseconds": {n: [min(t), medians[n], max(t)] for n, t in rows.items()},
    "peak_gflops": peaks,
    "step_gflop": [work.definition / 1e9, work.ours / 1e9],
  }


# Losses.


def _losses() -> dict[str, object]:
  """Trains in both precisions, on the same batches with the same noise."""
  source = data.load("mnist", data_dir=_DATA_DIR.value)
  curves = {
    name: _curve(precision, seed, source)
    for name, precision, seed in (
      ("float32", "float32", 0),
      ("bfloat16", "bfloat16", 0),
      ("float32, other noise", "float32", 1),
    )
  }
  reference = curves["float32"]
  gaps = {}
  for name in ("bfloat16", "float32, other noise"):
    gaps[name] = [float(gap) for gap in _gaps(curves[name], reference)]
  print("mean loss over fifths of the run, and the gap to float32's:")
  for name, curve in curves.items():
    means = " ".join(f"{m:9.2f}" for m in _fifths(curve))
    shown = " ".join(f"{g:+7.2%}" for g in gaps.get(name, []))
    print(f"{name:22}{means}   {shown}")
  agree = all(
    abs(a) <= max(2 * abs(b), 0.01) for a, b in zip(*gaps.values(), strict=True)
  )
  print(
    "bfloat16 differs from float32 by "
    + ("no more than" if agree else "MORE than")
    + " twice what other noise does, or 1 %"
  )
  return {"losses": {"fifths": {n: _fifths(c) for n, c in curves.items()}}}


def _curve(precision: str, seed: int, source: data.Source) -> np.ndarray:
  model = _model(precision, _LAPTOP_SIZES)
  optimizer = keras.optimizers.Adam(_LEARNING_RATE)
  optimizer.build(model.trainable_variables)

  @tf.function
  def step(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    with tf.GradientTape() as tape:
      loss = _loss(images, model(images, seed=seed))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(
      zip(gradients, model.trainable_variables, strict=True)
    )
    return loss

  batches = iter(pipeline.training_batches(source.train, _BATCH_SIZE, seed=0))
  return np.array(
    [
      step(next(batches).images, tf.constant([seed, i])).numpy()
      for i in range(_LOSS_STEPS.value)
    ]
  )


def _fifths(curve: np.ndarray) -> list[float]:
  return [float(np.mean(part)) for part in np.array_split(curve, 5)]


def _gaps(curve: np.ndarray, reference: np.ndarray) -> np.ndarray:
  return np.array(_fifths(curve)) / np.array(_fifths(reference)) - 1.0


if __name__ == "__main__":
  command_line.run(main)
