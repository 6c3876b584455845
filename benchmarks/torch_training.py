# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Steps of training in PyTorch, eager, for networks that we have too.

A network maps images [B, C, H, W] and noise ε to mean images and KL [B]. It has
`copy_weights`, and `turned`, which takes our maps to its own and back.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf
import torch

from benchmarks import interleaved
from geco_tf.models import noise

try:
  import cooper
except ImportError:
  cooper = None

LAYOUTS = ("contiguous", "channels last")
_SEED = (0, 0)
_MULTIPLIER = 20.0  # λ of the squared error, where two networks are compared.

# Images, mean images and KL to what is minimised.
Objective = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Geco:
  """Algorithm 1 with the reconstruction error; λ moves by ν C_ma in its log."""

  def __init__(self, kappa: float, *, rate: float, decay: float):
    """Args: kappa, rate ν, decay α: as those of `geco_tf.GECO`."""
    self._kappa, self._rate, self._decay = kappa, rate, decay
    self._log_multiplier = 0.0
    self._average: float | None = None

  def __call__(self, images, reconstruction, kl):
    """The Lagrangian; λ and the average move here, as nothing else is there."""
    error = squared_error(images, reconstruction).mean()
    violation = error - self._kappa**2 * images[0].numel()
    value = violation.item()
    if self._average is None:
      self._average = value
    self._average += (1.0 - self._decay) * (value - self._average)
    # Its gradient is that of the violation, its value the average.
    shown = violation + (self._average - violation).detach()
    loss = kl.mean() + math.exp(self._log_multiplier) * shown
    self._log_multiplier += self._rate * self._average
    return loss


def neg_elbo(sigma: float) -> Objective:
  """The usual one with a fixed σ, but for its constant."""

  def loss(images, reconstruction, kl):
    error = squared_error(images, reconstruction)
    return (kl + error / (2.0 * sigma**2)).mean()

  return loss


def squared_error(images, reconstruction):
  """Σ_d (x_d − g_d)², [B]."""
  return torch.square(images - reconstruction).sum(dim=(1, 2, 3))


