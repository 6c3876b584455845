# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run, and their page says what they found."""

import importlib
import json

import numpy as np
import pytest

from benchmarks import (
  geco_overhead,
  input_pipeline,
  interleaved,
  marginal_kl,
  performance,
  results,
  training_step,
)
from geco_tf import errors, models
from geco_tf.models import posteriors
from tests.conformance import registered

_PEERS_OF_PYTORCH = ("PyTorch", "PyTorch, ELBO",
                     "PyTorch's DataLoader, 2 workers")  # fmt: skip


@pytest.fixture
def without_torch(monkeypatch):
  """As where it is not installed; and a few of many ways."""
  for module in (geco_overhead, training_step):
    monkeypatch.setattr(module, "torch_training", None)
  monkeypatch.setattr(input_pipeline, "torch_examples", None)
  monkeypatch.setattr(marginal_kl, "_LATENT_SIZES", (32,))
  kinds = {"sum": input_pipeline._KINDS["sum"]}
  monkeypatch.setattr(input_pipeline, "_KINDS", kinds)
  vae = training_step.CASES["VAE"]._replace(ways=("float32",))
  monkeypatch.setattr(training_step, "CASES", {"VAE": vae})


@pytest.mark.parametrize("name", performance.NAMES)
def test_part_is_measured_without_torch(name, without_torch, monkeypatch):
  if name == "geco_overhead":  # Its steps are those of training_step.
    idle = interleaved.repeated(lambda: None)
    monkeypatch.setattr(training_step, "Trainer", lambda config, source: idle)
  part = importlib.import_module(f"benchmarks.{name}").measure(True)
  assert part.rows
  for row in part.rows:
    if row.peer in _PEERS_OF_PYTORCH:
      assert row.peer_ms is None
    else:
      assert row.ms.shape == row.peer_ms.shape == (1,)
      assert np.all(row.ms > 0) and np.all(row.peer_ms > 0)


def test_every_model_and_posterior_is_timed():
  configs = [case.config for case in training_step.CASES.values()]
  assert not registered.missing(models.registry, [c.model for c in configs])
  assert not registered.missing(
    posteriors.registry, [c.posterior for c in configs]
  )


def test_every_round_times_each_in_turn():
  calls = []
  found = interleaved.times(
    {n: lambda count, n=n: calls.append((n, count)) for n in "abc"},
    rounds=3,
    count={"a": 1, "b": 2, "c": 3},
  )
  warm_up = [("a", 1)] * 2 + [("b", 1)] * 2 + [("c", 1)] * 2
  a, b, c = ("a", 1), ("b", 2), ("c", 3)
  assert calls == [*warm_up, a, b, c, b, c, a, c, a, b]
  assert {len(t.clock) for t in found.values()} == {3}


def test_page_has_ratios_of_rounds_and_says_what_is_absent(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(results, "FOLDER", tmp_path)
  part = performance.Part(
    [
      performance.Row("step", "ours", np.array([2.0, 6.0, 3.0]),
                      "theirs", np.array([4.0, 4.0, 2.0])),
      performance.Row("step", "ours", np.array([250.0]), "PyTorch", None),
    ],
    ["A remark."],
  )  # fmt: skip
  performance.keep("marginal_kl", part)
  page = tmp_path / "page.md"
  marks = "<!-- table: begin -->\nold\n<!-- table: end -->\n"
  page.write_text(f"Before.\n{marks}After.\n", encoding="utf-8")
  performance.write_page(page)
  text = page.read_text(encoding="utf-8")
  assert text.startswith("Before.\n") and text.endswith("After.\n")
  assert "old" not in text and "- A remark." in text
  assert " cores, " in text and "TensorFlow 2." in text
  rows = [line for line in text.splitlines() if "`marginal_kl`" in line]
  first, second = ([c.strip() for c in r.split("|")[1:-1]] for r in rows)
  assert first == [
    "1.500 (0.500 to 1.500)", "`marginal_kl`: step",
    "ours", "3.00 (2.00 to 6.00)", "theirs", "4.00 (2.00 to 4.00)",
  ]  # fmt: skip
  assert second[0] == second[-1] == "not installed"
  kept = json.loads((tmp_path / "performance_marginal_kl.json").read_text())
  assert kept["rows"][0]["ratio"] == [1.5, 0.5, 1.5]


@pytest.mark.parametrize(
  "lost", ["<!-- table: begin -->\n", "<!-- table: end -->\n"]
)
def test_page_without_a_mark_is_left_as_it_is(lost, tmp_path):
  page = tmp_path / "page.md"
  text = "<!-- table: begin -->\nold\n<!-- table: end -->\n".replace(lost, "")
  page.write_text(text, encoding="utf-8")
  with pytest.raises(errors.UserError, match="must have the lines"):
    results.write_table(page, "new")
  assert page.read_text(encoding="utf-8") == text
