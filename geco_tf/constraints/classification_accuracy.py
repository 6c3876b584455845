# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The classification accuracy (CLA) of "Taming VAEs", Table 1."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from geco_tf import errors
from geco_tf.constraints import base


class ClassificationAccuracy(base.Constraint):
  """A classifier gives the reconstruction's true label a probability of κ.

    C(x, g) = κ − lᵀ c(g(z))

  with l the one-hot label of x and c the probabilities of a classifier that
  was trained before: the larger κ, the stronger the constraint. It leaves
  everything but the label free. As an error, 1 − lᵀc is at most 1 − κ: that is
  the bound, and the units of the relative violation. λ starts at ln K / (1 − κ)
  for K classes: as much error as is allowed costs as many nats as a label is
  worth. From much less, the posterior falls to the prior before the decoder has
  learned to show any label, and stays there.

  Source: Rezende & Viola 2018, Table 1; the sign is from the text, where a
  smaller κ is the weaker constraint.
  """

  def __init__(
    self,
    kappa: float,
    *,
    classifier_fn: Callable[[tf.Tensor], tf.Tensor],
    name: str = "cla",
  ):
    """Builds the constraint.

    Args:
      kappa: the least mean probability of the true label, in (0, 1).
      classifier_fn: images [B, ...] → logits [B, K], differentiable; its
        weights must not be among those that are trained.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if kappa is not in (0, 1).
    """
    self.kappa = base.check_tolerance("kappa", kappa)
    if self.kappa >= 1.0:
      raise errors.UserError(
        f"`kappa` must be below 1, a probability; got {kappa!r}."
      )
    self._classifier_fn = classifier_fn
    self.name = name

  # GECO reads the signature, and names the labels where they are missing.
  def __call__(  # type: ignore[override]
    self,
    targets: tf.Tensor,
    reconstruction: tf.Tensor,
    *,
    labels: tf.Tensor,
    **context: Any,
  ) -> base.ConstraintValue:
    """The constraint on one batch.

    Args:
      targets: not read.
      reconstruction: [B, ...], g(z).
      labels: of the targets, [B], whole numbers from 0 to K − 1.
      **context: not read.

    Returns:
      The `ConstraintValue`, violation [B].

    Raises:
      UserError: if labels are not [B], or one has no class. In a graph, where
        labels are not known yet, it is TensorFlow's InvalidArgumentError.
    """
    del targets, context
    logits = self._classifier_fn(reconstruction)
    num_classes = logits.shape[-1]
    labels = base.check_labels(labels, num_classes, logits)
    # In this type before the one-hot, so that float64 images keep their digits.
    one_hot = tf.one_hot(labels, num_classes, dtype=logits.dtype)
    confidence = tf.reduce_sum(one_hot * tf.nn.softmax(logits), axis=-1)
    return base.ConstraintValue(
      violation=self.kappa - confidence,
      weight=None,
      bound=tf.constant(1.0 - self.kappa, logits.dtype),
      initial_multiplier=tf.constant(
        math.log(num_classes) / (1.0 - self.kappa), logits.dtype
      ),
    )

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """The mean probability of the true label."""
    del bound
    return self.kappa - mean
