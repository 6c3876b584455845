# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A model whose every number is known: q, p(x|z) and π are Gaussian."""

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import data, models


def split(values):
  """Data [N, D] as images [N, 1, 1, D]."""
  values = np.asarray(values, np.float32)
  return data.Split(values[:, np.newaxis, np.newaxis], None)


class LinearGaussian:
  """g(z) = a z and q(z|x) = N(m x, diag v), a latent for each dimension."""

  def __init__(self, decoder, encoder, variance):
    self._decoder, self._encoder, self._scale = (
      tf.constant(v, tf.float32) for v in (decoder, encoder, np.sqrt(variance))
    )
    self.prior = tfd.MultivariateNormalDiag(tf.zeros_like(self._decoder))

  def __call__(self, images, context=None, *, seed):
    return self.draw(self.posterior_features(images), seed=seed)

  def draw(self, features, *, seed):
    noise = tf.random.stateless_normal(tf.shape(features), seed)
    latents = features + self._scale * noise
    variance = tf.square(self._scale)
    kl = 0.5 * (variance + features**2 - 1.0 - tf.math.log(variance))
    return models.VAEOutputs(
      reconstruction=self.decode(latents),
      kl=tf.reduce_sum(kl, axis=-1),
      latents=latents,
      log_q=_log_normal(latents, features, self._scale),
      log_prior=_log_normal(latents, 0.0, 1.0),
    )

  def decode(self, latents, context=None):
    return (self._decoder * latents)[:, tf.newaxis, tf.newaxis]

  def posterior(self, images, context=None):
    loc = self.posterior_features(images)
    return tfd.MultivariateNormalDiag(loc, self._scale * tf.ones_like(loc))

  def posterior_features(self, images, context=None):
    return self._encoder * images[:, 0, 0]

  def pairwise_log_prob(self, latents, features):
    return _log_normal(latents[:, tf.newaxis], features, self._scale)


def _log_normal(x, loc, scale):
  """The log density of a diagonal Gaussian, summed over the last axis."""
  log_norm = tf.math.log(scale) + 0.5 * np.log(2.0 * np.pi)
  return -tf.reduce_sum(0.5 * ((x - loc) / scale) ** 2 + log_norm, axis=-1)
