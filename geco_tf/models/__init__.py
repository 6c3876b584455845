# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models by name; `register` adds one from outside the package."""

from geco_tf import registry as registry_lib
from geco_tf.models import networks, noise, outputs, posteriors, vae

VAE = vae.VAE
VAEOutputs = outputs.VAEOutputs

registry = registry_lib.Registry("model")
register = registry.register
register("vae", vae.VAE)

__all__ = [
  "VAE",
  "VAEOutputs",
  "networks",
  "noise",
  "outputs",
  "posteriors",
  "register",
  "registry",
  "vae",
]
