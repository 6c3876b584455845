# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""ConvDraw from config to summary, on a task whose images have a context."""

import shutil

import numpy as np
import pytest

import geco_tf
from geco_tf import data, errors, runs, training
from tests.training import tiny

_CONFIG = tiny.config(
  model="conv_draw",
  task="sum",
  draw_steps=2,
  draw_hidden_size=4,
  latent_channels=1,
  model_option=("kernel_size=3",),
  num_steps=40,
  evaluate_every=40,
)


def _train(config, workdir):
  return training.train(config, workdir=str(workdir), show_progress=False)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  workdir = tmp_path_factory.mktemp("run")
  return workdir, _train(_CONFIG, workdir)


def test_run_leaves_its_numbers_and_a_picture_of_the_drawing(finished):
  workdir, trained = finished
  assert trained.summary["kl"] > 0.0
  assert 0.0 < trained.summary["rmse"] < 1.0
  names = {p.stem for p in (workdir / "figures").iterdir()}
  assert {"reconstructions", "drawing", "trajectory"} <= names
  folder = runs.Workdir(str(workdir))
  assert folder.read_image_shape() == (8, 8, 1)
  assert folder.read_context_shape() == (2, 8, 8, 1)


def test_interrupted_and_resumed_equals_left_alone(finished, tmp_path):
  """Partners come of the position in the stream, not of an iterator."""
  workdir, _ = finished
  stopped = tmp_path / "stopped"
  shutil.copytree(workdir, stopped)
  (stopped / "summary.json").unlink()
  for path in (stopped / "checkpoints").glob("ckpt-40*"):
    path.unlink()
  (stopped / "checkpoints" / "checkpoint").unlink()
  _train(_CONFIG, stopped)
  tiny.assert_same_run(workdir, stopped)


def test_loaded_model_takes_the_context(finished):
  workdir, trained = finished
  model = geco_tf.load(str(workdir))
  source = data.load("digits", task="sum")
  batch = next(iter(data.evaluation_batches(source.test, 5).batches))
  there, here = (
    m(batch.images, batch.context, seed=[1, 2]).reconstruction
    for m in (trained.model, model)
  )
  np.testing.assert_array_equal(there, here)
  assert model.sample(5, batch.context, seed=[0, 0]).shape == (5, 8, 8, 1)


def test_context_for_an_unconditional_model_is_refused(tmp_path):
  config = tiny.config(task="sum")
  with pytest.raises(errors.UserError, match="'vae' is unconditional"):
    _train(config, tmp_path)


@pytest.mark.slow
def test_channels_that_are_images_are_drawn_apart(tmp_path):
  config = _CONFIG.replace(task="sum_hard", num_steps=10, draw_steps=1)
  trained = _train(config, tmp_path)
  assert trained.model.image_shape == (8, 8, 2)
  assert (tmp_path / "figures" / "reconstructions.png").exists()
