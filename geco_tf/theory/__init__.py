# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The theory of "Taming VAEs", computable; needs only tensors.

- `fixed_points`: (19) and (20) for a whole sweep of β; σ learned jointly
- `descent`: the same for any differentiable constraint, (5) and (6)
- `phase_transitions`: where fixed points merge, and where they should
- `kernel_pca`: pre-images, which (20) computes
- `lipschitz`: penalties and bounds on the decoder's slope, (7) and (8)
- `equipartition`: prior masses that equal those of the posterior, section 3.3
- `tilings`: equiprobable partitions, blurs and holes, section 3.1
- `linear_vae`: closed forms for the linear VAE
- `mixtures`: data in the plane
"""

import importlib
from typing import Any

__all__ = [
  "descent",
  "equipartition",
  "fixed_points",
  "kernel_pca",
  "linear_vae",
  "lipschitz",
  "mixtures",
  "phase_transitions",
  "tilings",
]


def __getattr__(name: str) -> Any:
  # At first use: `tilings` alone needs TensorFlow Probability.
  if name in __all__:
    return importlib.import_module(f"geco_tf.theory.{name}")
  raise AttributeError(f"module 'geco_tf.theory' has no attribute {name!r}")
