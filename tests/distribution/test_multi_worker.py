# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Jobs of two processes on this machine: pytest -m slow tests/distribution."""

import json
import os
import signal
import time

import numpy as np
import pytest

from geco_tf import runs
from tests.training import processes, tiny

pytestmark = pytest.mark.slow


def _config(**changes):
  return tiny.config(
    num_steps=50, log_every=1, evaluate_every=50, checkpoint_every=50, **changes
  )


_MODELS = {
  "vae_nvp": {"posterior": "nvp"},
  "conv_draw": {
    "model": "conv_draw",
    "draw_steps": 2,
    "draw_hidden_size": 4,
    "latent_channels": 1,
  },
}


def _start_job(config, workdir, logs):
  return [
    processes.start(config, workdir, log, environment=environment)
    for log, environment in zip(logs, processes.job(len(logs)), strict=True)
  ]


def _rows(log):
  return json.loads(log.with_name(f"{log.name}.json").read_text())


def _text(*logs):
  return "\n".join(log.read_text() for log in logs)


def _wait_for(path, processes_of_it, seconds=200.0):
  end = time.monotonic() + seconds
  while not path.exists() and time.monotonic() < end:
    assert all(p.is_alive() for p in processes_of_it), "it ended before"
    time.sleep(0.01)
  assert path.exists()


@pytest.mark.parametrize("name", _MODELS)
def test_one_replica_two_mirrored_and_two_processes_train_alike(name, tmp_path):
  """Losses and λ of 50 steps to 1e-5; λ of two workers bit for bit."""
  config = _config(learning_rate=1e-4, **_MODELS[name])
  strategies = {
    "one": {},
    "mirrored": {"strategy": "mirrored", "virtual_devices": 2},
  }
  rows = {}
  for strategy, changes in strategies.items():
    log = tmp_path / strategy
    run = processes.start(
      config.replace(**changes), tmp_path / f"run_{strategy}", log
    )
    assert processes.finish(run) == [0], _text(log)
    rows[strategy] = _rows(log)
  logs = [tmp_path / "worker0", tmp_path / "worker1"]
  job = _start_job(
    config.replace(strategy="multi_worker"), tmp_path / "run_job", logs
  )
  assert processes.finish(*job) == [0, 0], _text(*logs)
  rows["chief"], rows["worker"] = (_rows(log) for log in logs)
  for other in ("mirrored", "chief", "worker"):
    assert [r["step"] for r in rows[other]] == list(range(1, 51))
    for key in ("loss", "kl", "rmse", "geco/re/multiplier"):
      there, here = ([r[key] for r in rows[n]] for n in ("one", other))
      # A KL begins at 0, where nothing is small beside it.
      np.testing.assert_allclose(
        here,
        there,
        rtol=1e-5,
        atol=1e-5 if key == "kl" else 0.0,
        err_msg=f"{key} of {other}",
      )
  assert tiny.without_timings(rows["chief"]) == tiny.without_timings(
    rows["worker"]
  )
  there = runs.Workdir(str(tmp_path / "run_one")).read_summary()
  here = runs.Workdir(str(tmp_path / "run_job")).read_summary()
  np.testing.assert_allclose(here["test_rmse"], there["test_rmse"], rtol=1e-4)
  assert not (tmp_path / "run_job" / "lease.json").exists()


def test_lost_worker_fails_the_job_and_any_number_goes_on(tmp_path):
  config = _config(strategy="multi_worker").replace(
    num_steps=400, checkpoint_every=10
  )
  run = tmp_path / "run"
  logs = [tmp_path / "first0", tmp_path / "first1"]
  job = _start_job(config, run, logs)
  _wait_for(run / "checkpoints" / "ckpt-20.manifest", job)
  job[1].kill()
  assert processes.finish(*job) == [1, -signal.SIGKILL]
  last = logs[0].read_text().strip().splitlines()[-1]
  assert last.startswith("error: a worker of this job is gone; start all"), (
    _text(*logs)
  )
  kept = runs.kept_steps(str(run))
  assert kept
  # Two again, which are told to stop; only one of them hears it.
  logs = [tmp_path / "second0", tmp_path / "second1"]
  job = _start_job(config, run, logs)
  _wait_for(run / "checkpoints" / f"ckpt-{kept[-1] + 20}.manifest", job)
  os.kill(job[1].pid, signal.SIGTERM)
  assert processes.finish(*job) == [143, 143], _text(*logs)
  last = logs[1].read_text().strip().splitlines()[-1]
  stopped_at = runs.kept_steps(str(run))[-1]
  assert last == (
    f"stopped by SIGTERM; step {stopped_at} of 400 is saved, and the same "
    "command goes on from there."
  )
  # And to the end by one.
  alone = processes.start(
    config.replace(strategy="one"), run, tmp_path / "third"
  )
  assert processes.finish(alone) == [0], _text(tmp_path / "third")
  rows = runs.Workdir(str(run)).read_metrics()
  assert [r["step"] for r in rows] == list(range(1, 401))
  assert runs.Workdir(str(run)).read_summary()["num_steps"] == 400


def test_batch_that_two_workers_do_not_divide_is_a_line(tmp_path):
  logs = [tmp_path / "worker0", tmp_path / "worker1"]
  job = _start_job(
    _config(strategy="multi_worker", batch_size=33), tmp_path / "run", logs
  )
  assert processes.finish(*job) == [2, 2], _text(*logs)
  for log in logs:
    assert log.read_text().strip().splitlines()[-1] == (
      "error: `batch_size` must be divisible by the 2 replicas; got 33."
    )
