# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every constraint as a measuring instrument: what a κ is compared with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf import constraints, data, errors, runs

NUM_IMAGES = 500
# Of the judge, by data set.
_LAYERS = {"mnist": ("conv_0", "dense"), "cifar10": ("block_0", "pooled")}


def test_images(source: data.Source) -> tuple[np.ndarray, np.ndarray]:
  """Evenly chosen test examples: images [N, H, W, C] in [0, 1], labels [N]."""
  test = source.test
  chosen = np.linspace(0, test.num_examples - 1, NUM_IMAGES).astype(int)
  images = test.images[chosen]
  if images.dtype == np.uint8:
    images = images / np.float32(255.0)
  return images, test.labels[chosen]


def make(name: str, classifier_dir: str, source: data.Source) -> dict[str, Any]:
  """Column → constraint; any κ does, as levels are read off.

  Args:
    name: of the data, mnist or cifar10.
    classifier_dir: folder of launch.train_classifier.
    source: of the data.

  Raises:
    UserError: if the classifier is one of other images.
  """
  classifier = runs.load_classifier(classifier_dir)
  if tuple(classifier.image_shape) != tuple(source.image_shape):
    raise errors.UserError(
      f"`classifier` must be one of images {list(source.image_shape)}; it is "
      f"one of {list(classifier.image_shape)}."
    )
  columns = {
    "RE": constraints.ReconstructionError(0.1),
    "NLL": constraints.NegLogLikelihood(4.0),
    "pNCC": constraints.PatchNormalizedCrossCorrelation(0.5),
    "CLA": constraints.ClassificationAccuracy(0.5, classifier_fn=classifier),
    "FRE, local": constraints.FeatureReconstructionError(
      0.1, feature_fn=constraints.local_statistics()
    ),
  }
  for layer in _LAYERS[name]:
    columns[f"FRE, {layer}"] = constraints.FeatureReconstructionError(
      0.1,
      feature_fn=lambda images, layer=layer: classifier.features(images)[layer],
    )
  return columns


def levels(
  columns: Mapping[str, Any],
  images: np.ndarray,
  spoiled: np.ndarray,
  labels: np.ndarray,
) -> dict[str, float]:
  """What every constraint's κ would be compared with."""
  found = {}
  for column, constraint in columns.items():
    value = constraint.evaluate(
      tf.constant(images), tf.constant(spoiled, tf.float32), {"labels": labels}
    )
    mean = tf.reduce_mean(value.violation)
    found[column] = float(constraint.level(mean, value.bound))
  return found


def print_table(rows: Mapping[str, Mapping[str, float]]) -> None:
  """One row a way to change the images, as Markdown."""
  columns = list(next(iter(rows.values())))
  print("| | " + " | ".join(columns) + " |")
  print("|" + "---|" * (1 + len(columns)))
  for label, row in rows.items():
    print(f"| {label} | " + " | ".join(f"{row[c]:.3f}" for c in columns) + " |")
