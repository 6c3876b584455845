# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures 2 and 7 of "Taming VAEs", small."""

import json
import pathlib

from geco_tf import experiments
from geco_tf.experiments import figure2, figure7


def _reproduce(item, folder):
  results = experiments.reproduce(item, experiments.Settings(), str(folder))
  made = pathlib.Path(folder) / f"{item}_laptop"
  for suffix in ("png", "svg"):
    assert (made / f"{item}.{suffix}").stat().st_size > 10_000
  written = json.loads((made / "results.json").read_text())
  assert written["results"] == results
  return results


def test_figure2_merges_eight_clusters_to_one(tmp_path, monkeypatch):
  monkeypatch.setitem(figure2._SIZES, "laptop", (80, 8, 24))
  results = _reproduce("figure2", tmp_path)
  assert list(results["num_fixed_points"].values()) == [8, 4, 2, 1]
  spacing = results["betas"][1] / results["betas"][0]
  assert len(results["transitions"]) == 3
  for transition in results["transitions"]:
    ratio = transition["beta"] / transition["predicted"]
    assert 1 / spacing < ratio < spacing


def test_figure7_keeps_the_bounds_and_flattens_the_penalised(
  tmp_path, monkeypatch
):
  monkeypatch.setitem(figure7._SIZES, "laptop", (60, 6))
  monkeypatch.setattr(
    figure7,
    "_CONSTRAINTS",
    [c for c in figure7._CONSTRAINTS if not c.name.endswith("weak")],
  )
  monkeypatch.delitem(figure7._MIXTURES, "lines")
  results = _reproduce("figure7", tmp_path)
  assert max(results["circles/local_bound_strong"]["largest_slope"]) < 0.6006
  assert max(results["circles/global_bound_strong"]["largest_slope"]) < 0.6006
  # At the smallest β.
  free, local, bounded = (
    results[f"circles/{name}"]["largest_slope"][0]
    for name in ("none", "local_penalty_strong", "global_bound_strong")
  )
  assert local < free
  assert bounded < free
