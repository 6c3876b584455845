# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A step in ln λ that knows no units."""

import tensorflow as tf

from geco_tf.multipliers import base


class LogRatio(base.UpdateRule):
  """ln λ ← ln λ + ν · clip(relative violation, ±1).

  For a reconstruction error the relative violation is ln(MSE_ma / κ²). One
  rate then serves every κ, image size and reduction; λ moves by at most a
  factor e^ν a step.

  Source: BUILD_NOTES 3.
  """

  def __init__(self, rate: float):
    """Args: rate: ν, in nats of λ per step at a relative violation of 1."""
    self.rate = base.check_rate(rate)

  def initial_state(self, multiplier: tf.Tensor) -> base.LogState:
    return base.LogState(tf.math.log(multiplier))

  def update(
    self,
    state: base.LogState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[base.LogState, tf.Tensor]:
    del moving_average, multiplier
    log_multiplier = state.log_multiplier + self.rate * tf.clip_by_value(
      relative_violation, -1.0, 1.0
    )
    return base.LogState(log_multiplier), tf.exp(log_multiplier)
