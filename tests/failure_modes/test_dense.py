# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks side by side are the networks alone."""

import numpy as np
import tensorflow as tf

from geco_tf.failure_modes import dense


def test_each_network_is_a_perceptron_of_its_own():
  ensemble = dense.DenseEnsemble([3, 5, 4, 2], 3, seed=0)
  inputs = np.random.default_rng(0).normal(size=[3, 6, 7, 3])
  outputs = ensemble(tf.constant(inputs, tf.float32))
  for r in range(3):
    hidden = inputs[r]
    for weight, bias in zip(
      ensemble.weights[:-1], ensemble.biases[:-1], strict=True
    ):
      hidden = np.tanh(hidden @ weight[r].numpy() + bias[r].numpy())
    expected = hidden @ ensemble.weights[-1][r].numpy()
    expected += ensemble.biases[-1][r].numpy()
    np.testing.assert_allclose(outputs[r], expected, atol=1e-5)


def test_same_input_serves_all_networks():
  ensemble = dense.DenseEnsemble([3, 5, 2], 4, seed=0)
  inputs = tf.random.stateless_normal([1, 6, 3], [0, 0])
  np.testing.assert_allclose(
    ensemble(inputs), ensemble(tf.repeat(inputs, 4, axis=0)), atol=1e-6
  )


def test_network_is_the_same_whatever_the_number_beside_it():
  one = dense.DenseEnsemble([3, 5, 2], 1, seed=4)
  many = dense.DenseEnsemble([3, 5, 2], 6, seed=4)
  for a, b in zip(one.variables, many.variables, strict=True):
    np.testing.assert_array_equal(a[0], b[0])
    assert not np.array_equal(b[0], b[1])


def test_gradient_does_not_cross_networks():
  ensemble = dense.DenseEnsemble([3, 5, 2], 3, seed=0)
  with tf.GradientTape() as tape:
    total = tf.reduce_sum(ensemble(tf.ones([1, 4, 3]))[1] ** 2)
  for gradient in tape.gradient(total, ensemble.trainable_variables):
    assert np.abs(gradient[1]).max() > 0
    np.testing.assert_array_equal(gradient[0], 0.0)
    np.testing.assert_array_equal(gradient[2], 0.0)


def test_no_spread_makes_the_last_layer_zero():
  ensemble = dense.DenseEnsemble([3, 5, 2], 2, seed=0, last_spread=0.0)
  np.testing.assert_array_equal(ensemble(tf.ones([1, 4, 3])), 0.0)
