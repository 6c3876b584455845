# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Jobs of two processes on this machine: pytest -m slow tests/distribution."""

import json
import os
import signal
import time

import numpy as np
import pytest

import geco_tf
from geco_tf import runs
from geco_tf.runs import build
from geco_tf.training import optimizers
from geco_tf.training.train import _Run
from tests.distribution.test_mirrored_training import Descent
from tests.training import processes, tiny

pytestmark = pytest.mark.slow


def _config(**changes):
  return tiny.config(
    num_steps=50, log_every=1, evaluate_every=50, checkpoint_every=50, **changes
  )


_MODELS = {
  "vae_nvp": {"posterior": "nvp"},
  "vae_per_class": {"kappa": None, "constraint": ("re:0.2,per=class",)},
  "conv_draw": {
    "model": "conv_draw",
    "draw_steps": 2,
    "draw_hidden_size": 4,
    "latent_channels": 1,
  },
}


def _start_job(config, workdir, logs, prepare=(None, None)):
  return [
    processes.start(
      config, workdir, log, environment=environment, prepare=function
    )
    for log, environment, function in zip(
      logs, processes.job(len(logs)), prepare, strict=True
    )
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


def _descend():
  """Plain gradient descent; Adam would divide what rounding left by itself."""
  optimizers.adam = Descent


@pytest.mark.parametrize("name", _MODELS)
def test_weights_of_plain_gradient_descent_are_those_of_one(name, tmp_path):
  """After 50 steps in float64, to 1e-13 of the largest in each tensor."""
  config = _config(learning_rate=1e-4, precision="float64", **_MODELS[name])
  runs_of = {
    "one": ([tmp_path / "one"], {}),
    "mirrored": (
      [tmp_path / "mirrored"], {"strategy": "mirrored", "virtual_devices": 2}
    ),
    "job": (
      [tmp_path / "worker0", tmp_path / "worker1"], {"strategy": "multi_worker"}
    ),
  }  # fmt: skip
  for run, (logs, changes) in runs_of.items():
    started = _start_job(
      config.replace(**changes),
      tmp_path / f"run_{run}",
      logs,
      [_descend] * len(logs),
    )
    assert processes.finish(*started) == [0] * len(logs), _text(*logs)
  one, *others = (
    runs.load(str(tmp_path / f"run_{run}")).trainable_variables
    for run in runs_of
  )
  start = build.build_model(config, (8, 8, 1)).trainable_variables
  assert len(one) > 10
  for variable, first in zip(one, start, strict=True):
    moved = np.abs(variable.numpy() - first.numpy()).max()
    assert moved > 1e-9, variable.name
  for other in others:
    for there, here in zip(one, other, strict=True):
      scale = np.abs(there.numpy()).max()
      np.testing.assert_allclose(
        here.numpy(),
        there.numpy(),
        rtol=0.0,
        atol=1e-13 * scale,
        err_msg=there.name,
      )


def _print_first_multiplier():
  """Of step 0, on the line before the last: as the training begins."""
  train = _Run._train

  def print_and_train(run, show_progress):
    print("first", float(run.objective.geco.multipliers["re"]).hex())
    train(run, show_progress)

  _Run._train = print_and_train


def _print_first_multiplier_of_another_machine():
  """Whose sums are rounded otherwise, by far more than a machine's are."""
  _print_first_multiplier()
  initialize = geco_tf.GECO.initialize

  def initialize_otherwise(geco, values):
    initialize(
      geco,
      {
        name: value._replace(
          initial_multiplier=1.001 * value.initial_multiplier
        )
        for name, value in values.items()
      },
    )

  geco_tf.GECO.initialize = initialize_otherwise


def test_workers_start_from_the_chiefs_multiplier_to_the_last_bit(tmp_path):
  """Each has computed one of its own; nothing after would bring them together.

  The chief's is also what one process computes.
  """
  config = _config(strategy="multi_worker").replace(num_steps=3)
  logs = [tmp_path / "worker0", tmp_path / "worker1"]
  job = _start_job(
    config,
    tmp_path / "run",
    logs,
    (_print_first_multiplier, _print_first_multiplier_of_another_machine),
  )
  assert processes.finish(*job) == [0, 0], _text(*logs)
  alone = tmp_path / "alone"
  run = processes.start(
    config.replace(strategy="one"),
    tmp_path / "run_alone",
    alone,
    prepare=_print_first_multiplier,
  )
  assert processes.finish(run) == [0], _text(alone)
  first = [
    [line for line in log.read_text().splitlines() if line.startswith("first")]
    for log in (*logs, alone)
  ]
  assert len(first[0]) == 1
  assert first[0] == first[1] == first[2]
  rows = [tiny.without_timings(_rows(log)) for log in logs]
  assert [r["step"] for r in rows[0]] == [1, 2, 3]
  assert rows[0] == rows[1]


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


def test_lost_chief_fails_the_job_and_a_restart_ends_it(tmp_path):
  config = _config(strategy="multi_worker").replace(
    num_steps=200, checkpoint_every=10
  )
  run = tmp_path / "run"
  logs = [tmp_path / "first0", tmp_path / "first1"]
  job = _start_job(config, run, logs)
  _wait_for(run / "checkpoints" / "ckpt-20.manifest", job)
  job[0].kill()
  assert processes.finish(*job) == [-signal.SIGKILL, 1], _text(*logs)
  last = logs[1].read_text().strip().splitlines()[-1]
  assert last.startswith("error: a worker of this job is gone; start all")
  logs = [tmp_path / "second0", tmp_path / "second1"]
  assert processes.finish(*_start_job(config, run, logs)) == [0, 0], _text(
    *logs
  )
  rows = runs.Workdir(str(run)).read_metrics()
  assert [r["step"] for r in rows] == list(range(1, 201))
  assert runs.Workdir(str(run)).read_summary()["num_steps"] == 200


def _lack_data():
  def build_data(config, given=None):
    raise geco_tf.errors.UserError("`data_dir` must hold 'digits'.")

  build.build_data = build_data


@pytest.mark.parametrize("index", [0, 1])
def test_mistake_of_one_worker_ends_the_other(index, tmp_path):
  """As of the one machine that has no data; the other waits for nobody."""
  logs = [tmp_path / "worker0", tmp_path / "worker1"]
  prepare = [None, None]
  prepare[index] = _lack_data
  job = _start_job(
    _config(strategy="multi_worker"), tmp_path / "run", logs, prepare
  )
  statuses = processes.finish(*job)
  last = [log.read_text().strip().splitlines()[-1] for log in logs]
  assert (statuses[index], statuses[1 - index]) == (2, 1), _text(*logs)
  assert last[index] == "error: `data_dir` must hold 'digits'."
  assert last[1 - index].startswith("error: a worker of this job is gone;")


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
