# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""ConvDraw as it is defined, one line an equation: slow, and easy to check.

The tests hold `ConvDraw` to this, and the benchmark measures what it gains.
"""

import math

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf.models import outputs, posteriors
from geco_tf.models.conv_draw import layers, model


def outputs_of(
  conv_draw: model.ConvDraw,
  images: tf.Tensor,
  context: tf.Tensor | None,
  epsilon: tf.Tensor,
) -> outputs.VAEOutputs:
  """What `conv_draw(images, context)` gives with the noise ε.

  Args:
    conv_draw: has the weights, and computes in their type.
    images: [B, H, W, C].
    context: [B, K, H, W, C'], or None.
    epsilon: ε, [B, L, h, w, c].

  Returns:
    `VAEOutputs`.
  """
  features = conv_draw.features(images)
  h_g = tf.zeros_like(features)
  given, auxiliary_loss = [], None
  if context is not None:
    seen = conv_draw.gate * tf.nn.elu(conv_draw.context_encoder(context))
    if conv_draw.num_clusters:
      forecast = conv_draw.forecast(context)
      expected = tf.stop_gradient(conv_draw.forecast.expected(forecast))
      seen += conv_draw.expectation(expected)
      auxiliary_loss = _auxiliary_loss(conv_draw.forecast, images, forecast)
    given = [("context", seen)]
    h_g = tf.tanh(conv_draw.start(seen))
  h_e = c_e = c_g = tf.zeros_like(features)
  size = features.shape[-1]
  u = tf.zeros([*images.shape[:3], size], images.dtype)
  paths, qs, ps = [], [], []
  for step in range(conv_draw.num_steps):
    inference_core, generation_core = (
      cores[step % len(cores)]
      for cores in (conv_draw.inference_cores, conv_draw.generation_cores)
    )
    ps.append(_gaussian(conv_draw.prior_head(h_g)))
    canvas = tf.nn.conv2d(u, conv_draw.down, conv_draw.stride, "VALID")
    feedback = ("canvas", canvas)
    if conv_draw.form == "error_feedback":
      error = images - tf.sigmoid(conv_draw.to_mean(u))
      feedback = (
        "error",
        tf.nn.conv2d(error, conv_draw.error_down, conv_draw.stride, "VALID"),
      )
    h_e, c_e = _lstm(
      inference_core,
      [("features", features), *given, ("h_g", h_g), feedback, ("h_e", h_e)],
      c_e,
    )
    qs.append(_gaussian(conv_draw.posterior_head(h_e)))
    z = qs[-1].distribution.loc + qs[-1].distribution.scale * epsilon[:, step]
    h_g, c_g = _lstm(
      generation_core,
      [*given, ("latents", z), ("h_g", h_g), ("canvas", canvas)],
      c_g,
    )
    u += tf.nn.conv2d_transpose(
      h_g, conv_draw.up, u.shape, conv_draw.stride, "VALID"
    )
    paths.append(z)
  steps = list(zip(paths, qs, ps, strict=True))
  kl = tf.stack([tfd.kl_divergence(q, p) for _, q, p in steps], axis=1)
  return outputs.VAEOutputs(
    reconstruction=tf.sigmoid(conv_draw.to_mean(u)),
    kl=tf.reduce_sum(kl, axis=1),
    latents=tf.stack(paths, axis=1),
    log_q=tf.add_n([q.log_prob(z) for z, q, _ in steps]),
    log_prior=tf.add_n([p.log_prob(z) for z, _, p in steps]),
    kl_per_step=kl,
    auxiliary_loss=auxiliary_loss,
  )


def _auxiliary_loss(forecast, images, log_forecast):
  centres = tf.reshape(forecast.centres, [1, -1, *images.shape[1:]])
  error = tf.reduce_sum((images[:, tf.newaxis] - centres) ** 2, [2, 3, 4])
  sd = tf.exp(forecast.log_sd)
  log_shares = -error / (2.0 * sd**2)
  shares = tf.stop_gradient(tf.nn.softmax(log_shares))
  fit = tf.reduce_logsumexp(log_shares, axis=1)
  fit -= math.prod(images.shape[1:]) * tf.math.log(sd)
  return -fit / math.prod(images.shape[1:]) - tf.reduce_sum(
    shares * log_forecast, axis=1
  )


def _lstm(core, inputs, cell):
  """The convolution of the core's inputs side by side, then the gates."""
  names, maps = zip(
    *((n, m) for n, m in inputs if n in core.kernels), strict=True
  )
  kernel = tf.concat([core.kernels[name] for name in names], axis=2)
  gates = tf.nn.conv2d(tf.concat(maps, axis=-1), kernel, 1, "SAME") + core.bias
  return layers.lstm(gates, cell)


def _gaussian(raw):
  return tfd.Independent(tfd.Normal(*posteriors.loc_and_scale(raw)), 3)
