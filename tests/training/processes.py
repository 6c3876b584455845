# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs in processes of their own, which a test may kill.

They are forked from a server that has imported TensorFlow and run nothing, so
that a start costs a tenth of a fresh one.
"""

import itertools
import json
import multiprocessing
import os
import pathlib
import signal
import socket
import sys
import threading
from unittest import mock

_ROOT = pathlib.Path(__file__).parents[2]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.training.processes_preload"])


def start(
  config, workdir, log, *, environment=None, kill_at=None, prepare=None
):
  """A process that trains; its exit status is the command's.

  Args:
    config: of the run.
    workdir: of the run.
    log: file for all that it prints; its rows of metrics go into <log>.json.
    environment: variables of its own.
    kill_at: number of the write that it is killed before, from 0.
    prepare: is called in the process before it trains; any function of a module
      that the process can import.
  """
  process = _context.Process(
    target=_train,
    args=(
      config,
      str(workdir),
      str(log),
      environment or {},
      kill_at,
      prepare,
    ),
  )
  # The server finds what it is to import here alone.
  with mock.patch.dict(os.environ, {"PYTHONPATH": str(_ROOT)}):
    process.start()
  return process


def finish(*processes, timeout=300):
  """Waits for processes and returns their exit statuses."""
  for process in processes:
    process.join(timeout)
    if process.is_alive():
      process.kill()
  return [process.exitcode for process in processes]


def job(num_workers):
  """TF_CONFIG of every worker of a job on this machine."""
  sockets = [socket.socket() for _ in range(num_workers)]
  for one in sockets:
    one.bind(("127.0.0.1", 0))
  addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
  for one in sockets:
    one.close()
  cluster = {"worker": addresses}
  return [
    {
      "TF_CONFIG": json.dumps(
        {"cluster": cluster, "task": {"type": "worker", "index": index}}
      )
    }
    for index in range(num_workers)
  ]


def _train(config, workdir, log, environment, kill_at, prepare):
  os.environ.update(environment)
  out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
  os.dup2(out, 1)
  os.dup2(out, 2)
  from geco_tf import training
  from geco_tf.training import report
  from launch import command_line

  # Pictures take more time than a tiny run.
  report._draw = lambda *_: {}
  report.pictures = lambda *_: {}
  if kill_at is not None:
    _kill_before_write(kill_at)
  if prepare is not None:
    prepare()

  def train():
    rows = training.train(config, workdir=workdir).metrics
    pathlib.Path(f"{log}.json").write_text(json.dumps(rows))

  status = command_line._call(train, "the same command goes on")
  sys.stdout.flush()
  sys.stderr.flush()
  # As the interpreter's own end, without what the fork server left.
  os._exit(status)


def _kill_before_write(number):
  """Kills this process before it changes a file for the number-th time."""
  import tensorflow as tf

  numbers = itertools.count()

  def counted(write, is_write=lambda *_: True):
    def count_and_write(*arguments, **keywords):
      # The heartbeat of the lease has a clock of its own.
      is_main = threading.current_thread() is threading.main_thread()
      if is_main and is_write(*arguments) and next(numbers) == number:
        os.kill(os.getpid(), signal.SIGKILL)
      return write(*arguments, **keywords)

    return count_and_write

  gfile = tf.io.gfile
  gfile.rename = counted(gfile.rename)
  gfile.remove = counted(gfile.remove)
  gfile.GFile = counted(gfile.GFile, lambda _, mode="r": mode[0] != "r")
  tf.train.Checkpoint.write = counted(tf.train.Checkpoint.write)
