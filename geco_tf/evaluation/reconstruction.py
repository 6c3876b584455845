# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How well a model reconstructs, and at what rate."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import sonnet as snt
import tensorflow as tf

from geco_tf import models
from geco_tf.evaluation import replicas


class Measurement(NamedTuple):
  """Means over a fixed set of examples, with one z ~ q(z|x) for each."""

  rmse: float  # Root-mean-square error per dimension, in units of the data.
  kl: float  # E KL(q(z|x) ‖ π), nats.
  num_examples: int


class ReconstructionMeasure:
  """Measures RMSE and KL of one model; traced once, for many calls.

  Batches are cut over the replicas of the strategy that it is made under.
  """

  def __init__(self, model: snt.Module):
    """Args: model: any model of the package, with its variables created."""
    self.model = model
    self._sums = replicas.OverReplicas(self._sums_of_part)

  def __call__(self, batches: Iterable[Any], *, seed: int = 0) -> Measurement:
    """Measures.

    Args:
      batches: of type `Batch`, once through; the last may be smaller.
      seed: of the noise; the same seed and batches give the same numbers.

    Returns:
      The means over all examples.
    """
    error, kl, num_dims, count = 0.0, 0.0, 1, 0
    for i, batch in enumerate(batches):
      examples = (batch.images, batch.context)
      for sums in self._sums(examples, tf.constant([seed, i], tf.int32)):
        error += float(sums[0])
        kl += float(sums[1])
      num_dims = batch.images.shape[1:].num_elements()
      count += int(batch.images.shape[0])
    return Measurement((error / (count * num_dims)) ** 0.5, kl / count, count)

  def _sums_of_part(
    self, part: replicas.Part, seed: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    images, context = part.examples
    outputs = models.call(self.model, images, context, seed=part.seed(seed))
    error = tf.math.squared_difference(images, outputs.reconstruction)
    return (
      tf.reduce_sum(part.real(error)),
      tf.reduce_sum(part.real(outputs.kl)),
    )
