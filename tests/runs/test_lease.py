# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two runs never write one folder, and a dead one's folder can be taken."""

import contextlib
import os
import subprocess
import time

import pytest
import tensorflow as tf

from geco_tf import errors, runs
from geco_tf.runs import lease as lease_lib
from geco_tf.runs import workdir as workdir_lib


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
  path = str(tmp_path / "run")
  if request.param == "memory":
    path = f"ram://{path}"
  folder = runs.Workdir(path)
  folder.create()
  return folder


def _leave(folder, **changes):
  """A lease as another process leaves it."""
  with lease_lib.Lease(folder):
    owner = workdir_lib.read_json(folder.file("lease.json"))
  owner = {**owner, "token": "other", "heartbeat": time.time(), **changes}
  workdir_lib.write_json(folder.file("lease.json"), owner)


@contextlib.contextmanager
def _other_process():
  with subprocess.Popen(["sleep", "60"]) as process:
    yield process
    process.kill()


def test_second_run_is_refused_while_the_first_one_lives(folder):
  with (
    lease_lib.Lease(folder),
    pytest.raises(errors.UserError, match="is being written by process"),
    lease_lib.Lease(folder),
  ):
    pass
  assert not workdir_lib.exists(folder.file("lease.json"))
  with lease_lib.Lease(folder):
    pass


def test_living_process_of_this_machine_is_named(folder):
  with _other_process() as process:
    # As older versions wrote it.
    _leave(folder, pid=process.pid, process_start=None)
    with (
      pytest.raises(errors.UserError, match=f"by process {process.pid} on "),
      lease_lib.Lease(folder),
    ):
      pass


def test_dead_process_of_this_machine_is_succeeded_at_once(folder):
  with _other_process() as process:
    pass
  _leave(folder, pid=process.pid)
  with lease_lib.Lease(folder) as lease:
    lease.check()


@pytest.mark.skipif(
  not os.path.exists("/proc/self/stat"), reason="needs Linux's /proc"
)
def test_dead_process_that_nobody_waited_for_is_succeeded_at_once(folder):
  with _other_process() as process:
    _leave(folder, pid=process.pid, process_start=None)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with lease_lib.Lease(folder) as lease:
      lease.check()


@pytest.mark.skipif(
  not os.path.exists("/proc/self/stat"), reason="needs Linux's /proc"
)
@pytest.mark.parametrize("is_the_same", [True, False])
def test_process_is_known_by_its_start_as_well_as_its_number(
  folder, is_the_same
):
  """Numbers are given again."""
  with lease_lib.Lease(folder):
    owner = workdir_lib.read_json(folder.file("lease.json"))
  assert owner["process_start"].isdecimal()
  with _other_process() as process:
    start = lease_lib._state_and_start(process.pid)[1]
    if not is_the_same:
      start = str(int(start) - 1)
    _leave(folder, pid=process.pid, process_start=start)
    outcome = contextlib.nullcontext()
    if is_the_same:
      outcome = pytest.raises(errors.UserError, match=r"remove lease\.json")
    with outcome, lease_lib.Lease(folder) as lease:
      lease.check()


def test_lease_that_could_not_be_written_leaves_nothing(folder, monkeypatch):
  def full(*_, **__):
    raise OSError("No space left on device")

  with monkeypatch.context() as patch:
    patch.setattr(tf.io.gfile, "rename", full)
    with (
      pytest.raises(errors.UserError, match="No space left on device"),
      lease_lib.Lease(folder),
    ):
      pass
  assert tf.io.gfile.listdir(folder.path) == []


_ELSEWHERE = pytest.mark.parametrize(
  "elsewhere", [{"host": "there"}, {"namespace": "pid:[1]"}, {"boot": "x"}]
)


@_ELSEWHERE
def test_silent_process_of_another_machine_is_succeeded(
  folder, elsewhere, monkeypatch, capsys
):
  monkeypatch.setattr(lease_lib, "STALE_SECONDS", 0.05)
  monkeypatch.setattr(lease_lib, "HEARTBEAT_SECONDS", 0.01)
  # What its clock says does not count.
  _leave(folder, heartbeat=time.time() + 1e6, **elsewhere)
  with lease_lib.Lease(folder) as lease:
    lease.check()
  assert capsys.readouterr().err.count("may be writing") == 1


@_ELSEWHERE
def test_process_of_another_machine_that_beats_is_refused(
  folder, elsewhere, monkeypatch
):
  monkeypatch.setattr(lease_lib, "HEARTBEAT_SECONDS", 0.01)
  _leave(folder, heartbeat=0.0, pid=7, **elsewhere)
  second = lease_lib.Lease(folder)
  read = second._read

  def read_of_one_that_beats():
    owner = read()
    later = {**owner, "heartbeat": owner["heartbeat"] + 1.0}
    workdir_lib.write_json(folder.file("lease.json"), later)
    return owner

  monkeypatch.setattr(second, "_read", read_of_one_that_beats)
  with (
    pytest.raises(errors.UserError, match="is being written by process 7 on"),
    second,
  ):
    pass


def test_owner_that_was_succeeded_stops_and_leaves_the_other_one(folder):
  with lease_lib.Lease(folder) as lease:
    owner = workdir_lib.read_json(folder.file("lease.json"))
    owner = {**owner, "host": "elsewhere", "pid": 7, "token": "x"}
    workdir_lib.write_json(folder.file("lease.json"), owner)
    with pytest.raises(errors.UserError, match="taken over by process 7 on el"):
      lease.check()
  assert workdir_lib.read_json(folder.file("lease.json"))["token"] == "x"


def test_heart_beats_and_ends_with_the_lease(folder, monkeypatch):
  monkeypatch.setattr(lease_lib, "HEARTBEAT_SECONDS", 0.01)

  with lease_lib.Lease(folder) as lease:

    def heartbeat():
      return lease._read()["heartbeat"]

    first, tries = heartbeat(), 0
    while heartbeat() == first and tries < 100_000:
      tries += 1
    assert heartbeat() > first
  assert not lease._heart.is_alive()


def test_heart_beats_on_after_a_write_that_failed(folder, monkeypatch):
  monkeypatch.setattr(lease_lib, "HEARTBEAT_SECONDS", 0.01)
  failures = []

  def write_json(*arguments):
    if len(failures) < 2:
      failures.append(arguments)
      raise OSError("No space left on device")
    wrote(*arguments)

  with lease_lib.Lease(folder) as lease:
    wrote = workdir_lib.write_json
    monkeypatch.setattr(workdir_lib, "write_json", write_json)
    for _ in range(1000):
      if len(failures) == 2:
        break
      lease._ended.wait(0.01)
    assert lease._heart.is_alive()


def test_owner_whose_lease_is_gone_stops(folder):
  with lease_lib.Lease(folder) as lease:
    tf.io.gfile.remove(folder.file("lease.json"))
    with pytest.raises(errors.UserError, match="another run has been here"):
      lease.check()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_torn_lease_is_nobodys(folder, content):
  workdir_lib.write_text(folder.file("lease.json"), content)
  with lease_lib.Lease(folder) as lease:
    lease.check()
