# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A multiplier for each class, of any scalar constraint."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints, errors

_K = 5
_LABELS = np.array([3, 3, 0, 4, 0, 3])
_SHAPE = (6, 4, 4, 1)


def _images(seed=0):
  random = np.random.RandomState(seed)
  return random.uniform(size=(2, *_SHAPE)).astype(np.float32)


def _per_class(inner=None, **options):
  if inner is None:
    inner = constraints.ReconstructionError(0.2)
  return constraints.PerClass(inner, num_classes=_K, **options)


def test_class_means_are_numpys_and_absent_classes_are_left_alone():
  geco = geco_tf.GECO(_per_class())
  x, g = _images()
  values = geco.constraint_values(x, g, labels=_LABELS)
  geco.update(values)
  errors_of = np.sum((x - g) ** 2, axis=(1, 2, 3)) - 16 * 0.2**2
  averages = geco.moving_averages["re"].numpy()
  start = 1.0 / (20.0 * 0.2**2) / _K
  multipliers = geco.multipliers["re"].numpy()
  for k in range(_K):
    if k in _LABELS:
      np.testing.assert_allclose(
        averages[k], errors_of[k == _LABELS].mean(), rtol=1e-5
      )
      assert multipliers[k] > start * 1.0001
    else:
      assert averages[k] == 0.0
      np.testing.assert_allclose(multipliers[k], start, rtol=1e-5)


def test_equal_classes_and_multipliers_make_the_plain_lagrangian():
  labels = np.array([0, 1, 2, 0, 1, 2])
  inner = constraints.ReconstructionError(0.2)
  per_class = constraints.PerClass(inner, num_classes=3)
  x, g = _images()
  kl = tf.zeros([6])
  losses = [
    geco.lagrangian(kl, geco.constraint_values(x, g, labels=labels))
    for geco in (geco_tf.GECO(inner), geco_tf.GECO(per_class))
  ]
  np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_parts_that_know_all_labels_add_up_to_the_whole():
  """Gradients of the parts' losses; half of the classes are in one part."""
  geco = geco_tf.GECO(_per_class())
  x, g = _images()
  geco.initialize(geco.constraint_values(x, g, labels=_LABELS))

  def gradient(part, **context):
    reconstruction = tf.constant(g)
    with tf.GradientTape() as tape:
      tape.watch(reconstruction)
      values = geco.constraint_values(
        x[part], reconstruction[part], labels=_LABELS[part], **context
      )
      loss = geco.lagrangian(tf.zeros([1]), values)
    return tape.gradient(loss, reconstruction).numpy()

  # Unequal parts, whose gradients weigh by their shares of the examples.
  one, two = (
    gradient(part, all_labels=_LABELS) for part in (slice(2), slice(2, 6))
  )
  np.testing.assert_allclose(
    one / 3.0 + two * 2.0 / 3.0, gradient(slice(6)), rtol=1e-5, atol=1e-7
  )


def test_a_vast_error_of_another_class_does_not_spread():
  x, g = _images()
  g[0] = np.nan  # Of class 3.
  value = _per_class()(x, g, labels=_LABELS)
  total = tf.reduce_sum(
    tf.math.multiply_no_nan(value.violation, value.weight), axis=0
  )
  np.testing.assert_array_equal(
    np.isnan(total), [False, False, False, True, False]
  )


def test_labels_reach_an_inner_constraint_that_needs_them():
  inner = constraints.ClassificationAccuracy(
    0.8, classifier_fn=lambda images: tf.reshape(images, [6, 16])
  )
  x, g = _images()
  per_class = _per_class(inner)
  assert per_class.required_context() == ("labels", "labels")
  value = per_class(x, g, labels=_LABELS)
  plain = inner(x, g, labels=_LABELS)
  for k in range(_K):
    np.testing.assert_array_equal(value.violation[:, k], plain.violation)
  np.testing.assert_array_equal(value.weight, np.eye(_K)[_LABELS])
  np.testing.assert_allclose(value.bound, [0.2] * _K, rtol=1e-6)


def test_missing_context_of_the_inner_constraint_is_named():
  geco = geco_tf.GECO(_per_class(constraints.KLBudget(3.0)))
  x, g = _images()
  with pytest.raises(errors.UserError, match="'kl' needs `kl`"):
    geco.constraint_values(x, g, labels=_LABELS)
  with pytest.raises(errors.UserError, match="'kl' needs `labels`"):
    geco.constraint_values(x, g, kl=np.ones(6, np.float32))


@pytest.mark.parametrize("label", [-1, _K])
def test_label_without_a_class_is_refused(label):
  labels = np.array([0, 1, label, 2, 3, 0], np.int32)
  x, g = _images()
  with pytest.raises(
    errors.UserError, match=f"from 0 to 4, a class each; got {label}"
  ):
    _per_class()(x, g, labels=labels)

  @tf.function
  def in_graph(labels):
    return _per_class()(x, g, labels=labels).violation

  with pytest.raises(tf.errors.InvalidArgumentError, match="from 0 to 4"):
    in_graph(tf.constant(labels))


@pytest.mark.parametrize("shape", [(6, 1), (1,), (5,), ()])
def test_labels_of_another_shape_are_refused(shape):
  x, g = _images()
  with pytest.raises(errors.UserError, match=r"must be \[B\].* \(6,\); got"):
    _per_class()(x, g, labels=np.zeros(shape, np.int32))


def test_labels_that_are_no_whole_numbers_are_refused():
  x, g = _images()
  with pytest.raises(errors.UserError, match=r"whole numbers; .* float32"):
    _per_class()(x, g, labels=np.zeros(6, np.float32))


def test_vector_constraint_is_refused():
  inner = constraints.ReconstructionError(0.1, per="region", grid=2)
  with pytest.raises(errors.UserError, match="'re' has 4 entries"):
    _per_class(inner)


@pytest.mark.parametrize("num_classes", [0, 2.0, None])
def test_number_of_classes_that_is_none_is_refused(num_classes):
  with pytest.raises(errors.UserError, match="`num_classes` must be a whole"):
    constraints.PerClass(
      constraints.ReconstructionError(0.1), num_classes=num_classes
    )


def test_units_are_the_inner_constraints():
  inner = constraints.ReconstructionError(0.2)
  per_class = _per_class(inner, name="re_of_each")
  assert per_class.name == "re_of_each"
  mean, bound = tf.constant([0.5, -0.1]), tf.constant([1.0, 1.0])
  for method in ("level", "relative_violation", "is_satisfied"):
    np.testing.assert_array_equal(
      getattr(per_class, method)(mean, bound),
      getattr(inner, method)(mean, bound),
    )
