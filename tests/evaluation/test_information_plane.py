# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A sweep, interpolated by hand."""

import math

import numpy as np
import pytest

from geco_tf.evaluation import information_plane

_SWEEP = ((0.2, 8.0), (0.05, 128.0), (0.1, 32.0))  # KL = .32 / RMSE².


@pytest.mark.parametrize("rmse", [0.05, 0.07, 0.1, 0.141, 0.2])
def test_power_law_is_met_between_the_points(rmse):
  found = information_plane.interpolated_kl(rmse, _SWEEP)
  np.testing.assert_allclose(found, 0.32 / rmse**2, rtol=1e-12)


@pytest.mark.parametrize("rmse", [0.049, 0.201])
def test_nothing_is_known_outside_of_the_sweep(rmse):
  assert math.isnan(information_plane.interpolated_kl(rmse, _SWEEP))
