# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The linear VAE under a reconstruction error, in closed form.

Data x ~ N(0, diag s²), one latent a dimension, prior N(0, I):

  g(z) = a z,    q(z|x) = N(m x, diag v)

In an orthonormal basis where they are diagonal, covariances are no more general
than that: give their eigenvalues. KL is in nats, distortion in units of x²,
summed over dimensions, so that λ is that of RE with reduction="sum".
"""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.theory import checks


class LinearVAE(NamedTuple):
  """The weights, one of each a dimension."""

  decoder: tf.Tensor  # [D], a.
  encoder: tf.Tensor  # [D], m.
  posterior_variance: tf.Tensor  # [D], v > 0.


class Expectations(NamedTuple):
  """What a linear VAE costs, over all of the data."""

  distortions: tf.Tensor  # [D], E (x_d − g_d)².
  kl: tf.Tensor  # [], E KL(q(z|x) ‖ π), nats.
  marginal_kl: tf.Tensor  # [], KL(E q(z|x) ‖ π), nats.


class WaterFilling(NamedTuple):
  """The least KL at a given distortion, and the VAE that has it.

  Its marginal KL is 0.
  """

  level: tf.Tensor  # [], θ.
  multiplier: tf.Tensor  # [], λ* = −dKL*/d distortion = 1/2θ.
  kl: tf.Tensor  # [], KL*, nats.
  distortions: tf.Tensor  # [D], min(θ, s²).
  model: LinearVAE


def expectations(model: LinearVAE, variances: Any) -> Expectations:
  """Distortion, KL and marginal KL of any linear VAE.

    E (x − g)²    = (1 − a m)² s² + a² v
    E KL          = ½ Σ (m² s² + v − 1 − ln v)
    marginal KL   = ½ Σ (w − 1 − ln w),  w = m² s² + v

  Args:
    model: a, m and v.
    variances: s², [D].

  Returns:
    The `Expectations`; differentiable.
  """
  a, m, v = model
  variances = tf.convert_to_tensor(variances, v.dtype)
  marginal_variance = m**2 * variances + v
  return Expectations(
    distortions=(1.0 - a * m) ** 2 * variances + a**2 * v,
    kl=0.5 * tf.reduce_sum(marginal_variance - 1.0 - tf.math.log(v)),
    marginal_kl=0.5
    * tf.reduce_sum(marginal_variance - 1.0 - tf.math.log(marginal_variance)),
  )


def water_filling(variances: Any, distortion: Any) -> WaterFilling:
  """The linear VAE of least KL, by reverse water-filling.

    Σ_d min(θ, s_d²) = distortion,   KL* = ½ Σ_d max(0, ln(s_d²/θ))

  A dimension whose variance is below the level θ is given up.

  Args:
    variances: s², [D]; computed in their type, if it is of floats.
    distortion: the tolerance D κ² of RE, at most Σ s².

  Returns:
    The `WaterFilling`.

  Raises:
    UserError: if a variance is not positive and finite, or the distortion is
      not above 0 and at most their sum.

  Source: Cover & Thomas 2006, theorem 10.3.3.
  """
  variances = tf.convert_to_tensor(variances)
  if not variances.dtype.is_floating:
    variances = tf.constant(checks.array("variances", variances, np.float32))
  distortion = tf.convert_to_tensor(distortion, variances.dtype)
  _check(variances, distortion)
  level = _level(variances, distortion)
  distortions = tf.minimum(level, variances)
  gain = tf.sqrt(variances - distortions)
  return WaterFilling(
    level=level,
    multiplier=0.5 / level,
    kl=0.5 * tf.reduce_sum(tf.math.log(variances / distortions)),
    distortions=distortions,
    # x = a z + N(0, min(θ, s²)) with z ~ N(0, I), read backwards.
    model=LinearVAE(
      decoder=gain,
      encoder=gain / variances,
      posterior_variance=distortions / variances,
    ),
  )


def _level(variances: tf.Tensor, distortion: tf.Tensor) -> tf.Tensor:
  """θ: exact, since only D ways to give dimensions up are possible."""
  ascending = tf.sort(variances)
  num_dims = tf.size(variances)
  num_kept = tf.cast(num_dims - tf.range(num_dims), variances.dtype)
  # With the k least dimensions given up, the others share what is left.
  levels = (distortion - tf.cumsum(ascending, exclusive=True)) / num_kept
  # The sum may be off in its last digit where all is given up.
  fits = tf.concat([(levels <= ascending)[:-1], [True]], axis=0)
  return levels[tf.argmax(fits)]


def _check(variances: tf.Tensor, distortion: tf.Tensor) -> None:
  if variances.shape.rank != 1 or not bool(
    tf.reduce_all((variances > 0) & tf.math.is_finite(variances))
  ):
    raise errors.UserError(
      "`variances` must be a list of positive, finite numbers; got "
      f"{variances.numpy().tolist()}."
    )
  total = tf.reduce_sum(variances)
  if not bool((distortion > 0) & (distortion <= total)):
    raise errors.UserError(
      f"`distortion` must be above 0 and at most the sum of the variances, "
      f"{float(total):g}; got {float(distortion):g}."
    )
