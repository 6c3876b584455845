# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Several constraints in one run, and what goes wrong with one."""

import math

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, data, errors, evaluation, objectives, training
from geco_tf.data import pipeline
from geco_tf.evaluation import levels
from geco_tf.runs import build
from geco_tf.training import loop, progress, report
from tests.training import tiny


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
  """The registry forgets what a test adds."""
  builders = dict(constraints.registry._builders)
  monkeypatch.setattr(constraints.registry, "_builders", builders)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
  """Nobody looks at them, and they take a second each."""
  monkeypatch.setattr(report, "_draw", lambda *_: {})


@pytest.fixture(scope="module")
def trained():
  """Every kind at once: images, classes, patches, nats and slopes."""
  config = tiny.config(
    kappa=None,
    constraint=(
      "re:0.2,per=class", "pncc:0.5,patch_size=4", "kl:3", "lipschitz:2",
    ),
    constraint_rule=("pncc=log_ratio:1e-2",),
    update_rule="log_ratio:1e-3",
  )  # fmt: skip
  return training.train(config, show_progress=False)


def test_every_constraint_moves_by_its_own_rule(trained):
  rows = trained.metrics
  for name, rate in (("re", 1e-3), ("pncc", 1e-2), ("kl", 1e-3)):
    values = [row[f"geco/{name}/multiplier"] for row in rows]
    moved = abs(math.log(values[-1] / values[0]))
    # Thirty steps between the means of the windows, each of at most the rate.
    assert 0.0 < moved < 30 * rate * 1.001
  assert len(trained.summary["multiplier"]["re"]) == 10


def test_levels_are_what_was_measured(trained):
  source = data.load("digits")
  assert trained.summary["kappa"] == 0.2
  level = trained.summary["level"]
  assert level.keys() == {"re", "pncc", "kl", "lipschitz"}
  np.testing.assert_allclose(level["kl"], trained.summary["kl"], rtol=1e-5)
  # Over classes, weighed by their sizes, it is the error of all images.
  counts = np.bincount(source.train.labels)
  mse = np.average(np.square(level["re"]), weights=counts)
  np.testing.assert_allclose(mse**0.5, trained.summary["rmse"], rtol=1e-5)
  assert -1.0 <= level["pncc"] <= 1.0 and level["lipschitz"] > 0.0
  expected = (
    max(level["re"]) <= 1.03 * 0.2
    and level["pncc"] >= 0.5 - 0.03 * 0.5
    and level["kl"] <= 3.0 * 1.03
    and level["lipschitz"] <= 2.0 * 1.03
  )
  assert trained.summary["satisfied"] is expected


def test_levels_do_not_depend_on_how_batches_are_cut(trained):
  split = data.load("digits").test
  found = []
  for size in (300, 75):
    batches = pipeline.evaluation_batches(split, size, num_examples=300)
    geco = trained.objective.geco
    found.append(
      evaluation.constraint_levels(
        _Deterministic(trained.model), geco, batches.batches, has_labels=True
      )
    )
  for name in ("re", "pncc", "kl"):
    np.testing.assert_allclose(
      found[0][name].value, found[1][name].value, rtol=1e-5
    )
    assert found[0][name].satisfied == found[1][name].satisfied


class _Deterministic:
  """A model whose noise does not depend on the batch."""

  def __init__(self, model):
    self._model = model
    self.decode = model.decode

  def __call__(self, images, *, seed):
    latents = tf.reduce_mean(images, axis=[2, 3])[:, :4]
    outputs = self._model(images, seed=seed)
    return outputs._replace(
      reconstruction=self.decode(latents),
      latents=latents,
      kl=tf.reduce_sum(latents**2, axis=1),
    )


