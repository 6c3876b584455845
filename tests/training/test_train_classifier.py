# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Classifiers from config to a folder that gives them back."""

import pathlib
import shutil
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import data, errors, evaluation, runs, training
from geco_tf.data import prepare
from geco_tf.runs import checkpoints
from tests.training import tiny

_CONFIG = runs.ClassifierConfig(
  model_option=("channels=4", "hidden_size=16"),
  num_steps=60,
  batch_size=64,
  learning_rate=1e-2,
  log_every=20,
  evaluate_every=30,
  checkpoint_every=20,
)


def _train(config, workdir=None, **arguments):
  return training.train_classifier(
    config,
    workdir=None if workdir is None else str(workdir),
    show_progress=False,
    **arguments,
  )


class _Finished(NamedTuple):
  workdir: pathlib.Path
  killed: pathlib.Path  # What a run killed after step 20 would have left.
  trained: training.TrainedClassifier


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """One training left alone, for all that look at what it left."""
  folder = tmp_path_factory.mktemp("classifier")
  workdir, killed = folder / "straight", folder / "killed"
  save = checkpoints.Checkpoints.save

  def save_and_copy(self, step):
    save(self, step)
    if step == 20:
      shutil.copytree(workdir, killed)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(checkpoints.Checkpoints, "save", save_and_copy)
    trained = _train(_CONFIG, workdir)
  return _Finished(workdir, killed, trained)


def _test_accuracy(classifier):
  fixed = data.evaluation_batches(data.load("digits").test, 300)
  return evaluation.accuracy(evaluation.Labeller(classifier), fixed.batches)


def test_training_leaves_its_files_and_learns(finished):
  workdir, _, trained = finished
  names = {p.name for p in workdir.iterdir()}
  assert names == {
    "checkpoints",
    "config.json",
    "metrics.jsonl",
    "summary.json",
    "tensorboard",
  }
  rows = trained.metrics
  assert rows == runs.Workdir(str(workdir)).read_metrics()
  assert [r["step"] for r in rows] == [20, 30, 40, 60]
  assert ["test_accuracy" in r for r in rows] == [False, True, False, True]
  assert rows[-1]["accuracy"] > 0.25 > rows[0]["accuracy"]
  # Guessing: where it starts.
  assert rows[-1]["loss"] < np.log(10.0)


def test_loaded_classifier_is_as_accurate_as_the_summary_says(finished):
  workdir, _, trained = finished
  summary = trained.summary
  assert summary == runs.Workdir(str(workdir)).read_summary()
  accuracy = _test_accuracy(geco_tf.load_classifier(str(workdir)))
  assert accuracy.share == summary["test_accuracy"] > 0.25
  assert [accuracy.low, accuracy.high] == summary["test_accuracy_interval"]
  assert summary["num_test_examples"] == accuracy.num == 300


def test_loaded_classifier_is_frozen_and_differentiable_under_xla(finished):
  workdir, _, trained = finished
  classifier = runs.load_classifier(str(workdir))
  images = data.load("digits").test.images[:4]
  assert not [v for v in classifier.variables if v.trainable]

  @tf.function(jit_compile=True)
  def gradient(images):
    with tf.GradientTape() as tape:
      tape.watch(images)
      loss = tf.reduce_sum(tf.square(classifier.features(images)["conv_2"]))
    return tape.gradient(loss, images)

  assert np.any(gradient(tf.constant(images)) != 0.0)
  np.testing.assert_array_equal(classifier(images), trained.classifier(images))


def test_killed_training_goes_on_as_if_left_alone(finished):
  resumed = _train(_CONFIG, finished.killed)
  there = tiny.checkpointed(finished.workdir)
  here = tiny.checkpointed(finished.killed)
  assert there.keys() == here.keys()
  for key, value in there.items():
    np.testing.assert_array_equal(value, here[key], err_msg=key)
  assert tiny.without_timings(resumed.metrics) == tiny.without_timings(
    finished.trained.metrics
  )


