# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the machine can do at most, to judge what is made of it."""

import numpy as np
import tensorflow as tf

from benchmarks import interleaved

_SIDE, _NUM_PRODUCTS = 1024, 4
_NUM_NUMBERS, _NUM_PASSES = 1_000_000, 50


def products() -> interleaved.Work:
  """Products of large matrices."""
  square = tf.random.normal([_SIDE, _SIDE])

  @tf.function(autograph=False)
  def multiply() -> tf.Tensor:
    x = square
    for _ in range(_NUM_PRODUCTS):
      x = tf.matmul(x, square) * 0.03
    return x

  return interleaved.repeated(lambda: multiply().numpy())


def operations_per_second(milliseconds: np.ndarray) -> float:
  """Multiplications and additions, of `products`' times."""
  return 1e3 * _NUM_PRODUCTS * 2 * _SIDE**3 / float(np.median(milliseconds))


def exponentials() -> interleaved.Work:
  """Exponentials of numbers in memory, by XLA."""
  numbers = tf.random.normal([_NUM_NUMBERS])

  @tf.function(jit_compile=True)
  def exponentiate(x: tf.Tensor) -> tf.Tensor:
    for _ in tf.range(_NUM_PASSES):
      x = tf.exp(-x)
    return x

  return interleaved.repeated(lambda: exponentiate(numbers).numpy())


def exponentials_per_second(milliseconds: np.ndarray) -> float:
  """Of `exponentials`' times."""
  return 1e3 * _NUM_PASSES * _NUM_NUMBERS / float(np.median(milliseconds))
