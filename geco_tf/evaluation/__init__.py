# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Functions of a model and data that give numbers."""

from geco_tf.evaluation.likelihood import quantized_normal_per_dim
from geco_tf.evaluation.reconstruction import (
  Measurement,
  ReconstructionMeasure,
)

__all__ = ["Measurement", "ReconstructionMeasure", "quantized_normal_per_dim"]
