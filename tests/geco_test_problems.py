# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Problems with known answers, written against the public API alone."""

import keras
import numpy as np
import tensorflow as tf

import geco_tf
from geco_tf.theory import linear_vae


class LinearGaussian(tf.Module):
  """The linear VAE on diagonal Gaussian data, one latent a dimension.

  Decoder g(z) = a·z, posterior N(m·x, s²): its optimum under RE is reverse
  water-filling.
  """

  def __init__(self, variances, seed=0):
    super().__init__()
    self.deviations = tf.sqrt(tf.constant(variances, tf.float32))
    size = len(variances)
    self.a = tf.Variable(0.5 * tf.ones(size))
    self.m = tf.Variable(0.5 * tf.ones(size))
    self.log_s = tf.Variable(tf.zeros(size))
    self._seed = seed

  def data(self, step, batch_size):
    shape = [batch_size, self.deviations.shape[0]]
    noise = tf.random.stateless_normal(shape, [self._seed, step])
    return self.deviations * noise

  def __call__(self, x, step):
    """Returns reconstruction [B, D] and KL [B]."""
    mean, s = self.m * x, tf.exp(self.log_s)
    noise = tf.random.stateless_normal(tf.shape(x), [self._seed + 1, step])
    kl = tf.reduce_sum(0.5 * (mean**2 + s**2 - 1.0) - self.log_s, axis=1)
    return self.a * (mean + s * noise), kl

  def exact(self):
    """The expected distortions [D] and KL [] of the current weights."""
    model = linear_vae.LinearVAE(self.a, self.m, tf.exp(2.0 * self.log_s))
    expected = linear_vae.expectations(model, self.deviations**2)
    return expected.distortions.numpy(), float(expected.kl)


def train_linear_gaussian(
  variances, total, update_rule, num_steps, batch_size=256
):
  """Trains to the constraint; returns the model and GECO."""
  model = LinearGaussian(variances)
  kappa = float(np.sqrt(total / len(variances)))
  geco = geco_tf.GECO(
    [geco_tf.constraints.ReconstructionError(kappa=kappa)],
    update_rule=update_rule,
  )
  schedule = keras.optimizers.schedules.CosineDecay(3e-3, num_steps, alpha=0.02)
  optimizer = keras.optimizers.Adam(schedule)
  variables = list(model.trainable_variables)
  optimizer.build(variables)

  @tf.function
  def run():
    for step in tf.range(num_steps):
      x = model.data(step, batch_size)
      with tf.GradientTape() as tape:
        reconstruction, kl = model(x, step)
        values = geco.constraint_values(x, reconstruction)
        loss = geco.lagrangian(kl, values)
      gradients = tape.gradient(loss, variables)
      optimizer.apply_gradients(zip(gradients, variables, strict=True))
      geco.update(values)

  run()
  return model, geco
