# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A step in ln λ that knows no units."""

import tensorflow as tf

from geco_tf.multipliers import base


class LogRatio(base.LogStep):
  """ln λ ← ln λ + ν · clip(relative violation, ±1).

  For a reconstruction error the relative violation is ln(MSE_ma / κ²). One
  rate then serves every κ, image size and reduction; λ moves by at most a
  factor e^ν a step.

  Source: BUILD_NOTES 3.
  """

  def error(
    self, moving_average: tf.Tensor, relative_violation: tf.Tensor
  ) -> tf.Tensor:
    del moving_average
    return tf.clip_by_value(relative_violation, -1.0, 1.0)
