# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Who writes a run's folder, so that two runs never write the same one.

Object stores have neither locks nor exclusive creation. A lease is a file with
its owner's name, written anew every few seconds. Its owner looks again before
each checkpoint whether it still is: of two runs that began in the same instant,
the one whose name stands there goes on, and the other stops.
"""

import json
import os
import socket
import threading
import time
import uuid
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import workdir as workdir_lib

HEARTBEAT_SECONDS = 10.0
# After so long without a heartbeat the owner is taken for dead.
STALE_SECONDS = 60.0

_NUM_READS = 5
_DEAD = ("Z", "X")  # States of a process.

# Tokens of the leases that this process holds.
_held: set[str] = set()


class Lease:
  """The right to write a folder; a context that gives it back at its end."""

  def __init__(self, folder: workdir_lib.Workdir):
    """Args: folder: to be written; must exist when the context is entered."""
    self._folder = folder
    self._path = folder.file("lease.json")
    self._token = uuid.uuid4().hex
    self._owner = {
      **_machine(),
      "pid": os.getpid(),
      "process_start": _state_and_start(os.getpid())[1],
      "token": self._token,
    }
    self._ended = threading.Event()
    self._heart = threading.Thread(target=self._beat_until_ended, daemon=True)

  def __enter__(self) -> "Lease":
    """Takes the lease.

    Raises:
      UserError: if another run that lives has it.
    """
    self._wait_for_an_end_of(self._read())
    self._write()
    _held.add(self._token)
    self._heart.start()
    return self

  def __exit__(self, *details: Any) -> None:
    self._ended.set()
    self._heart.join()
    _held.discard(self._token)
    try:
      if self._is_ours():
        tf.io.gfile.remove(self._path)
    except (tf.errors.OpError, OSError):
      pass  # Of a folder that went away; the lease ends by its age.

  def _wait_for_an_end_of(self, first: dict[str, Any] | None) -> None:
    """Returns once nobody holds the lease.

    A process of this machine lives or does not. One of another machine has to
    show it by a heartbeat, of which no clocks have to agree.
    """
    begin = time.monotonic()
    owner, is_told = first, False
    while owner is not None and (is_living := _is_living(owner)) is not False:
      name = f"process {owner['pid']} on {owner['host']}"
      if is_living or owner != first:
        raise errors.UserError(
          f"`workdir` {self._folder.path!r} is being written by {name}. Choose "
          "another workdir, or wait until that run has ended; if that process "
          "is another program, remove lease.json there."
        )
      if time.monotonic() - begin >= STALE_SECONDS:
        return
      if not is_told:
        workdir_lib.warn(
          f"{name} may be writing {self._folder.path!r}; this run begins if "
          f"nothing is heard of it for {STALE_SECONDS:.0f} s."
        )
        is_told = True
      self._ended.wait(min(1.0, HEARTBEAT_SECONDS))
      owner = self._read()

  def check(self) -> None:
    """Raises a UserError if another run has taken the folder over."""
    owner = self._read()
    if owner is None:
      raise errors.UserError(
        f"`lease.json` in {self._folder.path!r} is gone: another run has been "
        "here. This run stops and writes nothing more."
      )
    if owner["token"] != self._token:
      raise errors.UserError(
        f"`workdir` {self._folder.path!r} was taken over by process "
        f"{owner['pid']} on {owner['host']}; this run stops and writes "
        "nothing more."
      )

  def _beat_until_ended(self) -> None:
    while not self._ended.wait(HEARTBEAT_SECONDS):
      try:
        if not self._is_ours():
          return
        self._write()
      except (errors.UserError, tf.errors.OpError, OSError):
        pass  # A full disk is the next checkpoint's to tell.

  def _is_ours(self) -> bool:
    owner = self._read()
    return owner is not None and owner["token"] == self._token

  def _write(self) -> None:
    content = {**self._owner, "heartbeat": time.time()}
    with workdir_lib.explained_writes(self._folder.path):
      workdir_lib.write_json(self._path, content)

  def _read(self) -> dict[str, Any] | None:
    """What stands in the file; None without one, or if it stays torn."""
    owner = None
    # TensorFlow takes the size of the new file for the old one's where one
    # replaces the other in between.
    for _ in range(_NUM_READS):
      try:
        with tf.io.gfile.GFile(self._path) as f:
          owner = json.load(f)
        break
      except tf.errors.NotFoundError:
        return None
      except ValueError:
        time.sleep(0.01)
    known = ("host", "pid", "token", "heartbeat")
    is_owner = isinstance(owner, dict) and all(name in owner for name in known)
    return owner if is_owner else None


def _is_living(owner: dict[str, Any]) -> bool | None:
  """Whether the lease's owner lives; None for one of another machine."""
  if any(owner.get(name) != value for name, value in _machine().items()):
    return None
  if owner["pid"] == os.getpid():
    return owner["token"] in _held
  is_alive = _is_alive(owner["pid"])
  state, start = _state_and_start(owner["pid"])
  if not is_alive or start is None:
    return is_alive
  # Of a dead process that nobody has waited for the number is left, and numbers
  # are given again.
  return state not in _DEAD and owner.get("process_start") in (None, start)


def _state_and_start(pid: int) -> tuple[str | None, str | None]:
  """A process's state and when it began, as Linux has them; else None."""
  try:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
      # Its second field is a name in brackets, which may have any letters.
      fields = f.read().rpartition(")")[2].split()
  except OSError:
    return None, None
  return fields[0], fields[19]


def _is_alive(pid: int) -> bool | None:
  if os.name != "posix":
    return None  # Windows would take the question for Ctrl-C.
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return False
  except PermissionError:
    pass
  return True


def _machine() -> dict[str, str | None]:
  """Where a process number means this process.

  Containers may share a host's name and have numbers of their own, and so may
  machines, of which each start has an identifier.
  """
  namespace: str | None = None
  boot: str | None = None
  try:
    namespace = os.readlink("/proc/self/ns/pid")
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
      boot = f.read().strip()
  except OSError:
    pass  # No Linux.
  return {"host": socket.gethostname(), "boot": boot, "namespace": namespace}
