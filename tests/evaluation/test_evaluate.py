# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run's folder in; a table, evaluation.json and pictures out."""

import json

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors, runs
from geco_tf.evaluation import evaluate
from geco_tf.runs import build, checkpoints
from tests.training import tiny

_SETTINGS = evaluate.Settings(
  num_examples=60,
  num_importance_samples=3,
  num_importance_examples=4,
  num_components=50,
  num_samples=20,
  num_check_samples=30,
)


def _row(step, kl, satisfied):
  return {"step": step, "kl": kl, "geco/re/satisfied": satisfied}


def _leave_run(path, rows, config=None, *, is_finished=True):
  """A run's folder as training leaves it, but for what nobody reads here."""
  config = config or tiny.config(posterior="nvp")
  model = build.build_model(config, (8, 8, 1))
  folder = runs.Workdir(str(path))
  folder.create()
  folder.claim(config, (8, 8, 1))
  kept = checkpoints.Checkpoints(
    folder.file("checkpoints"), keep=5, model=model
  )
  for row in rows:
    first = model.trainable_variables[0]
    first.assign_add(tf.fill(first.shape, 0.01))
    kept.save(row["step"])
  folder.write_metrics(rows)
  if is_finished:
    folder.write_summary({"rmse": 0.1})
  return folder


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
  """The folder, what was said, and the result."""
  folder = _leave_run(
    tmp_path_factory.mktemp("run"), [_row(10, 5.0, 1.0), _row(20, 4.0, 0.7)]
  )
  said = []
  result = evaluate.evaluate_run(folder.path, _SETTINGS, say=said.append)
  return folder, said, result


def test_evaluation_has_every_part_and_writes_it_down(evaluated):
  folder, said, result = evaluated
  assert "marginal_kl: 100 %" in said[-1]
  assert list(result["parts"]) == list(evaluate._PARTS)
  with open(folder.file("evaluation.json")) as f:
    assert json.load(f)["parts"].keys() == result["parts"].keys()
  assert np.load(folder.file("evaluation", "latents.npz"))["latents"].shape == (
    60,
    4,
  )
  for name in ("traversals.png", "interpolations.svg"):
    with open(folder.file("figures", name), "rb") as f:
      assert len(f.read()) > 1_000
  # The one that holds its constraint, though the other has the lower KL.
  assert result["step"] == 10


def test_table_names_every_part(evaluated):
  table = evaluate.describe(evaluated[2])
  for text in ("σ", "bits/dim", "units are active", "MMD²", "k = 3", "N = 50"):
    assert text in table
  assert "for all 1497; the first is too large by at most 3.399" in table


def test_what_is_done_is_not_done_again(evaluated):
  folder, _, result = evaluated
  said = []
  again = evaluate.evaluate_run(folder.path, _SETTINGS, say=said.append)
  assert not said
  assert again == result
  other = _SETTINGS.replace(num_importance_samples=2, part=("importance",))
  changed = evaluate.evaluate_run(folder.path, other, say=said.append)
  assert said[0] == "importance …"
  assert changed["parts"]["marginal_kl"] == result["parts"]["marginal_kl"]
  assert changed["parts"]["importance"]["result"]["num_importance_samples"] == 2


@pytest.mark.parametrize(
  ("rows", "step"),
  [
    ([_row(10, 5.0, 1.0), _row(20, 6.0, 1.0)], 10),
    ([_row(10, 5.0, 0.0), _row(20, 6.0, 1.0)], 20),
    ([_row(10, 5.0, 0.5), _row(20, 6.0, 0.0)], 20),  # None: the newest.
    ([{"step": 10, "kl": 5.0}, {"step": 20, "kl": 6.0}], 20),  # An ELBO's.
  ],
)
def test_best_checkpoint_is_feasible_first_and_then_of_least_kl(
  rows, step, tmp_path
):
  folder = _leave_run(tmp_path, rows)
  assert evaluate.best_step(folder) == step


def _edit_config(path, change):
  file = path / "config.json"
  content = json.loads(file.read_text())
  change(content)
  file.write_text(json.dumps(content))


def test_run_that_is_not_finished_is_named(tmp_path):
  _leave_run(tmp_path, [_row(10, 5.0, 1.0)], is_finished=False)
  with pytest.raises(errors.UserError, match=r"finished run; .* step 10 of 40"):
    evaluate.evaluate_run(str(tmp_path), _SETTINGS)


def test_folder_without_a_run_is_named(tmp_path):
  with pytest.raises(errors.UserError, match=r"has no config\.json"):
    evaluate.evaluate_run(str(tmp_path), _SETTINGS)


def test_field_of_another_version_is_named(tmp_path):
  _leave_run(tmp_path, [_row(10, 5.0, 1.0)])

  def change(content):
    content["config"]["num_flows"] = 3
    content["versions"]["geco_tf"] = "0.0.7"

  _edit_config(tmp_path, change)
  with pytest.raises(
    errors.UserError, match=r"'num_flows'.* The run is of geco_tf 0\.0\.7; this"
  ):
    evaluate.evaluate_run(str(tmp_path), _SETTINGS)


def test_weights_of_another_network_are_named(tmp_path):
  _leave_run(tmp_path, [_row(10, 5.0, 1.0)])
  _edit_config(tmp_path, lambda c: c["config"].update(coupling_width=9))
  with pytest.raises(errors.UserError, match=r"of another model: .*shape"):
    evaluate.evaluate_run(str(tmp_path), _SETTINGS)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"part": ("marginal",)}, "Unknown part 'marginal'; did you mean"),
    ({"num_samples": 0}, "num_samples. must be positive"),
    ({"seed": -1}, "seed. must be in"),
    (
      {"part": ("importance",), "num_importance_examples": 10_000},
      "num_importance_examples. must be from 1 to the 300 examples",
    ),
    (
      {"part": ("marginal_kl",), "num_components": 10_000},
      "num_components. must be from 1 to the 1497 examples",
    ),
    (
      {"part": ("cross_checks",), "num_check_samples": 10_000},
      "num_check_samples. must be from 1 to the 1497 examples",
    ),
    (
      {"part": ("marginal_kl",), "memory_gib": 1e-9, "num_samples": 19},
      "num_samples. = 19 needs .* got memory_gib = 1e-09",
    ),
  ],
)
def test_mistake_is_named(changes, message, evaluated):
  with pytest.raises(errors.UserError, match=message):
    evaluate.evaluate_run(
      evaluated[0].path, _SETTINGS.replace(**changes), say=lambda line: None
    )
