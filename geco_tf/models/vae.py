# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A convolutional VAE with a mean-field or a flow posterior."""

from collections.abc import Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import errors
from geco_tf.models import networks, noise, outputs, posteriors


class VAE(snt.Module):
  """An unconditional VAE for small square images.

    q(z|x): the posterior, on the features of a convolutional encoder
    π(z) = N(0, I)
    g(z): the decoder's mean, in (0, 1); its noise is the objective's business

  KL, in nats: closed form for mean field; for other posteriors the estimate
  ln q(z|x) − ln π(z) from the one sample z, which is negative at times.

  Variables are created at the first call. The noise is a function of the seed
  alone, so replicas (`noise.ReplicaSeed`) do not change it.
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    latent_size: int,
    *,
    posterior: str = "nvp",
    num_couplings: int = 4,
    coupling_width: int = 128,
    channels: int = 24,
    hidden_size: int = 384,
    precision: str = "float32",
    name: str | None = None,
  ):
    """Makes the layers, but none of their variables.

    Args:
      image_shape: (side, side, channels), a side from 8 to 64.
      latent_size: number of latents, d.
      posterior: a name in `posteriors.registry`.
      num_couplings: of the posterior, if it has couplings.
      coupling_width: of the posterior, if it has couplings.
      channels: of the convolutions next to the image.
      hidden_size: of the dense layers.
      precision: "float32", or "bfloat16", of encoder and decoder: weights,
        latents, the posterior's own layers and densities are float32. Or
        "float64", of everything.
      name: of the module.

    Raises:
      UserError: if the posterior is unknown or a value does not fit.
    """
    super().__init__(name=name)
    self.image_shape = networks.check_image_shape(image_shape)
    self.latent_size = latent_size
    networks.check_precision(precision)
    self._dtype = networks.weight_dtype(precision)
    self._posterior = posteriors.registry.build(
      posterior,
      latent_size,
      available={
        "num_couplings": num_couplings,
        "coupling_width": coupling_width,
      },
    )
    self._encoder = networks.ConvEncoder(
      image_shape,
      channels=channels,
      hidden_size=hidden_size,
      precision=precision,
      name="encoder",
    )
    self._decoder = networks.ConvDecoder(
      image_shape,
      channels=channels,
      hidden_size=hidden_size,
      precision=precision,
      name="decoder",
    )

  def __call__(
    self,
    images: tf.Tensor,
    context: tf.Tensor | None = None,
    *,
    seed: noise.Seed,
  ) -> outputs.VAEOutputs:
    """Encodes, draws one z for each image, decodes.

    Args:
      images: [B, H, W, C], floats in [0, 1].
      context: must be None: the model is unconditional.
      seed: int32 [2], or a `noise.ReplicaSeed`.

    Returns:
      `VAEOutputs`; gradients flow through the sample.

    Raises:
      UserError: for a context, or images of another shape or type.
    """
    return self.draw(self.posterior_features(images, context), seed=seed)

  def draw(self, features: Any, *, seed: noise.Seed) -> outputs.VAEOutputs:
    """What a call does behind the encoder.

    Args:
      features: of B images, by `posterior_features`.
      seed: int32 [2], or a `noise.ReplicaSeed`.

    Returns:
      `VAEOutputs`; gradients flow through the sample.
    """
    count = tf.shape(tf.nest.flatten(features)[0])[0]
    epsilon = noise.normal([count, self.latent_size], seed, self._dtype)
    latents, log_q = self._posterior.sample_and_log_prob(features, epsilon)
    log_prior = self.prior.log_prob(latents)
    kl = self._posterior.kl_divergence(features, self.prior)
    if kl is None:
      kl = log_q - log_prior
    return outputs.VAEOutputs(
      reconstruction=self.decode(latents),
      kl=kl,
      latents=latents,
      log_q=log_q,
      log_prior=log_prior,
    )

  @property
  def prior(self) -> tfd.Distribution:
    """π(z) = N(0, I): batch [], event [latent_size]."""
    return tfd.MultivariateNormalDiag(tf.zeros([self.latent_size], self._dtype))

  def sample(
    self,
    n: int | tf.Tensor,
    context: tf.Tensor | None = None,
    *,
    seed: noise.Seed,
  ) -> tf.Tensor:
    """The decoder's means for n draws from the prior.

    Args:
      n: how many, on this replica.
      context: must be None.
      seed: int32 [2], or a `noise.ReplicaSeed`.

    Returns:
      [n, H, W, C], in (0, 1).

    Raises:
      UserError: for a context.
    """
    latents = noise.normal([n, self.latent_size], seed, self._dtype)
    return self.decode(latents, context)

  def decode(
    self, latents: tf.Tensor, context: tf.Tensor | None = None
  ) -> tf.Tensor:
    """The mean image g(z): [B, latent_size] to [B, H, W, C], in (0, 1).

    Raises:
      UserError: for a context, or latents of another size.
    """
    networks.check_no_context(context, "the model 'vae'")
    if latents.shape[-1] != self.latent_size:
      raise errors.UserError(
        f"`latents` must have the shape [B, {self.latent_size}]; got "
        f"{latents.shape}."
      )
    return self._decoder(latents)

  def posterior(
    self, images: tf.Tensor, context: tf.Tensor | None = None
  ) -> tfd.Distribution:
    """The posterior of each image: batch [B], event [latent_size].

    Raises:
      UserError: for a context, or images of another shape or type.
    """
    return self._posterior.distribution(
      self.posterior_features(images, context)
    )

  def posterior_features(
    self, images: tf.Tensor, context: tf.Tensor | None = None
  ) -> Any:
    """What q(z|x) needs of x: a NamedTuple of tensors with leading axis [B].

    Raises:
      UserError: for a context, or images of another shape or type.
    """
    networks.check_no_context(context, "the model 'vae'")
    images = tf.convert_to_tensor(images)
    networks.check_images(images, self.image_shape)
    return self._posterior.features(self._encoder(images))

  def pairwise_log_prob(self, latents: tf.Tensor, features: Any) -> tf.Tensor:
    """The density ln q(z_s|x_n) of every pair.

    Args:
      latents: [S, latent_size].
      features: of N images, by `posterior_features`.

    Returns:
      [S, N], nats.
    """
    latents = tf.cast(latents, self._dtype)
    return self._posterior.pairwise_log_prob(latents, features)
