# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Numbers to pictures; nothing is computed here."""

from geco_tf.figures.conditional_samples import conditional_samples
from geco_tf.figures.curves import training_curves
from geco_tf.figures.image_grid import (
  channels_as_rows,
  drawing,
  reconstructions,
)
from geco_tf.figures.style import save
from geco_tf.figures.trajectory import trajectory

__all__ = [
  "channels_as_rows",
  "conditional_samples",
  "drawing",
  "reconstructions",
  "save",
  "training_curves",
  "trajectory",
]
