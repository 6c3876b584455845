# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernel PCA against scikit-learn, pre-images against autodiff and (20)."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import decomposition

from geco_tf import errors
from geco_tf.theory import fixed_points, kernel_pca, mixtures

_BETA = 0.3
_DATA = mixtures.circles(80)
_POINTS = np.random.default_rng(0).uniform(-1, 1, size=[9, 2])


def test_unnormalised_iteration_is_the_pre_image_of_the_mean():
  """m_ia = e^{−‖x_i − v_a‖²/β}, without (19)'s sum over tiles."""
  m = np.exp(-((_DATA[:, None] - _POINTS) ** 2).sum(-1) / _BETA)
  expected = (m.T @ _DATA) / m.sum(axis=0)[:, None]
  found = kernel_pca.pre_image_step(_DATA, _POINTS, _BETA)
  np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.parametrize("beta", [_BETA, 1e-4])
def test_normalised_iteration_is_the_pre_image_with_tile_coefficients(beta):
  """At β = 1e-4 the coefficients themselves are out of a float's range."""
  masses = np.random.default_rng(1).dirichlet(np.full(9, 3.0))
  found = fixed_points.find(
    _DATA,
    [beta],
    masses=masses,
    initial=_POINTS,
    smoothing=0.0,
    max_iterations=1,
    dtype=tf.float64,
  )
  log_gamma = kernel_pca.log_tile_coefficients(_DATA, _POINTS, beta, masses)
  assert (log_gamma.max() - log_gamma.min() > 745) == (beta < _BETA)
  expected = kernel_pca.pre_image_step(
    _DATA, _POINTS, beta, log_coefficients=log_gamma
  )
  np.testing.assert_allclose(found.reconstructions[0], expected, atol=1e-10)


def test_scores_and_variances_equal_scikit_learn():
  reference = decomposition.KernelPCA(5, kernel="rbf", gamma=1 / _BETA)
  reference.fit(_DATA)
  found = kernel_pca.fit(_DATA, _BETA, 5)
  expected = np.abs(reference.transform(_POINTS))  # Signs are free.
  np.testing.assert_allclose(np.abs(found.scores(_POINTS)), expected, atol=1e-9)
  np.testing.assert_allclose(
    found.variances, reference.eigenvalues_ / len(_DATA), rtol=1e-9
  )


def test_projection_onto_all_components_is_the_data_themselves():
  data = _DATA[:12]
  found = kernel_pca.fit(data, _BETA, 11)
  np.testing.assert_allclose(found.coefficients(data), np.eye(12), atol=1e-6)


def test_pre_image_is_nearest_to_the_projection():
  """‖Φ(z) − Σ_i γ_i Φ(x_i)‖² = const − 2 Σ_i γ_i k(x_i, z) is stationary."""
  # Close to the data, where γ k stays positive and the iteration converges.
  points = _DATA[:5] + 0.02
  gamma = kernel_pca.fit(_DATA, _BETA, 8).coefficients(points)
  found = kernel_pca.pre_image(_DATA, points, _BETA, gamma, tolerance=1e-13)
  z = tf.constant(found)
  with tf.GradientTape() as tape:
    tape.watch(z)
    squared = tf.reduce_sum((z[:, tf.newaxis] - _DATA) ** 2, axis=-1)
    loss = -2.0 * tf.reduce_sum(gamma * tf.exp(-squared / _BETA))
  np.testing.assert_allclose(tape.gradient(loss, z), 0.0, atol=1e-8)
  # It removes noise: nearer to the circles than what it started from is.
  assert np.linalg.norm(found - _DATA[:5]) < 1.0


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ((np.full([5, 2], np.nan), 1.0, 2), "`data` must be finite"),
    ((_DATA, 0.0, 2), "`beta` must be positive and finite; got 0"),
    ((_DATA, 1.0, 80), "`num_components` must be from 1 to 79; got 80"),
  ],
)
def test_bad_argument_is_told_in_one_line(arguments, message):
  with pytest.raises(errors.UserError, match=message):
    kernel_pca.fit(*arguments)


def test_more_components_than_the_data_have_are_refused():
  data = np.repeat(np.eye(3), 4, axis=0)
  with pytest.raises(errors.UserError, match="at most 2, the rank"):
    kernel_pca.fit(data, 0.5, 5)


def test_more_points_than_memory_holds_are_refused():
  data = np.broadcast_to([0.0, 1.0], [10**6, 2])
  message = "1,000,000 × 1,000,000 points need about .* GiB"
  with pytest.raises(errors.UserError, match=message):
    kernel_pca.kernel(data, data, 1.0)


def test_beta_that_is_not_positive_is_refused_everywhere():
  data = np.eye(3)
  for beta in (0.0, -1.0, np.inf):
    message = f"`beta` must be positive and finite; got {beta:g}"
    with pytest.raises(errors.UserError, match=message):
      kernel_pca.kernel(data, data, beta)
