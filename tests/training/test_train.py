# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs from config to summary, on real digits with a tiny model."""

import math
import pathlib
import shutil
import types

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

import geco_tf
from geco_tf import data, errors, models, objectives, runs, training
from geco_tf.runs import build, checkpoints
from geco_tf.training import loop, report
from tests.training import tiny

_SHAPE = (8, 8, 1)
# Everything at once: the flow, and an average of the weights.
_FULL = tiny.config(posterior="nvp", weight_average=0.9)


def _train(config, workdir=None, **arguments):
  return training.train(
    config,
    workdir=None if workdir is None else str(workdir),
    show_progress=False,
    **arguments,
  )


@pytest.fixture
def without_pictures(monkeypatch):
  """For runs whose pictures nobody looks at; they take a second each."""
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  monkeypatch.setattr(report, "pictures", lambda *_: {})


class _Finished:
  def __init__(self, workdir: pathlib.Path):
    self.workdir = workdir
    self.trained = _train(_FULL, workdir)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """One run left alone, for all that look at what it left."""
  return _Finished(tmp_path_factory.mktemp("run"))


def test_run_leaves_its_files(finished):
  names = {p.name for p in finished.workdir.iterdir()}
  assert names == {
    "checkpoints",
    "config.json",
    "figures",
    "metrics.jsonl",
    "summary.json",
    "tensorboard",
  }
  figures = list((finished.workdir / "figures").iterdir())
  assert {p.suffix for p in figures} == {".png", ".svg"}
  assert {p.stem for p in figures} >= {"trajectory", "reconstructions"}
  assert all(p.stat().st_size > 1_000 for p in figures)
  assert list((finished.workdir / "tensorboard").iterdir())
  folder = runs.Workdir(str(finished.workdir))
  assert folder.read_config() == _FULL
  assert folder.read_image_shape() == _SHAPE


def test_rows_have_the_documented_names(finished):
  rows = finished.trained.metrics
  assert [r["step"] for r in rows] == [10, 20, 30, 40]
  for row in rows:
    assert row.keys() >= {
      "loss",
      "kl",
      "elbo",
      "rmse",
      "neg_log_likelihood_per_dim",
      "geco/re/multiplier",
      "geco/re/constraint",
      "geco/re/moving_average",
      "geco/re/satisfied",
      "steps_per_second",
    }
    assert all(math.isfinite(v) for v in row.values())
    assert ("test_rmse" in row) == ("test_kl" in row) == (row["step"] % 20 == 0)
    error = row["geco/re/constraint"] + 64 * _FULL.kappa**2
    np.testing.assert_allclose(64 * row["rmse"] ** 2, error, rtol=1e-5)
  folder = runs.Workdir(str(finished.workdir))
  assert folder.read_metrics() == rows


def test_training_lowers_the_loss(finished):
  rows = finished.trained.metrics
  assert rows[-1]["rmse"] < rows[0]["rmse"]
  # A violated constraint: λ rises from 1/(20 κ²) = 1.25.
  assert rows[-1]["geco/re/multiplier"] > rows[0]["geco/re/multiplier"] > 1.2


def test_summary_has_the_documented_measurements(finished):
  summary = finished.trained.summary
  assert summary == runs.Workdir(str(finished.workdir)).read_summary()
  assert summary["kappa"] == 0.2
  assert summary["satisfied"] is (summary["rmse"] <= 1.03 * 0.2)
  assert (summary["num_examples"], summary["num_test_examples"]) == (1497, 300)
  for name in ("rmse", "kl", "test_rmse", "test_kl"):
    assert math.isfinite(summary[name])
  assert 0.0 < summary["rmse"] < 1.0
  multipliers = finished.trained.objective.geco.multipliers
  assert summary["multiplier"]["re"] == float(multipliers["re"])
  last = finished.trained.metrics[-1]
  # All test examples in both, as there are fewer than either asks for.
  assert summary["test_rmse"] == last["test_rmse"]


def test_loaded_model_measures_as_the_summary_says(finished):
  """So it has the averaged weights, which were the ones measured."""
  measure = geco_tf.evaluation.ReconstructionMeasure(
    geco_tf.load(str(finished.workdir))
  )
  source = data.load("digits")
  for split, prefix in ((source.train, ""), (source.test, "test_")):
    measured = report.measure(measure, split, 10_000)
    summary = finished.trained.summary
    np.testing.assert_allclose(
      measured.rmse, summary[f"{prefix}rmse"], rtol=1e-6
    )
    np.testing.assert_allclose(measured.kl, summary[f"{prefix}kl"], rtol=1e-5)


