# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The constraints alone, around a plain Keras model and any optimizer."""

import keras
import tensorflow as tf
from sklearn import datasets

import geco_tf

images = datasets.load_digits().data.astype("float32") / 16.0
layer = keras.layers.Dense
encoder = keras.Sequential([keras.Input([64]), layer(64, "relu"), layer(16)])
decoder = keras.Sequential(
  [keras.Input([8]), layer(64, "relu"), layer(64, "sigmoid")]
)
variables = encoder.trainable_variables + decoder.trainable_variables
optimizer = keras.optimizers.Nadam(2e-3)
geco = geco_tf.GECO([geco_tf.constraints.ReconstructionError(kappa=0.15)])


@tf.function
def step(x):
  """One update of everything; x is [B, 64]."""
  with tf.GradientTape() as tape:
    mean, log_scale = tf.split(encoder(x), 2, axis=1)
    z = mean + tf.exp(log_scale) * tf.random.normal(tf.shape(mean))
    variance = tf.exp(2.0 * log_scale)
    kl = tf.reduce_sum(0.5 * (mean**2 + variance - 1.0) - log_scale, axis=1)
    values = geco.constraint_values(x, decoder(z))
    loss = geco.lagrangian(kl, values)
  optimizer.apply(tape.gradient(loss, variables), variables)
  return geco.update(values), tf.reduce_mean(kl)


batches = tf.data.Dataset.from_tensor_slices(images).shuffle(1797, seed=0)
for x in batches.batch(128, drop_remainder=True).repeat(160):
  metrics, kl = step(x)
rmse = (metrics["geco/re/moving_average"] / 64 + 0.15**2) ** 0.5
print(
  f"RMSE {rmse:.4f} for κ = .15, KL {kl:.2f}, λ {geco.multipliers['re']:.2f}"
)
