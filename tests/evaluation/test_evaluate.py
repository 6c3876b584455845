# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run's folder in; a table, evaluation.json and pictures out."""

import json

import numpy as np
import pytest
import tensorflow as tf
from scipy import spatial

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


_NO_CLASSIFIER = "No sample_quality: it needs --classifier, the folder of one"


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
  assert list(result["parts"]) == [
    name for name in evaluate._PARTS if name != "sample_quality"
  ]
  assert said[0] == f"{_NO_CLASSIFIER}."
  assert result["parts"]["likelihood"]["versions"]["geco_tf"]
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
  assert said == [f"{_NO_CLASSIFIER}."]
  assert again == result
  other = _SETTINGS.replace(num_importance_samples=2, part=("importance",))
  changed = evaluate.evaluate_run(folder.path, other, say=said.append)
  assert said[1] == "importance …"
  assert changed["parts"]["marginal_kl"] == result["parts"]["marginal_kl"]
  assert changed["parts"]["importance"]["result"]["num_importance_samples"] == 2


def test_samples_of_the_posterior_and_of_the_prior_share_no_noise(
  evaluated, monkeypatch
):
  """Where q(z|x) is the prior, they would be the same numbers."""
  run = evaluate._open(evaluated[0], _SETTINGS, print)
  run = run._replace(settings=_SETTINGS.replace(num_check_samples=600))
  for variable in run.model.trainable_variables:
    variable.assign(tf.zeros_like(variable))  # N(0, I), but for 1e-5.
  seen = []
  monkeypatch.setattr(
    evaluate.two_sample, "mmd", lambda *both, seed: seen.extend(both)
  )
  with pytest.raises(AttributeError):  # Of what mmd did not return.
    evaluate._cross_checks(run)
  drawn, prior = seen
  assert spatial.distance.cdist(drawn, prior).min() > 1e-3  # [600, 4].


def test_conv_draw_has_every_part_that_it_should(tmp_path):
  """Latents are maps, of more columns than a classifier takes products of."""
  config = tiny.config(
    model="conv_draw", draw_steps=2, draw_hidden_size=4, latent_channels=9,
    model_option=("kernel_size=3",),
  )  # fmt: skip
  folder = _leave_run(tmp_path, [_row(10, 5.0, 1.0)], config)
  settings = _SETTINGS.replace(
    num_components=7, num_samples=5, num_check_samples=20,
    part=("active_units", "cross_checks", "marginal_kl"),
  )  # fmt: skip
  result = evaluate.evaluate_run(folder.path, settings, say=lambda line: None)
  units, checks, found = (
    result["parts"][name]["result"] for name in settings.part
  )
  assert units["num_units"] > 64 and units["num_samples"] > 0
  assert 0.0 <= checks["classifier"]["accuracy"] <= 1.0
  assert (found["num_components"], found["num_samples"]) == (7, 5)
  assert np.isfinite(found["marginal_kl"]["value"])


def test_sample_quality_is_of_the_classifier_that_is_there(
  evaluated, monkeypatch
):
  crc = [1]
  monkeypatch.setattr(
    evaluate.sample_quality, "identity", lambda folder: {"crc": crc[0]}
  )
  asked = []

  def measure(model, split, classifier, **settings):
    asked.append((classifier, settings))
    return {"classifier_fid": 1.0}

  monkeypatch.setattr(evaluate.sample_quality, "measure", measure)
  settings = _SETTINGS.replace(classifier="judge", part=("sample_quality",))
  for other in (1, 1, 2):
    crc[0] = other
    result = evaluate.evaluate_run(evaluated[0].path, settings, say=print)
  assert asked == 2 * [("judge", {"num_images": 60, "seed": 0})]
  assert result["parts"]["sample_quality"]["asked"]["classifier"] == {"crc": 2}


def test_other_data_than_the_runs_are_refused(tmp_path):
  _leave_run(tmp_path, [_row(10, 5.0, 1.0)])
  other = {"num_examples": 1_497, "crc32": 1}
  _edit_config(tmp_path, lambda content: content.update(data=other))
  with pytest.raises(errors.UserError, match=r"'digits' must be the data of"):
    evaluate.evaluate_run(str(tmp_path), _SETTINGS)


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


@pytest.mark.parametrize("lost", ["index", "data-00000-of-00001"])
def test_best_checkpoint_that_is_damaged_is_named(lost, tmp_path, capsys):
  folder = _leave_run(tmp_path, [_row(10, 6.0, 1.0), _row(20, 5.0, 1.0)])
  (tmp_path / "checkpoints" / f"ckpt-20.{lost}").unlink()
  assert evaluate.best_step(folder) == 10
  assert capsys.readouterr().err == (
    f"warning: the checkpoint of step 20 is damaged: ckpt-20.{lost} is "
    "missing; the checkpoint of step 10 is taken instead.\n"
  )


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
    ({"num_samples": 1}, "num_samples. must be at least 2; got 1"),
    ({"num_examples": 1}, "num_examples. must be at least 2; got 1"),
    ({"num_check_samples": 4}, "num_check_samples. must be at least 5; got 4"),
    ({"num_importance_samples": 0}, "num_importance_samples. must be positive"),
    ({"part": ("sample_quality",)}, "'sample_quality' here: it needs --clas"),
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
