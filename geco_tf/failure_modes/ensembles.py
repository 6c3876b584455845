# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""R small VAEs of one shape side by side in one program.

R restarts, N examples of D dimensions, G or S latents of K dimensions. All
densities are in nats and in the units of the data.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.failure_modes import dense, posteriors

# Densities of pairs are computed in parts of at most so many at a time.
_PAIRS_AT_A_TIME = 500_000


class Ensemble(tf.Module):
  """R VAEs: x = g(z) + noise, z ~ N(0, I_K), noise ~ N(0, σ² I_D).

  Networks see the data about its mean and divided by one number, so that the
  noise stays isotropic; whatever goes in or comes out is in the data's units.

  Attributes:
    log_variance: ln σ² of each restart, [R]; a variable.
    num_restarts: R.
    latent_size: K.
  """

  def __init__(
    self,
    data: np.ndarray,
    *,
    latent_size: int,
    num_restarts: int,
    variance: float,
    posterior: str = "mean_field",
    hidden_sizes: Sequence[int] = (48, 48),
    seed: int = 0,
  ):
    """Makes the networks.

    Args:
      data: [N, D]; only its mean and its scale are taken.
      latent_size: K.
      num_restarts: R.
      variance: σ² to begin with.
      posterior: "mean_field" or "nvp".
      hidden_sizes: of encoder and decoder.
      seed: of the weights.

    Raises:
      UserError: if data is not a finite table, or a number not positive.
    """
    super().__init__(name="ensemble")
    data = check_table(data)
    for name, value in (
      ("latent_size", latent_size),
      ("num_restarts", num_restarts),
      ("variance", variance),
    ):
      if not value > 0:
        raise errors.UserError(f"`{name}` must be positive; got {value}.")
    self.num_restarts = num_restarts
    self.latent_size = latent_size
    self.data_size = data.shape[1]
    self._center = tf.constant(data.mean(axis=0), tf.float32)
    self._scale = tf.constant(math.sqrt(data.var(axis=0).mean()), tf.float32)
    self.log_variance = tf.Variable(
      tf.fill([num_restarts], math.log(variance)), name="log_variance"
    )
    self.posterior = posteriors.registry[posterior](
      latent_size, num_restarts, seed=seed + 2
    )
    self.encoder = dense.DenseEnsemble(
      [self.data_size, *hidden_sizes, self.posterior.feature_size],
      num_restarts,
      seed=seed,
    )
    self.decoder = dense.DenseEnsemble(
      [latent_size, *hidden_sizes[::-1], self.data_size],
      num_restarts,
      seed=seed + 1,
    )

  @property
  def variance(self) -> tf.Tensor:
    """σ² of each restart, [R]."""
    return tf.exp(self.log_variance)

  @property
  def encoder_variables(self) -> tuple[tf.Variable, ...]:
    """What q(z|x) is made of."""
    return (
      *self.encoder.trainable_variables,
      *self.posterior.trainable_variables,
    )

  def features(self, data: tf.Tensor) -> tf.Tensor:
    """[R or 1, B, D] → [R, B, h], what the posterior reads."""
    return self.encoder((data - self._center) / self._scale)

  def decode_each(self, latents: tf.Tensor) -> tf.Tensor:
    """g_r(z_r): [R or 1, ..., K] → [R, ..., D]."""
    return self._center + self._scale * self.decoder(latents)

  def log_likelihood_given(
    self, data: tf.Tensor, latents: tf.Tensor
  ) -> tf.Tensor:
    """The noise's density: ln N(x | g(z), σ² I).

    Args:
      data: [R or 1, B, D].
      latents: [R, B, S, K].

    Returns:
      [R, B, S], nats.
    """
    means = self.decode_each(latents)
    error = tf.reduce_sum((data[:, :, tf.newaxis] - means) ** 2, axis=-1)
    log_variance = self.log_variance[:, tf.newaxis, tf.newaxis]
    return -0.5 * (
      error * tf.exp(-log_variance)
      + self.data_size * (log_variance + math.log(2.0 * math.pi))
    )

  def decode(self, latents) -> tf.Tensor:
    """Every restart's g at the same latents: [G, K] → [R, G, D]."""
    return self.decode_each(tf.cast(latents, tf.float32)[tf.newaxis])

  def posterior_log_prob(self, data, latents) -> tf.Tensor:
    """The posteriors' density of every pair: ln q(z|x).

    Args:
      data: x, [N, D].
      latents: z, [G, K]; or [R, G, K], other ones for each restart.

    Returns:
      [R, N, G], nats.
    """
    latents = tf.cast(latents, tf.float32)
    if latents.shape.rank == 2:
      latents = latents[tf.newaxis]
    latents = latents[:, tf.newaxis]
    per_example = self.num_restarts * latents.shape[2]
    parts = self._over_examples(
      lambda x: self.posterior.log_prob(self.features(x), latents),
      data,
      max(1, _PAIRS_AT_A_TIME // per_example),
    )
    return tf.concat(parts, axis=1)

  def sample(self, num_samples: int, *, seed: int) -> tf.Tensor:
    """Draws from p(x) of every restart: [R, num_samples, D]."""
    shape = [self.num_restarts, num_samples]
    latents = _normal([*shape, self.latent_size], [seed, 0])
    noise = _normal([*shape, self.data_size], [seed, 1])
    deviation = tf.sqrt(self.variance)[:, tf.newaxis, tf.newaxis]
    return self.decode_each(latents) + deviation * noise

  def sample_posterior(self, data, num_samples: int, *, seed: int) -> tf.Tensor:
    """Draws z ~ q(z|x): [N, D] → [R, N, num_samples, K]."""
    parts = self._over_samples(
      data, num_samples, seed, lambda x, latents, log_q: latents
    )
    return tf.concat(parts, axis=2)

  def elbo(self, data, *, num_samples: int = 100, seed: int = 0) -> tf.Tensor:
    """The evidence lower bound of each example, averaged over samples.

    Args:
      data: [N, D].
      num_samples: of q for each example.
      seed: of the samples.

    Returns:
      [R, N], nats.
    """
    weights = self._log_weights(data, num_samples, seed)
    return tf.reduce_mean(weights, axis=2)

  def log_likelihood(
    self, data, *, num_samples: int = 1_000, seed: int = 0
  ) -> tf.Tensor:
    """An estimate of ln p(x) by importance sampling from q.

    ln (1/S) Σ_s p(x|z_s) p(z_s) / q(z_s|x)

    Its mean is too low, the less so the more samples.

    Args:
      data: [N, D].
      num_samples: S.
      seed: of the samples.

    Returns:
      [R, N], nats.

    Source: Burda et al. 2016, equation 8.
    """
    weights = self._log_weights(data, num_samples, seed)
    return tf.reduce_logsumexp(weights, axis=2) - math.log(num_samples)

  def kl(self, data, *, num_samples: int = 100, seed: int = 0) -> tf.Tensor:
    """KL(q(z|x) ‖ N(0, I)) of each example: [R, N], nats."""
    parts = self._over_samples(
      data,
      num_samples,
      seed,
      lambda x, latents, log_q: log_q - posteriors.log_prior(latents),
    )
    return tf.reduce_mean(tf.concat(parts, axis=2), axis=2)

  def _log_weights(self, data, num_samples: int, seed: int) -> tf.Tensor:
    """Of z ~ q, ln p(x|z) p(z) / q(z|x): [R, N, S]."""

    def log_weight(x, latents, log_q):
      log_joint = self.log_likelihood_given(x, latents)
      return log_joint + posteriors.log_prior(latents) - log_q

    parts = self._over_samples(data, num_samples, seed, log_weight)
    return tf.concat(parts, axis=2)

  def _over_samples(
    self, data, num_samples: int, seed: int, function: Callable
  ) -> list[tf.Tensor]:
    """function(x, z, ln q) on some samples at a time, to spare memory."""
    data = tf.cast(data, tf.float32)[tf.newaxis]
    features = self.features(data)
    pairs = self.num_restarts * data.shape[1]
    at_a_time = max(1, min(num_samples, _PAIRS_AT_A_TIME // pairs))
    parts = []
    for first in range(0, num_samples, at_a_time):
      count = min(at_a_time, num_samples - first)
      shape = [self.num_restarts, data.shape[1], count, self.latent_size]
      latents, log_q = self.posterior.sample_and_log_prob(
        features, _normal(shape, [seed, 2 + first])
      )
      parts.append(function(data, latents, log_q))
    return parts

  def _over_examples(
    self, function: Callable, data, at_a_time: int
  ) -> list[tf.Tensor]:
    data = tf.cast(data, tf.float32)[tf.newaxis]
    return [
      function(data[:, first : first + at_a_time])
      for first in range(0, data.shape[1], at_a_time)
    ]


def check_table(data: np.ndarray) -> np.ndarray:
  """The data as float64, if it is a finite table that varies.

  Raises:
    UserError: if it is not.
  """
  data = np.asarray(data, np.float64)
  if data.ndim != 2 or data.shape[0] < 2:
    raise errors.UserError(
      f"`data` must be a table [rows, columns]; got shape {data.shape}."
    )
  if not np.isfinite(data).all():
    raise errors.UserError("`data` must be finite; it holds NaN or infinity.")
  if not data.var() > 0:
    raise errors.UserError("`data` must vary; all of its numbers are equal.")
  return data


def _normal(shape: Sequence[int], seed: Sequence[int]) -> tf.Tensor:
  return tf.random.stateless_normal(shape, seed)
