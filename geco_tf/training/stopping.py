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

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
  """Raises `errors.Stopped` for a signal, at a moment that loses nothing.

  A context. In a thread that is not the main one, where Python hears of no
  signal, it does nothing.
  """

  def __init__(self) -> None:
    self.received: int | None = None
    self._is_held_back = False
    self._before: dict[int, Any] = {}

  def __enter__(self) -> "StopSignals":
    if threading.current_thread() is threading.main_thread():
      for number in _SIGNALS:
        # As nohup and a shell's & have it: who ignores a signal means it.
        if signal.getsignal(number) != signal.SIG_IGN:
          self._before[number] = signal.signal(number, self._hear)
    return self

  def __exit__(self, *details: Any) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  @contextlib.contextmanager
  def held_back(self) -> Iterator[None]:
    """Inside, the first signal is only noted; a second one raises."""
    self._is_held_back = True
    try:
      yield
    finally:
      self._is_held_back = False

  def _hear(self, number: int, frame: FrameType | None) -> None:
    del frame
    if not self._is_held_back or self.received is not None:
      raise errors.Stopped(number)
    self.received = number
