# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Calling a model whether or not its images have a context.

A model from outside that is unconditional need not know of contexts: it is
called without one.
"""

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from geco_tf.models import noise, outputs


def call(
  model: Callable[..., outputs.VAEOutputs],
  images: tf.Tensor,
  context: tf.Tensor | None,
  *,
  seed: noise.Seed,
) -> outputs.VAEOutputs:
  """The model's outputs.

  Args:
    model: any model of the package, or one like them.
    images: [B, H, W, C].
    context: [B, K, H, W, C], or None.
    seed: of the noise.
  """
  if context is None:
    return model(images, seed=seed)
  return model(images, context, seed=seed)


def draws(
  model: Any, images: tf.Tensor, context: tf.Tensor | None
) -> Callable[..., outputs.VAEOutputs]:
  """Several latents for each image, the encoder run once where it can be.

  Args:
    model: any model of the package, or one like them.
    images: [B, H, W, C].
    context: [B, K, H, W, C], or None.

  Returns:
    A function of `count` and `seed` to the outputs of a batch [count B]: all
    images with their first z, then all with their second, and so on.
  """
  if not hasattr(model, "draw"):

    def by_call(count: int, seed: noise.Seed) -> outputs.VAEOutputs:
      again = None if context is None else _tiled(context, count)
      return call(model, _tiled(images, count), again, seed=seed)

    return by_call
  features = model.posterior_features(images, context)

  def by_features(count: int, seed: noise.Seed) -> outputs.VAEOutputs:
    many = tf.nest.map_structure(lambda f: _tiled(f, count), features)
    return model.draw(many, seed=seed)

  return by_features


def _tiled(tensor: tf.Tensor, times: int) -> tf.Tensor:
  """A tensor [B, …] to [times B, …]."""
  return tf.tile(tensor, [times] + [1] * (tensor.shape.rank - 1))


def decoder(model: Any, context: tf.Tensor | None) -> Callable[..., tf.Tensor]:
  """Latents to mean images, the context held."""
  if context is None:
    return model.decode
  return functools.partial(model.decode, context=context)
