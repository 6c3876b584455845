# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the metrics of single steps to rows, files and TensorBoard."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.evaluation import likelihood
from geco_tf.runs import checkpoints
from geco_tf.runs.workdir import Workdir, explained_writes


class Window(tf.train.experimental.PythonState):
  """Sums over the steps since the last row; goes into the checkpoint."""

  def __init__(self) -> None:
    self._sums: dict[str, float] = {}
    self._count = 0

  def add(self, names: Sequence[str], steps: np.ndarray) -> None:
    """Adds steps one by one, so that where calls were cut changes no bit.

    Args:
      names: of the columns.
      steps: [count, M].
    """
    for row in steps.astype(np.float64):
      for name, value in zip(names, row, strict=True):
        self._sums[name] = self._sums.get(name, 0.0) + float(value)
    self._count += len(steps)

  def pop_means(self) -> dict[str, float]:
    """The means, by name; empties the window."""
    means = {n: s / self._count for n, s in self._sums.items()}
    self._sums, self._count = {}, 0
    return means

  def serialize(self) -> str:
    return json.dumps({"sums": self._sums, "count": self._count})

  def deserialize(self, string_value: str | bytes) -> None:
    state = json.loads(string_value)
    self._sums, self._count = state["sums"], state["count"]


def row(
  step: int, means: Mapping[str, float], num_dims: int
) -> dict[str, float]:
  """One row of metrics.jsonl from the means of a window.

  Args:
    step: updates taken.
    means: with `mse` and `kl` among them.
    num_dims: D.

  Returns:
    The means, and `rmse`; the negative log-likelihood per dimension (nats,
    quantized normal with σ at its optimum, the RMSE) and the ELBO that go with
    it, which do not depend on the multipliers.
  """
  means = dict(means)
  rmse = means.pop("mse") ** 0.5
  # A perfect reconstruction has no finite density: half a bin is the floor.
  sigma = max(rmse, 0.5 / 255.0)
  nll_per_dim = likelihood.quantized_normal_per_dim(rmse**2, sigma)
  return {
    "step": step,
    "loss": means.pop("loss"),
    "kl": means["kl"],
    "elbo": -(nll_per_dim * num_dims + means.pop("kl")),
    "rmse": rmse,
    "neg_log_likelihood_per_dim": nll_per_dim,
    **means,
  }


class MetricsLog:
  """All rows of a run, in memory and in its folder."""

  def __init__(
    self, workdir: Workdir | None, step: int, *, is_written: bool = True
  ):
    """Takes up the log of a run that goes on after `step` updates.

    Args:
      workdir: where to write; None keeps the rows in memory alone.
      step: rows behind it are of a future that is not going to happen.
      is_written: whether this process is the one that writes there.
    """
    self._workdir = workdir if is_written else None
    self.rows: list[dict[str, Any]] = []
    self._writer = None
    if workdir is not None:
      self.rows = [r for r in workdir.read_metrics() if r["step"] <= step]
    if self._workdir is not None:
      with self._explained():
        self._writer = tf.summary.create_file_writer(
          self._workdir.file("tensorboard")
        )

  def add(self, new_row: dict[str, Any]) -> None:
    """Appends a row; what is not finite is null in the file.

    Raises:
      UserError: if it cannot be written.
    """
    self.rows.append(
      {n: v if math.isfinite(v) else None for n, v in new_row.items()}
    )
    if self._writer is None:
      return
    with self._explained(), self._writer.as_default(step=new_row["step"]):
      for name, value in new_row.items():
        if name != "step":
          tf.summary.scalar(name, value)

  def add_images(self, step: int, **images: np.ndarray) -> None:
    """Shows pictures [N, H, W, C] in TensorBoard.

    Raises:
      UserError: if they cannot be written.
    """
    if self._writer is None:
      return
    with self._explained(), self._writer.as_default(step=step):
      for name, batch in images.items():
        tf.summary.image(name, batch, max_outputs=len(batch))

  def flush(self) -> None:
    """Writes the files. Called before a checkpoint that relies on them.

    Raises:
      UserError: if they cannot be written.
    """
    if self._workdir is None or self._writer is None:
      return
    with self._explained():
      self._workdir.write_metrics(self.rows)
      self._writer.flush()

  @contextlib.contextmanager
  def _explained(self) -> Iterator[None]:
    assert self._workdir is not None
    try:
      with explained_writes(self._workdir.path):
        yield
    except errors.UserError as error:
      left = checkpoints.what_is_left(self._workdir.file("checkpoints"))
      raise errors.UserError(f"{error} {left}") from error
