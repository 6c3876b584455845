# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""νPI on ln λ."""

import math
from typing import NamedTuple

import tensorflow as tf

from geco_tf import errors
from geco_tf.multipliers import base

UNITS = ("relative", "constraint")


class NuPIState(NamedTuple):
  """What the rule remembers, each [K]."""

  log_multiplier: tf.Tensor
  smoothed: tf.Tensor  # ξ of the last update.
  started: tf.Tensor  # 0 before the first update, 1 after.


class NuPI(base.UpdateRule):
  """PI control of ln λ, the proportional part of a smoothed error.

    ξ_t   = ν ξ_{t−1} + (1 − ν) e_t,    ξ_0 = e_0
    ln λ += k_i e_t + k_p (ξ_t − ξ_{t−1})

  e is the relative violation clipped to ±1, or C_ma. A positive k_p holds λ
  back while the violation falls, which damps; a momentum is a negative k_p, and
  overshoots. With k_p = 0 this is `LogRatio`, or in C's units `Exponential`. ξ
  starts at the first error, so that the first step is k_i e_0 alone.

  Source: Sohrabi et al. 2024, "On PI controllers for updating Lagrange
  multipliers in constrained optimization", algorithm 1; on ln λ as GECO has it.
  """

  def __init__(
    self,
    rate: float,
    *,
    proportional: float = 0.0,
    smoothing: float = 0.0,
    units: str = "relative",
  ):
    """Builds the rule.

    Args:
      rate: k_i, in nats of λ per step and unit of e.
      proportional: k_p, in nats of λ per unit of e.
      smoothing: ν, in [0, 1); C_ma is an average already.
      units: of e: "relative", to the tolerance, or "constraint", C's own.

    Raises:
      UserError: if the rate is not positive, k_p is not finite, ν is out of
        range, or the units are unknown.
    """
    self.rate = base.check_rate(rate)
    self.proportional = base.check_number(proportional, "proportional")
    if not math.isfinite(self.proportional):
      raise errors.UserError(
        f"`proportional` must be finite; got {proportional}."
      )
    self.smoothing = base.check_share(smoothing, "smoothing")
    if units not in UNITS:
      raise errors.unknown_name("units", units, UNITS)
    self.units = units

  def initial_state(self, multiplier: tf.Tensor) -> NuPIState:
    zeros = tf.zeros_like(multiplier)
    return NuPIState(tf.math.log(multiplier), smoothed=zeros, started=zeros)

  def update(
    self,
    state: NuPIState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[NuPIState, tf.Tensor]:
    del multiplier
    if self.units == "relative":
      error = tf.clip_by_value(relative_violation, -1.0, 1.0)
    else:
      error = moving_average
    before = tf.where(state.started > 0.0, state.smoothed, error)
    smoothed = self.smoothing * before + (1.0 - self.smoothing) * error
    log_multiplier = (
      state.log_multiplier
      + self.rate * error
      + self.proportional * (smoothed - before)
    )
    state = NuPIState(log_multiplier, smoothed, tf.ones_like(smoothed))
    return state, tf.exp(log_multiplier)
