# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Downhill from the truth, where the answer is known."""

import numpy as np
import pytest

from geco_tf import errors
from geco_tf.failure_modes import ground_truths, walks


def _walk(truth, num_steps):
  data = truth.data_grid(1.0, 1e-7)
  return data, walks.from_truth(truth, num_steps=num_steps, data=data)


def test_truth_with_gaussian_posteriors_is_where_it_stays():
  line = ground_truths.GroundTruth(
    "line", lambda z: z @ np.array([[1.0, 0.5]]), 0.3
  )
  data, walk = _walk(line, 3)
  np.testing.assert_allclose(walk.neg_elbo, data.entropy, atol=1e-3)
  np.testing.assert_allclose(walk.kl, 0.0, atol=2e-3)


def test_clusters_are_left_for_simpler_ones():
  """−ELBO falls, never rises, and is the sum of its terms."""
  data, walk = _walk(ground_truths.clusters(), 5)
  assert (np.diff(walk.neg_elbo) <= 1e-9).all()
  np.testing.assert_allclose(
    walk.neg_elbo, data.entropy + walk.kl + walk.gap, atol=1e-9
  )
  assert walk.neg_elbo[-1] < walk.neg_elbo[0] - 0.1
  assert walk.kl[0] < 1e-9
  assert walk.kl[-1] > 0.01
  z = walk.grid.points[::500]
  np.testing.assert_allclose(walk.decode(z)[0], walk.values[::500])


def test_error_for_two_latents():
  with pytest.raises(errors.UserError, match="must have one latent"):
    walks.from_truth(ground_truths.discrete_semi_circle())
