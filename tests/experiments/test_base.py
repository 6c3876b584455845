# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Items leave their numbers behind, and do nothing twice."""

import json

import pytest

from geco_tf import errors, experiments
from geco_tf.experiments import base

_SETTINGS = experiments.Settings()


def _item(settings, folder):
  """Doubles.

  Cost: nothing.
  """
  return {"doubled": folder.piece("seed", lambda: settings.seed) * 2}


def test_results_are_written_with_settings_and_versions(tmp_path):
  settings = experiments.Settings(seed=3)
  results = base.reproduce("doubling", _item, settings, str(tmp_path))
  assert results == {"doubled": 6}
  path = tmp_path / "doubling_laptop" / "results.json"
  written = json.loads(path.read_text())
  assert written["results"] == {"doubled": 6}
  assert written["settings"]["seed"] == 3
  assert "tensorflow" in written["versions"]


def test_piece_is_computed_once_under_the_same_settings(tmp_path):
  calls = []
  for data_dir in (None, "/elsewhere"):
    settings = _SETTINGS._replace(data_dir=data_dir)
    folder = experiments.Folder(tmp_path, settings)
    assert folder.piece("p", lambda: calls.append(0) or [1, 2]) == [1, 2]
  assert len(calls) == 1


def test_piece_is_computed_again_under_other_settings(tmp_path):
  for seed in (0, 1):
    settings = experiments.Settings(seed=seed)
    folder = experiments.Folder(tmp_path, settings)
    assert folder.piece("p", lambda seed=seed: seed) == seed


def test_interrupted_piece_leaves_nothing_behind(tmp_path):
  def interrupted():
    raise KeyboardInterrupt

  folder = experiments.Folder(tmp_path, _SETTINGS)
  with pytest.raises(KeyboardInterrupt):
    folder.piece("p", interrupted)
  assert folder.piece("p", lambda: 1) == 1


def test_cost_is_read_from_the_docstring():
  assert experiments.cost(_item) == "nothing."
  assert experiments.cost(lambda settings, folder: {}) == "not said"


def test_unknown_scale_and_item_are_named(tmp_path):
  settings = experiments.Settings(scale="lapptop")
  with pytest.raises(errors.UserError, match="laptop"):
    base.reproduce("doubling", _item, settings, str(tmp_path))
  with pytest.raises(errors.UserError, match="item 'figure0'"):
    experiments.reproduce("figure0", _SETTINGS, str(tmp_path))
  assert not list(tmp_path.iterdir())
