# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Killed anywhere, a run ends bit for bit as if left alone.

The slow ones: pytest -m slow tests/training/test_survival.py
"""

import errno
import os
import random
import shutil
import signal
import time

import pytest
import tensorflow as tf

from geco_tf import errors, runs, training
from geco_tf.runs import checkpoints
from geco_tf.training import loop, report
from tests.training import processes, tiny

# Most of its time, past the tracing, is writing.
_CONFIG = tiny.config(
  checkpoint_every=2, log_every=10, evaluate_every=20, steps_per_call=2
)
_NUM_KILLS = 20
# All that a checkpoint writes: rows, checkpoint, manifest, list, removals.
_WRITES = range(40, 53)


def _start(workdir, log):
  return processes.start(_CONFIG, workdir, log)


def _wait_until(is_true, process, seconds=200.0):
  end = time.monotonic() + seconds
  while not is_true() and process.is_alive() and time.monotonic() < end:
    time.sleep(0.001)


def _finish(workdir, log):
  assert processes.finish(_start(workdir, log)) == [0], log.read_text()


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
  """An undisturbed run, and how long it writes after its first checkpoint."""
  folder = tmp_path_factory.mktemp("straight")
  process = _start(folder / "run", folder / "log")
  first = folder / "run" / "checkpoints" / "ckpt-2.index"
  _wait_until(first.exists, process)
  begin = time.monotonic()
  assert processes.finish(process) == [0], (folder / "log").read_text()
  return folder / "run", time.monotonic() - begin


@pytest.mark.slow
@pytest.mark.parametrize("number", range(_NUM_KILLS))
def test_kill_at_a_random_moment_changes_no_bit(number, straight, tmp_path):
  undisturbed, seconds = straight
  run, log = tmp_path / "run", tmp_path / "log"
  process = _start(run, log)
  # Every fourth anywhere from its start on, the others while it writes.
  if number % 4:
    first = run / "checkpoints" / "ckpt-2.index"
    _wait_until(first.exists, process)
  time.sleep(random.Random(number).uniform(0.0, seconds))
  process.kill()
  processes.finish(process)
  _finish(run, log)
  tiny.assert_same_run(undisturbed, run)
  there, here = (
    runs.Workdir(str(w)).read_summary() for w in (undisturbed, run)
  )
  assert there == here


@pytest.mark.slow
@pytest.mark.parametrize("write", _WRITES)
def test_kill_before_any_write_changes_no_bit(write, straight, tmp_path):
  undisturbed, _ = straight
  run, log = tmp_path / "run", tmp_path / "log"
  process = processes.start(_CONFIG, run, log, kill_at=write)
  assert processes.finish(process) == [-signal.SIGKILL]
  assert 2 <= runs.kept_steps(str(run))[-1] < tiny.NUM_STEPS
  _finish(run, log)
  tiny.assert_same_run(undisturbed, run)


@pytest.mark.slow
def test_sigterm_ends_a_process_with_143_and_loses_no_step(straight, tmp_path):
  run, log = tmp_path / "run", tmp_path / "log"
  process = _start(run, log)
  _wait_until((run / "checkpoints" / "ckpt-6.manifest").exists, process)
  process.terminate()
  assert processes.finish(process) == [143], log.read_text()
  kept = runs.kept_steps(str(run))[-1]
  assert log.read_text().strip().splitlines()[-1] == (
    f"stopped by SIGTERM; step {kept} of 40 is saved, and the same command "
    "goes on from there."
  )
  _finish(run, log)
  tiny.assert_same_run(straight[0], run)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
  """A run with checkpoints of steps 10 and 20 that is not at its end."""
  workdir = tmp_path_factory.mktemp("stopped") / "run"
  save = checkpoints.Checkpoints.save

  def save_until_20(self, step):
    if step > 20:
      raise KeyboardInterrupt
    save(self, step)

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(checkpoints.Checkpoints, "save", save_until_20)
    patch.setattr(report, "pictures", lambda *_: {})
    with pytest.raises(KeyboardInterrupt):
      _train(workdir)
  assert runs.kept_steps(str(workdir)) == [10, 20]
  return workdir


@pytest.fixture
def run(stopped, tmp_path, monkeypatch):
  """A copy of it, to be harmed."""
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  monkeypatch.setattr(report, "pictures", lambda *_: {})
  shutil.copytree(stopped, tmp_path / "run")
  return tmp_path / "run"


def _train(workdir):
  return training.train(
    tiny.config(), workdir=str(workdir), show_progress=False
  )


def _data_of(run, step):
  (path,) = (run / "checkpoints").glob(f"ckpt-{step}.data*")
  return path


def test_run_goes_on_from_the_checkpoint_before_the_damaged_one(run, capsys):
  os.truncate(_data_of(run, 20), 100)
  trained = _train(run)
  text = capsys.readouterr().err
  assert "warning: the checkpoint of step 20 is damaged: ckpt-20.data" in text
  assert [r["step"] for r in trained.metrics] == [10, 20, 30, 40]
  assert runs.kept_steps(str(run)) == [30, 40]
  aside = {p.name.partition(".")[0] for p in run.glob("checkpoints/damaged/*")}
  assert aside == {"ckpt-20"}


def test_run_without_an_intact_checkpoint_does_not_begin_anew(run):
  for step in (10, 20):
    os.truncate(_data_of(run, step), 100)
  before = sorted(p.name for p in run.rglob("*"))
  with pytest.raises(errors.UserError, match="can be used: the checkpoint of"):
    _train(run)
  assert sorted(p.name for p in run.rglob("*")) == before


@pytest.mark.parametrize("kept", [(), (10,)])
def test_old_summary_is_not_that_of_steps_taken_again(kept, run, monkeypatch):
  """Of a run that had ended, and whose last checkpoints went."""
  folder = runs.Workdir(str(run))
  folder.write_summary({"rmse": 0.1})
  for path in (run / "checkpoints").iterdir():
    if path.name.partition(".")[0] not in {f"ckpt-{step}" for step in kept}:
      path.unlink()

  def interrupted(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(loop, "run", interrupted)
  if kept:
    with pytest.raises(KeyboardInterrupt):
      _train(run)
    assert folder.read_summary() is None
  else:
    with pytest.raises(errors.UserError, match="gone, and the run had some"):
      _train(run)
    assert folder.read_summary() == {"rmse": 0.1}


def test_folder_in_memory_has_a_whole_run_and_goes_on():
  """Every file goes through tf.io.gfile: pictures and TensorBoard's too."""
  workdir = "ram://test_survival/run"
  config = tiny.config(
    num_steps=12, log_every=4, evaluate_every=12, checkpoint_every=4
  )
  trained = training.train(config, workdir=workdir, show_progress=False)
  names = {name.rstrip("/") for name in tf.io.gfile.listdir(workdir)}
  assert names == {
    "checkpoints",
    "config.json",
    "figures",
    "metrics.jsonl",
    "summary.json",
    "tensorboard",
  }
  assert len(tf.io.gfile.listdir(f"{workdir}/figures")) >= 6
  folder = runs.Workdir(workdir)
  assert folder.read_metrics() == trained.metrics
  tf.io.gfile.remove(folder.file("summary.json"))
  for path in tf.io.gfile.glob(folder.file("checkpoints", "ckpt-12.*")):
    tf.io.gfile.remove(path)
  again = training.train(config, workdir=workdir, show_progress=False)
  assert again.summary == trained.summary
  assert tiny.without_timings(again.metrics) == tiny.without_timings(
    trained.metrics
  )


