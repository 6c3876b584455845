# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is kept of runs is read, and only if it is theirs."""

import pytest

from geco_tf import data, errors
from geco_tf.experiments import trained_runs
from geco_tf.training.train import fingerprint
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
  found = fingerprint(data.load("digits"))
  here = _RUN._replace(here={"dataset": "digits"})
  kept.write(tmp_path, _RUN, rmse=0.2, kl=3.0, data=found)
  assert store.result(here)["data"] == found
  other = {**found, "crc32": 1}
  kept.write(tmp_path, _RUN, rmse=0.2, kl=3.0, data=other)
  assert store.result(_RUN)["data"] == other
  with pytest.raises(errors.UserError, match="of the data 'digits'"):
    store.result(here)


def test_measurement_is_made_once(tmp_path, monkeypatch):
  store = trained_runs.TrainedRuns(str(tmp_path), "runs")
  monkeypatch.setattr(store, "workdir", lambda run: "its folder")
  calls = []
  for _ in range(2):
    found = store.measured(_RUN, "size", lambda f: calls.append(f) or [1.5])
    assert found == [1.5]
  assert calls == ["its folder"]
  assert (tmp_path / "one_size.json").is_file()
