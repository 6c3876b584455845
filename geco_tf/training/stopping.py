# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and SIGINT: finish the call, save, and go."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from geco_tf import errors
from geco_tf.runs import checkpoints

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
  """Raises `errors.Stopped` for a signal, at a moment that loses nothing.

  A context. In a thread that is not the main one, where Python hears of no
  signal, it does nothing.
  """

  def __init__(self, directory: str):
    """Args: directory: of the run's checkpoints, of which its end tells."""
    self.received: int | None = None
    self._directory = directory
    self._is_held_back = False
    self._before: dict[int, Any] = {}

  def __enter__(self) -> "StopSignals":
    if threading.current_thread() is threading.main_thread():
      for number in _SIGNALS:
        # As nohup and a shell's & have it: who ignores a signal means it. None
        # is a handler that Python could not put back.
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
          self._before[number] = signal.signal(number, self._hear)
    return self

  def __exit__(self, *details: Any) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  @contextlib.contextmanager
  def held_back(self) -> Iterator[None]:
    """Inside, the first signal is only noted; SIGINT after it raises."""
    self._is_held_back = True
    try:
      yield
    finally:
      self._is_held_back = False

  def _hear(self, number: int, frame: FrameType | None) -> None:
    del frame
    is_first = self.received is None
    if is_first:
      self.received = number
    # `timeout` and srun send SIGTERM twice; Ctrl-C again is an impatient user.
    is_heeded = not self._is_held_back if is_first else number == signal.SIGINT
    if is_heeded:
      steps = checkpoints.kept_steps(self._directory)
      raise errors.Stopped.at_once(steps[-1] if steps else None, number)
