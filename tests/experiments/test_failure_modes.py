# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The item failure_modes, small."""

import json

import numpy as np
import pytest

from geco_tf.experiments import failure_modes
from geco_tf.experiments.base import Folder, Settings

_SMALL = failure_modes.Scale(
  num_restarts=2,
  num_examples=300,
  start_steps=20,
  num_steps=20,
  batch_size=20,
  hidden_sizes=(16, 16),
  num_moves=5,
  num_points={1: 25, 2: 10},
  walk_steps=1,
  walk_points=20,
  methods={"random": ("vae",)},
  truths=("figure_8",),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
  """The results, and the folder that they are in."""
  path = tmp_path_factory.mktemp("item")
  folder = Folder(path, Settings())
  return failure_modes.run_at(_SMALL, Settings(), folder), path


def test_terms_add_up(small):
  row = small[0]["figure_8"]["trained"][-1]
  entropy = small[0]["figure_8"]["entropy"]
  # The entropy is the whole grid's; at 25 points it would be another's.
  assert abs(row["residual"]) < 1e-3
  assert row["kl"] > 0.0
  assert row["gap"] > 0.0
  np.testing.assert_allclose(
    row["neg_elbo"], entropy + row["kl"] + row["gap"], rtol=0.2
  )


def test_pictures_and_table_are_there(small):
  path = small[1]
  for name in ("figure_8.png", "failure_modes.png", "table.md"):
    assert (path / name).stat().st_size > 0
  assert "| random | VAE, σ fixed |" in (path / "table.md").read_text()


def test_results_are_what_json_holds(small):
  assert json.loads(json.dumps(small[0])) == small[0]


def test_finished_pieces_are_not_made_again(small, monkeypatch):
  results, path = small
  monkeypatch.setattr(failure_modes, "methods", None)
  monkeypatch.setattr(failure_modes, "conditions", None)
  again = failure_modes.run_at(_SMALL, Settings(), Folder(path, Settings()))
  assert again == results


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
  verdict = failure_modes.verdict("clusters", truth, rows)
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
  verdict = failure_modes.verdict("circle", {"neg_elbo": 1.5}, rows)
  assert verdict["objective_fails"] is None
  assert verdict["training_fails"] is False


@pytest.mark.slow
def test_absolute_value_unfolds_or_stays():
  """From the truth: the NVP posterior keeps p(x), the VAE gains ELBO."""
  truth = failure_modes.ground_truths.absolute_value()
  scale = failure_modes.Scale(4, 4_000, 1_500, 1_500, 50)
  example = failure_modes._Example(truth, scale, 0)
  known = example.conditions()
  nvp = failure_modes.summary(example.train("truth", "nvp"))
  vae = failure_modes.summary(example.train("truth", "vae"))
  assert nvp["gap"] < 0.5 * known["posterior_gap"]
  assert nvp["neg_elbo"] < vae["neg_elbo"]
  assert nvp["kl"] < 0.1
