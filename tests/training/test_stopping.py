# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A signal ends a run so that the next start goes on as if it had not."""

import signal
import threading

import pytest

from geco_tf import errors, runs, training
from geco_tf.runs import checkpoints
from geco_tf.training import loop, metrics_log, report, stopping
from tests.training import tiny


@pytest.fixture(autouse=True)
def _without_pictures(monkeypatch):
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  monkeypatch.setattr(report, "pictures", lambda *_: {})


def _train(workdir):
  return training.train(
    tiny.config(), workdir=str(workdir), show_progress=False
  )


@pytest.fixture(autouse=True)
def _heard_interrupts():
  # A shell's background job ignores SIGINT, and so does what it starts.
  before = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield
  signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
  """The run that nothing disturbed."""
  workdir = tmp_path_factory.mktemp("straight")
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(report, "_draw", lambda *_: {})
    patch.setattr(report, "pictures", lambda *_: {})
    return workdir, _train(workdir)


def _signal_at_window(monkeypatch, number, count):
  """Sends the signal when the metrics of so many steps have come in."""
  add = metrics_log.Window.add
  seen = [0]

  def add_and_signal(self, names, steps):
    add(self, names, steps)
    seen[0] += len(steps)
    if seen[0] == count:
      signal.raise_signal(number)

  monkeypatch.setattr(metrics_log.Window, "add", add_and_signal)


@pytest.mark.parametrize(
  ("number", "step", "status"),
  [
    (signal.SIGTERM, 14, 143),  # Between two rows, between two checkpoints.
    # At a row, a measurement and a checkpoint.
    pytest.param(signal.SIGINT, 20, 130, marks=pytest.mark.slow),
  ],
)
def test_signal_saves_and_the_next_start_loses_no_step(
  number, step, status, straight, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    _signal_at_window(patch, number, step)
    with pytest.raises(errors.Stopped) as raised:
      _train(tmp_path)
  assert raised.value.status == status
  assert raised.value.signal_name == signal.Signals(number).name
  assert str(raised.value) == (
    f"stopped by {signal.Signals(number).name}; step {step} of 40 is saved, "
    "and the same command goes on from there."
  )
  kept = checkpoints.kept_steps(str(tmp_path / "checkpoints"))
  assert kept[-1] == step
  assert not (tmp_path / "lease.json").exists()
  assert not (tmp_path / "summary.json").exists()
  first = []
  run = loop.run

  def spy(train_step, batches, first_step, *arguments, **keywords):
    first.append(first_step)
    return run(train_step, batches, first_step, *arguments, **keywords)

  monkeypatch.setattr(loop, "run", spy)
  resumed = _train(tmp_path)
  assert first == [step]
  tiny.assert_same_run(straight[0], tmp_path)
  assert resumed.summary == straight[1].summary


def test_signal_after_the_last_step_leaves_the_summary_to_the_next_start(
  straight, tmp_path, monkeypatch
):
  with monkeypatch.context() as patch:
    patch.setattr(
      report, "summarize", lambda *_: signal.raise_signal(signal.SIGTERM)
    )
    with pytest.raises(errors.Stopped):
      _train(tmp_path)
  assert runs.Workdir(str(tmp_path)).read_summary() is None
  assert _train(tmp_path).summary == straight[1].summary


def test_signal_during_the_last_save_stops_before_the_summary(
  tmp_path, monkeypatch
):
  save = checkpoints.Checkpoints.save

  def save_and_signal(self, step):
    save(self, step)
    if step == tiny.NUM_STEPS:
      signal.raise_signal(signal.SIGTERM)

  monkeypatch.setattr(checkpoints.Checkpoints, "save", save_and_signal)
  with pytest.raises(errors.Stopped, match="step 40 of 40 is saved"):
    _train(tmp_path)
  assert runs.kept_steps(str(tmp_path))[-1] == tiny.NUM_STEPS
  assert runs.Workdir(str(tmp_path)).read_summary() is None


@pytest.mark.parametrize(
  ("steps", "text"),
  [
    (
      (),
      "stopped by SIGTERM before the first checkpoint; the same command begins "
      "anew.",
    ),
    (
      (10, 20),
      "stopped by SIGTERM; the same command goes on from the checkpoint of "
      "step 20.",
    ),
  ],
)
def test_signal_that_saves_nothing_says_what_there_is(steps, text, tmp_path):
  kept = checkpoints.Checkpoints(str(tmp_path), keep=2)
  for step in steps:
    kept.save(step)
  with (
    pytest.raises(errors.Stopped) as raised,
    stopping.StopSignals(str(tmp_path)),
  ):
    signal.raise_signal(signal.SIGTERM)
  assert str(raised.value) == text


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_interrupt_after_a_signal_does_not_wait(first):
  with stopping.StopSignals("none") as signals, signals.held_back():
    signal.raise_signal(first)
    assert signals.received == first
    with pytest.raises(errors.Stopped) as raised:
      signal.raise_signal(signal.SIGINT)
  assert raised.value.status == 130


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_second_sigterm_changes_nothing(first):
  with stopping.StopSignals("none") as signals:
    with signals.held_back():
      signal.raise_signal(first)
      signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)  # While what is open is closed.
    assert signals.received == first


def test_handlers_are_those_of_before_and_an_ignored_signal_stays_so():
  before = signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    handler = signal.getsignal(signal.SIGTERM)
    with stopping.StopSignals("none") as signals:
      signal.raise_signal(signal.SIGINT)
      assert signal.getsignal(signal.SIGTERM) != handler
    assert signals.received is None
    assert signal.getsignal(signal.SIGTERM) == handler
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
  finally:
    signal.signal(signal.SIGINT, before)


def test_thread_that_hears_no_signals_can_train():
  entered = []

  def enter():
    with stopping.StopSignals("none") as signals:
      entered.append(signals.received)

  thread = threading.Thread(target=enter)
  thread.start()
  thread.join()
  assert entered == [None]
