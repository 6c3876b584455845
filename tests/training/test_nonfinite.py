# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run that only skips updates stops, and its step can be looked at again."""

import math

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf

from geco_tf import data, errors, models, runs, training
from geco_tf.runs import build
from geco_tf.training import nonfinite, report
from tests.distribution import two_devices
from tests.training import tiny

_SHAPE = (8, 8, 1)


class Faulty(snt.Module):
  """A VAE whose latents of example 5 are infinite in some steps."""

  def __init__(self, model, first_step, end_step=1_000_000):
    super().__init__()
    self.model = model
    self.decode = model.decode
    self.sample = model.sample
    self._first_step, self._end_step = first_step, end_step

  def __call__(self, images, context=None, *, seed):
    outputs = self.model(images, context, seed=seed)
    if not isinstance(seed, models.noise.ReplicaSeed):
      return outputs  # A measurement.
    step = seed.seed[1]
    is_bad = (step >= self._first_step) & (step < self._end_step)
    latents = tf.tensor_scatter_nd_update(
      outputs.latents,
      [[5, 0]],
      [tf.where(is_bad, math.inf, outputs.latents[5, 0])],
    )
    return outputs._replace(
      latents=latents, reconstruction=self.model.decode(latents)
    )


class InfiniteLoss(Faulty):
  """Whose KL of example 5 is, and no gradient."""

  def __call__(self, images, context=None, *, seed):
    outputs = self.model(images, context, seed=seed)
    if not isinstance(seed, models.noise.ReplicaSeed):
      return outputs
    step = seed.seed[1]
    is_bad = (step >= self._first_step) & (step < self._end_step)
    added = tf.where(is_bad, math.inf, 0.0)
    return outputs._replace(
      kl=tf.tensor_scatter_nd_add(outputs.kl, [[5]], [added])
    )


def _faulty(first_step, config=None):
  config = tiny.config() if config is None else config
  return Faulty(build.build_model(config, _SHAPE), first_step)


def _train(config, workdir, model):
  return training.train(
    config, workdir=str(workdir), model=model, show_progress=False
  )


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  monkeypatch.setattr(report, "pictures", lambda *_: {})


def test_run_that_only_skips_stops_and_its_step_is_replayed(tmp_path):
  config = tiny.config(max_nonfinite_steps=6)
  with pytest.raises(errors.UserError) as raised:
    _train(config, tmp_path, _faulty(12))
  text = str(raised.value)
  # Calls end at 10, 14 and 20; at 14 two were skipped, at 20 eight.
  assert text.startswith("The 8 updates up to step 20 were not finite")
  assert "latents (1 of 256 entries, first in example 5)" in text
  assert f"launch.replay --workdir={tmp_path}" in text
  assert "\n" not in text
  assert runs.kept_steps(str(tmp_path)) == [10]
  # For the doctor: also the row of the steps that no checkpoint holds.
  rows = runs.Workdir(str(tmp_path)).read_metrics()
  assert [(r["step"], r["skipped_gradients"]) for r in rows] == [
    (10, 0.0),
    (20, 0.8),
  ]
  replayed = training.replay(str(tmp_path), model=_faulty(12))
  assert replayed.step == 20
  first, *others = (found.name for found in replayed.findings)
  assert first == "latents"
  assert {"reconstruction", "the violation of re", "the loss"} <= set(others)
  assert any(name.startswith("the gradient of ") for name in others)
  assert not [n for n in others if n.startswith("the weight")]
  assert replayed.findings[0].example == 5
  assert "the first that is not finite: latents" in str(replayed)
  # The same weights without the fault.
  healthy = training.replay(str(tmp_path), model=_faulty(99))
  assert healthy.findings == []
  assert str(healthy) == "step 20: all is finite."


@pytest.mark.parametrize("fault", [Faulty, InfiniteLoss])
def test_skips_that_end_stop_nothing(fault, tmp_path):
  """As many in a row as are too many, and then the model is well."""
  config = tiny.config(num_steps=20, max_nonfinite_steps=4)
  model = fault(build.build_model(config, _SHAPE), 3, 7)
  trained = _train(config, tmp_path, model)
  assert [r["skipped_gradients"] for r in trained.metrics] == pytest.approx(
    [0.4, 0.0]
  )
  assert not (tmp_path / "nonfinite").exists()


