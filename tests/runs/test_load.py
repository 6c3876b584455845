# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints go back into the model that they are of, and into no other."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import errors, runs
from geco_tf.runs import build, checkpoints
from geco_tf.training import weight_average
from tests.training import tiny

_SHAPE = (8, 8, 1)


def _model(config):
  model = build.build_model(config, _SHAPE)
  return model


def _save(config, path):
  """A run's folder as training leaves it, after weights that moved."""
  model = _model(config)
  random = np.random.RandomState(0)
  kept = {"model": model, "objective": build.build_objective(config)}
  average = weight_average.WeightAverage(model.trainable_variables, 0.9)
  if config.weight_average is not None:
    kept["weight_average"] = average
  for variable in model.trainable_variables:
    variable.assign_add(0.1 * random.normal(size=variable.shape))
  average.update()
  folder = runs.Workdir(str(path))
  folder.create()
  folder.claim(config, _SHAPE)
  checkpoints.Checkpoints(folder.file("checkpoints"), keep=1, **kept).save(1)
  return model, average


def _reconstruction(model):
  images = tf.random.stateless_uniform([3, *_SHAPE], [1, 2])
  return model(images, seed=tf.constant([3, 4])).reconstruction.numpy()


def test_loaded_model_is_the_one_that_was_saved(tmp_path):
  model, _ = _save(tiny.config(), tmp_path)
  loaded = geco_tf.load(tmp_path)
  np.testing.assert_array_equal(_reconstruction(loaded), _reconstruction(model))
  fresh = _model(tiny.config())
  assert np.any(_reconstruction(fresh) != _reconstruction(model))


def test_loaded_model_has_the_average_where_one_is_kept(tmp_path):
  model, average = _save(tiny.config(weight_average=0.9), tmp_path)
  last = _reconstruction(model)
  with average.applied():
    expected = _reconstruction(model)
  loaded = _reconstruction(geco_tf.load(str(tmp_path)))
  np.testing.assert_array_equal(loaded, expected)
  assert np.any(loaded != last)


def test_loaded_average_comes_with_what_is_not_trained(tmp_path, monkeypatch):
  make = build.build_model

  def with_count(*arguments):
    model = make(*arguments)
    model.count = tf.Variable(0.0, trainable=False)
    return model

  monkeypatch.setattr(build, "build_model", with_count)
  config = tiny.config(weight_average=0.9)
  model, _ = _save(config, tmp_path)
  model.count.assign(7.0)
  average = weight_average.WeightAverage(model.trainable_variables, 0.9)
  checkpoints.Checkpoints(
    str(tmp_path / "checkpoints"), keep=1, model=model, weight_average=average
  ).save(2)
  assert geco_tf.load(str(tmp_path)).count.numpy() == 7.0


def test_loading_prefers_the_newest_checkpoint(tmp_path):
  model, _ = _save(tiny.config(), tmp_path)
  variable = model.trainable_variables[0]
  kept = checkpoints.Checkpoints(
    str(tmp_path / "checkpoints"), keep=1, model=model
  )
  variable.assign_add(tf.ones_like(variable))
  kept.save(2)
  loaded = geco_tf.load(str(tmp_path)).trainable_variables[0]
  np.testing.assert_array_equal(loaded.numpy(), variable.numpy())
  names = tf.io.gfile.listdir(str(tmp_path / "checkpoints"))
  assert not [n for n in names if n.startswith("ckpt-1.")], "keep=1"


def test_loading_from_folder_without_a_run_is_named(tmp_path):
  with pytest.raises(errors.UserError, match="has no config"):
    geco_tf.load(str(tmp_path))


def test_loading_from_run_without_checkpoint_is_named(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  folder.claim(tiny.config(), _SHAPE)
  with pytest.raises(errors.UserError, match="must hold a checkpoint"):
    geco_tf.load(str(tmp_path))


@pytest.mark.parametrize(
  "changes",
  [{"channels": 5}, {"latent_size": 6}, {"posterior": "nvp"}],
  ids=str,
)
@pytest.mark.parametrize("averaged", [None, 0.9])
def test_loading_another_model_is_refused(tmp_path, changes, averaged):
  config = tiny.config(weight_average=averaged)
  _save(config, tmp_path)
  (tmp_path / "config.json").unlink()
  (tmp_path / "checkpoints").rename(tmp_path / "kept")
  runs.Workdir(str(tmp_path)).claim(config.replace(**changes), _SHAPE)
  (tmp_path / "kept").rename(tmp_path / "checkpoints")
  with pytest.raises(errors.UserError, match="is of another model") as raised:
    geco_tf.load(str(tmp_path))
  assert "\n" not in str(raised.value)


@pytest.mark.parametrize("changes", [{"channels": 5}, {"posterior": "nvp"}])
def test_restoring_another_model_is_refused(tmp_path, changes):
  _save(tiny.config(), tmp_path)
  config = tiny.config(**changes)
  kept = checkpoints.Checkpoints(
    str(tmp_path / "checkpoints"),
    keep=1,
    model=_model(config),
    objective=build.build_objective(config),
  )
  with pytest.raises(errors.UserError, match="is of another model"):
    kept.restore(1)


def test_restoring_without_checkpoint_is_step_0(tmp_path):
  kept = checkpoints.Checkpoints(
    str(tmp_path / "none"), keep=1, model=_model(tiny.config())
  )
  assert kept.restore(0) == 0


def test_loading_a_step_takes_its_checkpoint(tmp_path):
  model, _ = _save(tiny.config(), tmp_path)
  variable = model.trainable_variables[0]
  first = variable.numpy()
  kept = checkpoints.Checkpoints(
    str(tmp_path / "checkpoints"), keep=2, model=model
  )
  variable.assign_add(tf.ones_like(variable))
  kept.save(20)
  assert runs.kept_steps(str(tmp_path)) == [1, 20]
  loaded = geco_tf.load(str(tmp_path), step=1).trainable_variables[0]
  np.testing.assert_array_equal(loaded.numpy(), first)
  with pytest.raises(
    errors.UserError,
    match=r"`step` \(--checkpoint\) must be one of 1, 20; got 3\.",
  ):
    geco_tf.load(str(tmp_path), step=3)
  (tmp_path / "checkpoints" / "ckpt-20.index").unlink()
  with pytest.raises(errors.UserError, match=r"step 20 .*is damaged: .*index"):
    geco_tf.load(str(tmp_path), step=20)
