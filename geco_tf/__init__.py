# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""GECO for TensorFlow: state what a VAE must achieve, not its loss weights.

`import geco_tf` loads TensorFlow and the core (`GECO`, `constraints`,
`multipliers`) alone; every other folder loads at its first use.
"""

import importlib
from typing import Any

from geco_tf import constraints, errors, multipliers
from geco_tf.geco import GECO
from geco_tf.version import __version__

_LAZY = (
  "data",
  "evaluation",
  "experiments",
  "failure_modes",
  "figures",
  "integrations",
  "models",
  "objectives",
  "runs",
  "theory",
  "training",
)

__all__ = [
  "GECO",
  "__version__",
  "constraints",
  "errors",
  "load",
  "load_classifier",
  "multipliers",
  *_LAZY,
]


def __getattr__(name: str) -> Any:
  if name in ("load", "load_classifier"):
    return getattr(importlib.import_module("geco_tf.runs"), name)
  if name in _LAZY:
    return importlib.import_module(f"geco_tf.{name}")
  raise AttributeError(f"module 'geco_tf' has no attribute {name!r}")
