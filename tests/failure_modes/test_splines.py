# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Splines against autodiff, and against their own definition."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf.failure_modes import splines

_NUM_BINS = 5


@pytest.fixture(scope="module")
def knots():
  rng = np.random.default_rng(0)
  parameters = rng.normal(size=[7, splines.num_parameters(_NUM_BINS)])
  return splines.knots(tf.constant(2.0 * parameters, tf.float64), _NUM_BINS)


@pytest.fixture(scope="module")
def inputs():
  # [40, 1] against knots of seven splines; some are outside of ±4.
  return tf.linspace(tf.constant(-5.0, tf.float64), 5.0, 40)[:, tf.newaxis]


def test_zeros_make_the_identity(inputs):
  zeros = tf.zeros([splines.num_parameters(_NUM_BINS)], tf.float64)
  outputs, log_slope = splines.forward(inputs, splines.knots(zeros, _NUM_BINS))
  np.testing.assert_allclose(outputs, inputs, atol=1e-12)
  np.testing.assert_allclose(log_slope, 0.0, atol=1e-12)


def test_spline_goes_through_its_knots(knots):
  outputs, _ = splines.forward(
    tf.transpose(knots.x)[1:-1], splines.Knots(*knots)
  )
  np.testing.assert_allclose(outputs, tf.transpose(knots.y)[1:-1], atol=1e-10)


def test_log_slope_is_autodiffs(inputs, knots):
  inputs = tf.broadcast_to(inputs, [40, 7])
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs, log_slope = splines.forward(inputs, knots)
  slope = tape.gradient(outputs, inputs)
  np.testing.assert_allclose(log_slope, np.log(slope), atol=1e-10)
  assert (np.diff(outputs, axis=0) > 0).all()


def test_inverse_undoes_forward(inputs, knots):
  inputs = tf.broadcast_to(inputs, [40, 7])
  outputs, log_slope = splines.forward(inputs, knots)
  back, log_slope_back = splines.inverse(outputs, knots)
  np.testing.assert_allclose(back, inputs, atol=1e-9)
  np.testing.assert_allclose(log_slope_back, -log_slope, atol=1e-9)


def test_gradient_is_finite_outside_and_at_the_ends(knots):
  inputs = tf.constant([[-9.0], [-4.0], [4.0], [9.0]], tf.float64)
  with tf.GradientTape() as tape:
    tape.watch(inputs)
    outputs, log_slope = splines.forward(inputs, knots)
    total = tf.reduce_sum(outputs + log_slope)
  assert np.isfinite(tape.gradient(total, inputs)).all()
