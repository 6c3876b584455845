# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""One interface for everything that a VAE can be trained on."""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from geco_tf.models import outputs as outputs_lib


class Loss(NamedTuple):
  """A loss and what `update` wants to know of this batch."""

  loss: tf.Tensor  # [], minimised.
  statistics: Any  # A structure of tensors, handed to `update`.


class Objective(tf.Module, abc.ABC):
  """Makes a loss of a model's outputs, and keeps the state that goes with it.

  The order in a step is `loss`, gradients, `update`. `loss` changes nothing
  and uses this replica's part of the batch alone, so that it can be compiled;
  `update` reduces over the replicas. `trainable_variables` (a learned σ) are
  trained with the model's.
  """

  @abc.abstractmethod
  def loss(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs, **context: Any
  ) -> Loss:
    """The loss on this batch.

    Args:
      images: [B, H, W, C], the targets.
      outputs: what the model made of them.
      **context: what constraints may ask for (`labels`, `decoder`, ...).

    Returns:
      A `Loss`.
    """

  def reads(self, key: str) -> bool:
    """Whether `loss` makes use of this keyword of the context."""
    del key
    return False

  def initialize(self, statistics: Any) -> None:
    """Starts state from the first global batch; nothing by default.

    Called once before training, outside `strategy.run`.
    """
    del statistics

  def update(self, statistics: Any) -> dict[str, tf.Tensor]:
    """After the parameters' step; the state moves.

    Args:
      statistics: as this step's `loss` returned them, of this replica.

    Returns:
      Scalars to log, equal on all replicas.
    """
    del statistics
    return {}


def squared_error_per_example(
  images: tf.Tensor, reconstruction: tf.Tensor
) -> tf.Tensor:
  """Σ_d (x_d − g_d)²: [B]."""
  axes = list(range(1, images.shape.rank))
  return tf.reduce_sum(tf.math.squared_difference(images, reconstruction), axes)


def num_dims(images: tf.Tensor) -> int:
  """D, the dimensions of one example."""
  return images.shape[1:].num_elements()


def all_reduce_mean(value: tf.Tensor) -> tf.Tensor:
  """The mean over replicas; value itself where there is one."""
  if tf.distribute.in_cross_replica_context():
    return value
  replicas = tf.distribute.get_replica_context()
  return replicas.all_reduce(tf.distribute.ReduceOp.MEAN, value)