def test_images_that_are_not_finite_come_first():
  images = np.full((64, *_SHAPE), 0.5, np.float32)
  images[7, 3, 3, 0] = math.nan
  batch = data.Batch(tf.constant(images), tf.zeros([64], tf.int32))
  config = tiny.config()
  found = nonfinite.examine(
    tf.distribute.get_strategy(),
    build.build_model(config, _SHAPE),
    build.build_objective(config),
    batch,
    seed=0,
    step=0,
    has_labels=True,
  )
  assert str(found[0]) == "the images (1 of 4096 entries, first in example 7)"


def test_weights_that_are_not_finite_come_before_all():
  config = tiny.config()
  model = build.build_model(config, _SHAPE)
  variable = model.trainable_variables[2]
  variable.assign(tf.fill(variable.shape, math.nan))
  found = nonfinite.examine(
    tf.distribute.get_strategy(),
    model,
    build.build_objective(config),
    data.Batch(tf.zeros([64, *_SHAPE]), tf.zeros([64], tf.int32)),
    seed=0,
    step=0,
    has_labels=True,
  )
  assert found[0].name == f"the weight {variable.name}"
  assert found[0].num_entries == found[0].size


class InfiniteAtOwnNoise(snt.Module):
  """Whose KL is infinite where its noise is largest."""

  def __init__(self, model):
    super().__init__()
    self.model = model
    self.decode = model.decode

  def __call__(self, images, context=None, *, seed):
    outputs = self.model(images, context, seed=seed)
    first = outputs.latents[:, 0]
    kl = tf.where(first == tf.reduce_max(first), math.inf, outputs.kl)
    return outputs._replace(kl=kl)


@pytest.mark.parametrize(
  ("make_strategy", "xla"),
  [
    (tf.distribute.get_strategy, False),
    (tf.distribute.get_strategy, True),
    (two_devices.strategy, True),
  ],
  ids=["graph", "xla", "xla_on_two_devices"],
)
def test_noise_is_that_of_the_step_compiled_or_not(make_strategy, xla):
  """XLA draws other numbers from the same seed."""
  config, strategy = tiny.config(), make_strategy()
  with strategy.scope():
    model = build.build_model(config, _SHAPE)
    objective = build.build_objective(config)
  batch = data.Batch(
    tf.random.stateless_uniform([64, *_SHAPE], [1, 2]),
    tf.zeros([64], tf.int32),
  )

  def latents(step):
    outputs = model(batch.images, seed=models.noise.ReplicaSeed(step, 0, 1))
    return outputs.latents[:, 0]

  expected = [
    np.argmax(tf.function(latents, jit_compile=compiles)(tf.constant([0, 3])))
    for compiles in (None, True)
  ]
  assert expected[0] != expected[1]
  found = nonfinite.examine(
    strategy,
    InfiniteAtOwnNoise(model),
    objective,
    batch,
    seed=0,
    step=3,
    has_labels=True,
    xla=xla,
  )
  assert (found[0].name, found[0].example) == ("kl", expected[xla])


def _end_early(path):
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 2])


def _flip_a_bit(path):
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 4
  path.write_bytes(content)


@pytest.mark.parametrize(
  "harm", [_end_early, _flip_a_bit, lambda p: p.unlink()], ids=lambda f: ""
)
def test_damaged_batch_is_named(harm, tmp_path):
  folder, config = runs.Workdir(str(tmp_path)), tiny.config()
  folder.claim(config, _SHAPE)
  images = tf.random.stateless_uniform([64, *_SHAPE], [1, 2])
  nonfinite.dump(
    folder,
    build.build_model(config, _SHAPE),
    build.build_objective(config),
    data.Batch(images, tf.zeros([64], tf.int32)),
    step=0,
    findings=[],
  )
  harm(tmp_path / "nonfinite" / "batch.npz")
  with pytest.raises(errors.UserError, match=r"batch\.npz' cannot be read: "):
    training.replay(str(tmp_path))


def test_run_that_was_not_stopped_has_no_step_to_replay(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  folder.claim(tiny.config(), _SHAPE)
  with pytest.raises(errors.UserError, match="steps that were not finite"):
    training.replay(str(tmp_path))
