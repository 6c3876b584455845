# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command as users run it; tests/evaluation/test_evaluate.py measures."""

import json
import shutil
import subprocess
import sys

import numpy as np

from geco_tf import training
from tests.training import tiny


def _evaluate(workdir, *more):
  return subprocess.run(
    [sys.executable, "-m", "launch.evaluate", f"--workdir={workdir}", *more],
    capture_output=True,
    text=True,
    check=False,
  )


def test_finished_run_is_measured_alike_on_one_and_two_devices(tmp_path):
  training.train(
    tiny.config(num_steps=10, checkpoint_every=10),
    workdir=str(tmp_path / "one"),
  )
  shutil.copytree(tmp_path / "one", tmp_path / "two")
  found = {}
  for name, more in {
    "one": [],
    "two": ["--strategy=mirrored", "--virtual_devices=2"],
  }.items():
    result = _evaluate(
      tmp_path / name, "--part=likelihood", "--num_examples=21", *more
    )
    assert result.returncode == 0, result.stderr
    assert "digits, checkpoint of step 10" in result.stdout
    content = json.loads((tmp_path / name / "evaluation.json").read_text())
    found[name] = content["parts"]["likelihood"]["result"]
  for split in ("train", "test"):
    there, here = (found[name][split] for name in ("one", "two"))
    assert here["num_examples"] == there["num_examples"] == 21
    for key in ("sigma", "rmse", "kl", "neg_log_likelihood_exact", "elbo"):
      np.testing.assert_allclose(
        here[key], there[key], rtol=1e-6, err_msg=f"{split} {key}"
      )


def test_mistake_is_one_line_and_status_2(tmp_path):
  result = _evaluate(tmp_path)
  assert result.returncode == 2
  assert "must hold a run" in result.stderr.strip().splitlines()[-1]
  assert "Traceback" not in result.stderr
