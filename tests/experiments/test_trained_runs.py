# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is kept of runs is read, and only if it is theirs."""

import shutil

import numpy as np
import pytest

from geco_tf import data, errors, runs
from geco_tf.experiments import trained_runs
from tests.experiments import kept

_RUN = trained_runs.Run("one", {"preset": "digits", "kappa": 0.2})


@pytest.fixture
def store(tmp_path):
  kept.write(tmp_path, _RUN, rmse=0.2, kl=3.0)
  return trained_runs.TrainedRuns(
    str(tmp_path), str(tmp_path / "runs"), may_train=False
  )


def test_command_repeats_the_flag_of_a_list():
  run = trained_runs.Run("two", {"constraint": ("re:0.1", "pncc:0.8")})
  assert run.command == (
    "python -m launch.train --constraint=re:0.1 --constraint=pncc:0.8"
  )


def test_kept_result_is_read(store):
  assert store.result(_RUN)["summary"]["kl"] == 3.0
  assert store.is_kept("one.json") and not store.is_kept("two.json")


def test_missing_run_is_none_and_named_once(store):
  missing = _RUN._replace(name="two")
  for _ in range(2):
    assert store.result(missing) is None
    assert store.drawn(missing, "images", None) is None
    assert store.measured(missing, "marginal_kl", None) is None
  assert store.missing == ["two"]


def test_flags_that_the_preset_has_too_are_the_same_run(store):
  same = {"kappa": 0.2, "num_steps": 6_000, "preset": "digits"}
  assert store.result(_RUN._replace(flags=same))["summary"]["kl"] == 3.0


@pytest.mark.parametrize(
  "change", [{"kappa": 0.1}, {"kappa": 0.2, "num_steps": 10}]
)
def test_result_of_other_flags_is_refused(store, change):
  other = _RUN._replace(flags={"preset": "digits", **change})
  with pytest.raises(errors.UserError, match=r"must be of 'python -m .* it is"):
    store.result(other)


def test_result_of_other_data_is_refused_where_a_data_set_is_given(
  store, tmp_path
):
  found = data.fingerprint(data.load("digits"))
  here = _RUN._replace(here={"dataset": "digits"})
  kept.write(tmp_path, _RUN, rmse=0.2, kl=3.0, data=found)
  assert store.result(here)["data"] == found
  other = {**found, "crc32": 1}
  kept.write(tmp_path, _RUN, rmse=0.2, kl=3.0, data=other)
  assert store.result(_RUN)["data"] == other
  with pytest.raises(errors.UserError, match="of the data 'digits'"):
    store.result(here)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_result_of_a_preset_that_has_changed_is_refused(
  store, tmp_path, monkeypatch, is_recorded
):
  """Results without their settings know the number of steps alone."""
  changes = {"config": trained_runs._settings_of(_RUN)} if is_recorded else {}
  kept.write(tmp_path, _RUN, rmse=0.2, kl=3.0, **changes)
  assert store.result(_RUN)["summary"]["kl"] == 3.0
  config = _RUN.config()
  changed = config.replace(
    **({"latent_size": 5} if is_recorded else {"num_steps": 7})
  )
  monkeypatch.setattr(trained_runs.Run, "config", lambda run: changed)
  name = "latent_size" if is_recorded else "num_steps"
  with pytest.raises(errors.UserError, match=f"by now: {name} is .* there and"):
    store.result(_RUN)
  # Where checkpoints fall changes no number.
  free = config.replace(checkpoint_every=3)
  monkeypatch.setattr(trained_runs.Run, "config", lambda run: free)
  assert store.result(_RUN)["summary"]["kl"] == 3.0


