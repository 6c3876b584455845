# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""One update of everything, and the loop over it that stays on the device."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import sonnet as snt
import tensorflow as tf

from geco_tf import models, objectives
from geco_tf.data.batch import Batch
from geco_tf.models import noise
from geco_tf.objectives import base as objectives_base
from geco_tf.training.weight_average import WeightAverage


class _Gradients(NamedTuple):
  """What the compiled part of a step gives back, of this replica."""

  gradients: list[tf.Tensor]
  statistics: Any  # For `objective.update`.
  means: tf.Tensor  # [3]: loss, kl, mse.


class Forward(NamedTuple):
  """What a step computes before its gradients."""

  outputs: models.VAEOutputs
  loss: tf.Tensor  # [], of the objective.
  statistics: Any  # For `objective.update`.
  total: tf.Tensor  # [], what is differentiated: with the model's own loss.


def forward(
  model: snt.Module,
  objective: objectives_base.Objective,
  batch: Batch,
  *,
  seed: noise.Seed,
  has_labels: bool,
  all_labels: tf.Tensor | None = None,
) -> Forward:
  """The forward pass of model and objective; no state changes.

  Args:
    model: with its variables created.
    objective: what is minimised.
    batch: of this replica.
    seed: of the step.
    has_labels: whether the batch's labels mean anything.
    all_labels: [n B], of all replicas' batches, where there are several.
  """
  outputs = models.call(model, batch.images, batch.context, seed=seed)
  loss, statistics = objective.loss(
    batch.images,
    outputs,
    **objectives.constraint_context(
      model, batch, seed, has_labels=has_labels, all_labels=all_labels
    ),
  )
  total = loss
  if outputs.auxiliary_loss is not None:
    total += tf.reduce_mean(outputs.auxiliary_loss)
  return Forward(outputs, loss, statistics, total)


