# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Random numbers of every example of a batch, each from its own key.

SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number
generators"): word i of the stream with key k is mix(k + (i + 1) γ), so any word
is reached at once, and the key of a stream can be a word of another. One
stateless op of TensorFlow draws for one key only; a loop of them over a batch
takes four times as long.
"""

import math

import tensorflow as tf

_GAMMA = 0x9E3779B97F4A7C15  # The odd number nearest to 2^64 / golden ratio.
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def fold(seed: int, *numbers: int) -> int:
  """The key that belongs to a seed and some numbers, in that order.

  Args:
    seed: a whole number from 0 to 2**64 - 1.
    *numbers: likewise; at least one.

  Returns:
    A key, from 0 to 2**64 - 1.
  """
  key = seed
  # A number in Python even where a graph is being built.
  with tf.init_scope(), tf.device("CPU:0"):
    for number in numbers:
      key = int(words(key, tf.constant(number, tf.uint64)).numpy())
  return key


def words(keys: int | tf.Tensor, counters: tf.Tensor) -> tf.Tensor:
  """The words at the given places of the streams with the given keys.

  Args:
    keys: uint64, or a Python integer.
    counters: whole numbers from 0 on; keys and counters broadcast.

  Returns:
    uint64, uniform over all 2**64; they may be keys themselves.
  """
  keys = tf.convert_to_tensor(keys, tf.uint64)
  counters = tf.cast(counters, tf.uint64)
  word = keys + (counters + _uint64(1)) * _uint64(_GAMMA)
  word = _xor_shifted(word, 30) * _uint64(_MIX_1)
  word = _xor_shifted(word, 27) * _uint64(_MIX_2)
  return _xor_shifted(word, 31)


def uniform(keys: tf.Tensor, count: int) -> tf.Tensor:
  """`count` numbers for each of the keys [B]: float32 [B, count] in [0, 1)."""
  pairs = _uniform_pairs(keys, count)
  return tf.reshape(pairs, [-1, 2 * pairs.shape[1]])[:, :count]


def normal(keys: tf.Tensor, count: int) -> tf.Tensor:
  """`count` standard normal numbers for each of the keys [B]: [B, count].

  By Box and Muller. Numbers have 24 bits, so none is beyond 5.9.
  """
  pairs = _uniform_pairs(keys, count)
  # Half a unit up: the logarithm of zero is no number.
  radius = tf.sqrt(-2.0 * tf.math.log(pairs[..., 0] + 2.0**-25))
  angle = 2.0 * math.pi * pairs[..., 1]
  both = tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], axis=1)
  return both[:, :count]


def below(word: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
  """Whole numbers from 0 to bound - 1, one for each word, int64.

  A number's probability is 1 / bound up to a relative error of bound / 2**32.

  Args:
    word: uint64.
    bound: from 1 to 2**32; broadcasts with word.

  Returns:
    int64, of the shape that word and bound have together.
  """
  high = tf.bitwise.right_shift(word, _uint64(32))
  product = high * tf.cast(bound, tf.uint64)
  return tf.cast(tf.bitwise.right_shift(product, _uint64(32)), tf.int64)


def _uniform_pairs(keys: tf.Tensor, count: int) -> tf.Tensor:
  """At least `count` numbers in [0, 1), two from a word: [B, ⌈count/2⌉, 2]."""
  counters = tf.range((count + 1) // 2, dtype=tf.int64)
  halves = tf.bitcast(words(keys[:, tf.newaxis], counters), tf.uint32)
  top = tf.bitwise.right_shift(halves, tf.constant(8, tf.uint32))
  # What fits into 24 bits means the same with a sign, and converts faster.
  return tf.cast(tf.bitcast(top, tf.int32), tf.float32) * 2.0**-24


def _xor_shifted(word: tf.Tensor, bits: int) -> tf.Tensor:
  return tf.bitwise.bitwise_xor(
    word, tf.bitwise.right_shift(word, _uint64(bits))
  )


def _uint64(number: int) -> tf.Tensor:
  return tf.constant(number, tf.uint64)
