# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What ConvDraw makes of a context: what is seen, and what it foretells."""

import math
from typing import Any

import sonnet as snt
import tensorflow as tf

from geco_tf.models import networks
from geco_tf.models.conv_draw import layers

_SUMMARY_SIDE = 4  # Context images are summarised from maps of this side.
# That of rounding to bytes. Without it, targets of no more kinds than clusters
# would drive σ to 0, where float32 has nothing left of ‖x − m_k‖².
_LEAST_SD = 1.0 / (255.0 * math.sqrt(12.0))


class ContextEncoder(snt.Module):
  """K images to one map of the latents' side; their order matters."""

  def __init__(
    self,
    context_shape: tuple[int, ...],
    hidden_size: int,
    stride: int,
    *,
    dtype: tf.DType,
    name: str | None = None,
  ):
    super().__init__(name=name)
    num_images, _, _, channels = context_shape
    self._features = layers.FeatureNetwork(
      channels, hidden_size, stride, dtype=dtype, name="features"
    )
    self._join = layers.Conv(
      num_images * hidden_size, hidden_size, 3, dtype=dtype, name="join"
    )

  def __call__(self, context: tf.Tensor) -> tf.Tensor:
    """[B, K, H, W, C'] to [B, h, w, hidden_size]."""
    maps = self._features(snt.merge_leading_dims(context, 2))
    return self._join(_side_by_side(maps, context.shape[1]))


class Forecast(snt.Module):
  """Which cluster is the target in, given its context?

    r_k(x) = exp(−‖x − m_k‖² / 2σ²) / Σ_j exp(−‖x − m_j‖² / 2σ²)
    fit    = ln Σ_k exp(−‖x − m_k‖² / 2σ²) − D ln σ
    loss   = −fit / D − Σ_k r_k(x) ln p_k(context)

  The fit finds clusters of the targets, without labels; σ is learned and falls
  from 1, where all m_k are one, to no less than a rounding error. The other
  term trains p(context), and r is constant in it. A model's KL asks for the
  same, but so faintly beside the noise of its latents that what two digits add
  up to is not found in thousands of steps; so a forecast learns by its own loss
  alone, and the image that it expects, Σ_k p_k m_k, is constant to the model.

  A class is a fact about a whole image: every image gets a code, by the same
  layers, and codes are joined in order.
  """

  def __init__(
    self,
    context_shape: tuple[int, ...],
    image_shape: tuple[int, ...],
    hidden_size: int,
    stride: int,
    *,
    num_clusters: int,
    dtype: tf.DType,
    name: str | None = None,
  ):
    super().__init__(name=name)
    _, side, _, channels = context_shape
    self._features = layers.FeatureNetwork(
      channels, hidden_size, stride, dtype=dtype, name="features"
    )
    width, side = hidden_size, side // stride
    self._halvings = []
    while side > _SUMMARY_SIDE:
      halving = layers.Conv(width, 2 * hidden_size, 3, stride=2, dtype=dtype)
      self._halvings.append(halving)
      width, side = 2 * hidden_size, (side + 1) // 2
    sizes = [8 * hidden_size, 8 * hidden_size]
    self._code = _mlp(sizes, activate_final=True, name="code")
    self._joint = _mlp([*sizes, num_clusters], name="joint")
    self._image_shape = image_shape
    num_dims, dtype = math.prod(image_shape), networks.weight_dtype(dtype)
    initializer = snt.initializers.RandomNormal(stddev=0.02)
    self._mean = tf.Variable(tf.zeros([num_dims], dtype), name="mean")
    self._offsets = tf.Variable(
      initializer([num_clusters, num_dims], dtype), name="offsets"
    )
    self.log_sd = tf.Variable(tf.zeros([], dtype), name="log_sd")

  @property
  def centres(self) -> tf.Tensor:
    """The m_k, [num_clusters, D]."""
    # The optimizer's steps are made for weights. Pixels are larger, and their
    # mean comes first: else the first centre to be near it keeps all images.
    return 0.5 + 50.0 * self._mean + 5.0 * self._offsets

  def __call__(self, context: tf.Tensor) -> tf.Tensor:
    """The ln p_k(context): [B, _, H, W, C'] to [B, num_clusters]."""
    maps = self._features(snt.merge_leading_dims(context, 2))
    for halving in self._halvings:
      maps = tf.nn.elu(halving(maps))
    codes = self._code(snt.flatten(maps))
    return tf.nn.log_softmax(
      self._joint(_side_by_side(codes, context.shape[1]))
    )

  def expected(self, log_forecast: tf.Tensor) -> tf.Tensor:
    """Σ_k p_k m_k, [B, H, W, C]."""
    image = tf.matmul(tf.exp(log_forecast), self.centres)
    return tf.reshape(image, [-1, *self._image_shape])

  def loss(self, images: tf.Tensor, log_forecast: tf.Tensor) -> tf.Tensor:
    """How bad it was, [B], for targets [B, H, W, C]."""
    x, m = snt.flatten(images), self.centres
    log_sd = tf.maximum(self.log_sd, math.log(_LEAST_SD))
    precision = tf.exp(-2.0 * log_sd)
    log_shares = precision * (
      tf.matmul(x, m, transpose_b=True) - 0.5 * tf.reduce_sum(m**2, axis=-1)
    )  # Up to what is the same for every k.
    log_fit = tf.reduce_logsumexp(log_shares, axis=-1)
    log_fit -= 0.5 * precision * tf.reduce_sum(x**2, axis=-1)
    shares = tf.stop_gradient(tf.nn.softmax(log_shares))
    return (
      log_sd
      - log_fit / x.shape[1]
      - tf.reduce_sum(shares * log_forecast, axis=-1)
    )


def _mlp(sizes: list[int], **options: Any) -> snt.nets.MLP:
  """Keeps the variance of what passes its relus."""
  initializer = snt.initializers.VarianceScaling(2.0)
  return snt.nets.MLP(sizes, w_init=initializer, **options)


def _side_by_side(values: tf.Tensor, count: int) -> tf.Tensor:
  """[B K, …, C] to [B, …, K C], where K is the count."""
  values = tf.reshape(values, [-1, count, *values.shape[1:]])
  return tf.concat(tf.unstack(values, axis=1), axis=-1)