def test_rerun_of_finished_training_trains_nothing(finished):
  workdir, _, trained = finished
  assert _train(_CONFIG, workdir).summary == trained.summary


def test_workdir_of_another_classifier_is_refused(finished):
  workdir = finished.workdir
  with pytest.raises(errors.UserError, match="seed is 0 there and 1 here"):
    _train(_CONFIG.replace(seed=1), workdir)


def test_workdir_of_other_data_is_refused(finished):
  workdir = finished.workdir
  source = data.load("digits")
  fewer = source._replace(train=source.test)
  with pytest.raises(errors.UserError, match="num_examples is 1497 there"):
    _train(_CONFIG, workdir, data=fewer)


def test_workdir_of_a_run_is_refused(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  folder.create()
  folder.claim(tiny.config(), (8, 8, 1))
  with pytest.raises(errors.UserError, match="a run that is no classifier's"):
    _train(_CONFIG, tmp_path)


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"num_steps": 0}, "`num_steps` must be positive"),
    ({"learning_rate": "fast"}, "`learning_rate` must be of type float"),
    ({"seed": -1}, "`seed` must be in"),
    ({"max_shift": 0.5}, r"`max_shift` must be in \[0, 0.5\); got 0.5"),
    ({"dataset": "mnits"}, "did you mean 'mnist'"),
    ({"model": "digit_cn"}, "did you mean 'digit_cnn'"),
    ({"model_option": ("depth=3",)}, "option of the classifier 'digit_cnn'"),
    ({"batch_size": 1_498}, "`batch_size` must be at most the 1497"),
    ({"warmup_steps": 60}, "`warmup_steps` must be at least 0 and fewer"),
  ],
)
def test_mistake_is_named_before_there_is_a_folder(changes, message, tmp_path):
  with pytest.raises(errors.UserError, match=message):
    _train(_CONFIG.replace(**changes), tmp_path / "new")
  assert not (tmp_path / "new").exists()


def test_full_disk_is_a_line(tmp_path, monkeypatch):
  rename = tf.io.gfile.rename

  def fail(source, target, overwrite=False):
    if target.endswith("config.json"):
      raise OSError("No space left on device")
    rename(source, target, overwrite=overwrite)

  monkeypatch.setattr(tf.io.gfile, "rename", fail)
  with pytest.raises(errors.UserError, match="cannot be written: No space"):
    _train(_CONFIG, tmp_path)


def test_data_without_labels_are_refused():
  source = data.load("digits")
  unlabelled = source._replace(
    train=source.train._replace(labels=None),
    test=source.test._replace(labels=None),
    num_classes=None,
  )
  with pytest.raises(
    errors.UserError, match="needs labels; the data set 'digits'"
  ):
    _train(_CONFIG, data=unlabelled)


def test_residual_network_learns_in_colour():
  """A few steps on digits in three channels, mirror images and all."""
  source = data.load("digits")
  colour = source._replace(
    train=source.train._replace(images=source.train.images.repeat(3, axis=-1)),
    test=source.test._replace(images=source.test.images.repeat(3, axis=-1)),
  )
  config = _CONFIG.replace(
    model="cifar_resnet",
    model_option=("channels=8", "num_blocks=2"),
    flip=True,
    num_steps=40,
  )
  rows = _train(config, data=colour).metrics
  assert rows[-1]["loss"] < rows[0]["loss"] - 0.02


@pytest.mark.slow
def test_digit_cnn_learns_mnist_in_few_steps(real_data_dir, tmp_path):
  data_dir = str(tmp_path)
  prepare.prepare(
    "mnist", from_dir=str(real_data_dir / "mnist"), data_dir=data_dir
  )
  config = runs.ClassifierConfig(
    dataset="mnist",
    data_dir=data_dir,
    model_option=("channels=8",),
    num_steps=100,
    learning_rate=5e-3,
    evaluate_every=100,
  )
  # 93 % was seen.
  assert _train(config).summary["test_accuracy"] > 0.85
