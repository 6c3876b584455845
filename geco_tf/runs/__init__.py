# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Configs, names → objects, checkpoints and a run's folder."""

from geco_tf.runs import (
  build,
  checkpoints,
  export,
  presets,
  specs,
  workdir,
)
from geco_tf.runs.classifiers import ClassifierConfig, load_classifier
from geco_tf.runs.config import Config, validate
from geco_tf.runs.load import kept_steps, load, weights_crc32
from geco_tf.runs.workdir import Workdir

__all__ = [
  "ClassifierConfig",
  "Config",
  "Workdir",
  "build",
  "checkpoints",
  "export",
  "kept_steps",
  "load",
  "load_classifier",
  "presets",
  "specs",
  "validate",
  "weights_crc32",
  "workdir",
]
