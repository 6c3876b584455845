# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs in processes of their own, which a test may kill.

They are forked from a server that has imported TensorFlow and run nothing, so
that a start costs a tenth of a fresh one.
"""

import json
import multiprocessing
import os
import pathlib
import socket
import sys
from unittest import mock

_ROOT = pathlib.Path(__file__).parents[2]
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.training.processes_preload"])


def start(config, workdir, log, *, environment=None):
  """A process that trains; its exit status is the command's.

  Args:
    config: of the run.
    workdir: of the run.
    log: file for all that it prints; its rows of metrics go into <log>.json.
    environment: variables of its own.
  """
  process = _context.Process(
    target=_train, args=(config, str(workdir), str(log), environment or {})
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


def _train(config, workdir, log, environment):
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

  def train():
    rows = training.train(config, workdir=workdir).metrics
    pathlib.Path(f"{log}.json").write_text(json.dumps(rows))

  status = command_line._call(train, "the same command goes on")
  sys.stdout.flush()
  sys.stderr.flush()
  # As the interpreter's own end, without what the fork server left.
  os._exit(status)
