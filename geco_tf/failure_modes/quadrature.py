# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Sums over a grid of latents: densities and posteriors of small models.

A model here is two things: `decode`, latents [G, K] → [R, G, D] for R functions
(the restarts of one model, or one ground truth), and `variance` [R], the σ² of
its isotropic Gaussian noise. The prior is N(0, I). Everything is float64.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from geco_tf import errors

# [G, K] → [R, G, D]; what it returns may be an array or a tensor.
Decode = Callable[[np.ndarray], np.ndarray]

MAX_LATENTS = 2
# Cells per unit of z, by number of latents; the grid ends at ±7, which leaves
# 3e-12 of the prior outside. A posterior as narrow as a cell is still summed
# to 3e-9 (the midpoint rule's error is 2 exp(−2π² sd² / spacing²)).
_SPACINGS = {1: 0.004, 2: 0.05}
_LIMIT = 7.0
# Numbers in one [R, N, G] block: 160 MB of float64.
_BLOCK = 20_000_000


class LatentGrid(NamedTuple):
  """The midpoints of equal cells, and what the prior has in each."""

  points: np.ndarray  # [G, K]
  log_prior: np.ndarray  # [G], ln N(z; 0, I), a density.
  cell: float  # Volume of a cell.


def latent_grid(num_latents: int, spacing: float | None = None) -> LatentGrid:
  """A grid over [−7, 7]^K.

  Args:
    num_latents: K, 1 or 2.
    spacing: between points; None takes .004 for one latent, .05 for two. No
      posterior may be narrower than this.

  Raises:
    UserError: if there are too many latents for a grid, or spacing is not
      positive.
  """
  if num_latents not in _SPACINGS:
    raise errors.UserError(
      f"`num_latents` must be 1 to {MAX_LATENTS} for quadrature; got"
      f" {num_latents}. Use `conditions.sampled_decomposition`, which draws"
      " latents instead."
    )
  spacing = _SPACINGS[num_latents] if spacing is None else spacing
  if not spacing > 0.0:
    raise errors.UserError(f"`spacing` must be positive; got {spacing}.")
  half = np.arange(0.5 * spacing, _LIMIT, spacing)
  axis = np.concatenate([-half[::-1], half])
  mesh = np.meshgrid(*[axis] * num_latents, indexing="ij")
  points = np.stack([m.ravel() for m in mesh], axis=-1)
  return LatentGrid(points, log_normal(points), spacing**num_latents)


def log_normal(z: np.ndarray) -> np.ndarray:
  """The prior: ln N(z; 0, I) over the last axis, nats."""
  size = z.shape[-1]
  return -0.5 * (np.sum(z**2, axis=-1) + size * np.log(2.0 * np.pi))


def log_likelihood(
  x: np.ndarray, means: np.ndarray, variance: np.ndarray
) -> np.ndarray:
  """The noise: ln N(x; mean, σ²I) of every x under every mean, nats.

  Args:
    x: [N, D].
    means: [R, G, D].
    variance: [R], σ².

  Returns:
    [R, N, G].
  """
  size = x.shape[-1]
  centre = means.mean(axis=(0, 1))  # Keeps the products below small.
  x, means = x - centre, means - centre
  precision = 1.0 / np.asarray(variance, np.float64)[:, np.newaxis, np.newaxis]
  result = x @ (np.swapaxes(means, 1, 2) * precision)  # [R, N, G]
  result -= 0.5 * precision * np.sum(x**2, axis=-1)[:, np.newaxis]
  result -= 0.5 * precision * np.sum(means**2, axis=-1)[:, np.newaxis, :]
  result += 0.5 * size * np.log(precision / (2.0 * np.pi))
  return result


def log_evidence(
  x: np.ndarray, decode: Decode, variance: np.ndarray, grid: LatentGrid
) -> np.ndarray:
  """The log density ln p(x) = ln ∫ N(x; f(z), σ²I) N(z; 0, I) dz.

  Args:
    x: [N, D].
    decode: [G, K] → [R, G, D].
    variance: [R], σ².
    grid: of latents.

  Returns:
    [R, N], nats.
  """
  means = np.asarray(decode(grid.points), np.float64)
  log_mass = grid.log_prior + np.log(grid.cell)
  parts = []
  for rows in blocks(len(x), means.shape[0] * means.shape[1]):
    terms = log_likelihood(x[rows], means, variance)
    terms += log_mass
    parts.append(log_sum_exp(terms))
  return np.concatenate(parts, axis=1)


def log_posterior(
  x: np.ndarray, decode: Decode, variance: np.ndarray, grid: LatentGrid
) -> np.ndarray:
  """The true posterior ln p(z|x) at every point, a density in z.

  Args:
    x: [N, D].
    decode: [G, K] → [R, G, D].
    variance: [R], σ².
    grid: of latents.

  Returns:
    [R, N, G], nats.
  """
  means = np.asarray(decode(grid.points), np.float64)
  log_joint = log_likelihood(x, means, variance) + grid.log_prior
  log_prob = log_sum_exp(log_joint.copy()) + np.log(grid.cell)
  return log_joint - log_prob[..., np.newaxis]


def log_sum_exp(terms: np.ndarray) -> np.ndarray:
  """The sum ln Σ exp(terms) over the last axis; overwrites terms."""
  largest = terms.max(axis=-1, keepdims=True)
  terms -= largest
  np.exp(terms, out=terms)
  return np.log(terms.sum(axis=-1)) + largest[..., 0]


def blocks(num_rows: int, row_size: int) -> Iterator[slice]:
  """Slices of rows that together hold no more than memory takes."""
  step = max(1, _BLOCK // row_size)
  for start in range(0, num_rows, step):
    yield slice(start, start + step)
