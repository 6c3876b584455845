# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A constraint of the user's, with a multiplier for each class."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints, data, runs, training
from geco_tf.runs import build
from tests.training import tiny

_K = 10


class ErrorOfEachClass(constraints.PositiveErrorConstraint):
  """RMSE at most κ within every class."""

  size = _K

  def __init__(self, kappa, *, name="class_re"):
    self.kappa = constraints.base.check_tolerance("class_re", kappa)
    self.name = name

  def __call__(self, targets, reconstruction, *, labels, **_):
    error = tf.reduce_mean((targets - reconstruction) ** 2, axis=[1, 2, 3])
    bound = tf.fill([_K], self.kappa**2)
    return constraints.ConstraintValue(
      violation=error[:, tf.newaxis] - bound,
      weight=tf.one_hot(labels, _K),
      bound=bound,
      initial_multiplier=100.0 * tf.ones([_K]),
    )


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
  """The registry forgets what the test adds."""
  builders = dict(constraints.registry._builders)
  monkeypatch.setattr(constraints.registry, "_builders", builders)
  constraints.register("class_re", ErrorOfEachClass)


def _config():
  return tiny.config(kappa=None, constraint=("class_re:0.2",))


def test_class_means_are_numpys_and_absent_classes_wait():
  geco = geco_tf.GECO(ErrorOfEachClass(0.2))
  random = np.random.RandomState(0)
  x, g = random.uniform(size=(2, 6, 8, 8, 1)).astype(np.float32)
  labels = np.array([3, 3, 0, 9, 0, 3])
  geco.update(geco.constraint_values(x, g, labels=labels))
  error = np.mean((x - g) ** 2, axis=(1, 2, 3))
  expected = np.zeros(_K)
  for k in set(labels):
    expected[k] = error[labels == k].mean() - 0.04
  averages = geco.moving_averages["class_re"]
  np.testing.assert_allclose(averages, expected, rtol=1e-5)
  is_absent = ~np.isin(np.arange(_K), labels)
  multipliers = geco.multipliers["class_re"].numpy()
  assert np.all(multipliers[is_absent] == 100.0)
  assert np.all(multipliers[~is_absent] > 100.0)


def test_missing_labels_are_named():
  geco = geco_tf.GECO(ErrorOfEachClass(0.2))
  with pytest.raises(
    geco_tf.errors.UserError, match="'class_re' needs `labels`"
  ):
    geco.constraint_values(tf.zeros([2, 8, 8, 1]), tf.zeros([2, 8, 8, 1]))


def test_config_builds_it_by_name():
  (constraint,) = build.build_constraints(runs.validate(_config()))
  assert isinstance(constraint, ErrorOfEachClass)
  assert constraint.kappa == 0.2


def test_training_moves_every_class_on_its_own():
  trained = training.train(_config(), show_progress=False)
  multipliers = trained.summary["multiplier"]["class_re"]
  assert len(set(multipliers)) == _K
  # All are violated still, and κ is the only reason to leave 100.
  assert min(multipliers) > 100.0
  row = trained.metrics[-1]
  assert row["geco/class_re/multiplier_max"] > row["geco/class_re/multiplier"]
  assert trained.summary["kappa"] is None
  assert trained.summary["satisfied"] is (row["geco/class_re/satisfied"] > 0.5)
  labels = data.load("digits").train.labels
  assert set(labels) == set(range(_K)), "each class must have been seen"
