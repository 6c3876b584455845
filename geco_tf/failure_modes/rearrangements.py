# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Condition 2: may another function with the same p(x) be simpler to infer?"""

from typing import NamedTuple

import numpy as np
from scipy import special

from geco_tf import errors
from geco_tf.failure_modes import ground_truths, mean_field, quadrature

# Condition 2 fails if an equal p(x) has less than this share of the gap.
SIMPLER = 0.5
_NUM_EXAMPLES_OF_TWO_LATENTS = 60
# The narrowest Gaussian that is tried, in widths of the narrowest cell.
_SHARE_OF_CELL = 0.3
_GOLDEN_RATIO = 0.5 * (np.sqrt(5.0) - 1.0)


class Rearrangement(NamedTuple):
  """What condition 2 asks: the simplest model found with the same p(x)."""

  values: np.ndarray  # [M, D], f on M cells of the prior, equally likely.
  gap: float  # E of the best Gaussian's gap with those, nats.
  gap_before: float  # The same of f itself.
  holds: bool  # Whether no model that was found is much simpler.


def simplest_rearrangement(
  truth: ground_truths.GroundTruth,
  *,
  num_cells: int = 240,
  num_moves: int = 1_000,
  num_examples: int = 300,
  seed: int = 0,
) -> Rearrangement:
  """Condition 2: a search among functions with the same p(x).

  The prior is cut into M cells of equal probability, and f takes one value in
  each. Any order of the values gives the same p(x). The search starts from f's
  own order and from a short path through the values, then reverses and moves
  stretches of the better one wherever that lowers the gap of the best
  Gaussians. A model of two latents is replaced by one of a single latent, with
  M values of f; these have no order of their own.

  What is found is an upper bound: a simpler model may exist.

  Args:
    truth: the model.
    num_cells: M.
    num_moves: that are tried.
    num_examples: x that the gap is an average over while searching.
    seed: of the examples and the moves.

  Returns:
    The best order, its gap, and whether the condition holds.

  Raises:
    UserError: if a number is not positive.
  """
  for name, value in (("num_cells", num_cells), ("num_examples", num_examples)):
    if value < 2:
      raise errors.UserError(f"`{name}` must be at least 2; got {value}.")
  rng = np.random.default_rng(seed)
  values = _equally_likely_values(truth, num_cells)
  x = truth.sample(num_examples, seed=seed).x
  score = _CellGap(x, truth.noise_variance, num_cells)
  own_order = np.arange(num_cells)
  candidates = [_short_path(values)]
  if truth.num_latents == 1:
    candidates.append(own_order)
  order = min(candidates, key=lambda o: score(values[o]))
  order = _improve(order, lambda o: score(values[o]), num_moves, rng)
  gap = score(values[order])
  if truth.num_latents == 1:
    before = score(values)
  else:
    before = _mean_gap(truth, x[:_NUM_EXAMPLES_OF_TWO_LATENTS])
  return Rearrangement(values[order], gap, before, gap > SIMPLER * before)


def _mean_gap(truth: ground_truths.GroundTruth, x: np.ndarray) -> float:
  grid = truth.latent_grid()
  fit = mean_field.best_mean_field(truth.decode, truth.variance, x, grid)
  return float(fit.gap.mean())


def _equally_likely_values(
  truth: ground_truths.GroundTruth, num_cells: int
) -> np.ndarray:
  """The values of f in the middle of cells of equal prior mass, [M, D]."""
  first = (np.arange(num_cells) + 0.5) / num_cells
  columns = [first]
  if truth.num_latents == 2:  # A lattice over the unit square.
    columns.append((first * num_cells * _GOLDEN_RATIO) % 1.0)
  return truth.function(special.ndtri(np.stack(columns, axis=-1)))


class _CellGap:
  """The mean gap of the best Gaussians, for functions constant on cells."""

  def __init__(self, x: np.ndarray, variance: float, num_cells: int):
    self._x = x
    self._variance = variance
    edges = special.ndtri(np.linspace(0.0, 1.0, num_cells + 1))
    # Neighbours may be strangers: a Gaussian must fit into a single cell.
    lattice = mean_field.lattice_axis(
      smallest_scale=_SHARE_OF_CELL * np.diff(edges).min(),
      ratio=1.4,
      means_per_scale=1.5,
    )
    means, log_scales = np.split(lattice, 2, axis=1)
    cdf = special.ndtr((edges - means) * np.exp(-log_scales))
    self._weights = np.diff(cdf, axis=1)  # [P, M]
    self._kl = mean_field.kl_to_prior(means, log_scales)

  def __call__(self, values: np.ndarray) -> float:
    """The gap of values on the cells: [M, D] → nats."""
    precision = 1.0 / self._variance
    squares = np.sum(values**2, axis=1)
    costs = 0.5 * precision * (self._weights @ squares) + self._kl
    products = self._x @ (precision * (self._weights @ values)).T
    energy = np.min(costs - products, axis=1)
    scores = precision * (self._x @ values.T - 0.5 * squares)
    log_evidence = quadrature.log_sum_exp(scores) - np.log(len(values))
    return float(np.mean(energy + log_evidence))


def _short_path(values: np.ndarray) -> np.ndarray:
  """The shortest of the paths that go to the nearest value not yet visited."""
  distances = np.linalg.norm(values[:, np.newaxis] - values, axis=-1)
  paths = [_nearest_first(distances, start) for start in range(len(values))]
  return min(paths, key=lambda p: distances[p[:-1], p[1:]].sum())


def _nearest_first(distances: np.ndarray, start: int) -> np.ndarray:
  path = [start]
  is_open = np.ones(len(distances), bool)
  is_open[start] = False
  while is_open.any():
    left = np.flatnonzero(is_open)
    path.append(left[np.argmin(distances[path[-1], left])])
    is_open[path[-1]] = False
  return np.array(path)


def _improve(order, score, num_moves: int, rng) -> np.ndarray:
  """Reverses stretches, or moves them elsewhere, where that lowers score."""
  best = score(order)
  for _ in range(num_moves):
    first, last = np.sort(rng.choice(len(order) + 1, 2, replace=False))
    stretch, rest = order[first:last], np.delete(order, slice(first, last))
    if rng.random() < 0.5:
      place, stretch = first, stretch[::-1]
    else:
      place = rng.integers(len(rest) + 1)
    proposed = np.insert(rest, place, stretch)
    value = score(proposed)
    if value < best:
      order, best = proposed, value
  return order
