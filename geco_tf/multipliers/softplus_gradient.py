# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""λ as a trained variable that climbs the Lagrangian."""

import math
from typing import NamedTuple

import tensorflow as tf

from geco_tf.multipliers import base

# Where softplus is 1.
_ROOT_OF_ONE = math.log(math.e - 1.0)


class SoftplusState(NamedTuple):
  """What the rule remembers, each [K]."""

  root: tf.Tensor  # v.
  natural: tf.Tensor  # λ₀.
  mean: tf.Tensor  # Adam's first moment,
  square: tf.Tensor  # its second,
  step: tf.Tensor  # and updates so far.


class SoftplusGradient(base.UpdateRule):
  """Gradient ascent on v by Adam, λ = λ₀ softplus(v)².

    ∂(λC)/∂v = 2 λ₀ softplus(v) sigmoid(v) C

  at C_ma, with v starting where softplus is 1. Adam divides by the size of the
  gradient, so that neither C's units nor those of λ matter, only its sign and
  history: v moves by about the rate in every step, at the tolerance too.

  With λ₀ = 1 it is the form of Sonnet v1, where v shares the model's optimizer
  by way of a reversed gradient; here its Adam is its own.

  Source: `get_lagrange_multiplier` in Sonnet v1's optimization_constraints.py,
  which cites Rezende & Viola 2018; Kingma & Ba 2015 for Adam.
  """

  def __init__(
    self,
    rate: float,
    *,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
  ):
    """Builds the rule.

    Args:
      rate: Adam's, in v per step; ln λ moves by 1.3 times as much at λ₀.
      beta_1: what a step keeps of the gradient's mean, in [0, 1).
      beta_2: and of its square, in [0, 1).
      epsilon: what is added to the root of that, in the objective's units.

    Raises:
      UserError: if the rate or epsilon is not positive, or a beta is out of
        range.
    """
    self.rate = base.check_rate(rate)
    self.epsilon = base.check_rate(epsilon, "epsilon")
    self.beta_1 = base.check_share(beta_1, "beta_1")
    self.beta_2 = base.check_share(beta_2, "beta_2")

  def initial_state(self, multiplier: tf.Tensor) -> SoftplusState:
    zeros = tf.zeros_like(multiplier)
    return SoftplusState(
      root=zeros + _ROOT_OF_ONE,
      natural=multiplier,
      mean=zeros,
      square=zeros,
      step=zeros,
    )

  def update(
    self,
    state: SoftplusState,
    moving_average: tf.Tensor,
    relative_violation: tf.Tensor,
    multiplier: tf.Tensor,
  ) -> tuple[SoftplusState, tf.Tensor]:
    del relative_violation, multiplier
    slope = 2.0 * tf.nn.softplus(state.root) * tf.sigmoid(state.root)
    gradient = state.natural * slope * moving_average
    step = state.step + 1.0
    mean = self.beta_1 * state.mean + (1.0 - self.beta_1) * gradient
    square = self.beta_2 * state.square + (1.0 - self.beta_2) * gradient**2
    unbiased = tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
    change = self.rate * unbiased * mean / (tf.sqrt(square) + self.epsilon)
    root = state.root + change
    state = SoftplusState(root, state.natural, mean, square, step)
    return state, state.natural * tf.nn.softplus(root) ** 2

  def moved_to(
    self, state: SoftplusState, multiplier: tf.Tensor
  ) -> SoftplusState:
    # softplus⁻¹(y) = y + ln(1 − e^−y).
    y = tf.sqrt(multiplier / state.natural)
    return state._replace(root=y + tf.math.log(-tf.math.expm1(-y)))
