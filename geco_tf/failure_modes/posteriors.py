# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Posteriors q(z|x) of R small models side by side.

R restarts, B examples of each, S latents of each example, d latent dimensions,
h the width of the encoder's output.
"""

import abc
import math

import tensorflow as tf

from geco_tf import registry as registry_lib
from geco_tf.failure_modes import dense, splines

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
_SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))
_MIN_SCALE = 1e-4


def log_prior(latents: tf.Tensor) -> tf.Tensor:
  """The prior's density, ln N(z; 0, I), in nats: [..., d] → [...]."""
  return -tf.reduce_sum(0.5 * latents**2 + _HALF_LOG_2PI, axis=-1)


class Posterior(tf.Module, abc.ABC):
  """What an ensemble asks of q(z|x).

  Attributes:
    feature_size: h, what the encoder must give for each example.
  """

  feature_size: int

  @abc.abstractmethod
  def sample_and_log_prob(
    self, features: tf.Tensor, noise: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Reparameterised.

    Args:
      features: [R, B, h].
      noise: standard normal, [R, B, S, d].

    Returns:
      z [R, B, S, d] and ln q(z|x) [R, B, S], nats.
    """

  @abc.abstractmethod
  def log_prob(self, features: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
    """The density of any z.

    Args:
      features: [R, B, h].
      latents: [R or 1, B or 1, S, d].

    Returns:
      ln q(z|x) [R, B, S], nats.
    """

  def kl(self, features: tf.Tensor, latents: tf.Tensor, log_q: tf.Tensor):
    """KL(q ‖ N(0, I)) in nats, [R, B], estimated from samples of q."""
    del features
    return tf.reduce_mean(log_q - log_prior(latents), axis=2)


class MeanField(Posterior):
  """q(z|x) = N(μ(x), diag σ(x)²)."""

  def __init__(self, latent_size: int, num_restarts: int, *, seed: int):
    """Args: latent_size: d; num_restarts: R; seed: of nothing here."""
    del num_restarts, seed
    super().__init__(name="mean_field")
    self.feature_size = 2 * latent_size

  def sample_and_log_prob(self, features, noise):
    loc, scale = loc_and_scale(features)
    log_q = log_prior(noise) - tf.reduce_sum(tf.math.log(scale), axis=-1)
    return loc + scale * noise, log_q

  def log_prob(self, features, latents):
    loc, scale = loc_and_scale(features)
    noise = (latents - loc) / scale
    return log_prior(noise) - tf.reduce_sum(tf.math.log(scale), axis=-1)

  def kl(self, features, latents, log_q):
    """KL(q ‖ N(0, I)) in closed form."""
    del latents, log_q
    loc, scale = loc_and_scale(features)
    per_latent = 0.5 * (loc**2 + scale**2 - 1.0) - tf.math.log(scale)
    return tf.reduce_sum(per_latent, axis=[2, 3])


class Flow(Posterior):
  """An NVP whose couplings are splines, so that it bends one latent too.

    ε ~ N(0, I);  coupling l keeps one half and moves the other by a spline
    whose knots depend on the kept half and on x;  z = μ(x) + σ(x) ⊙ (…)

  Zero weights at the last layers: it starts as the mean-field Gaussian. With
  d = 1 there is no half to keep: the knots depend on x alone. With two
  couplings and d = 2 it can be any density.

  Source: Dinh et al. 2017 for the couplings, Durkan et al. 2019 for the
  splines in place of affine maps.
  """

  def __init__(
    self,
    latent_size: int,
    num_restarts: int,
    *,
    seed: int,
    num_bins: int = 12,
    width: int = 32,
  ):
    """Makes the couplings.

    Args:
      latent_size: d.
      num_restarts: R.
      seed: of the weights.
      num_bins: of a spline.
      width: of the features of x, and of a coupling's hidden layer.
    """
    super().__init__(name="flow")
    self._num_bins = num_bins
    self._width = width
    self._latent_size = latent_size
    first = latent_size // 2
    self._halves = (first, latent_size - first)
    # The second half moves first: with d = 1 it is all there is.
    self._moved = (1,) if latent_size == 1 else (1, 0)
    self.feature_size = 2 * latent_size + width
    self._conditioners = [
      dense.DenseEnsemble(
        [
          width + self._halves[1 - half],
          width,
          self._halves[half] * splines.num_parameters(num_bins),
        ],
        num_restarts,
        seed=seed + 1 + level,
        last_spread=0.0,
      )
      for level, half in enumerate(self._moved)
    ]

  def sample_and_log_prob(self, features, noise):
    loc, scale = loc_and_scale(features[..., : 2 * self._latent_size])
    log_q = log_prior(noise) - tf.reduce_sum(tf.math.log(scale), axis=-1)
    halves = tf.split(noise, self._halves, axis=-1)
    for level, half in enumerate(self._moved):
      spline = self._spline(level, features, halves[1 - half])
      halves[half], log_slope = splines.forward(halves[half], spline)
      log_q -= tf.reduce_sum(log_slope, axis=-1)
    return loc + scale * tf.concat(halves, axis=-1), log_q

  def log_prob(self, features, latents):
    loc, scale = loc_and_scale(features[..., : 2 * self._latent_size])
    log_q = -tf.reduce_sum(tf.math.log(scale), axis=-1)
    halves = tf.split((latents - loc) / scale, self._halves, axis=-1)
    for level, half in reversed(list(enumerate(self._moved))):
      spline = self._spline(level, features, halves[1 - half])
      halves[half], log_slope = splines.inverse(halves[half], spline)
      log_q += tf.reduce_sum(log_slope, axis=-1)
    return log_q + log_prior(tf.concat(halves, axis=-1))

  def _spline(
    self, level: int, features: tf.Tensor, kept: tf.Tensor
  ) -> splines.Knots:
    """Knots with [R, B, S or 1, moved dimensions] in front."""
    context = features[:, :, tf.newaxis, 2 * self._latent_size :]
    if self._latent_size > 1:
      shape = tf.shape(kept)[2:3]
      context = tf.repeat(context, shape, axis=2)
      context = tf.concat([context, kept], axis=-1)
    parameters = self._conditioners[level](context)
    shape = tf.concat(
      [tf.shape(parameters)[:-1], [-1, splines.num_parameters(self._num_bins)]],
      axis=0,
    )
    return splines.knots(tf.reshape(parameters, shape), self._num_bins)


def loc_and_scale(features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
  """[R, B, 2d] → μ and σ, each [R, B, 1, d]; features of 0 give N(0, I)."""
  loc, raw_scale = tf.split(features[:, :, tf.newaxis], 2, axis=-1)
  scale = tf.nn.softplus(raw_scale + _SOFTPLUS_INVERSE_OF_ONE) + _MIN_SCALE
  return loc, scale


registry = registry_lib.Registry("posterior")
registry.register("mean_field", MeanField)
registry.register("nvp", Flow)
