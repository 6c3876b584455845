# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A sweep, interpolated by hand."""

import json
import math
import pathlib

import numpy as np
import pytest

from geco_tf.evaluation import information_plane

_RESULTS = pathlib.Path(__file__).parents[2] / "docs" / "results"
_SWEEP = ((0.2, 8.0), (0.05, 128.0), (0.1, 32.0))  # KL = .32 / RMSE².


@pytest.mark.parametrize("rmse", [0.05, 0.07, 0.1, 0.141, 0.2])
def test_power_law_is_met_between_the_points(rmse):
  found = information_plane.interpolated_kl(rmse, _SWEEP)
  np.testing.assert_allclose(found.kl, 0.32 / rmse**2, rtol=1e-12)


@pytest.mark.parametrize("rmse", [0.049, 0.201])
def test_nothing_is_known_outside_of_the_sweep(rmse):
  found = information_plane.interpolated_kl(rmse, _SWEEP)
  assert np.isnan(found).all()


def test_line_is_between_its_neighbours_and_exact_at_them():
  found = information_plane.interpolated_kl(0.08, _SWEEP)
  assert (found.low, found.high) == (0.05, 0.1)
  error = 3.5 * math.log(1.6) * math.log(1.25)
  np.testing.assert_allclose(found.error, error)
  at_run = information_plane.interpolated_kl(0.1, _SWEEP)
  assert at_run.error == 0.0 and 0.1 in (at_run.low, at_run.high)


def test_error_of_the_line_is_that_of_a_parabola():
  """KL = exp(6 u²), u = ln RMSE, is off the line by 6 (u − a)(b − u)."""
  sweep = [(math.exp(u), math.exp(6.0 * u * u)) for u in (-3.0, -2.5, -2.0)]
  found = information_plane.interpolated_kl(math.exp(-2.7), sweep)
  exact = math.exp(6.0 * 2.7**2)
  np.testing.assert_allclose(found.error, 6.0 * 0.3 * 0.2)
  np.testing.assert_allclose(math.log(found.kl / exact), found.error)


def _ends(pattern):
  """RMSE and KL of runs, as docs/results keeps them, least RMSE first."""
  summaries = [
    json.loads(path.read_text(encoding="utf-8"))["summary"]
    for path in _RESULTS.glob(pattern)
  ]
  assert summaries
  return sorted((s["rmse"], s["kl"]) for s in summaries)


@pytest.mark.parametrize(
  ("pattern", "at_the_floor"),
  [
    ("mnist_auto_*.json", 0),
    ("against_elbo_mnist_beta_*_0.json", 0),
    # No neighbour foresees how steep the line is next to the least RMSE.
    ("against_elbo_cifar10_beta_*_0.json", 1),
  ],
)
def test_error_of_the_line_holds_where_a_real_run_is_left_out(
  pattern, at_the_floor
):
  ends = _ends(pattern)
  for left_out in range(1 + at_the_floor, len(ends) - 1):
    rmse, kl = ends[left_out]
    others = ends[:left_out] + ends[left_out + 1 :]
    found = information_plane.interpolated_kl(rmse, others)
    assert abs(found.kl / kl - 1.0) < found.error, rmse


def test_kl_is_moved_along_a_curve_whose_slope_is_lambda():
  """KL = .32 / RMSE², where λ D = .32 / RMSE⁴, to first order."""
  run = {"of_rmse": 0.1, "kl": 32.0, "multiplier": 4.0, "num_dims": 800}
  for rmse, rtol in ((0.1, 1e-12), (0.101, 5e-4), (0.099, 5e-4)):
    found = information_plane.kl_at(rmse, **run)
    np.testing.assert_allclose(found, 0.32 / rmse**2, rtol=rtol)
