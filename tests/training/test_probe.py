# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The κ that a short run proposes, and what becomes of it."""

import numpy as np
import pytest

from geco_tf import data, errors, runs, training
from geco_tf.runs.kappa import AutoKappa
from geco_tf.training import probe, report
from tests.training import tiny

_CONFIG = tiny.config(kappa=None, num_steps=500, learning_rate=0.02)
_ASKED = AutoKappa(25.0)


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  monkeypatch.setattr(report, "pictures", lambda *_: {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A folder with a proposal, and no run yet."""
  path = tmp_path_factory.mktemp("run")
  probe.resolve(_CONFIG, _ASKED, str(path))
  return path


def _kept(folder):
  return runs.workdir.read_json(str(folder / "kappa.json"))


def test_mean_image_has_the_spread_of_numpy():
  images = data.load("digits").train.images
  expected = np.sqrt(np.mean(np.var(images / images.max(), axis=0)))
  np.testing.assert_allclose(
    probe.spread(data.load("digits")), expected, rtol=1e-6
  )


def test_proposal_lies_between_what_was_reached_and_the_spread(folder):
  kept = _kept(folder)
  assert kept["num_steps"] == 100  # A tenth of 500 is fewer than a probe needs.
  assert 0.0 < kept["reached"] < kept["kappa"] < kept["scale"]
  expected = kept["reached"] ** 0.75 * kept["scale"] ** 0.25
  np.testing.assert_allclose(kept["kappa"], expected, rtol=5e-3)


@pytest.mark.slow
def test_proposal_is_a_function_of_config_and_data(folder):
  again = probe.propose(_CONFIG, _ASKED, data=data.load("digits"))
  kept = _kept(folder)
  assert (again.kappa, again.reached) == (kept["kappa"], kept["reached"])
  assert f"--kappa={kept['kappa']:g}" in str(again)
  assert "100 steps" in str(again)


def test_run_with_the_proposal_goes_on_with_it(folder, monkeypatch):
  def forbidden(*_, **__):
    raise AssertionError("probed twice")

  kappa = _kept(folder)["kappa"]
  runs.Workdir(str(folder)).claim(_CONFIG.replace(kappa=kappa), (8, 8, 1))
  monkeypatch.setattr(probe, "propose", forbidden)
  assert probe.resolve(_CONFIG, _ASKED, str(folder)).kappa == kappa
  with pytest.raises(errors.UserError, match=r"is auto:p25 .*, not auto:p50"):
    probe.resolve(_CONFIG, AutoKappa(50.0), str(folder))


def test_run_whose_kappa_was_given_is_not_taken_over(tmp_path):
  there = runs.Workdir(str(tmp_path))
  there.create()
  there.claim(tiny.config(kappa=0.3), (8, 8, 1))
  with pytest.raises(errors.UserError, match=r"was given \(re:0.3\)"):
    probe.resolve(_CONFIG, _ASKED, str(tmp_path))


def test_proposal_that_cannot_be_kept_is_a_line(tmp_path, monkeypatch):
  proposal = probe.Proposal(0.2, "auto:p25", 0.1, 0.3, 100, 1.0)
  monkeypatch.setattr(probe, "propose", lambda *_: proposal)

  def full(path, content):
    raise OSError("No space left on device")

  monkeypatch.setattr(runs.workdir, "write_json", full)
  with pytest.raises(errors.UserError, match="cannot be written: No space"):
    probe.resolve(_CONFIG, _ASKED, str(tmp_path))


def test_probe_that_learned_nothing_proposes_nothing(monkeypatch):
  trained = training.Trained(None, None, {"rmse": 0.27}, [])
  monkeypatch.setattr(probe, "train", lambda *_, **__: trained)
  with pytest.raises(errors.UserError, match="must be given as a number"):
    probe.propose(_CONFIG, _ASKED)


@pytest.mark.parametrize(
  ("overrides", "message"),
  [
    ({"objective": "elbo"}, "needs an objective with constraints; elbo"),
    ({"constraint": ("pncc:0.7",)}, "exclude each other; got kappa=auto:p25"),
    ({"num_steps": 0}, "`num_steps` must be positive"),
    ({"strategy": "multi_worker"}, "a number under --strategy=multi_worker"),
  ],
)
def test_mistake_is_found_before_any_probe(overrides, message):
  with pytest.raises(errors.UserError, match=message):
    probe.split("digits", {"kappa": _ASKED, **overrides})


def test_settings_are_complete_but_for_the_tolerance():
  config, wanted = probe.split("digits", {"kappa": _ASKED, "seed": 3})
  assert wanted == _ASKED
  assert config == runs.presets.get("digits").replace(kappa=None, seed=3)
  assert probe.num_steps(config) == 600
  config, wanted = probe.split("digits", {"kappa": 0.2})
  assert (config.kappa, wanted) == (0.2, None)
