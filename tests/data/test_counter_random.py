# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Random numbers by key and counter: the right ones, and random."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from geco_tf.data import counter_random

_RATE = 1e-6  # At which each statistical test may fail by chance.
# The first outputs of the reference implementation in C with seed 1234567.
_KNOWN = [
  6457827717110365317,
  3203168211198807973,
  9817491932198370423,
  4593380528125082431,
  16408922859458223821,
]
_MASK = 2**64 - 1


def _split_mix(key, counter):
  """By Python's integers."""
  z = (key + (counter + 1) * 0x9E3779B97F4A7C15) & _MASK
  z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
  z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
  return z ^ (z >> 31)


@pytest.fixture(scope="module")
def keys():
  """Those of a thousand consecutive examples."""
  return counter_random.words(counter_random.fold(0, 1, 2), tf.range(1000))


def test_words_are_those_of_split_mix_64():
  np.testing.assert_array_equal(
    counter_random.words(1234567, tf.range(5)), np.array(_KNOWN, np.uint64)
  )


def test_words_wrap_around_as_integers_of_64_bits_do():
  keys, counters = [_MASK, 2**63, 0], [0, 1, 2**40]
  expected = [[_split_mix(k, c) for c in counters] for k in keys]
  found = counter_random.words(
    tf.constant(keys, tf.uint64)[:, tf.newaxis], tf.constant(counters, tf.int64)
  )
  np.testing.assert_array_equal(found, np.array(expected, np.uint64))


def test_fold_takes_a_word_of_a_word():
  assert counter_random.fold(5, 3, 2**63) == _split_mix(_split_mix(5, 3), 2**63)


def test_fold_is_a_number_in_a_graph_too():
  @tf.function
  def double(key):
    return key + tf.constant(counter_random.fold(5, 3), tf.uint64)

  assert int(double(tf.constant(0, tf.uint64))) == counter_random.fold(5, 3)


@pytest.mark.parametrize(
  "draw", [counter_random.uniform, counter_random.normal]
)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_numbers_are_of_the_key_alone(keys, draw, count):
  numbers = draw(keys, count)
  assert numbers.shape == [1000, count]
  assert numbers.dtype == tf.float32
  np.testing.assert_array_equal(draw(keys[17:19], count), numbers[17:19])


@pytest.mark.statistical
@pytest.mark.parametrize(
  ("draw", "distribution"),
  [(counter_random.uniform, "uniform"), (counter_random.normal, "norm")],
)
@pytest.mark.parametrize("count", [1, 1001])
def test_numbers_have_their_distribution(keys, draw, distribution, count):
  numbers = draw(keys, count).numpy().ravel()
  assert stats.kstest(numbers, distribution).pvalue > _RATE


def test_uniform_excludes_one_and_normal_is_finite(keys):
  uniform = counter_random.uniform(keys, 2000).numpy()
  assert 0.0 <= uniform.min() < 1e-5
  assert 1.0 - 1e-5 < uniform.max() < 1.0
  assert np.all(np.isfinite(counter_random.normal(keys, 2000)))


@pytest.mark.statistical
def test_tails_of_normal_have_their_share(keys):
  # Beyond 4: a share of 6.3e-5 of two million, Poisson with mean 127.
  num_beyond = np.sum(np.abs(counter_random.normal(keys, 2000)) > 4.0)
  share = 2.0 * stats.norm.sf(4.0)
  low, high = stats.poisson.ppf([_RATE / 2, 1 - _RATE / 2], 2e6 * share)
  assert low <= num_beyond <= high


def _signs(words):
  """The 64 bits of each word, as -1 or 1."""
  shifts = np.arange(64, dtype=np.uint64)
  bits = (words.numpy()[:, np.newaxis] >> shifts) & np.uint64(1)
  return 2.0 * bits.astype(np.float64) - 1.0


@pytest.mark.statistical
@pytest.mark.parametrize("over", ["counters", "keys", "seeds"])
def test_bits_are_fair_and_uncorrelated(over):
  # 64 means and 2,016 correlations of n bits, each normal with variance 1/n.
  n = 20_000
  if over == "counters":
    words = counter_random.words(counter_random.fold(0, 0), tf.range(n))
  elif over == "keys":
    keys = counter_random.words(counter_random.fold(0, 0), tf.range(n))
    words = counter_random.words(keys, 0)
  else:
    seeds = tf.range(n, dtype=tf.int64)
    words = counter_random.words(tf.cast(seeds, tf.uint64), 0)
    words = counter_random.words(words, 0)
  signs = _signs(words)
  limit = stats.norm.isf(_RATE / 2 / (64 + 2016))
  assert np.max(np.abs(signs.mean(axis=0))) * np.sqrt(n) < limit
  products = signs.T @ signs / np.sqrt(n)
  assert np.max(np.abs(products[~np.eye(64, dtype=bool)])) < limit


@pytest.mark.statistical
def test_neighbours_are_uncorrelated(keys):
  numbers = counter_random.normal(keys, 1000).numpy()
  # Another seed, and the same numbers for another purpose.
  other_seed, other_use = (
    counter_random.normal(
      counter_random.words(counter_random.fold(*folded), tf.range(1000)), 1000
    ).numpy()
    for folded in ((1, 1, 2), (0, 1, 3))
  )
  pairs = [
    (numbers[1:], numbers[:-1]),  # The next example.
    (numbers[:, 1:], numbers[:, :-1]),  # The next pixel.
    (numbers[:, :500], numbers[:, 500:]),  # Both of a pair of Box and Muller.
    (numbers[:, :500] ** 2 - 1, numbers[:, 500:] ** 2 - 1),
    (numbers[1:, 1:], numbers[:-1, :-1]),
    (numbers, other_seed),
    (numbers, other_use),
  ]
  limit = stats.norm.isf(_RATE / 2 / len(pairs))
  for one, other in pairs:
    correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
    assert abs(correlation) * np.sqrt(one.size) < limit


@pytest.mark.parametrize("bound", [1, 2, 10, 60_000, 2**32])
def test_below_reaches_both_ends_and_no_further(bound):
  words = tf.constant([0, _MASK], tf.uint64)
  np.testing.assert_array_equal(
    counter_random.below(words, bound), [0, bound - 1]
  )


@pytest.mark.statistical
@pytest.mark.parametrize("bound", [3, 10, 999])
def test_below_is_uniform(bound):
  words = counter_random.words(counter_random.fold(0, 0), tf.range(100_000))
  counts = np.bincount(counter_random.below(words, bound), minlength=bound)
  assert stats.chisquare(counts).pvalue > _RATE
