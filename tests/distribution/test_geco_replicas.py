# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""GECO under two replicas whose batches are nothing alike."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints
from tests.distribution import two_devices


class ByClass(constraints.Constraint):
  """Hands over a violation, weighed by class."""

  name = "by_class"
  size = 3

  def __call__(self, targets, reconstruction, *, labels, **_):
    del reconstruction
    return constraints.ConstraintValue(
      violation=tf.tile(targets[:, tf.newaxis], [1, 3]),
      weight=tf.one_hot(labels, 3),
      bound=tf.ones([3]),
      initial_multiplier=tf.ones([3]),
    )


@pytest.fixture
def strategy():
  return two_devices.strategy()


def _per_replica(strategy, *values):
  return strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(values[context.replica_id_in_sync_group])
  )


def _update(strategy, geco, targets, labels):
  def replica_fn(x, y):
    return geco.update(geco.constraint_values(x, x, labels=y))

  @tf.function
  def step(x, y):
    return strategy.run(replica_fn, args=(x, y))

  step(_per_replica(strategy, *targets), _per_replica(strategy, *labels))


def _state(strategy, geco):
  """Every variable, [replicas, ...]; equal on both."""
  stacked = []
  for variable in geco.variables:
    values = strategy.experimental_local_results(variable)
    assert len(values) == 2
    np.testing.assert_array_equal(values[0].numpy(), values[1].numpy())
    stacked.append(values[0].numpy())
  return stacked


def test_means_are_over_all_replicas_and_not_means_of_means(strategy):
  with strategy.scope():
    geco = geco_tf.GECO(ByClass())
  # Class 0: 1, 2 and 6 on unequal replicas; class 1 on the second alone; class
  # 2 nowhere.
  _update(
    strategy,
    geco,
    [[1.0, 2.0, -0.5], [6.0, 4.0, 8.0]],
    [[0, 0, 1], [0, 1, 1]],
  )
  averages = geco.moving_averages["by_class"]
  np.testing.assert_allclose(averages, [3.0, 11.5 / 3.0, 0.0], rtol=1e-6)
  assert float(geco.multipliers["by_class"][2]) == 1.0
  _state(strategy, geco)


def test_state_is_that_of_one_device(strategy):
  random = np.random.RandomState(0)
  steps = [
    (
      random.normal(size=(2, 4)).astype(np.float32),
      random.randint(3, size=(2, 4)),
    )
    for _ in range(6)
  ]
  with strategy.scope():
    geco = geco_tf.GECO(ByClass())
  alone = geco_tf.GECO(ByClass())
  for x, y in steps:
    _update(strategy, geco, x, y)
    x, y = x.reshape(-1), y.reshape(-1)
    alone.update(alone.constraint_values(tf.constant(x), None, labels=y))
  for two, one in zip(_state(strategy, geco), alone.variables, strict=True):
    np.testing.assert_allclose(two, one.numpy(), rtol=1e-5, atol=1e-6)


def test_non_finite_part_skips_the_step_on_both_replicas(strategy):
  with strategy.scope():
    geco = geco_tf.GECO(ByClass())
  labels = [[0, 1], [1, 2]]
  _update(strategy, geco, [[1.0, 2.0], [3.0, 4.0]], labels)
  before = geco.multipliers["by_class"].numpy()
  _update(strategy, geco, [[1.0, 2.0], [3.0, np.nan]], labels)
  np.testing.assert_array_equal(geco.multipliers["by_class"], before)
  assert int(geco.num_skipped["by_class"]) == 1
  _state(strategy, geco)


def test_initialize_outside_of_replicas_reaches_both(strategy):
  with strategy.scope():
    geco = geco_tf.GECO([constraints.KLBudget(kappa=3.0)])
    x = tf.random.stateless_uniform([6, 4, 4, 1], [1, 2])
    geco.initialize(geco.constraint_values(x, x, kl=tf.ones([6])))
  expected = 2.0 * np.var(x.numpy().astype(np.float64))
  np.testing.assert_allclose(geco.multipliers["kl"], expected, rtol=1e-5)
  _state(strategy, geco)


def test_constraints_of_the_package_are_those_of_one_device(strategy):
  """A vector of regions, and one of classes with weights."""

  def make():
    correlation = constraints.PatchNormalizedCrossCorrelation(0.6, patch_size=3)
    return geco_tf.GECO(
      [
        constraints.ReconstructionError(0.1, per="region", grid=2),
        constraints.PerClass(correlation, num_classes=3),
      ],
      geco_tf.multipliers.LogRatio(rate=0.1),
    )

  images = np.random.RandomState(1).uniform(size=(3, 2, 3, 4, 4, 1))
  images = images.astype(np.float32)
  # Unlike classes on the replicas; class 2 is absent at first.
  labels = np.array([[[0, 0, 1], [1, 1, 1]]] + 2 * [[[0, 2, 2], [1, 2, 0]]])
  with strategy.scope():
    shared = make()
    first = images[0].reshape(6, 4, 4, 1)
    shared.initialize(
      shared.constraint_values(first, 0.5 * first, labels=labels[0].ravel())
    )
  alone = make()

  def step(geco, x, y):
    values = geco.constraint_values(x, 0.5 * x, labels=y)
    geco.update(values)

  @tf.function
  def shared_step(x, y):
    strategy.run(lambda a, b: step(shared, a, b), args=(x, y))

  for x, y in zip(images, labels, strict=True):
    shared_step(_per_replica(strategy, *x), _per_replica(strategy, *y))
    step(alone, tf.constant(x.reshape(6, 4, 4, 1)), y.ravel())
  for two, one in zip(_state(strategy, shared), alone.variables, strict=True):
    np.testing.assert_allclose(two, one.numpy(), rtol=1e-5, atol=1e-6)
