# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How near samples are to data, in the features of a classifier of ours.

Fréchet and kernel distances, precision and recall are published with features
of an Inception network. These are of a small classifier that
`launch.train_classifier` left behind: their numbers compare within one
classifier only, and their names say so (`classifier_fid`).
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import data, errors, runs
from geco_tf.data import pipeline
from geco_tf.runs import classifiers
from geco_tf.runs import workdir as workdir_lib

NUMBERS = (
  "classifier_fid", "classifier_kid", "classifier_kid_standard_error",
  "classifier_precision", "classifier_recall",
)  # fmt: skip
_BATCH_SIZE = 250
_ROWS_PER_BLOCK = 1_000  # Of a table of distances.


class Mean(NamedTuple):
  """A mean, and the standard error of it."""

  value: float
  standard_error: float


class PrecisionRecall(NamedTuple):
  """Shares of images within the other set's neighbourhoods."""

  precision: float  # Of samples that look like data.
  recall: float  # Of data that samples cover.


def measure(
  model: Any,
  split: data.Split,
  classifier: str,
  *,
  num_images: int = 10_000,
  layer: str | None = None,
  num_neighbours: int = 3,
  seed: int = 0,
) -> dict[str, Any]:
  """Compares samples from the prior with data that the model has not seen.

  Args:
    model: unconditional, with its variables created.
    split: of test data.
    classifier: folder of `launch.train_classifier`, for images of this shape.
    num_images: of samples, and of data; all data, if fewer.
    layer: whose features; None is the last below the logits.
    num_neighbours: k of precision and recall.
    seed: of the samples and of the choice of data.

  Returns:
    `NUMBERS`, and all that they depend on: the classifier's folder, weights and
    data, the layer, the number of images.

  Raises:
    UserError: if there is no classifier, it is for other images or has no such
      layer, or there are too few images.
  """
  if data.sources.view_of(split).context_shape is not None:
    raise errors.UserError(
      "Sample quality is one of unconditional models; give samples their "
      "context, and judge them by launch.judge_samples."
    )
  judge = runs.load_classifier(classifier)
  num = min(num_images, split.num_examples)
  fixed = pipeline.evaluation_batches(
    split, _BATCH_SIZE, num_examples=num, seed=seed
  )
  extract = Features(judge, layer)
  real = np.concatenate([extract(batch.images) for batch in fixed.batches])
  sampled = extract.of_samples(model, len(real), seed)
  kid = kernel_distance(real, sampled, seed=seed)
  near = precision_recall(real, sampled, num_neighbours)
  return {
    "classifier_fid": frechet_distance(real, sampled),
    "classifier_kid": kid.value,
    "classifier_kid_standard_error": kid.standard_error,
    "classifier_precision": near.precision,
    "classifier_recall": near.recall,
    "classifier": identity(classifier),
    "layer": extract.layer,
    "num_features": real.shape[1],
    "num_images": len(real),
    "num_neighbours": num_neighbours,
    "seed": seed,
  }


def identity(folder: str) -> dict[str, Any]:
  """Which classifier it is: these numbers compare with no other's.

  Args:
    folder: of `launch.train_classifier`.

  Raises:
    UserError: if there is no classifier.
  """
  config = classifiers.read_config(folder)
  summary = runs.Workdir(folder).read_summary() or {}
  return {
    "name": workdir_lib.last_name(folder),
    "model": config.model,
    "dataset": os.path.basename(config.dataset),
    "test_accuracy": summary.get("test_accuracy"),
    "weights_crc32": runs.weights_crc32(runs.load_classifier(folder)),
  }


