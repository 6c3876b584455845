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


def decoder(model: Any, context: tf.Tensor | None) -> Callable[..., tf.Tensor]:
  """Latents to mean images, the context held."""
  if context is None:
    return model.decode
  return functools.partial(model.decode, context=context)
