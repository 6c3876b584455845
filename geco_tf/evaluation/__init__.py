# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Functions of a model and data that give numbers."""

from geco_tf.evaluation.classification import Labeller, accuracy
from geco_tf.evaluation.judging import judge_run
from geco_tf.evaluation.levels import Level, constraint_levels
from geco_tf.evaluation.likelihood import quantized_normal_per_dim
from geco_tf.evaluation.reconstruction import (
  Measurement,
  ReconstructionMeasure,
)

__all__ = [
  "Labeller",
  "Level",
  "Measurement",
  "ReconstructionMeasure",
  "accuracy",
  "constraint_levels",
  "judge_run",
  "quantized_normal_per_dim",
]
