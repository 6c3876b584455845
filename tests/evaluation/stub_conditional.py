# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A conditional model whose samples are known: its first context image."""

import sonnet as snt
import tensorflow as tf

from geco_tf import models


class FirstOfContext(snt.Module):
  """Samples are the first context image, in each of the image's channels."""

  def __init__(self, image_shape, *, context_shape, name=None):
    super().__init__(name=name)
    self._channels = image_shape[-1]
    self.context_shape = context_shape
    self.scale = tf.Variable(1.0)

  def __call__(self, images, context=None, *, seed):
    zeros = tf.zeros([tf.shape(images)[0]])
    return models.VAEOutputs(
      reconstruction=images,
      kl=zeros,
      latents=zeros[:, tf.newaxis],
      log_q=zeros,
      log_prior=zeros,
    )

  def sample(self, n, context=None, *, seed):
    del n, seed
    return self.scale * tf.repeat(context[:, 0], self._channels, axis=-1)