def _fail_renames(monkeypatch, ending, error):
  """As a disk does that is full when this file is written."""
  rename = tf.io.gfile.rename

  def fail(source, target, overwrite=False):
    if target.endswith(ending):
      raise error
    rename(source, target, overwrite=overwrite)

  monkeypatch.setattr(tf.io.gfile, "rename", fail)


_ENDINGS = ("metrics.jsonl", "checkpoint", "summary.json")


@pytest.mark.parametrize(
  "ending",
  ["ckpt-30.manifest"]
  + [pytest.param(name, marks=pytest.mark.slow) for name in _ENDINGS],
)
def test_full_disk_is_a_line_and_the_next_start_goes_on(
  ending, run, monkeypatch
):
  full = OSError(errno.ENOSPC, "No space left on device")
  with monkeypatch.context() as patch:
    _fail_renames(patch, ending, full)
    with pytest.raises(errors.UserError, match="No space left on device"):
      _train(run)
  assert not (run / "lease.json").exists()
  assert _train(run).summary["num_steps"] == 40


def _can_mount(tmp_path):
  folder = tmp_path / "probe"
  folder.mkdir()
  done = os.system(f"mount -t tmpfs -o size=1m tmpfs {folder} 2>/dev/null")
  if done == 0:
    os.system(f"umount {folder}")
  return done == 0


@pytest.mark.slow
def test_small_disk_keeps_the_last_good_checkpoint(stopped, tmp_path):
  """A file system with room for the run as it is, and little more."""
  if not _can_mount(tmp_path):
    pytest.skip("a small file system: only root may mount one")
  disk = tmp_path / "disk"
  disk.mkdir()
  size = sum(p.stat().st_size for p in stopped.rglob("*")) // 1024 + 200
  assert os.system(f"mount -t tmpfs -o size={size}k tmpfs {disk}") == 0
  try:
    shutil.copytree(stopped, disk / "run")
    filler = disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as f:
      while True:
        f.write(bytes(4096))
    os.truncate(filler, max(0, filler.stat().st_size - 40_000))
    log = tmp_path / "log"
    process = processes.start(tiny.config(), disk / "run", log)
    assert processes.finish(process) == [2], log.read_text()
    last = log.read_text().strip().splitlines()[-1]
    assert last.startswith("error: ") and "No space left" in last
    assert runs.kept_steps(str(disk / "run")) == [10, 20]
    filler.unlink()
    assert os.system(f"mount -o remount,size=64m {disk}") == 0
    process = processes.start(tiny.config(), disk / "run", log)
    assert processes.finish(process) == [0], log.read_text()
    assert os.system(f"mount -o remount,ro {disk}") == 0
    process = processes.start(tiny.config(), disk / "run", log)
    assert processes.finish(process) == [2], log.read_text()
    last = log.read_text().strip().splitlines()[-1]
    assert "`workdir` must be a folder that can be written" in last
  finally:
    os.system(f"umount {disk}")


@pytest.mark.slow
def test_second_process_on_a_folder_is_refused(tmp_path):
  run, log = tmp_path / "run", tmp_path / "log"
  first = _start(run, log)
  _wait_until((run / "checkpoints" / "ckpt-2.manifest").exists, first)
  second = _start(run, tmp_path / "second")
  assert processes.finish(second) == [2]
  last = (tmp_path / "second").read_text().strip().splitlines()[-1]
  assert f"is being written by process {first.pid} on " in last
  assert processes.finish(first) == [0], log.read_text()
