# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The search for an equally likely function with simpler posteriors."""

import numpy as np
import pytest
from scipy import stats

from geco_tf import errors
from geco_tf.failure_modes import ground_truths, rearrangements


def test_rearrangement_of_absolute_value_is_much_simpler():
  truth = ground_truths.absolute_value()
  found = rearrangements.simplest_rearrangement(
    truth, num_cells=80, num_moves=20, num_examples=100
  )
  assert not found.holds
  assert found.gap < 0.25 * found.gap_before
  # The same values, so the same p(x).
  z = stats.norm.ppf((np.arange(80) + 0.5) / 80.0)
  np.testing.assert_allclose(np.sort(found.values[:, 0]), np.sort(np.abs(z)))


def test_rearrangement_of_figure_8_is_not_simpler():
  found = rearrangements.simplest_rearrangement(
    ground_truths.figure_8(), num_cells=80, num_moves=60, num_examples=100
  )
  assert found.holds
  assert found.gap <= found.gap_before


def test_rearrangement_of_two_latents_uses_one():
  found = rearrangements.simplest_rearrangement(
    ground_truths.discrete_semi_circle(),
    num_cells=80,
    num_moves=20,
    num_examples=100,
  )
  # With the whole grid of x it is .87 at the truth.
  np.testing.assert_allclose(found.gap_before, 0.87, atol=0.15)
  assert found.gap < 0.3
  assert not found.holds


def test_error_for_too_few_cells():
  with pytest.raises(errors.UserError, match="`num_cells` must be at least 2"):
    rearrangements.simplest_rearrangement(ground_truths.circle(), num_cells=1)


def test_gap_in_cells_is_near_the_gap_itself():
  """The spiral leaps between cells: a Gaussian must fit into one."""
  truth = ground_truths.spiral_dots()
  found = rearrangements.simplest_rearrangement(
    truth, num_cells=200, num_moves=0, num_examples=100
  )
  # .49 nats; a cell's hard walls cost a little.
  assert 0.3 < found.gap_before < 0.8
