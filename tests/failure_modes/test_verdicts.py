# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Verdicts on numbers that are known to fail or not."""

import numpy as np
import pytest

from geco_tf.failure_modes import verdicts


@pytest.mark.parametrize(
  ("neg_elbo", "kl", "fails"),
  [(1.2, 0.30, True), (1.7, 0.30, False), (1.2, 0.06, False)],
)
def test_vae_fails_when_its_elbo_is_better_and_its_density_worse(
  neg_elbo, kl, fails
):
  truth = {
    "neg_elbo": 1.5,
    "walk": {"neg_elbo": [1.5, neg_elbo], "kl": [0.0, kl - 0.05]},
  }
  rows = [
    {"start": "truth", "method": "vae", "neg_elbo": neg_elbo, "kl": kl},
    {"start": "truth", "method": "nvp", "neg_elbo": 1.1, "kl": 0.05},
    {"start": "truth", "method": "iwae_10", "neg_elbo": 1.1, "kl": 0.06},
    {"start": "random", "method": "vae", "neg_elbo": 9.0, "kl": 9.0},
  ]
  verdict = verdicts.verdict("clusters", truth, rows)
  assert verdict["training_fails"] is fails
  assert verdict["objective_fails"] is fails
  np.testing.assert_allclose(verdict["gain"], 1.5 - neg_elbo)
  np.testing.assert_allclose(verdict["walk_gain"], 1.5 - neg_elbo)
  assert verdict["paper"] is True


def test_no_walk_no_verdict_on_the_objective():
  rows = [
    {"start": "truth", "method": name, "neg_elbo": 1.0, "kl": 0.0}
    for name in ("vae", "nvp", "iwae_10")
  ]
  verdict = verdicts.verdict("circle", {"neg_elbo": 1.5}, rows)
  assert verdict["objective_fails"] is None
  assert verdict["training_fails"] is False