def test_rerun_of_finished_run_trains_nothing(finished, monkeypatch):
  def refuse(*_, **__):
    raise AssertionError("it trained again")

  monkeypatch.setattr(loop, "run", refuse)
  before = tiny.checkpointed(finished.workdir)
  again = _train(_FULL, finished.workdir)
  assert again.summary == finished.trained.summary
  assert again.metrics == finished.trained.metrics
  after = tiny.checkpointed(finished.workdir)
  assert before.keys() == after.keys()
  for key, value in before.items():
    np.testing.assert_array_equal(value, after[key], err_msg=key)


def test_run_killed_before_its_summary_writes_it(
  finished, tmp_path, without_pictures
):
  shutil.copytree(finished.workdir, tmp_path / "run")
  (tmp_path / "run" / "summary.json").unlink()
  again = _train(_FULL, tmp_path / "run")
  assert again.summary == finished.trained.summary
  assert (tmp_path / "run" / "summary.json").exists()


def test_other_config_is_refused_and_loses_nothing(finished):
  before = tiny.checkpointed(finished.workdir)
  with pytest.raises(errors.UserError, match=r"kappa is 0\.2 there and 0\.3"):
    _train(_FULL.replace(kappa=0.3), finished.workdir)
  assert before.keys() == tiny.checkpointed(finished.workdir).keys()
  assert runs.Workdir(str(finished.workdir)).read_config() == _FULL


def test_users_model_of_another_shape_is_refused_in_the_same_folder(finished):
  model = build.build_model(_FULL.replace(channels=5), _SHAPE)
  with pytest.raises(errors.UserError, match="is of another model"):
    _train(_FULL, finished.workdir, model=model)


def test_interrupted_run_goes_on_as_if_left_alone(
  finished, tmp_path, monkeypatch, without_pictures
):
  save = checkpoints.Checkpoints.save

  def save_until_20(self, step):
    if step > 20:
      # Rows of step 30 are written already, as they are before a save.
      raise KeyboardInterrupt
    save(self, step)

  with monkeypatch.context() as patch:
    patch.setattr(checkpoints.Checkpoints, "save", save_until_20)
    with pytest.raises(KeyboardInterrupt):
      _train(_FULL, tmp_path)
  rows = runs.Workdir(str(tmp_path)).read_metrics()
  assert [r["step"] for r in rows] == [10, 20, 30]
  assert not (tmp_path / "summary.json").exists()
  resumed = _train(_FULL, tmp_path)
  tiny.assert_same_run(finished.workdir, tmp_path)
  assert resumed.summary == finished.trained.summary


def test_steps_per_call_changes_no_bit(finished, tmp_path, without_pictures):
  """13 cuts the windows of rows elsewhere; only the config tells of it."""
  _train(_FULL.replace(steps_per_call=13), tmp_path)
  tiny.assert_same_run(finished.workdir, tmp_path)


# Those without a state of their own resume as the model does.
_STATELESS = ("elbo", "beta_elbo")
_OTHERS = [
  pytest.param(n, marks=[pytest.mark.slow] if n in _STATELESS else [])
  for n in objectives.registry.names()
  if n != "geco"
]


@pytest.mark.parametrize("objective", _OTHERS)
def test_objective_resumes_from_the_middle_of_a_row(
  objective, tmp_path, without_pictures
):
  """Killed after the checkpoint of step 15, with rows of later steps there."""
  config = tiny.config(
    objective=objective,
    checkpoint_every=15,
    keep_checkpoints=9,
    evaluate_every=40,
  )
  if objective == "geco_distortion":
    config = config.replace(kappa=None, constraint=("kl:3",))
  straight, killed = tmp_path / "straight", tmp_path / "killed"
  _train(config, straight)
  shutil.copytree(straight, killed)
  (killed / "summary.json").unlink()
  for step in (30, 40):
    for path in (killed / "checkpoints").glob(f"ckpt-{step}.*"):
      path.unlink()
  (killed / "checkpoints" / "checkpoint").write_text(
    'model_checkpoint_path: "ckpt-15"\nall_model_checkpoint_paths: "ckpt-15"\n'
  )
  before = tiny.checkpointed(killed)
  assert int(before["step/.ATTRIBUTES/VARIABLE_VALUE"]) == 15
  resumed = _train(config, killed)
  tiny.assert_same_run(straight, killed)
  summary = runs.Workdir(str(straight)).read_summary()
  assert resumed.summary == summary
  is_constrained = config.is_constrained
  assert summary["kappa"] == (config.kappa if is_constrained else None)
  assert (summary["satisfied"] is None) is not is_constrained


