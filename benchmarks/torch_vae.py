# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The VAE in PyTorch, written as one would write it: 28×28 and alike.

`copy_weights` gives it those of a `geco_tf.models.VAE`. Where a stride leaves a
pixel over, TensorFlow pads behind and PyTorch in front: this network is that
one with all maps turned by 180°.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional


class NVPCouplings(nn.Module):
  """Conditional affine couplings on a diagonal Gaussian."""

  def __init__(
    self,
    latent_size: int,
    hidden_size: int,
    *,
    num_couplings: int,
    width: int,
    bound: float = 2.0,
  ):
    super().__init__()
    half = latent_size // 2
    self._shape = (num_couplings, width)
    self._bound = bound
    self.to_context = nn.Linear(hidden_size, num_couplings * width)
    self.first = nn.ModuleList(
      nn.Linear(half, width, bias=False) for _ in range(num_couplings)
    )
    self.last = nn.ModuleList(
      nn.Linear(width, 2 * half) for _ in range(num_couplings)
    )

  def forward(self, base, hidden):
    """z⁰ [B, d] and the encoder's features to z [B, d] and ln|det| [B]."""
    context = self.to_context(hidden).unflatten(1, self._shape)
    halves, log_det = list(base.chunk(2, dim=1)), 0.0
    for level, (first, last) in enumerate(
      zip(self.first, self.last, strict=True)
    ):
      kept, changed = level % 2, (level + 1) % 2
      inner = functional.elu(first(halves[kept]) + context[:, level])
      raw, shift = last(inner).chunk(2, dim=1)
      log_scale = self._bound * torch.tanh(raw / self._bound)
      halves[changed] = halves[changed] * log_scale.exp() + shift
      log_det = log_det + log_scale.sum(dim=1)
    return torch.cat(halves, dim=1), log_det


class VAE(nn.Module):
  """The network of `geco_tf.models.VAE`, for sides of 4 n below 33."""

  def __init__(
    self,
    image_shape: tuple[int, int, int],
    latent_size: int,
    *,
    posterior: str,
    channels: int,
    hidden_size: int,
    num_couplings: int,
    coupling_width: int,
  ):
    super().__init__()
    side, _, image_channels = image_shape
    self._coarsest = (2 * channels, side // 4, side // 4)
    num_features = math.prod(self._coarsest)
    self.convs = nn.ModuleList(
      nn.Conv2d(*sizes, 3, 2, padding=1)
      for sizes in ((image_channels, channels), (channels, 2 * channels))
    )
    self.encoder_dense = nn.Linear(num_features, hidden_size)
    self.head = nn.Linear(hidden_size, 2 * latent_size)
    self.couplings = None
    if posterior == "nvp":
      self.couplings = NVPCouplings(
        latent_size,
        hidden_size,
        num_couplings=num_couplings,
        width=coupling_width,
      )
    self.decoder_dense = nn.Linear(latent_size, hidden_size)
    self.to_maps = nn.Linear(hidden_size, num_features)
    self.transposed_convs = nn.ModuleList(
      nn.ConvTranspose2d(*sizes, 3, 2, padding=1, output_padding=1)
      for sizes in ((2 * channels, channels), (channels, image_channels))
    )

  def forward(self, images, epsilon):
    """Images [B, C, H, W] and ε [B, d] to mean images and KL [B]."""
    hidden = self._encode(images)
    loc, raw_scale = self.head(hidden).chunk(2, dim=1)
    scale = functional.softplus(raw_scale + math.log(math.expm1(1.0))) + 1e-5
    base = loc + scale * epsilon
    posterior = Independent(Normal(loc, scale), 1)
    prior = Independent(Normal(torch.zeros(()), torch.ones(())).expand(
      loc.shape), 1)  # fmt: skip
    if self.couplings is None:
      return self._decode(base), kl_divergence(posterior, prior)
    latents, log_det = self.couplings(base, hidden)
    kl = posterior.log_prob(base) - log_det - prior.log_prob(latents)
    return self._decode(latents), kl

  def _encode(self, images):
    maps = 2.0 * images - 1.0
    for conv in self.convs:
      maps = functional.elu(conv(maps))
    return functional.elu(self.encoder_dense(maps.flatten(1)))

  def _decode(self, latents):
    hidden = functional.elu(self.decoder_dense(latents))
    maps = functional.elu(self.to_maps(hidden)).unflatten(1, self._coarsest)
    first, last = self.transposed_convs
    return last(functional.elu(first(maps))).sigmoid()

  def turned(self, maps):
    """Maps [..., H, W] as this network has them, and back."""
    return maps.flip(-1, -2)

  @torch.no_grad()
  def copy_weights(self, model: Any) -> None:
    """Takes the weights of a `geco_tf.models.VAE` of the same sizes."""
    encoder, decoder, posterior = (
      model._encoder, model._decoder, model._posterior
    )  # fmt: skip
    for ours, theirs in (
      *zip(self.convs, encoder._convs, strict=True),
      *zip(self.transposed_convs, decoder._convs, strict=True),
    ):
      # Transposed kernels are [s, s, out, in] there and in, out here.
      kernel = np.transpose(theirs.w.numpy()[::-1, ::-1], [3, 2, 0, 1])
      _assign(ours, kernel, theirs.b)
    maps = (*self._coarsest[1:], self._coarsest[0])
    dense = encoder._dense.w.numpy()
    dense = dense.reshape(*maps, -1)[::-1, ::-1].transpose(3, 2, 0, 1)
    _assign(self.encoder_dense, dense, encoder._dense.b)
    to_maps = decoder._to_maps
    weights = to_maps.w.numpy().reshape(-1, *maps)[:, ::-1, ::-1]
    biases = to_maps.b.numpy().reshape(maps)[::-1, ::-1].transpose(2, 0, 1)
    _assign(self.to_maps, weights.transpose(3, 1, 2, 0), biases)
    dense_pairs = [
      (self.head, posterior._head._linear),
      (self.decoder_dense, decoder._dense),
    ]
    if self.couplings is not None:
      dense_pairs.append((self.couplings.to_context, posterior._to_context))
      for level, theirs in enumerate(posterior._conditioners):
        dense_pairs.append((self.couplings.first[level], theirs._first))
        dense_pairs.append((self.couplings.last[level], theirs._last))
    for ours, theirs in dense_pairs:
      biases = None if ours.bias is None else theirs.b
      _assign(ours, theirs.w.numpy().T, biases)


def _assign(layer, weights, biases):
  weights = torch.from_numpy(np.ascontiguousarray(weights))
  layer.weight.copy_(weights.reshape(layer.weight.shape))
  if biases is not None:
    biases = torch.from_numpy(np.array(biases))
    layer.bias.copy_(biases.reshape(layer.bias.shape))
