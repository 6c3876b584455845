# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Do samples have the label that their context asks for? A classifier says."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import data
from geco_tf import registry as registry_lib
from geco_tf.data import pipeline, rotation
from geco_tf.evaluation import classification

_BATCH_SIZE = 100


class Rule(NamedTuple):
  """How the samples of one task are judged."""

  # Context labels [N, K] → the label [N] that a sample should have.
  right: Callable[[np.ndarray], np.ndarray]
  # (labeller, images [N, H, W, C], context labels) → the label [N] it has.
  found: Callable[[classification.Labeller, np.ndarray, np.ndarray], np.ndarray]


def sum_rule(num_classes: int) -> Rule:
  """The image is of class (l_0 + l_1) mod num_classes."""
  return Rule(
    right=lambda labels: labels.sum(axis=1) % num_classes,
    found=lambda labeller, images, labels: labeller(images),
  )


def sum_hard_rule(num_classes: int) -> Rule:
  """The classes of the two channels add up to l_0, mod num_classes."""

  def found(
    labeller: classification.Labeller, images: np.ndarray, labels: np.ndarray
  ) -> np.ndarray:
    del labels
    total = labeller(images[..., :1]) + labeller(images[..., 1:])
    return total % num_classes

  return Rule(right=lambda labels: labels[:, 0], found=found)


def rotate_rule(num_classes: int, *, angle: float = 30.0) -> Rule:
  """The image, turned back by l_1 · angle (degrees), is of class l_0."""
  del num_classes

  def found(
    labeller: classification.Labeller, images: np.ndarray, labels: np.ndarray
  ) -> np.ndarray:
    back = -angle * labels[:, 1].astype(np.float32)
    return labeller(rotation.rotate(images, back))

  return Rule(right=lambda labels: labels[:, 0], found=found)


# Names are those of the tasks; arguments are num_classes and the task's own.
rules = registry_lib.Registry("conditional task")
rules.register("rotate", rotate_rule)
rules.register("sum", sum_rule)
rules.register("sum_hard", sum_hard_rule)


class Draws(NamedTuple):
  """One sample for each context, beside what the data had there."""

  context: np.ndarray  # [N, K, H, W, 1].
  context_labels: np.ndarray  # [N, K].
  targets: np.ndarray  # [N, H, W, C].
  samples: np.ndarray  # [N, H, W, C].


def draw(
  model: snt.Module, split: data.Split, num_samples: int, *, seed: int
) -> Draws:
  """Draws a sample for each of some contexts.

  Args:
    model: conditional; samples are its means.
    split: of a task with a context; test digits, usually.
    num_samples: how many contexts; all of them if there are fewer.
    seed: of the choice of contexts, and of the samples.

  Returns:
    The draws: a function of the weights and the seed.
  """
  sample = tf.function(
    lambda context, seed: model.sample(
      tf.shape(context)[0], context, seed=seed
    ),
    reduce_retracing=True,
  )
  fixed = pipeline.evaluation_batches(
    split, _BATCH_SIZE, num_examples=num_samples, seed=seed
  )
  parts = [
    Draws(
      batch.context.numpy(),
      batch.context_labels.numpy(),
      batch.images.numpy(),
      sample(batch.context, tf.constant([seed, i], tf.int32)).numpy(),
    )
    for i, batch in enumerate(fixed.batches)
  ]
  return Draws(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Judgement(NamedTuple):
  """How often images had the label that their context asks for."""

  overall: classification.Share
  per_class: dict[int, classification.Share]  # By the label asked for.

  def to_json(self) -> dict[str, Any]:
    """The same, as JSON can hold it."""
    return {
      **self.overall._asdict(),
      "per_class": {str(k): v._asdict() for k, v in self.per_class.items()},
    }


def judge(
  images: np.ndarray,
  context_labels: np.ndarray,
  rule: Rule,
  labeller: classification.Labeller,
) -> Judgement:
  """Counts the images whose label is right.

  Args:
    images: [N, H, W, C], samples or the real targets.
    context_labels: [N, K].
    rule: of the task.
    labeller: the judge.

  Returns:
    Shares with their 99 % intervals (Wilson's); classes that no context asks
    for are left out.
  """
  right = rule.right(context_labels)
  is_right = rule.found(labeller, images, context_labels) == right
  return Judgement(
    _share(is_right),
    {
      int(label): _share(is_right[right == label]) for label in np.unique(right)
    },
  )


def _share(is_right: np.ndarray) -> classification.Share:
  return classification.share(int(is_right.sum()), len(is_right))
