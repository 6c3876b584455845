# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The method of multipliers for an inequality."""

from typing import NamedTuple

import tensorflow as tf

from geco_tf.multipliers import base


class AugmentedState(NamedTuple):
  """What the rule remembers, [K]; λ itself is handed to it."""

  natural: tf.Tensor  # λ₀, the unit of λ.


class AugmentedLagrangian(base.UpdateRule):
  """λ ← max(0, λ + η λ₀ e), and a quadratic penalty that damps.

  In units of λ₀ and of the bound b, so that one η and one ρ serve every κ,
  image size and reduction. e is the relative violation clipped to ±1, which
  near the tolerance is C/b. With w = ρ λ₀ / b the penalty turns λC into

    (max(0, λ + w C)² − λ²) / 2w  =  λC + ½ w C²          where λ + w C ≥ 0
                                     −λ² / 2w             elsewhere

  so that Ĉ weighs max(0, λ + w C_ma) in the gradient: it answers a violation at
  once, before λ does. λ moves by addition, can be exactly 0, and leaves it.

  η = ρ is the classic method, made for a model that is trained out between two
  updates: give it `update_every`. At every step η is the smaller by far.

  Source: Hestenes 1969, Powell 1969; Rockafellar 1973 for the inequality.
  """

  def __init__(self, rate: float, *, penalty: float | None = None):
    """Builds the rule.

    Args:
      rate: η, in λ₀ per update and unit of relative violation.
      penalty: ρ, in λ₀ per unit of relative violation; None is η.

    Raises:
      UserError: if one of them is not positive and finite.
    """
    self.rate = base.check_rate(rate)
    self.penalty_weight = (
      self.rate if penalty is None else base.check_rate(penalty, "penalty")
    )

  def initial_state(self, multiplier: tf.Tensor) -> AugmentedState:
    return AugmentedState(natural=multiplier)

  def update(
    self,
    state: AugmentedState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[AugmentedState, tf.Tensor]:
    del moving_average
    violation = tf.clip_by_value(relative_violation, -1.0, 1.0)
    change = self.rate * state.natural * violation
    return state, tf.maximum(multiplier + change, 0.0)

  def penalty(
    self,
    constraint: tf.Tensor,
    *,
    state: AugmentedState,
    multiplier: tf.Tensor,
    bound: tf.Tensor,
  ) -> tf.Tensor:
    # A bound of 0 has no ratio to it, and gets no penalty.
    weight = tf.math.divide_no_nan(self.penalty_weight * state.natural, bound)
    # Down to the C at which the whole weight is 0, and straight on below it.
    floor = -tf.math.divide_no_nan(multiplier, weight)
    above = tf.maximum(constraint, floor)
    below = tf.minimum(constraint - floor, 0.0)
    penalty = 0.5 * weight * above**2 - multiplier * below
    return tf.reduce_sum(tf.where(weight > 0.0, penalty, 0.0))
