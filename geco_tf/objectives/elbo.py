# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The evidence lower bound, and the usual ways to choose its σ.

All of these minimise, in nats per example,

  neg_elbo = −ln N(x | g(z), σ² I) + β KL(q(z|x) ‖ π(z))

and differ in where σ comes from. The density is on [0, 1] data, not on bins.
"""

import math
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.models import outputs as outputs_lib
from geco_tf.objectives import base

_LOG_2PI = math.log(2.0 * math.pi)


def neg_log_likelihood_per_example(
  squared_error: tf.Tensor, variance: tf.Tensor, dims: int
) -> tf.Tensor:
  """−ln N(x | g, σ² I) = Σ(x−g)²/2σ² + (D/2) ln 2πσ²: [B], nats.

  Args:
    squared_error: [B], Σ_d (x_d − g_d)².
    variance: [], σ².
    dims: D.
  """
  log_normaliser = 0.5 * dims * (_LOG_2PI + tf.math.log(variance))
  return squared_error / (2.0 * variance) + log_normaliser


class ELBO(base.Objective):
  """The ELBO with a fixed σ (Kingma & Welling 2014)."""

  def __init__(
    self,
    *,
    sigma: float = 0.1,
    beta: float = 1.0,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Builds the objective.

    Args:
      sigma: σ of the decoder, in units of the data.
      beta: the weight of the KL.
      dtype: of σ; the type of the images.
      name: of the module.

    Raises:
      UserError: if either is not positive and finite.
    """
    super().__init__(name=name)
    _check_positive(sigma=sigma, beta=beta)
    self._sigma = sigma
    self._beta = beta
    self._dtype = dtype

  def loss(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs, **context: Any
  ) -> base.Loss:
    del context
    squared_error = base.squared_error_per_example(
      images, outputs.reconstruction
    )
    dims = base.num_dims(images)
    neg_log_likelihood = neg_log_likelihood_per_example(
      squared_error, self.variance(), dims
    )
    loss = tf.reduce_mean(neg_log_likelihood + self._beta * outputs.kl)
    return base.Loss(loss, tf.reduce_mean(squared_error) / dims)

  def variance(self) -> tf.Tensor:
    """σ² of this step, []."""
    return tf.constant(self._sigma**2, self._dtype)

  def update(self, statistics: tf.Tensor) -> dict[str, tf.Tensor]:
    del statistics
    return {"sigma": tf.sqrt(self.variance())}


class BetaELBO(ELBO):
  """Σ_d (x_d − g_d)² + β KL, up to a constant: the β-VAE at 2σ² = 1.

  It weighs as GECO does at λ = 1/β.

  Source: Higgins et al. 2017; "Taming VAEs", section 3.2.
  """

  def __init__(
    self,
    *,
    beta: float = 1.0,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Args: beta: the weight of the KL; dtype: as in `ELBO`; name: its own."""
    super().__init__(sigma=math.sqrt(0.5), beta=beta, dtype=dtype, name=name)


class LearnedSigmaELBO(ELBO):
  """The ELBO with one global ln σ trained by the model's optimizer.

  σ goes with the reconstruction error, and both to 0 where the model is able
  to (Mattei & Frellsen 2018; "Taming VAEs", section 3.1).
  """

  def __init__(
    self,
    *,
    initial_sigma: float = 0.5,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Args: initial_sigma: the first; dtype: as in `ELBO`; name: its own."""
    super().__init__(sigma=initial_sigma, dtype=dtype, name=name)
    self.log_sigma = tf.Variable(
      math.log(initial_sigma), dtype=dtype, name="log_sigma"
    )

  def variance(self) -> tf.Tensor:
    return tf.exp(2.0 * self.log_sigma)


class ClosedFormSigmaELBO(ELBO):
  """The ELBO with σ² at its optimum, the mean squared error (σ-VAE).

  σ² is a moving average of the error over all replicas, and no gradient goes
  through it: at σ² = MSE the derivative by σ is zero. Rybkin et al. take the
  batch's own error instead; BUILD_NOTES 6 says why we do not.

  Source: Rybkin, Daniilidis & Levine 2020, equation 4.
  """

  def __init__(
    self,
    *,
    sigma_decay: float = 0.9,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Args: sigma_decay: of the average; dtype: as in `ELBO`; name: its own."""
    super().__init__(dtype=dtype, name=name)
    if not 0.0 <= sigma_decay < 1.0:
      raise errors.UserError(
        f"`sigma_decay` must be in [0, 1); got {sigma_decay}."
      )
    self._sigma_decay = sigma_decay
    # The error of a grey picture, until the first batch is seen.
    self.mse = tf.Variable(
      0.25,
      dtype=dtype,
      trainable=False,
      name="mse",
      synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )

  def variance(self) -> tf.Tensor:
    # A perfect reconstruction must not divide by zero.
    return tf.maximum(self.mse.read_value(), 1e-8)

  def initialize(self, statistics: tf.Tensor) -> None:
    self.mse.assign(statistics)

  def update(self, statistics: tf.Tensor) -> dict[str, tf.Tensor]:
    used = super().update(statistics)
    mse = base.all_reduce_mean(statistics)
    moved = self._sigma_decay * self.mse + (1.0 - self._sigma_decay) * mse
    self.mse.assign(tf.where(tf.math.is_finite(mse), moved, self.mse))
    return used


class AnnealedSigmaELBO(ELBO):
  """The ELBO with the hand-made schedule of GQN, which GECO replaces.

    σ_t = max(σ_end, σ_end + (σ_start − σ_end)(1 − t/T))

  GQN goes from 2.0 to .7 over T = 2e5 of its 2e6 steps, a tenth.

  Source: Eslami et al. 2018, supplement.
  """

  def __init__(
    self,
    *,
    num_steps: int,
    anneal_share: float = 0.1,
    initial_sigma: float = 2.0,
    final_sigma: float = 0.7,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Builds the objective.

    Args:
      num_steps: of the whole run.
      anneal_share: T as a share of it, in (0, 1].
      initial_sigma: σ_start.
      final_sigma: σ_end.
      dtype: as in `ELBO`.
      name: of the module.

    Raises:
      UserError: if a value is out of its range.
    """
    super().__init__(sigma=final_sigma, dtype=dtype, name=name)
    _check_positive(
      num_steps=num_steps,
      anneal_share=anneal_share,
      initial_sigma=initial_sigma,
      final_sigma=final_sigma,
    )
    self._anneal_steps = max(1.0, anneal_share * num_steps)
    self._initial_sigma = initial_sigma
    self._final_sigma = final_sigma
    self.step = tf.Variable(
      0,
      dtype=tf.int64,
      trainable=False,
      name="step",
      synchronization=tf.VariableSynchronization.ON_READ,
      aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    )

  def variance(self) -> tf.Tensor:
    left = 1.0 - tf.cast(self.step, self._dtype) / self._anneal_steps
    fall = self._initial_sigma - self._final_sigma
    return (self._final_sigma + fall * tf.maximum(left, 0.0)) ** 2

  def update(self, statistics: tf.Tensor) -> dict[str, tf.Tensor]:
    used = super().update(statistics)
    self.step.assign_add(1)
    return used


def _check_positive(**values: float) -> None:
  for name, value in values.items():
    if not (math.isfinite(value) and value > 0):
      raise errors.UserError(
        f"`{name}` must be positive and finite; got {value}."
      )
