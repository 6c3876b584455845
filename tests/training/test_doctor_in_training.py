# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two constraints that exclude each other: finite to the end, and told so."""

import math
import os
import pathlib
import subprocess
import sys

import pytest

from geco_tf import errors, runs, training
from geco_tf.evaluation import doctor
from geco_tf.training import progress, report
from tests.training import tiny

_ROOT = pathlib.Path(__file__).parents[2]
# Digits at an RMSE of .05 take more nats than one.
_CONFIG = tiny.config(
  kappa=None,
  constraint=("re:0.05", "kl:1"),
  num_steps=400,
  evaluate_every=100,
  checkpoint_every=400,
  steps_per_call=50,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
  """The folder, what training gave back, and its warnings."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(report, "_draw", lambda *_: {})
    patch.setattr(report, "pictures", lambda *_: {})
    lines: list[str] = []
    patch.setattr(progress.Progress, "warn", lambda _, text: lines.append(text))
    path = tmp_path_factory.mktemp("run")
    trained = training.train(_CONFIG, workdir=str(path), show_progress=False)
  return path, trained, lines


def test_contradiction_ends_finite_and_bounded(finished):
  _, trained, _ = finished
  for row in trained.metrics:
    assert all(math.isfinite(v) for v in row.values())
  for name in ("re", "kl"):
    curve = [row[f"geco/{name}/multiplier"] for row in trained.metrics]
    # `auto` keeps it within e^±12 of its start.
    assert max(curve) <= curve[0] * math.exp(12.0)
  assert trained.summary["satisfied"] is False


def test_contradiction_is_named_at_the_end_and_while_it_lasts(finished):
  path, trained, lines = finished
  line = trained.summary["doctor"]
  assert "re and kl exclude each other" in line
  assert "--constraint=re:" in line
  assert len([text for text in lines if "exclude each other" in text]) == 1
  assert doctor.examine_run(str(path)).line == line


def test_run_that_was_interrupted_is_examined_as_far_as_it_got(
  finished, tmp_path
):
  path, trained, _ = finished
  folder = runs.Workdir(str(tmp_path))
  (tmp_path / "config.json").write_text((path / "config.json").read_text())
  assert "nothing to examine" in doctor.examine_run(folder.path).line
  folder.write_metrics(trained.metrics[:20])
  assert doctor.examine_run(folder.path).line.startswith("at step 200 of 400:")


def test_command_prints_the_findings_and_ends_with_status_1(finished):
  path, trained, _ = finished
  # A process of its own: commands share the names of their flags.
  done = subprocess.run(
    [sys.executable, "-m", "launch.doctor", f"--workdir={path}"],
    capture_output=True,
    check=False,
    cwd=_ROOT,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    text=True,
  )
  assert done.returncode == 1, done.stderr
  assert done.stdout.startswith(trained.summary["doctor"])
  assert "\n  change: --constraint=re:" in done.stdout


def test_folder_without_a_run_is_a_users_error(tmp_path):
  with pytest.raises(errors.UserError, match="`workdir` must hold a run"):
    doctor.examine_run(str(tmp_path))
