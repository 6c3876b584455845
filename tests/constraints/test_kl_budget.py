# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A budget of nats: its value, and the optimum that it shares with RE."""

import keras
import numpy as np
import tensorflow as tf

import geco_tf
from geco_tf import constraints
from geco_tf.theory import linear_vae
from tests import geco_test_problems as problems


def test_value_is_kl_above_the_budget():
  x = np.random.RandomState(0).uniform(size=(3, 4, 4, 1))
  value = constraints.KLBudget(25.0)(
    x, None, kl=tf.constant([20.0, 25.0, 40.0])
  )
  np.testing.assert_allclose(value.violation, [-5.0, 0.0, 15.0])
  np.testing.assert_allclose(value.bound, 25.0)
  np.testing.assert_allclose(
    value.initial_multiplier, 2.0 * np.var(x), rtol=1e-6
  )


def test_water_filling_is_reached_from_the_side_of_the_rate():
  """Min distortion under KL = that of the key: λ is 1/λ_RE, the rest alike."""
  variances = (2.0, 0.9, 0.5, 0.3, 0.1, 0.02)
  key = linear_vae.water_filling(np.array(variances), 0.8)
  model = problems.LinearGaussian(variances, 0.8)
  geco = geco_tf.GECO(
    [constraints.KLBudget(key.kl)], geco_tf.multipliers.LogRatio(rate=2e-3)
  )
  num_steps = 6_000
  optimizer = keras.optimizers.Adam(
    keras.optimizers.schedules.CosineDecay(3e-3, num_steps, alpha=0.02)
  )
  variables = list(model.trainable_variables)
  optimizer.build(variables)

  @tf.function
  def run():
    for step in tf.range(num_steps):
      with tf.GradientTape() as tape:
        x, reconstruction, kl = model.outputs(step)
        values = geco.constraint_values(x, reconstruction, kl=kl)
        distortion = tf.reduce_sum((x - reconstruction) ** 2, axis=1)
        loss = geco.lagrangian(distortion, values)
      gradients = tape.gradient(loss, variables)
      optimizer.apply_gradients(zip(gradients, variables, strict=True))
      geco.update(values)

  run()
  found = model.exact()
  np.testing.assert_allclose(found.kl, key.kl, rtol=0.01)
  np.testing.assert_allclose(np.sum(found.distortions), 0.8, rtol=0.02)
  np.testing.assert_allclose(
    1.0 / geco.multipliers["kl"], key.multiplier, rtol=0.03
  )
