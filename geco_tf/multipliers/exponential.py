# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The update of Algorithm 1."""

import tensorflow as tf

from geco_tf.multipliers import base


class Exponential(base.LogStep):
  """ln λ ← ln λ + ν C_ma, from λ = 1: the paper to the letter.

  No bound, no clipping: the step is in C's units, so ν has to be found anew for
  every κ, image size and reduction, and one too large sends λ to infinity. Use
  it to reproduce the paper, and "auto" to get work done.

  Source: Rezende & Viola 2018, Algorithm 1; BUILD_NOTES 2.
  """

  def initial_multiplier(self, natural: tf.Tensor) -> tf.Tensor:
    """1: the algorithm does not look at what the constraint is worth."""
    return tf.ones_like(natural)

  def error(
    self, moving_average: tf.Tensor, relative_violation: tf.Tensor
  ) -> tf.Tensor:
    del relative_violation
    return moving_average
