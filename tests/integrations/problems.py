# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small regression under constraints, the same for every test."""

import keras
import numpy as np
import tensorflow as tf

from geco_tf import constraints, multipliers
from geco_tf.integrations import keras as geco_keras

NUM_EXAMPLES = 51
BATCH_SIZE = 16  # The last batch has three, two and one on two replicas.


def data():
  """X [51, 5] and y [51, 2]."""
  random = np.random.RandomState(0)
  x = random.normal(size=(NUM_EXAMPLES, 5))
  y = x @ random.normal(size=(5, 2)) + 0.3 * random.normal(size=(51, 2))
  return x.astype(np.float32), y.astype(np.float32)


def net(dropout=0.0):
  """Functional, with a penalty on weights; the same weights every time."""
  keras.utils.set_random_seed(1)
  inputs = keras.Input([5])
  hidden = keras.layers.Dense(8, "tanh", kernel_regularizer="l2")(inputs)
  if dropout:
    hidden = keras.layers.Dropout(dropout, seed=3)(hidden)
  return keras.Model(inputs, keras.layers.Dense(2)(hidden))


@keras.saving.register_keras_serializable("geco_tf_tests")
def squared_norm(x, y, outputs):
  """The objective, [B]: outputs are to be small."""
  del x, y
  return tf.reduce_sum(outputs**2, axis=1)


@keras.saving.register_keras_serializable("geco_tf_tests")
def first_is_small(targets, reconstruction):
  """Two entries, [B, 2]."""
  del targets
  first = reconstruction[:, 0]
  return tf.stack([first - 0.1, -first - 0.1], axis=1)


def both_constraints():
  return [
    constraints.ReconstructionError(0.4),
    constraints.from_callable(
      first_is_small, name="first", bound=0.1, size=2, initial_multiplier=0.5
    ),
  ]


def model(optimizer=None, compile_options=None, dropout=0.0, **options):
  """Compiled, with both constraints unless others are given."""
  arguments = {
    "constraints": both_constraints(),
    "objective": squared_norm,
    "update_rule": multipliers.LogRatio(0.05),
    "decay": 0.8,
  }
  built = geco_keras.Constrained(net(dropout), **{**arguments, **options})
  optimizer = optimizer or keras.optimizers.Adam(0.01)
  built.compile(optimizer, **(compile_options or {}))
  return built


def fit(constrained, epochs=2, **options):
  arguments = {"batch_size": BATCH_SIZE, "shuffle": False, "verbose": 0}
  return constrained.fit(*data(), epochs=epochs, **{**arguments, **options})


def state(constrained):
  """All that training goes on from, by name."""
  weights = [*constrained.variables, *constrained.optimizer.variables]
  found = {f"{i} {v.path}": v.value.numpy() for i, v in enumerate(weights)}
  geco = constrained.geco.state.items()
  return found | {k: v.read_value().numpy() for k, v in geco}


def assert_same_state(one, other):
  """Bit for bit; names of layers may differ."""
  assert len(one) == len(other)
  for (name, here), there in zip(one.items(), other.values(), strict=True):
    np.testing.assert_array_equal(here, there, err_msg=name)
