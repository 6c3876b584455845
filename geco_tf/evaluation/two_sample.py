# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Do two samples come from one distribution?"""

from typing import NamedTuple

import numpy as np
from scipy import spatial
from sklearn import (
  decomposition,
  linear_model,
  model_selection,
  pipeline,
  preprocessing,
)

from geco_tf import errors

# Of which a classifier takes products: 64 give 2,144.
_MAX_COLUMNS = 64


class MMD(NamedTuple):
  """The squared maximum mean discrepancy, and how rare it is by chance."""

  statistic: float  # Unbiased: about 0, or below, for equal distributions.
  p_value: float  # Share of permutations that reach it; small: they differ.


class ClassifierTest(NamedTuple):
  """How often a classifier tells a held-out point's sample."""

  accuracy: float  # ½ for equal distributions.
  low: float  # 95 % interval of the accuracy,
  high: float  # Clopper and Pearson's.
  p_value: float  # P(at least that many right | a fair coin).


def mmd(
  one: np.ndarray,
  other: np.ndarray,
  *,
  num_permutations: int = 500,
  seed: int = 0,
) -> MMD:
  """The kernel two-sample test with a Gaussian kernel.

    MMD² = E k(x, x′) + E k(y, y′) − 2 E k(x, y),  pairs of different points

  The kernel's width is the median distance of the pooled sample.

  Args:
    one: [N, D].
    other: [M, D].
    num_permutations: of the pooled sample; 1 / (that + 1) is the least p-value.
    seed: of the permutations.

  Returns:
    The statistic and its p-value.

  Raises:
    UserError: if the samples differ in columns, or one is below two points.

  Source: Gretton et al. 2012, equation 3.
  """
  one, other = _checked(one, other)
  pooled = np.concatenate([one, other])
  pairs = spatial.distance.pdist(pooled, "sqeuclidean")
  width = max(np.median(pairs), np.finfo(float).tiny)
  # In the triangle alone; the square's diagonal is 0.
  kernel = spatial.distance.squareform(np.exp(pairs / -width, out=pairs))
  is_one = np.arange(len(pooled)) < len(one)
  rng = np.random.default_rng(seed)
  shuffled = rng.permuted(np.tile(is_one, (num_permutations, 1)), axis=1)
  statistics = _mmd_of_splits(kernel, np.vstack([is_one, shuffled]))
  reached = np.sum(statistics[1:] >= statistics[0])
  return MMD(
    float(statistics[0]), float((1 + reached) / (1 + num_permutations))
  )


def _mmd_of_splits(kernel: np.ndarray, is_one: np.ndarray) -> np.ndarray:
  """MMD² of every split [P, N + M] of the pooled sample."""
  ones = is_one.astype(np.float64)
  n, m = ones[0].sum(), len(kernel) - ones[0].sum()
  with_ones = ones @ kernel
  within = np.sum(with_ones * ones, axis=1)
  between = np.sum(with_ones, axis=1) - within
  rest = kernel.sum() - within - 2.0 * between
  return within / (n * (n - 1)) + rest / (m * (m - 1)) - 2.0 * between / (n * m)


def classifier_test(
  one: np.ndarray, other: np.ndarray, *, num_folds: int = 5, seed: int = 0
) -> ClassifierTest:
  """Whether logistic regression on products of columns can tell them apart.

  Of more than 64 columns, scaled to one variance, the products are those of
  their first 64 principal components, found without the labels.

  Both samples are cut to the smaller's size, so that guessing is right half of
  the time. Every point is judged by a classifier that has not seen it.

  Args:
    one: [N, D].
    other: [M, D].
    num_folds: of the cross-validation; at most the smaller's size.
    seed: of the cuts and folds.

  Returns:
    The accuracy, its interval and its p-value. Folds share training points, so
    that both are approximate.

  Raises:
    UserError: as `mmd`.

  Source: Lopez-Paz & Oquab 2017.
  """
  from scipy import stats

  one, other = _checked(one, other)
  rng = np.random.default_rng(seed)
  size = min(len(one), len(other))
  points = np.concatenate([rng.permutation(s)[:size] for s in (one, other)])
  labels = np.repeat([0, 1], size)
  fewer: list[decomposition.PCA] = []
  if points.shape[1] > _MAX_COLUMNS:
    fewer = [decomposition.PCA(min(_MAX_COLUMNS, size), svd_solver="full")]
  classifier = pipeline.make_pipeline(
    preprocessing.StandardScaler(),
    *fewer,
    preprocessing.PolynomialFeatures(2, include_bias=False),
    preprocessing.StandardScaler(),
    linear_model.LogisticRegression(C=0.1, max_iter=1000),
  )
  folds = model_selection.StratifiedKFold(
    num_folds, shuffle=True, random_state=seed
  )
  guesses = model_selection.cross_val_predict(
    classifier, points, labels, cv=folds
  )
  test = stats.binomtest(
    int(np.sum(guesses == labels)), 2 * size, alternative="greater"
  )
  low, high = stats.binomtest(test.k, test.n).proportion_ci(0.95)
  return ClassifierTest(
    float(test.statistic), float(low), float(high), float(test.pvalue)
  )


def _checked(
  one: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
  for name, sample in (("one", one), ("other", other)):
    if sample.ndim != 2 or len(sample) < 2:
      raise errors.UserError(
        f"`{name}` must hold two points or more, [N, D]; got {sample.shape}."
      )
  if one.shape[1] != other.shape[1]:
    raise errors.UserError(
      "`one` and `other` must have the same columns; got "
      f"{one.shape[1]} and {other.shape[1]}."
    )
  return one, other
