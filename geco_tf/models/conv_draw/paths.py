# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distributions over whole paths of latents, [L, h, w, c]."""

from typing import Any

import tensorflow as tf
from tensorflow_probability import distributions as tfd
from tensorflow_probability.python.internal import samplers


class _Paths(tfd.Distribution):
  """What prior and posterior have in common."""

  def __init__(self, model: Any, dtype: tf.DType, parameters, name: str):
    self._model = model
    super().__init__(
      dtype=dtype,
      reparameterization_type=tfd.FULLY_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=True,
      parameters=parameters,
      name=name,
    )

  def _event_shape(self):
    return tf.TensorShape(self._model.latent_shape)

  def _event_shape_tensor(self):
    return tf.constant(self._model.latent_shape)


class Posterior(_Paths):
  """The posterior q(z|x) of B images: batch [B], event [L, h, w, c].

  `log_prob` takes any path, sampled or not, and broadcasts over the batch.
  Made by `ConvDraw.posterior`.
  """

  def __init__(self, model: Any, features: Any, name: str = "path_posterior"):
    """Args: model: a ConvDraw; features: of its `posterior_features`."""
    parameters = {"model": model, "features": features, "name": name}
    self._features = features
    super().__init__(model, features.start.dtype, parameters, name)

  def _batch_shape(self):
    return self._features.start.shape[:1]

  def _batch_shape_tensor(self):
    return tf.shape(self._features.start)[:1]

  def _sample_n(self, n, seed=None):
    latents = self._model.sample_posterior(
      tiled(self._features, n), seed=samplers.sanitize_seed(seed)
    )
    return tf.reshape(
      latents, [n, *self._batch_shape_tensor(), *self._model.latent_shape]
    )

  def _log_prob(self, value):
    event = self._model.latent_shape
    batch = self._batch_shape_tensor()
    shape = tf.broadcast_dynamic_shape(tf.shape(value)[:-4], batch)
    value = tf.broadcast_to(value, tf.concat([shape, event], axis=0))
    latents = tf.reshape(value, [-1, *event])
    features = tiled(self._features, tf.shape(latents)[0] // batch[0])
    log_prob = self._model.posterior_log_prob(latents, features)
    return tf.reshape(log_prob, shape)


class Prior(_Paths):
  """The prior p(z): batch [], event [L, h, w, c].

  Of a conditional model, `log_prob` and `sample` take `context=`, B of them:
  for paths [..., B, L, h, w, c], and for n = B. Made by `ConvDraw.prior`.
  """

  def __init__(self, model: Any, dtype: tf.DType, name: str = "path_prior"):
    """Args: model: a ConvDraw; dtype: of its latents."""
    parameters = {"model": model, "dtype": dtype, "name": name}
    super().__init__(model, dtype, parameters, name)

  def _batch_shape(self):
    return tf.TensorShape([])

  def _batch_shape_tensor(self):
    return tf.zeros([0], tf.int32)

  def _sample_n(self, n, seed=None, context=None):
    return self._model.sample_prior(
      n, context, seed=samplers.sanitize_seed(seed)
    )

  def _log_prob(self, value, context=None):
    latents = tf.reshape(value, [-1, *self._model.latent_shape])
    if context is not None:
      context = tf.convert_to_tensor(context)
      times = tf.shape(latents)[0] // tf.shape(context)[0]
      context = tiled(context, times)
    log_prob = self._model.prior_log_prob(latents, context)
    return tf.reshape(log_prob, tf.shape(value)[:-4])


def tiled(tensors: Any, times: int | tf.Tensor) -> Any:
  """Each tensor [B, …] to [times B, …]."""
  return tf.nest.map_structure(
    lambda t: tf.tile(t, [times] + [1] * (t.shape.rank - 1)), tensors
  )
