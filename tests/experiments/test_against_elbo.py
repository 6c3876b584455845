# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark's pairs and its verdicts, by hand; nothing is trained."""

import math
import types

import numpy as np
import pytest

from benchmarks import against_elbo

_NEAR = against_elbo.Pair(0.1, 30.0, 0.1, 29.0, 29.0)


def test_other_objective_is_met_at_its_rmse(monkeypatch):
  """λ D (.102² − .1²) is added, with D = 784 and λ = 2."""
  ends = {
    "learned_sigma": {"rmse": 0.10001, "kl": 30.0},
    "geco_at_learned_sigma": {
      "rmse": 0.102, "kl": 28.0, "multiplier": {"re": 2.0},
    },
  }  # fmt: skip
  asked = []

  def trained(name, seed, **settings):
    asked.append(settings)
    return ends[name]

  monkeypatch.setattr(against_elbo, "trained", trained)
  only = types.SimpleNamespace(value="mnist")
  monkeypatch.setattr(against_elbo, "_ONLY", only)
  pair = against_elbo.matched("learned_sigma", 0)
  assert asked == [{"objective": "learned_sigma_elbo"}, {"kappa": 0.1}]
  expected = 28.0 + 2.0 * 784 * (0.102**2 - 0.10001**2)
  np.testing.assert_allclose(pair.kl_there, expected)


@pytest.mark.parametrize(
  ("pairs", "verdict"),
  [
    ([_NEAR, _NEAR], "below"),
    ([_NEAR._replace(kl_there=30.0), _NEAR._replace(kl_there=31.0)], "within"),
    ([_NEAR._replace(kl_there=32.0)] * 2, "above"),
    ([_NEAR, _NEAR._replace(rmse=0.11)], "up to 10 % off κ"),
    ([_NEAR, _NEAR._replace(other_kl=math.nan)], "no β there"),
  ],
)
def test_verdict_is_that_of_the_differences(pairs, verdict, capsys):
  against_elbo.print_row("an ELBO", pairs)
  assert capsys.readouterr().out.rstrip().endswith(f"| {verdict} |")