class Features:
  """A layer of a classifier as vectors; maps are averaged over positions."""

  def __init__(self, classifier: snt.Module, layer: str | None = None):
    """Looks the layer up.

    Args:
      classifier: as `runs.load_classifier` gives it.
      layer: its name; None is the last below the logits.

    Raises:
      UserError: if there is no such layer.
    """
    shape = (1, *classifier.image_shape)
    names = list(classifier.features(tf.zeros(shape)))
    if layer is not None and layer not in names:
      raise errors.unknown_name("layer", layer, names)
    self.layer = layer or names[-1]
    self._image_shape = tuple(classifier.image_shape)
    self._extract: Callable[[tf.Tensor], tf.Tensor] = tf.function(
      lambda images: _vectors(classifier.features(images)[self.layer]),
      reduce_retracing=True,
    )

  def __call__(self, images: Any) -> np.ndarray:
    """Features [N, d], float64, of images [N, H, W, C] in [0, 1].

    Raises:
      UserError: if the classifier is for images of another shape.
    """
    if tuple(images.shape[1:]) != self._image_shape:
      raise errors.UserError(
        f"`classifier` must be for images {tuple(images.shape[1:])}; it is for "
        f"{self._image_shape}."
      )
    return self._extract(tf.convert_to_tensor(images)).numpy().astype(float)

  def of_samples(self, model: Any, num: int, seed: int) -> np.ndarray:
    """The features of samples from the prior, [num, d]."""
    parts = [
      self(model.sample(_BATCH_SIZE, seed=tf.constant([seed, i], tf.int32)))
      for i in range(-(-num // _BATCH_SIZE))
    ]
    return np.concatenate(parts)[:num]


def _vectors(maps: tf.Tensor) -> tf.Tensor:
  """[B, ..., c] → [B, c]."""
  return tf.reduce_mean(maps, axis=list(range(1, maps.shape.rank - 1)))


def frechet_distance(real: np.ndarray, sampled: np.ndarray) -> float:
  """The squared 2-Wasserstein distance of the Gaussians of two sets.

    ‖m − m′‖² + tr(S + S′ − 2 (S^½ S′ S^½)^½)

  It is never negative, and not defined by fewer images than features: then it
  is biased upwards, the more the fewer images there are.

  Args:
    real: features [N, d].
    sampled: features [M, d].

  Returns:
    In squared units of the features.

  Raises:
    UserError: if a set has fewer than two images, or d differs.

  Source: Heusel et al. 2017.
  """
  _check(real, sampled, 2)
  means = [features.mean(axis=0) for features in (real, sampled)]
  one, other = (
    np.atleast_2d(np.cov(features, rowvar=False))
    for features in (real, sampled)
  )
  root = _square_root(one)
  # The singular values of S′^½ S^½ are the roots of the eigenvalues of
  # S^½ S′ S^½, without squares that rounding makes negative.
  overlap = np.linalg.svd(_square_root(other) @ root, compute_uv=False).sum()
  distance = np.sum((means[0] - means[1]) ** 2)
  distance += np.trace(one) + np.trace(other) - 2.0 * overlap
  return max(0.0, float(distance))


def _square_root(covariance: np.ndarray) -> np.ndarray:
  """Of a symmetric matrix without negative eigenvalues."""
  values, vectors = np.linalg.eigh(covariance)
  return vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T


def kernel_distance(
  real: np.ndarray,
  sampled: np.ndarray,
  *,
  block_size: int = 1_000,
  seed: int = 0,
) -> Mean:
  """The unbiased squared maximum mean discrepancy, with k = (x·y / d + 1)³.

    mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y),   x ≠ x′, y ≠ y′

  in blocks of the two sets, drawn without replacement and without overlap, so
  that their mean has a standard error; 0 on average, and as often negative as
  positive, where both sets are of one distribution.

  Args:
    real: features [N, d].
    sampled: features [M, d].
    block_size: images a block; sets that are smaller than two blocks are cut
      into two.
    seed: of who is in which block.

  Raises:
    UserError: if a set has fewer than four images, or d differs.

  Source: Bińkowski et al. 2018.
  """
  _check(real, sampled, 4)
  num = min(len(real), len(sampled))
  num_blocks = max(2, num // block_size)
  size = num // num_blocks
  random = np.random.RandomState(seed)
  orders = [
    random.permutation(len(f))[: num_blocks * size] for f in (real, sampled)
  ]
  values = [
    _unbiased_mmd(x, y)
    for x, y in zip(
      real[orders[0]].reshape(num_blocks, size, -1),
      sampled[orders[1]].reshape(num_blocks, size, -1),
      strict=True,
    )
  ]
  error = np.std(values, ddof=1) / np.sqrt(num_blocks)
  return Mean(float(np.mean(values)), float(error))


def _unbiased_mmd(x: np.ndarray, y: np.ndarray) -> float:
  """Of two blocks of one size."""

  def kernel(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one @ other.T / one.shape[1] + 1.0) ** 3

  size = len(x)
  within = sum(
    (k.sum() - np.trace(k)) / (size * (size - 1))
    for k in (kernel(x, x), kernel(y, y))
  )
  return float(within - 2.0 * kernel(x, y).mean())


def precision_recall(
  real: np.ndarray, sampled: np.ndarray, num_neighbours: int = 3
) -> PrecisionRecall:
  """How many samples lie among the data, and how many data among samples.

  A set's neighbourhoods are balls around its images, each as far as its k-th
  nearest other image. Precision is the share of samples in a neighbourhood of
  data, recall the share of data in one of samples.

  Args:
    real: features [N, d].
    sampled: features [M, d]; both of one size, or the shares do not compare.
    num_neighbours: k.

  Raises:
    UserError: if a set has no k others, or d differs.

  Source: Kynkäänniemi et al. 2019.
  """
  if num_neighbours < 1:
    raise errors.UserError(
      f"`num_neighbours` must be positive; got {num_neighbours}."
    )
  _check(real, sampled, num_neighbours + 1)
  return PrecisionRecall(
    _share_covered(sampled, real, num_neighbours),
    _share_covered(real, sampled, num_neighbours),
  )


def _share_covered(
  images: np.ndarray, centres: np.ndarray, num_neighbours: int
) -> float:
  """The share of images within any of the centres' neighbourhoods."""
  # The nearest of all is the centre itself.
  radii = np.concatenate(
    [
      np.partition(some, num_neighbours, axis=1)[:, num_neighbours]
      for some in _squared_distances(centres, centres)
    ]
  )
  return float(
    np.mean(
      np.concatenate(
        [
          np.any(some <= radii, axis=1)
          for some in _squared_distances(images, centres)
        ]
      )
    )
  )


def _squared_distances(one: np.ndarray, other: np.ndarray):
  """Rows of the table ‖x − y‖² [N, M], a block at a time."""
  square = np.sum(other**2, axis=1)
  for i in range(0, len(one), _ROWS_PER_BLOCK):
    some = one[i : i + _ROWS_PER_BLOCK]
    table = (
      np.sum(some**2, axis=1)[:, np.newaxis] + square - 2.0 * some @ other.T
    )
    yield np.maximum(table, 0.0)


def _check(real: np.ndarray, sampled: np.ndarray, least: int) -> None:
  for name, features in (("real", real), ("sampled", sampled)):
    if features.ndim != 2 or len(features) < least:
      raise errors.UserError(
        f"`{name}` must be features [N, d] of at least {least} images; got "
        f"{features.shape}."
      )
    if not np.isfinite(features).all():
      raise errors.UserError(f"`{name}` must be finite; it is not.")
  if real.shape[1] != sampled.shape[1]:
    raise errors.UserError(
      f"`sampled` must have {real.shape[1]} features as `real`; got "
      f"{sampled.shape[1]}."
    )
