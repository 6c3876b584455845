# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The item failure_modes, small."""

import json

import numpy as np
import pytest

from geco_tf.experiments import failure_modes
from geco_tf.experiments.base import Folder, Settings
from geco_tf.failure_modes import verdicts

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


@pytest.mark.slow
def test_absolute_value_unfolds_or_stays():
  """From the truth: the NVP posterior keeps p(x), the VAE gains ELBO."""
  truth = failure_modes.ground_truths.absolute_value()
  scale = failure_modes.Scale(4, 4_000, 1_500, 1_500, 50)
  example = failure_modes._Example(truth, scale, 0)
  known = example.conditions()
  nvp = verdicts.summary(example.train("truth", "nvp"))
  vae = verdicts.summary(example.train("truth", "vae"))
  assert nvp["gap"] < 0.5 * known["posterior_gap"]
  assert nvp["neg_elbo"] < vae["neg_elbo"]
  assert nvp["kl"] < 0.1