class FaultyModel(snt.Module):
  """A VAE whose outputs are NaN in the steps that it is told."""

  def __init__(self, model, steps):
    super().__init__()
    self.model = model
    self.decode = model.decode
    self.sample = model.sample
    self._steps = tf.constant(steps, tf.int32)

  def __call__(self, images, context=None, *, seed):
    outputs = self.model(images, context, seed=seed)
    if not isinstance(seed, models.noise.ReplicaSeed):
      return outputs  # A measurement.
    is_bad = tf.reduce_any(self._steps == seed.seed[1])
    factor = tf.where(is_bad, math.nan, 1.0)
    return outputs._replace(reconstruction=factor * outputs.reconstruction)


def _faulty(config, steps):
  model = build.build_model(config, _SHAPE)
  return FaultyModel(model, steps)


def test_non_finite_steps_are_skipped_and_weights_stay_finite():
  config = tiny.config(num_steps=10, log_every=1)
  trained = _train(config, model=_faulty(config, [0, 4, 5]))
  skipped = [r["skipped_gradients"] for r in trained.metrics]
  assert skipped == [1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
  for variable in trained.model.trainable_variables:
    assert np.all(np.isfinite(variable.numpy()))
  assert math.isfinite(trained.summary["rmse"])
  assert trained.metrics[4]["loss"] is None  # null in the file
  assert math.isfinite(trained.metrics[6]["loss"])
  multipliers = [r["geco/re/multiplier"] for r in trained.metrics]
  assert multipliers[3] == multipliers[4] == multipliers[5] < multipliers[6]
  assert int(trained.objective.geco.num_skipped["re"]) == 3


def test_users_model_and_data_train_without_names(tmp_path, without_pictures):
  """uint8 images of another shape, no labels, and a model of the user's."""
  images = np.random.RandomState(0).randint(256, size=(90, 12, 12, 3))
  images = images.astype(np.uint8)
  source = data.Source(
    name="mine",
    train=data.Split(images[:70], None),
    test=data.Split(images[70:], None),
    num_classes=None,
  )
  config = tiny.config(num_steps=6, batch_size=16, latent_size=3)
  model = build.build_model(config, (12, 12, 3))
  before = [v.numpy() for v in model.trainable_variables]
  trained = _train(config, tmp_path, model=model, data=source)
  assert trained.model is model
  assert trained.summary["num_examples"] == 70
  assert trained.summary["num_test_examples"] == 20
  assert runs.Workdir(str(tmp_path)).read_image_shape() == (12, 12, 3)
  for variable, value in zip(model.trainable_variables, before, strict=True):
    assert np.any(variable.numpy() != value), variable.name


def test_registered_source_trains_by_name(monkeypatch):
  monkeypatch.setattr(data.registry, "_builders", dict(data.registry._builders))
  digits = data.load("digits")
  data.register("half", lambda: digits._replace(train=digits.test))
  config = tiny.config(dataset="half", num_steps=2)
  summary = _train(config).summary
  assert summary["dataset"] == "half"
  assert summary["num_examples"] == 300


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"batch_size": 5_000}, "batch_size"),
    ({"batch_size": 33, "strategy": "mirrored"}, "batch_size"),
    ({"image_size": 7}, "8"),
    ({"image_size": 65}, "64"),
    ({"posterior": "nvq"}, "did you mean 'nvp'"),
    ({"kappa": -0.1}, "`kappa` must be positive and finite; got -0.1"),
    ({"warmup_steps": 40}, "`warmup_steps`"),
    (
      {"strategy": "mirrored", "virtual_devices": 3},
      "must be set before TensorFlow starts",
    ),
    ({"virtual_devices": 2}, "`virtual_devices` needs `strategy` mirrored"),
    ({"tpu": "local"}, "`tpu` needs `strategy` tpu; got `strategy` one"),
    ({"dataset": "npz:/nowhere/x.npz"}, "/nowhere/x.npz"),
  ],
  ids=str,
)
def test_mistake_is_named_before_there_is_a_folder(changes, message, tmp_path):
  with pytest.raises(errors.UserError, match=message):
    _train(tiny.config(**changes), tmp_path / "run")
  assert not (tmp_path / "run").exists()


def test_report_that_may_not_write_leaves_nothing(tmp_path, monkeypatch):
  def refuse():
    raise errors.UserError("taken over")

  said = types.SimpleNamespace(line="all is well")
  monkeypatch.setattr(report, "summarize", lambda *_: {})
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  monkeypatch.setattr(report.doctor, "examine", lambda *_: said)
  folder = runs.Workdir(str(tmp_path))
  arguments = (tiny.config(), None, None, None, [], folder, None)
  with pytest.raises(errors.UserError, match="taken over"):
    report.write(*arguments, before_writing=refuse)
  assert not list(tmp_path.iterdir())
  report.write(*arguments)
  assert folder.read_summary() == {"doctor": "all is well"}
