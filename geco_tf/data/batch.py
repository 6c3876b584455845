# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a step of training is given."""

from typing import NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
  """One batch of examples."""

  images: tf.Tensor  # [B, H, W, C], float32 in [0, 1].
  labels: tf.Tensor  # [B], int32; -1 where the source has no labels.