def test_entry_without_examples_has_no_level():
  constraint = constraints.PerClass(
    constraints.ReconstructionError(0.2), num_classes=3
  )
  sums = levels._Sums(
    np.array([0.0, 4.0, 0.0]), np.array([2.0, 0.0, 4.0]), np.ones(3)
  )
  level = levels._level(constraint, sums)
  np.testing.assert_allclose(level.value, [0.2, np.nan, 0.2], rtol=1e-6)
  assert level.satisfied
  values = report._entries(level.value)
  assert values[1] is None
  assert progress._text(values) == "0.2 - 0.2"
  assert report._entries(np.array(0.5)) == 0.5


def test_distortion_is_minimised_under_a_budget():
  config = tiny.config(
    kappa=None, objective="geco_distortion", constraint=("kl:3",)
  )
  trained = training.train(config, show_progress=False)
  assert isinstance(trained.objective, objectives.ConstrainedDistortion)
  rows = trained.metrics
  assert rows[-1]["rmse"] < rows[0]["rmse"]
  assert trained.summary["kappa"] is None
  assert trained.summary["level"].keys() == {"kl"}


def _nan_from(step):
  """A constraint that is not finite once it has seen `step` batches."""

  def build(kappa):
    count = tf.Variable(0, trainable=False, dtype=tf.int64)

    def violation(targets, reconstruction):
      error = tf.reduce_mean((targets - reconstruction) ** 2, [1, 2, 3]) - kappa
      # The first is the look at the first batch, before any step.
      is_late = count.assign_add(1) > step + 1
      return tf.where(is_late, np.nan, error)

    return constraints.from_callable(violation, name="fair")

  return build


def test_nan_of_a_users_callable_names_constraint_and_step(capsys):
  constraints.register("fair", _nan_from(15))
  config = tiny.config(kappa=None, constraint=("fair:0.1", "re:0.2"))
  trained = training.train(config)
  printed = capsys.readouterr().out
  assert "the constraint 'fair' was not finite at step 16" in printed
  assert printed.count("not finite") == 1
  assert "λ[fair] " in printed
  shares = [row["geco/fair/skipped"] for row in trained.metrics]
  assert shares == [0.0, 0.5, 1.0, 1.0]
  assert {row["geco/re/skipped"] for row in trained.metrics} == {0.0}
  assert np.isfinite(trained.summary["rmse"])


def test_nan_on_the_first_batch_stops_before_the_folder_is_claimed(tmp_path):
  constraints.register("fair", _nan_from(-1))
  config = tiny.config(kappa=None, constraint=("fair:0.1",))
  with pytest.raises(errors.UserError, match="'fair' must be finite"):
    training.train(config, workdir=str(tmp_path), show_progress=False)
  assert not (tmp_path / "config.json").exists()


@pytest.mark.parametrize(
  ("spec", "message"),
  [
    ("pncc:0.7,patch_size=9", "side 9 must fit .* 8 by 8"),
    ("fre:0.1,sides=(4, 16)", "side 16 must fit .* 8 by 8"),
  ],
)
def test_what_the_images_cannot_do_is_said_before_the_folder_is_claimed(
  spec, message, tmp_path
):
  config = tiny.config(kappa=None, constraint=(spec,))
  with pytest.raises(errors.UserError, match=message):
    training.train(config, workdir=str(tmp_path), show_progress=False)
  assert not (tmp_path / "config.json").exists()


def test_first_step_that_was_skipped_is_named_for_each_constraint():
  names = ("loss", "geco/a/skipped", "geco/b c/skipped", "geco/d/skipped")
  steps = np.zeros([4, 4])
  steps[2:, 1] = 1.0
  steps[0, 2] = 1.0
  found = list(loop._skipped(names, steps, 10))
  assert found == [("a", 13), ("b c", 11)]


def test_plain_constraint_is_not_measured_twice(monkeypatch):
  def forbidden(*_, **__):
    raise AssertionError("measured twice")

  monkeypatch.setattr(evaluation, "constraint_levels", forbidden)
  for rmse, expected in ((0.2059, True), (0.2061, False)):
    objective = build.build_objective(tiny.config(kappa=0.2))
    (level,) = report._levels(objective, None, None, rmse).values()
    assert float(level.value) == rmse and level.satisfied is expected
