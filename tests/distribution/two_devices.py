# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The strategy over both logical CPUs, made once for all tests.

Strategies of one process number their collectives alike, so that a second one
over the same devices meets the shapes of the first.
"""

import functools

import tensorflow as tf

from geco_tf.training import strategies


@functools.cache
def strategy() -> tf.distribute.Strategy:
  made = strategies.make("mirrored")
  assert made.num_replicas_in_sync == 2
  return made