class Batches:
  """Endless shuffled batches out of memory, with noise."""

  def __init__(
    self,
    images: np.ndarray,
    batch_size: int,
    noise_shape: tuple[int, ...],
    layout: str,
  ):
    """Takes images [N, H, W, C], uint8."""
    self._images = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    self._noise_shape = (batch_size, *noise_shape)
    self._format = _format(layout)
    self._indices = self._shuffled()

  def __iter__(self):
    return self

  def __next__(self):
    images = self._images[next(self._indices)].float() / 255.0
    return (
      images.contiguous(memory_format=self._format),
      torch.randn(self._noise_shape),
    )

  def _shuffled(self) -> Iterator[torch.Tensor]:
    count = self._noise_shape[0]
    while True:
      order = torch.randperm(len(self._images))
      yield from order[: len(order) // count * count].split(count)


def steps(
  network: torch.nn.Module,
  batches: Batches,
  objective: Objective,
  *,
  learning_rate: float,
  gradient_clip: float | None,
) -> interleaved.Work:
  """Forward, backward, the clipping, Adam."""
  optimizer = torch.optim.Adam(network.parameters(), learning_rate, fused=True)

  def one() -> None:
    images, epsilon = next(batches)
    optimizer.zero_grad()
    loss = objective(images, *network(images, epsilon))
    loss.backward()
    if gradient_clip is not None:
      torch.nn.utils.clip_grad_norm_(network.parameters(), gradient_clip)
    optimizer.step()

  return interleaved.repeated(one)


def cooper_steps(
  network: torch.nn.Module,
  batches: Batches,
  *,
  kappa: float,
  initial_multiplier: float,
  learning_rate: float,
  rate: float,
) -> interleaved.Work:
  """The KL under one inequality, by cooper's simultaneous updates."""
  multiplier = cooper.multipliers.DenseMultiplier(
    init=torch.tensor([initial_multiplier])
  )

  class Problem(cooper.ConstrainedMinimizationProblem):
    def __init__(self):
      super().__init__()
      self.error = cooper.Constraint(
        constraint_type=cooper.ConstraintType.INEQUALITY,
        formulation_type=cooper.formulations.Lagrangian,
        multiplier=multiplier,
      )

    def compute_cmp_state(self, images, epsilon):
      reconstruction, kl = network(images, epsilon)
      error = squared_error(images, reconstruction).mean()
      violation = error - kappa**2 * images[0].numel()
      state = cooper.ConstraintState(violation=violation.reshape(1))
      return cooper.CMPState(
        loss=kl.mean(), observed_constraints={self.error: state}
      )

  problem = Problem()
  optimizer = cooper.optim.SimultaneousOptimizer(
    cmp=problem,
    primal_optimizers=torch.optim.Adam(
      network.parameters(), learning_rate, fused=True
    ),
    dual_optimizers=torch.optim.SGD(
      problem.dual_parameters(), lr=rate, maximize=True
    ),
  )

  def one() -> None:
    images, epsilon = next(batches)
    optimizer.roll({"images": images, "epsilon": epsilon})

  return interleaved.repeated(one)


def in_layout(network: torch.nn.Module, layout: str) -> torch.nn.Module:
  """The network with its convolutions' weights in this order."""
  return network.to(memory_format=_format(layout))


def check_same(
  network: torch.nn.Module, model, images: tf.Tensor, noise_shape
) -> str:
  """How far PyTorch's numbers are from ours, with our weights.

  Args:
    network: gets our weights.
    model: ours, its variables created; they are moved at random.
    images: [B, H, W, C], floats.
    noise_shape: of one example.

  Returns:
    A sentence's end.

  Raises:
    RuntimeError: if it has other weights or is another function.
  """
  ours = sum(v.shape.num_elements() for v in model.trainable_variables)
  theirs = sum(p.numel() for p in network.parameters())
  if ours != theirs:
    raise RuntimeError(f"PyTorch's network has {theirs} weights, ours {ours}.")
  for variable in model.trainable_variables:  # Some are 0 at the start.
    variable.assign_add(0.02 * tf.random.normal(variable.shape))
  network.copy_weights(model)
  with tf.GradientTape() as tape:
    outputs = model(images, seed=tf.constant(_SEED))
    error = tf.math.squared_difference(images, outputs.reconstruction)
    error = tf.reduce_sum(error, axis=[1, 2, 3])
    loss = tf.reduce_mean(outputs.kl + _MULTIPLIER * error)
  gradients = tape.gradient(loss, model.trainable_variables)
  epsilon = noise.normal([len(images), *noise_shape], _SEED)
  x = network.turned(_to_torch(images))
  reconstruction, kl = network(x, _to_torch(epsilon))
  loss = (kl + _MULTIPLIER * squared_error(x, reconstruction)).mean()
  loss.backward()
  squares = (torch.sum(p.grad**2).item() for p in network.parameters())
  differences = {
    "mean image": _relative(
      network.turned(reconstruction.detach()).numpy(),
      np.moveaxis(outputs.reconstruction.numpy(), -1, 1),
    ),
    "KL": _relative(kl.detach().numpy(), outputs.kl.numpy()),
    "norm of the gradient": _relative(
      math.sqrt(sum(squares)), tf.linalg.global_norm(gradients).numpy()
    ),
  }
  text = ", ".join(f"{k} within {v:.1e}" for k, v in differences.items())
  if max(differences.values()) > 1e-3:
    raise RuntimeError(f"PyTorch's network is another function: {text}.")
  return f"{ours:,} weights in both; with the same, {text}"


def _format(layout: str) -> torch.memory_format:
  names = (torch.contiguous_format, torch.channels_last)
  return dict(zip(LAYOUTS, names, strict=True))[layout]


def _to_torch(values: tf.Tensor) -> torch.Tensor:
  """[…, H, W, C] to […, C, H, W]; vectors [B, d] as they are."""
  values = np.array(values)
  if values.ndim > 2:
    values = np.moveaxis(values, -1, -3).copy()
  return torch.from_numpy(values)


def _relative(one, other) -> float:
  return float(np.max(np.abs(one - other)) / np.max(np.abs(other)))
