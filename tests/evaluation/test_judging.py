# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A conditional run before its judge: from two folders to judgement.json."""

import json

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors, evaluation, models, runs
from geco_tf.evaluation import judging
from geco_tf.runs import build, checkpoints, classifiers
from tests.evaluation import stub_conditional
from tests.training import tiny

models.register("first_of_context", stub_conditional.FirstOfContext)


def _save_run(path, config):
  """The folder of a run of the stub, as training leaves it."""
  source = build.build_data(config)
  shapes = source.image_shape, source.context_shape
  model = build.build_model(config, *shapes)
  folder = runs.Workdir(str(path))
  folder.create()
  folder.claim(config, shapes[0], context_shape=shapes[1])
  tf.io.gfile.makedirs(folder.file("figures"))
  kept = checkpoints.Checkpoints(
    folder.file("checkpoints"), keep=1, model=model
  )
  kept.save(1)
  return folder


def _save_classifier(path, *, num_classes=10, side=8):
  config = runs.ClassifierConfig(model_option=("channels=2",))
  network = classifiers.Network((side, side, 1), num_classes)
  classifier = classifiers.build_classifier(config, network)
  folder = runs.Workdir(str(path))
  folder.create()
  classifiers.claim_for_classifier(folder, config, network, {})
  checkpoints.Checkpoints(
    folder.file("checkpoints"), keep=1, model=classifier
  ).save(1)
  return folder.path


def _config(task):
  # An option of the task that no rule knows.
  return tiny.config(
    model="first_of_context", task=task, task_option=("seed=3",)
  )


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
  return _save_classifier(tmp_path_factory.mktemp("judge"))


@pytest.mark.parametrize("task", ["rotate", "sum", "sum_hard"])
def test_judgement_is_left_in_the_runs_folder(
  task, judge, tmp_path, monkeypatch
):
  monkeypatch.setattr(judging, "_draw_picture", lambda *_: None)
  folder = _save_run(tmp_path, _config(task))
  result = evaluation.judge_run(folder.path, judge, num_samples=40, seed=3)
  with open(folder.file("judgement.json")) as file:
    assert json.load(file) == result
  assert result["task"] == task
  assert result["num_samples"] == 40
  assert result["chance"] == 0.1
  # The stub's samples are such copies.
  assert result["copy"] == result["samples"]
  for name in ("samples", "real"):
    judged = result[name]
    assert judged["num"] == 40
    # The untrained judge calls everything 0.
    assert judged["low"] < judged["share"] < judged["high"]
    total = sum(share["num"] for share in judged["per_class"].values())
    assert total == 40
  table = judging.describe(result)
  assert "chance 10%" in table
  assert len(table.splitlines()) == 4 + len(result["samples"]["per_class"])


def test_unconditional_run_is_refused(judge, tmp_path):
  folder = runs.Workdir(str(tmp_path))
  folder.create()
  folder.claim(tiny.config(), (8, 8, 1))
  with pytest.raises(
    errors.UserError, match=r"conditional run, .* rotate or sum or sum_hard"
  ):
    evaluation.judge_run(folder.path, judge)


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"num_classes": 7}, "must tell the 10 classes .*; it tells 7"),
    ({"side": 9}, r"images \[8, 8, 1\], .* it is one of \[9, 9, 1\]"),
  ],
)
def test_judge_of_other_images_or_classes_is_refused(
  arguments, message, tmp_path
):
  folder = _save_run(tmp_path / "run", _config("sum"))
  other = _save_classifier(tmp_path / "judge", **arguments)
  with pytest.raises(errors.UserError, match=message):
    evaluation.judge_run(folder.path, other)
  assert not (tmp_path / "run" / "judgement.json").exists()


@pytest.mark.parametrize(
  ("arguments", "message"),
  [
    ({"num_samples": 0}, "`num_samples` must be positive; got 0"),
    ({"seed": -1}, r"`seed` must be in \[0, 2\*\*31\); got -1"),
    ({"seed": 2**31}, r"`seed` must be in \[0, 2\*\*31\); got 2147483648"),
  ],
)
def test_number_out_of_range_is_named(arguments, message, judge, tmp_path):
  with pytest.raises(errors.UserError, match=message):
    evaluation.judge_run(str(tmp_path), judge, **arguments)


def test_folder_of_a_run_is_no_classifier(tmp_path):
  folder = _save_run(tmp_path, _config("sum"))
  with pytest.raises(errors.UserError, match="the folder of a run of"):
    evaluation.judge_run(folder.path, folder.path)


def test_picture_has_several_samples_for_each_context(
  judge, tmp_path, monkeypatch
):
  folder = _save_run(tmp_path, _config("sum_hard"))
  draw, drawn = judging.figures.conditional_samples, {}

  def draw_and_keep(*blocks, **labels):
    drawn.update(labels, shapes=[np.asarray(b).shape for b in blocks])
    return draw(*blocks, **labels)

  monkeypatch.setattr(judging.figures, "conditional_samples", draw_and_keep)
  evaluation.judge_run(folder.path, judge, num_samples=40)
  assert drawn["shapes"] == [
    (8, 1, 8, 8, 1), (8, 8, 8, 2), (8, 6, 8, 8, 2)
  ]  # fmt: skip
  assert drawn["found"].shape == (8, 6)
  np.testing.assert_array_equal(drawn["right"], drawn["context_labels"][:, 0])
  figures = {p.name for p in (tmp_path / "figures").iterdir()}
  assert figures == {"conditional_samples.png", "conditional_samples.svg"}
