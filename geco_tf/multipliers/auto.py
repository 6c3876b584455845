# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The default rule: κ is the only number the user chooses."""

from typing import NamedTuple

import tensorflow as tf

from geco_tf.multipliers import base


class AutoState(NamedTuple):
  """What the rule remembers, each [K]."""

  log_multiplier: tf.Tensor
  start: tf.Tensor  # ln λ at the first update; the bounds are around it.
  step: tf.Tensor  # updates so far.
  relative_violation: tf.Tensor  # of the last update.


class Auto(base.UpdateRule):
  """work in progress."""

  def __init__(
    self,
    max_rate: float = 1.5e-3,
    gain: float = 8.0,
    proportional: float = 0.5,
    max_change: float = 12.0,
  ):
    self.max_rate = max_rate
    self.gain = gain
    self.proportional = proportional
    self.max_change = max_change

  def initial_state(self, multiplier: tf.Tensor) -> AutoState:
    log_multiplier = tf.math.log(multiplier)
    zeros = tf.zeros_like(multiplier)
    return AutoState(log_multiplier, log_multiplier, zeros, zeros)

  def update(
    self,
    state: AutoState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[AutoState, tf.Tensor]:
    del moving_average, multiplier
    step = state.step + 1.0
    violation = tf.clip_by_value(relative_violation, -1.0, 1.0)
    rate = tf.minimum(self.max_rate, self.gain / step)
    change = tf.where(
      state.step > 0.0, violation - state.relative_violation, 0.0
    )
    log_multiplier = tf.clip_by_value(
      state.log_multiplier + rate * violation + self.proportional * change,
      state.start - self.max_change,
      state.start + self.max_change,
    )
    return (
      AutoState(log_multiplier, state.start, step, violation),
      tf.exp(log_multiplier),
    )
