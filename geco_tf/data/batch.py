# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a step of training is given."""

from typing import NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
  """One batch of examples; with a context, what to model and given what."""

  images: tf.Tensor  # [B, H, W, C], floats in [0, 1].
  labels: tf.Tensor  # [B], int32; -1 where an example has no single label.
  context: tf.Tensor | None = None  # [B, K, H, W, C], as the images.
  context_labels: tf.Tensor | None = None  # [B, K], int32.
