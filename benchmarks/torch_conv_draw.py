# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""ConvDraw in PyTorch, unconditional, GQN form, written as one would write it.

`copy_weights` gives it those of a `geco_tf.models.ConvDraw`.
"""

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional


class ConvLSTM(nn.Module):
  """A convolutional LSTM cell; gates are entry, forget, exit, candidate."""

  def __init__(self, in_channels: int, hidden_size: int, kernel_size: int):
    super().__init__()
    self.gates = nn.Conv2d(
      in_channels + hidden_size,
      4 * hidden_size,
      kernel_size,
      padding=kernel_size // 2,
    )

  def forward(self, inputs, state):
    """Inputs [B, c, h, w] and (h, c) to the next (h, c)."""
    hidden, cell = state
    gates = self.gates(torch.cat([inputs, hidden], dim=1))
    entry, forget, exit_, candidate = gates.chunk(4, dim=1)
    cell = forget.sigmoid() * cell + entry.sigmoid() * candidate.tanh()
    return exit_.sigmoid() * cell.tanh(), cell


class ConvDraw(nn.Module):
  """The network of `geco_tf.models.ConvDraw`."""

  def __init__(
    self,
    image_channels: int,
    *,
    num_steps: int,
    hidden_size: int,
    latent_channels: int,
    kernel_size: int = 5,
    stride: int = 4,
  ):
    super().__init__()
    size = hidden_size
    self._num_steps = num_steps
    self.first = nn.Conv2d(image_channels, size, stride, stride)
    self.second = nn.Conv2d(size, size, 3, padding=1)
    self.down = nn.Conv2d(size, size, stride, stride, bias=False)
    self.up = nn.ConvTranspose2d(size, size, stride, stride, bias=False)
    self.inference_core = ConvLSTM(3 * size, size, kernel_size)
    self.generation_core = ConvLSTM(latent_channels + size, size, kernel_size)
    self.posterior_head, self.prior_head = (
      nn.Conv2d(
        size, 2 * latent_channels, kernel_size, padding=kernel_size // 2
      )
      for _ in range(2)
    )
    self.to_mean = nn.Conv2d(size, image_channels, 1)

  def forward(self, images, epsilon):
    """Images [B, C, H, W] and ε [B, L, c, h, w] to mean images and KL [B]."""
    features = functional.elu(self.first(2.0 * images - 1.0))
    features = functional.elu(self.second(features))
    zero = torch.zeros_like(features)
    encoder, generator = (zero, zero), (zero, zero)
    canvas = torch.zeros_like(zero[:, :1, :1, :1]).expand(
      len(images), zero.shape[1], *images.shape[2:]
    )
    kl = 0.0
    for step in range(self._num_steps):
      prior = _gaussian(self.prior_head(generator[0]))
      feedback = self.down(canvas)
      encoder = self.inference_core(
        torch.cat([features, generator[0], feedback], dim=1), encoder
      )
      posterior = _gaussian(self.posterior_head(encoder[0]))
      base = posterior.base_dist
      latents = base.loc + base.scale * epsilon[:, step]
      generator = self.generation_core(
        torch.cat([latents, feedback], dim=1), generator
      )
      canvas = canvas + self.up(generator[0])
      kl = kl + kl_divergence(posterior, prior)
    return self.to_mean(canvas).sigmoid(), kl

  def turned(self, maps):
    """Maps as this network has them: as ours."""
    return maps

  def copy_weights(self, model: Any) -> None:
    """Takes the weights of a `geco_tf.models.ConvDraw` of the same sizes."""
    features = model.features
    for ours, theirs in (
      (self.first, features.first),
      (self.second, features.second),
      (self.posterior_head, model.posterior_head),
      (self.prior_head, model.prior_head),
      (self.to_mean, model.to_mean),
    ):
      _assign(ours, theirs.kernel, theirs.bias)
    for ours, (theirs,), names in (
      (
        self.inference_core,
        model.inference_cores,
        ("features", "h_g", "canvas", "h_e"),
      ),
      (
        self.generation_core,
        model.generation_cores,
        ("latents", "canvas", "h_g"),
      ),
    ):
      kernel = np.concatenate([theirs.kernels[name] for name in names], axis=2)
      _assign(ours.gates, kernel, theirs.bias)
    _assign(self.down, model.down)
    # TensorFlow's transposed kernels are [s, s, out, in]; PyTorch's start with
    # in, out. One transposition serves both kinds.
    _assign(self.up, model.up)


def _gaussian(raw):
  loc, raw_scale = raw.chunk(2, dim=1)
  scale = functional.softplus(raw_scale + np.log(np.expm1(1.0))) + 1e-5
  return Independent(Normal(loc, scale), 3)


@torch.no_grad()
def _assign(layer, kernel, bias=None):
  kernel = np.transpose(np.array(kernel), [3, 2, 0, 1])
  layer.weight.copy_(torch.from_numpy(kernel))
  if bias is not None:
    layer.bias.copy_(torch.from_numpy(np.array(bias)))
