# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models by name; `register` adds one from outside the package."""

from geco_tf import registry as registry_lib
from geco_tf.models import (
  classifiers,
  conditional,
  conv_draw,
  networks,
  noise,
  outputs,
  posteriors,
  vae,
)

ConvDraw = conv_draw.ConvDraw
VAE = vae.VAE
VAEOutputs = outputs.VAEOutputs
call = conditional.call
decoder = conditional.decoder
draws = conditional.draws

registry = registry_lib.Registry("model")
register = registry.register
register("conv_draw", conv_draw.ConvDraw)
register("vae", vae.VAE)

__all__ = [
  "VAE",
  "ConvDraw",
  "VAEOutputs",
  "call",
  "classifiers",
  "conv_draw",
  "decoder",
  "draws",
  "networks",
  "noise",
  "outputs",
  "posteriors",
  "register",
  "registry",
  "vae",
]
