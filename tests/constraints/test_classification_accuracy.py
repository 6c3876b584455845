# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The classification accuracy: value, gradient, direction, bad labels."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import geco_tf
from geco_tf import constraints, errors

_K = 4
_SHAPE = (6, 3, 3, 1)
_LABELS = np.array([0, 3, 1, 1, 2, 0], np.int32)


def _weights():
  return 2.0 * np.random.RandomState(0).normal(size=[9, _K])


def _classifier(images):
  """A linear classifier with weights of its own: logits [B, K]."""
  flat = tf.reshape(images, [-1, 9])
  return tf.matmul(flat, tf.constant(_weights(), flat.dtype))


def _constraint(kappa=0.8):
  return constraints.ClassificationAccuracy(kappa, classifier_fn=_classifier)


def _images(dtype=np.float64):
  return np.random.RandomState(1).uniform(size=_SHAPE).astype(dtype)


def _evaluated(images, labels=_LABELS, kappa=0.8):
  return _constraint(kappa)(None, tf.constant(images), labels=labels)


@pytest.mark.parametrize(
  ("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-12)]
)
@pytest.mark.parametrize("label_type", [np.int32, np.int64, np.uint8])
def test_value_is_numpys(dtype, rtol, label_type):
  g = _images(dtype)
  value = _evaluated(g, _LABELS.astype(label_type))
  probabilities = special.softmax(g.reshape(6, 9) @ _weights(), axis=1)
  expected = 0.8 - probabilities[np.arange(6), _LABELS]
  np.testing.assert_allclose(value.violation, expected, rtol=rtol, atol=rtol)
  np.testing.assert_allclose(value.bound, 0.2, rtol=rtol)
  np.testing.assert_allclose(
    value.initial_multiplier, np.log(_K) / 0.2, rtol=rtol
  )
  assert value.violation.dtype == dtype
  assert value.weight is None


def test_gradient_is_that_of_finite_differences():
  g = _images()
  weights = np.arange(1.0, 7.0)  # Tells the examples apart.
  variable = tf.Variable(g)
  with tf.GradientTape() as tape:
    value = _constraint()(None, variable, labels=_LABELS)
    loss = tf.reduce_sum(weights * value.violation)
  gradient = tape.gradient(loss, variable).numpy()
  step, expected = 1e-5, np.zeros_like(g)
  for index in np.ndindex(g.shape):
    shift = np.zeros_like(g)
    shift[index] = step
    difference = (
      _evaluated(g + shift).violation - _evaluated(g - shift).violation
    )
    expected[index] = np.sum(weights * difference) / (2 * step)
  # Truncation is of order step², rounding of 1e-16 / step.
  np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9)


def test_violation_falls_as_the_label_becomes_surer():
  logits = tf.constant(np.linspace(-8.0, 8.0, 50))
  images = tf.stack([logits, tf.zeros_like(logits)], axis=1)
  constraint = constraints.ClassificationAccuracy(
    0.8, classifier_fn=lambda x: x
  )
  value = constraint(None, images, labels=np.zeros(50, np.int32))
  violation = value.violation.numpy()
  assert np.all(np.diff(violation) < 0)
  np.testing.assert_allclose(violation[[0, -1]], [0.8, -0.2], atol=1e-3)


def test_weaker_is_smaller_kappa():
  g = _images()
  strong, weak = _evaluated(g, kappa=0.9), _evaluated(g, kappa=0.5)
  assert np.all(np.asarray(weak.violation) < np.asarray(strong.violation))


def test_relative_violation_is_in_units_of_the_allowance():
  constraint = _constraint(0.8)
  # Mean probabilities 0, .7 and 1 of the true label.
  average = tf.constant([0.8, 0.1, -0.2], tf.float64)
  relative = constraint.relative_violation(
    average, tf.constant(0.2, tf.float64)
  )
  np.testing.assert_allclose(relative, [1.0, 0.5, -1.0], rtol=1e-12)


def test_geco_raises_the_multiplier_where_labels_are_lost():
  geco = geco_tf.GECO(_constraint(0.99))
  for _ in range(3):
    values = geco.constraint_values(None, _images(np.float32), labels=_LABELS)
    metrics = geco.update(values)
  assert float(metrics["geco/cla/multiplier"]) > np.log(_K) / 0.01
  assert float(metrics["geco/cla/satisfied"]) == 0.0


def test_missing_labels_are_named():
  geco = geco_tf.GECO(_constraint())
  with pytest.raises(errors.UserError, match="'cla' needs `labels`"):
    geco.constraint_values(None, _images(), labels=None)


@pytest.mark.parametrize("shape", [(6, 1), (1,), (5,), ()])
def test_labels_of_another_shape_are_refused(shape):
  with pytest.raises(errors.UserError, match=r"must be \[B\].* \(6,\); got"):
    _evaluated(_images(), np.zeros(shape, np.int32))


@pytest.mark.parametrize("label", [-1, _K])
def test_label_without_a_class_is_refused(label):
  labels = np.array([0, 1, label, 2, 3, 0], np.int32)
  with pytest.raises(
    errors.UserError, match=f"`labels` must be from 0 to 3.*; got {label}"
  ):
    _evaluated(_images(), labels)

  @tf.function
  def in_graph(labels):
    return _evaluated(_images(), labels).violation

  with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 3"):
    in_graph(tf.constant(labels))


@pytest.mark.parametrize(
  ("kappa", "message"),
  [
    (0.0, r"`kappa` must be positive and finite; got 0\.0"),
    (1.0, r"`kappa` must be below 1, a probability; got 1\.0"),
    (float("nan"), "`kappa` must be positive and finite; got nan"),
    ("x", "`kappa` must be a number; got 'x'"),
  ],
)
def test_kappa_that_is_no_probability_is_refused(kappa, message):
  with pytest.raises(errors.UserError, match=message):
    _constraint(kappa)


def test_registry_asks_for_the_classifier():
  with pytest.raises(errors.UserError, match="'cla' needs `classifier_fn`"):
    constraints.registry.build("cla", 0.9, available={})
