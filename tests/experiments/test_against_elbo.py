# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmark's pairs and its verdicts, by hand; nothing is trained."""

import math
import types

import numpy as np
import pytest
from absl import flags

# Not under patched flags.
from launch import command_line  # noqa: F401

_NEAR = {
  "other_rmse": 0.1, "other_kl": 30.0, "rmse": 0.1, "kl": 29.0,
  "kl_there": 29.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def against_elbo():
  """The module, without its flags: the process's are other commands'."""

  def default(name, value, *_):
    return types.SimpleNamespace(value=value)

  with pytest.MonkeyPatch.context() as patch:
    for kind in ("string", "enum"):
      patch.setattr(flags, f"DEFINE_{kind}", default)
    from benchmarks import against_elbo
  return against_elbo


def test_other_objective_is_met_at_its_rmse(against_elbo, monkeypatch):
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
  pair = against_elbo.matched("learned_sigma", 0)
  assert asked == [{"objective": "learned_sigma_elbo"}, {"kappa": 0.1}]
  expected = 28.0 + 2.0 * 784 * (0.102**2 - 0.10001**2)
  np.testing.assert_allclose(pair.kl_there, expected)


@pytest.mark.parametrize(
  ("pairs", "verdict"),
  [
    ([{}, {}], "below"),
    ([{"kl_there": 30.0}, {"kl_there": 31.0}], "within"),
    ([{"kl_there": 30.0}, {"kl_there": 29.0}], "within"),
    ([{"kl_there": 32.0}, {"kl_there": 32.0}], "above"),
    (
      [{"kl_there": 29.9, "other_kl_error": 0.2}] * 2,
      "within, by the line's error",
    ),
    ([{}, {"rmse": 0.11}], "up to 10 % off κ"),
    ([{}, {"other_kl": math.nan}], "no β there"),
  ],
)
def test_verdict_is_that_of_the_differences(
  pairs, verdict, against_elbo, capsys
):
  pairs = [against_elbo.Pair(**{**_NEAR, **changes}) for changes in pairs]
  against_elbo.print_row("an ELBO", pairs)
  assert capsys.readouterr().out.rstrip().endswith(f"| {verdict} |")
