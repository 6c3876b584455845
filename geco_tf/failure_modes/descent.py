# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam on the losses of R restarts: batches, steps, schedules."""

import abc
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf.training import optimizers

OnProgress = Callable[[int, np.ndarray], None]  # The step, and losses [R].
STEPS_PER_CALL = 500


class Batch(NamedTuple):
  """Examples of each restart, and where their noise comes from."""

  data: tf.Tensor  # [R, B, D]
  latents: tf.Tensor  # [R, B, K], which the data were made from, if known.
  seed: tf.Tensor  # [2]


# From a step's number to its batch.
Draw = Callable[[tf.Tensor], Batch]


def draw_rows(
  data: np.ndarray,
  num_restarts: int,
  batch_size: int,
  seed: int,
  latents: np.ndarray | None = None,
) -> Draw:
  """Rows of a table, with replacement."""
  data = np.asarray(data, np.float32)
  # One gather for both: the latents are columns behind the data's.
  width, columns = data.shape[1], [data]
  if latents is not None:
    columns.append(np.asarray(latents, np.float32))
  table = tf.constant(np.concatenate(columns, axis=1))

  def draw(step):
    rows = tf.random.stateless_uniform(
      [num_restarts, batch_size],
      [seed, step],
      maxval=table.shape[0],
      dtype=tf.int32,
    )
    batch = tf.gather(table, rows)
    noise_seed = tf.stack([seed + 1, step])
    return Batch(batch[..., :width], batch[..., width:], noise_seed)

  return draw


class Loss(abc.ABC):
  """What is minimised."""

  @abc.abstractmethod
  def __call__(self, batch: Batch) -> tuple[tf.Tensor, Any]:
    """Returns: [R], the loss of each restart, and what `update` needs."""

  def update(self, state: Any) -> None:
    """After a step of the weights."""
    del state


class Trainer:
  """Adam on the sum of the losses."""

  def __init__(
    self,
    loss: Loss,
    draw: Draw,
    encoder_variables: Sequence[tf.Variable],
    decoder_variables: Sequence[tf.Variable],
    *,
    encoder_steps: int = 0,
    num_steps: int,
    learning_rate: float,
  ):
    self._loss = loss
    self._draw = draw
    self._num_steps = num_steps
    self._encoder_steps = encoder_steps
    self._all = (*encoder_variables, *decoder_variables)
    self._optimizer = _adam(self._all, num_steps, learning_rate)
    self._encoder = tuple(encoder_variables)
    if encoder_steps:
      self._encoder_optimizer = _adam(
        self._encoder, num_steps * encoder_steps, learning_rate
      )

  def run(
    self,
    on_progress: OnProgress | None = None,
    steps_per_call: int = STEPS_PER_CALL,
  ) -> None:
    """All steps; on_progress is called after every so many."""
    for first in range(0, self._num_steps, steps_per_call):
      end = min(first + steps_per_call, self._num_steps)
      loss = self._steps(tf.constant(first), tf.constant(end))
      if on_progress is not None:
        on_progress(end, loss.numpy())

  @tf.function
  def _steps(self, first: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    loss = self._step(first)
    for step in tf.range(first + 1, end):
      loss = self._step(step)
    return loss

  @tf.autograph.experimental.do_not_convert
  def _step(self, step: tf.Tensor) -> tf.Tensor:
    substeps = self._encoder_steps + 1
    for i in range(self._encoder_steps):
      self._apply(step * substeps + i, self._encoder, self._encoder_optimizer)
    last = step * substeps + self._encoder_steps
    loss, state = self._apply(last, self._all, self._optimizer)
    self._loss.update(state)
    return loss

  def _apply(self, position, variables, optimizer) -> tuple[tf.Tensor, Any]:
    batch = self._draw(position)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(variables)
      loss, state = self._loss(batch)
      total = tf.reduce_sum(loss)
    gradients = tape.gradient(total, variables)
    optimizer.apply(gradients, variables)
    return loss, state


def _adam(variables, num_steps: int, learning_rate: float):
  optimizer = optimizers.adam(
    optimizers.WarmupThenDecay(learning_rate, num_steps, decay="cosine")
  )
  optimizer.build(variables)
  return optimizer
