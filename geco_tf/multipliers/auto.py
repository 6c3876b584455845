# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The default rule: κ is the only number the user chooses."""

from typing import NamedTuple

import tensorflow as tf

from geco_tf.multipliers import base

# How the constants were found, and what they are worth: BUILD_NOTES 4.
_GAIN_UP = 2.5
_GAIN_DOWN = 15.0
_FASTEST_CLIMB = 0.4
_FASTEST_FALL = 1.5
_PROPORTIONAL = 1.2
_LARGEST_CHANGE = 12.0
# Keep λ moving where the violation does not, and calm in the first steps.
_LEAST_PATH = 2.0
_WHOLE_PATH = 3.0
_WARMUP_STEPS = 500.0


class AutoState(NamedTuple):
  """What the rule remembers, each [K]."""

  log_multiplier: tf.Tensor
  start: tf.Tensor  # ln λ at the first update; the bounds are around it.
  step: tf.Tensor  # updates so far.
  violation: tf.Tensor  # e of the last update.
  highest: tf.Tensor  # relative violation so far, and
  lowest: tf.Tensor  # the same at its best.


class Auto(base.UpdateRule):
  """PI control of ln λ in the network's own time.

  With the relative violation r, e = clip(r, ±1) and t the updates so far,

    f       = min(1, (max r − min r) / max(1, max r))   the way done so far
    v       = (3 f + 2) / (t + 500)                     how fast, per step
    ln λ   += clip(k v e, −1.5 v, .4 v) + 1.2 (e − e of the last update)

  with k = 2.5 where e > 0 and 15 elsewhere, and within ±12 of the start. All
  speeds are multiples of v, between 2 and 5 over the time so far: there is no
  rate to choose. λ starts low and climbs slower than the network learns, and
  slower still once e is below .16, as a λ that runs ahead costs KL that
  training never gives back; it may fall faster, since nothing is lost by that,
  and its gain there keeps up with a network that goes on improving.

  Source: ours; BUILD_NOTES 4 has the measurements.
  """

  def initial_state(self, multiplier: tf.Tensor) -> AutoState:
    log_multiplier = tf.math.log(multiplier)
    zeros = tf.zeros_like(multiplier)
    return AutoState(
      log_multiplier=log_multiplier,
      start=log_multiplier,
      step=zeros,
      violation=zeros,
      highest=zeros,
      lowest=zeros,
    )

  def update(
    self,
    state: AutoState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[AutoState, tf.Tensor]:
    del moving_average, multiplier
    violation = tf.clip_by_value(relative_violation, -1.0, 1.0)
    is_first = state.step == 0.0
    state = state._replace(
      step=state.step + 1.0,
      highest=_extreme(tf.maximum, is_first, state.highest, relative_violation),
      lowest=_extreme(tf.minimum, is_first, state.lowest, relative_violation),
    )
    # In this order, which leaves it to the violation what type it is.
    change = tf.where(~is_first, violation - state.violation, 0.0)
    # A κ that is all but met at the start has no way to measure by.
    way = tf.maximum(state.highest, 1.0)
    done = tf.minimum((state.highest - state.lowest) / way, 1.0)
    speed = (_WHOLE_PATH * done + _LEAST_PATH) / (state.step + _WARMUP_STEPS)
    pull = violation * speed
    integral = tf.clip_by_value(
      tf.where(violation > 0.0, _GAIN_UP * pull, _GAIN_DOWN * pull),
      -_FASTEST_FALL * speed,
      _FASTEST_CLIMB * speed,
    )
    log_multiplier = tf.clip_by_value(
      state.log_multiplier + integral + _PROPORTIONAL * change,
      state.start - _LARGEST_CHANGE,
      state.start + _LARGEST_CHANGE,
    )
    state = state._replace(log_multiplier=log_multiplier, violation=violation)
    return state, tf.exp(log_multiplier)


def _extreme(choose, is_first, so_far, now):
  return tf.where(is_first, now, choose(so_far, now))