class TrainStep:
  """Runs steps under a strategy.

  Forward and backward pass are a function of this replica's batch alone, which
  XLA may compile on any device; what crosses replicas (the mean of the
  gradients, the constraints' sums) and what assigns is compiled with them where
  there is one device, or a TPU, and stays outside elsewhere.
  """

  def __init__(
    self,
    strategy: tf.distribute.Strategy,
    model: snt.Module,
    objective: objectives_base.Objective,
    optimizer: keras.optimizers.Optimizer,
    *,
    seed: int,
    gradient_clip: float | None = None,
    weight_average: WeightAverage | None = None,
    has_labels: bool = True,
    xla: bool = False,
  ):
    """Builds the step; all objects must have been made under the strategy.

    Args:
      strategy: to run under.
      model: with its variables created.
      objective: what is minimised.
      optimizer: built on `variables`.
      seed: of the noise.
      gradient_clip: largest global norm of the averaged gradient.
      weight_average: updated after each step.
      has_labels: whether the batches' labels mean anything.
      xla: whether to compile; a TPU always does.
    """
    self._strategy = strategy
    self._model = model
    self._objective = objective
    self._optimizer = optimizer
    self._seed = seed
    self._gradient_clip = gradient_clip
    self._weight_average = weight_average
    self._has_labels = has_labels
    self._gathers_labels = (
      has_labels
      and strategy.num_replicas_in_sync > 1
      and objective.reads("all_labels")
    )
    self.variables = trainable_variables(model, objective)
    # A TPU's `strategy.run` compiles whatever it is given.
    xla = xla and not isinstance(strategy, tf.distribute.TPUStrategy)
    is_whole = xla and _is_alone(strategy)
    self._gradients = tf.function(
      self._forward_and_backward, jit_compile=(xla and not is_whole) or None
    )
    self._replica_step = self._step
    if is_whole:
      self._replica_step = tf.function(self._step, jit_compile=True)
    self._metric_names: tuple[str, ...] = ()

  @property
  def metric_names(self) -> tuple[str, ...]:
    """What the columns of `run`'s result are; known after its first call."""
    return self._metric_names

  @tf.function
  def run(
    self, iterator: Iterator[Batch], first_step: tf.Tensor, count: tf.Tensor
  ) -> tf.Tensor:
    """Takes steps first_step, ..., first_step + count − 1.

    Args:
      iterator: of the strategy's distributed batches.
      first_step: [], int64, updates taken so far.
      count: [], int32.

    Returns:
      [count, M] float32: the metrics of each step, named by `metric_names`.
    """
    rows = tf.TensorArray(tf.float32, size=count, infer_shape=False)
    for i in tf.range(count):
      step = first_step + tf.cast(i, tf.int64)
      metrics = self._strategy.run(self._replica_step, (next(iterator), step))
      # Every replica has the same: they are reduced already.
      local = self._strategy.experimental_local_results(metrics)
      rows = rows.write(i, local[0])
    return rows.stack()

  def _step(self, batch: Batch, step: tf.Tensor) -> tf.Tensor:
    """One update, in a replica context; returns [M], equal on all."""
    replicas = tf.distribute.get_replica_context()
    all_labels = None
    if self._gathers_labels:
      all_labels = _gathered(batch.labels)
    result = self._gradients(
      batch,
      step,
      tf.convert_to_tensor(replicas.replica_id_in_sync_group),
      replicas.num_replicas_in_sync,
      all_labels,
    )
    mean = tf.distribute.ReduceOp.MEAN
    *gradients, means = replicas.all_reduce(
      mean, [*result.gradients, result.means]
    )
    loss, kl, mse = tf.unstack(means)
    norm = tf.linalg.global_norm(gradients)
    gradients, skipped = self._safe(gradients, norm, loss)
    self._optimizer.apply_gradients(zip(gradients, self.variables, strict=True))
    if self._weight_average is not None:
      self._weight_average.update()
    metrics = {
      "loss": loss,
      "kl": kl,
      "mse": mse,
      "gradient_norm": norm,
      "skipped_gradients": skipped,
      **self._objective.update(result.statistics),
    }
    self._metric_names = tuple(metrics)
    return tf.stack([tf.cast(m, tf.float32) for m in metrics.values()])

  def _forward_and_backward(
    self,
    batch: Batch,
    step: tf.Tensor,
    replica_id: tf.Tensor,
    num_replicas: int,
    all_labels: tf.Tensor | None,
  ) -> _Gradients:
    seed = noise.ReplicaSeed(
      tf.stack([self._seed, tf.cast(step, tf.int32)]), replica_id, num_replicas
    )
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(self.variables)
      outputs, loss, statistics, total = forward(
        self._model,
        self._objective,
        batch,
        seed=seed,
        has_labels=self._has_labels,
        all_labels=all_labels,
      )
    gradients = tape.gradient(
      total,
      self.variables,
      unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    error = tf.math.squared_difference(batch.images, outputs.reconstruction)
    means = tf.stack([loss, tf.reduce_mean(outputs.kl), tf.reduce_mean(error)])
    return _Gradients(gradients, statistics, means)

  def _safe(
    self, gradients: list[tf.Tensor], norm: tf.Tensor, loss: tf.Tensor
  ) -> tuple[list[tf.Tensor], tf.Tensor]:
    """Clips to the global norm; 0 where norm or loss is not finite."""
    is_finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
    scale = tf.ones_like(norm)
    if self._gradient_clip is not None:
      scale = self._gradient_clip / tf.maximum(norm, self._gradient_clip)
    # One pass over each gradient: 0 · NaN is 0 here.
    scale = tf.where(is_finite, scale, 0.0)
    safe = [tf.math.multiply_no_nan(g, scale) for g in gradients]
    return safe, tf.cast(~is_finite, tf.float32)


def _gathered(labels: tf.Tensor) -> tf.Tensor:
  """In a replica: the labels [B] of all n replicas, [n B].

  By a sum, as TensorFlow's all_gather fails where each of several workers has
  one device. Labels are exact in float32, of which all other sums are.
  """
  replicas = tf.distribute.get_replica_context()
  place = tf.one_hot(
    replicas.replica_id_in_sync_group, replicas.num_replicas_in_sync
  )
  mine = place[:, tf.newaxis] * tf.cast(labels, tf.float32)
  total = replicas.all_reduce(tf.distribute.ReduceOp.SUM, mine)
  return tf.cast(tf.reshape(total, [-1]), labels.dtype)


def _is_alone(strategy: tf.distribute.Strategy) -> bool:
  """Whether nothing is reduced; a mirrored strategy of one device reduces."""
  mirrored = (
    tf.distribute.MirroredStrategy,
    tf.distribute.MultiWorkerMirroredStrategy,
  )
  return strategy.num_replicas_in_sync == 1 and not isinstance(
    strategy, mirrored
  )


def trainable_variables(
  model: snt.Module, objective: objectives_base.Objective
) -> list[tf.Variable]:
  """What the optimizer moves: the model's, then the objective's (a σ)."""
  return [*model.trainable_variables, *objective.trainable_variables]