@pytest.fixture
def trained(tmp_path, monkeypatch):
  """A store whose runs are trained at once, to the RMSE that is said last."""
  rmse = [0.2]

  def train(run, workdir):
    folder = runs.Workdir(workdir)
    folder.create()
    folder.write_summary({"rmse": rmse[-1], "kl": 3.0})

  def result(run, workdir):
    return kept.result(run, **runs.Workdir(workdir).read_summary())

  monkeypatch.setattr(trained_runs, "_train", train)
  monkeypatch.setattr(trained_runs, "_result", result)
  monkeypatch.setattr(trained_runs, "_check_workdir", lambda *_: None)
  store = trained_runs.TrainedRuns(
    str(tmp_path / "kept"), str(tmp_path / "runs")
  )
  return store, rmse, tmp_path


def _rmse_of(folder):
  return runs.Workdir(folder).read_summary()["rmse"]


def _grey(folder):
  return np.full([2, 3, 1], 100 * _rmse_of(folder), np.uint8)


def test_measurement_is_made_once(trained):
  store, _, folder = trained
  calls = []
  for _ in range(2):
    found = store.measured(_RUN, "size", lambda f: calls.append(f) or [1.5])
    assert found == [1.5]
    assert store.drawn(_RUN, "images", _grey).tolist() == [[[20]] * 3] * 2
  assert calls == [str(folder / "runs" / "one")]
  assert (folder / "kept" / "one_size.json").is_file()


def test_measurement_under_other_settings_is_made_again(trained):
  store, _, _ = trained
  for settings in (1, 2):
    found = store.measured(
      _RUN, "size", lambda f, s=settings: s, settings=settings
    )
    assert found == settings


def test_run_that_was_trained_again_is_measured_and_drawn_again(trained):
  """The kept result is of other weights than the measurement beside it."""
  store, rmse, folder = trained
  assert store.measured(_RUN, "rmse", _rmse_of) == 0.2
  assert store.drawn(_RUN, "images", _grey)[0, 0, 0] == 20
  shutil.rmtree(folder / "runs")
  (folder / "kept" / "one.json").unlink()
  rmse.append(0.1)
  assert store.measured(_RUN, "rmse", _rmse_of) == 0.1
  assert store.drawn(_RUN, "images", _grey)[0, 0, 0] == 10
  assert store.result(_RUN)["summary"]["rmse"] == 0.1


def test_result_is_of_the_weights_that_were_measured(trained, capsys):
  """The run's folder is gone, and training it again ends elsewhere."""
  store, rmse, folder = trained
  assert store.result(_RUN)["summary"]["rmse"] == 0.2
  shutil.rmtree(folder / "runs")
  rmse.append(0.1)
  assert store.measured(_RUN, "rmse", _rmse_of) == 0.1
  assert "one.json is now of the weights in" in capsys.readouterr().out
  assert store.result(_RUN)["summary"]["rmse"] == 0.1


def test_stale_measurement_is_missing_where_nothing_may_be_trained(trained):
  store, _, folder = trained
  store.measured(_RUN, "rmse", _rmse_of)
  kept.write(folder / "kept", _RUN, rmse=0.3, kl=3.0)
  reader = trained_runs.TrainedRuns(
    str(folder / "kept"), str(folder / "gone"), may_train=False
  )
  assert reader.measured(_RUN, "rmse", _rmse_of) is None
  assert reader.missing == ["one"]


def test_picture_that_was_removed_is_drawn_again(trained):
  store, _, folder = trained
  store.drawn(_RUN, "images", _grey)
  (folder / "kept" / "one_images.png").unlink()
  assert store.drawn(_RUN, "images", _grey)[0, 0, 0] == 20


def test_course_of_a_run_without_sigma_has_no_multiplier():
  content = kept.result(_RUN._replace(flags={"preset": "digits"}), rmse=1, kl=2)
  del content["curve"]["sigma"]
  content["curve"]["kl"][0] = None  # As a number that was not finite is kept.
  course = trained_runs.course(content)
  assert np.isnan(course.multiplier).all() and np.isnan(course.kl[0])


def test_folder_that_cannot_be_written_is_one_line(trained):
  _, _, folder = trained
  (folder / "file").write_text("")
  store = trained_runs.TrainedRuns(str(folder / "file"), str(folder / "runs"))
  with pytest.raises(errors.UserError, match="cannot be written: "):
    store.result(_RUN)
