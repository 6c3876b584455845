# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Multilayer perceptrons side by side: fifty cost little more than one."""

import itertools
import math
from collections.abc import Sequence

import tensorflow as tf


class DenseEnsemble(tf.Module):
  """R networks of one shape, each with its own weights.

    h_r ← tanh(h_r W_r + b_r),  and without the tanh in the last layer

  One batched product a layer serves all R. No network sees another: the
  gradient of one's output is zero in the others' weights.
  """

  def __init__(
    self,
    sizes: Sequence[int],
    num_restarts: int,
    *,
    seed: int,
    last_spread: float = 1.0,
    name: str | None = None,
  ):
    """Makes the weights, uniform with variance 1 / fan in.

    Args:
      sizes: of the input, the hidden layers and the output.
      num_restarts: R.
      seed: of the weights; network r has the same ones whatever R is.
      last_spread: a factor on the last layer's; 0 makes it zero.
      name: of the module.
    """
    super().__init__(name=name)
    self.weights, self.biases = [], []
    num_layers = len(sizes) - 1
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
      bound = math.sqrt(3.0 / fan_in)
      bound *= last_spread if layer == num_layers - 1 else 1.0
      # Biases are spread too: kinks of a function of one number would all be
      # at 0 otherwise.
      drawn = tf.random.stateless_uniform(
        [num_restarts, fan_in + 1, fan_out], [seed, layer], -bound, bound
      )
      self.weights.append(tf.Variable(drawn[:, :-1]))
      self.biases.append(tf.Variable(drawn[:, -1:]))

  def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
    """Args: inputs: [R or 1, ..., in]. Returns: [R, ..., out]."""
    middle = tf.shape(inputs)[1:-1]
    hidden = tf.reshape(inputs, [inputs.shape[0], -1, inputs.shape[-1]])
    for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
      hidden = tf.tanh(tf.matmul(hidden, weight) + bias)
    outputs = tf.matmul(hidden, self.weights[-1]) + self.biases[-1]
    shape = tf.concat([outputs.shape[:1], middle, outputs.shape[-1:]], axis=0)
    return tf.reshape(outputs, shape)
