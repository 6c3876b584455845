# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The Gaussian with diagonal covariance that is nearest to p(z|x).

No encoder stands between: each x has a mean and scales of its own, so that what
is left is the family's fault alone.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from geco_tf.failure_modes import quadrature

# The lattice of means and scales of q that are tried first, per latent.
_LATTICES = {
  1: {"smallest_scale": 0.02, "ratio": 1.35, "means_per_scale": 2.0},
  2: {"smallest_scale": 0.05, "ratio": 1.45, "means_per_scale": 0.5},
}
_LARGEST_MEAN = 4.5
_LARGEST_SCALE = 1.5
_LARGEST_MEAN_SPACING = 0.2
_NUM_ROUNDS = 8
# The narrowest Gaussian that is summed to .2 %, in cells of the grid.
_MIN_CELLS = 0.6


class MeanFieldFit(NamedTuple):
  """For each x, the Gaussian with diagonal covariance nearest p(z|x)."""

  mean: np.ndarray  # [N, K]
  scale: np.ndarray  # [N, K]
  gap: np.ndarray  # [N], KL(q ‖ p(z|x)), nats.


def best_mean_field(
  decode: quadrature.Decode,
  variance: np.ndarray,
  x: np.ndarray,
  grid: quadrature.LatentGrid,
) -> MeanFieldFit:
  """The minimiser of KL(N(z; m, diag s²) ‖ p(z|x)) for each x of one model.

  The search starts from two Gaussians for each x, and the better end is kept:
  the best of a lattice of all means and scales, and the one that touches the
  posterior's highest point. Both go downhill along parabolas.

  Args:
    decode: of one model, [G, K] → [1, G, D].
    variance: [1], σ².
    x: [N, D].
    grid: of latents, K ≤ 2.

  Returns:
    The Gaussians, and their gaps.
  """
  expected = ExpectedEnergy(decode, variance, grid)
  log_evidence = quadrature.log_evidence(x, decode, variance, grid)[0]
  ends = [
    descend(lambda p: expected(x, p), start)
    for start in (
      expected.best_of_lattice(x),
      _highest_points(x, decode, variance, grid),
    )
  ]
  (parameters, value), (others, other_value) = ends
  is_lower = other_value < value
  parameters = np.where(is_lower[:, np.newaxis], others, parameters)
  means, log_scales = np.split(parameters, 2, axis=-1)
  gap = np.minimum(value, other_value) + log_evidence
  return MeanFieldFit(means, np.exp(log_scales), gap)


def _highest_points(x, decode, variance, grid) -> np.ndarray:
  """Gaussians with the posterior's mode and its height there, [N, 2K]."""
  num_points, num_latents = grid.points.shape
  starts = []
  for rows in quadrature.blocks(len(x), num_points):
    (log_p,) = quadrature.log_posterior(x[rows], decode, variance, grid)
    highest = np.argmax(log_p, axis=1)
    log_scale = -log_p.max(axis=1) / num_latents - 0.5 * np.log(2.0 * np.pi)
    smallest = np.log(grid.cell) / num_latents
    log_scale = np.maximum(log_scale, smallest)
    log_scales = np.repeat(log_scale[:, np.newaxis], num_latents, axis=1)
    starts.append(np.append(grid.points[highest], log_scales, axis=1))
  return np.concatenate(starts)


class ExpectedEnergy:
  """E_q [ln q − ln p(x, z)] = KL(q ‖ p(z|x)) − ln p(x) for Gaussians q.

  With isotropic noise it is linear in E_q f and E_q ‖f‖². Parameters are
  [..., 2K]: K means, then K logs of scales.
  """

  def __init__(self, decode, variance, grid):
    (means,) = np.asarray(decode(grid.points), np.float64)
    self._num_latents = grid.points.shape[1]
    self._variance = float(np.squeeze(variance))
    self._center = means.mean(axis=0)
    means = means - self._center
    moments = np.append(means, np.sum(means**2, axis=1, keepdims=True), axis=1)
    self._axis = np.unique(grid.points[:, 0])
    self._cell = self._axis[1] - self._axis[0]
    self._moments = moments.reshape(
      [self._axis.size] * self._num_latents + [moments.shape[1]]
    )

  def __call__(self, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """One q for each x: [N, D], [N, 2K] → [N]."""
    means, log_scales = np.split(parameters, 2, axis=-1)
    weights = [
      self.weights(means[:, k], log_scales[:, k])
      for k in range(self._num_latents)
    ]
    moments = np.tensordot(weights[0], self._moments, axes=1)
    if self._num_latents == 2:
      moments = np.einsum("nh,nhd->nd", weights[1], moments)
    x = x - self._center
    squared_errors = (
      np.sum(x**2, axis=1)
      - 2.0 * np.sum(x * moments[:, :-1], axis=1)
      + moments[:, -1]
    )
    energy = self._energy(squared_errors, x.shape[1])
    energy += kl_to_prior(means, log_scales)
    # Narrower ones fall between the points of the grid.
    is_summed = np.all(log_scales > np.log(_MIN_CELLS * self._cell), axis=1)
    return np.where(is_summed, energy, np.inf)

  def best_of_lattice(self, x: np.ndarray) -> np.ndarray:
    """The parameters of lowest energy: [N, D] → [N, 2K]."""
    parameters = self._lattice()
    moments = self._lattice_moments(parameters)
    x = x - self._center
    kl = kl_to_prior(*np.split(parameters, 2, axis=-1))
    best = np.empty(len(x), int)
    for rows in quadrature.blocks(len(x), len(parameters)):
      squared_errors = moments[:, -1] - 2.0 * x[rows] @ moments[:, :-1].T
      best[rows] = np.argmin(self._energy(squared_errors, 0) + kl, axis=1)
    return parameters[best]

  def _lattice(self) -> np.ndarray:
    """Every Gaussian of the lattice, [P, 2K]."""
    axis = lattice_axis(**_LATTICES[self._num_latents])
    if self._num_latents == 1:
      return axis
    first, second = np.repeat(axis, len(axis), 0), np.tile(axis, (len(axis), 1))
    return np.stack([first, second], axis=2).reshape(len(first), -1)

  def _lattice_moments(self, parameters) -> np.ndarray:
    """E_q of f and ‖f‖² for each of P Gaussians, [P, D + 1]."""
    means, log_scales = np.split(parameters, 2, axis=-1)
    if self._num_latents == 1:
      weights = self.weights(means[:, 0], log_scales[:, 0])
      return weights @ self._moments
    # Along each axis few (mean, scale) are distinct.
    table = self._moments
    places = []
    for k in range(2):
      pairs = np.stack([means[:, k], log_scales[:, k]], axis=1)
      distinct, place = np.unique(pairs, axis=0, return_inverse=True)
      weights = self.weights(distinct[:, 0], distinct[:, 1])
      table = np.moveaxis(np.tensordot(weights, table, axes=(1, k)), 0, k)
      places.append(place.ravel())
    return table[places[0], places[1]]

  def weights(self, means: np.ndarray, log_scales: np.ndarray) -> np.ndarray:
    """What q has in each cell of an axis: [P], [P] → [P, G]."""
    scales = np.exp(log_scales)[:, np.newaxis]
    z = (self._axis - means[:, np.newaxis]) / scales
    return np.exp(-0.5 * z**2) * (self._cell / (scales * np.sqrt(2.0 * np.pi)))

  def _energy(self, squared_errors, size: int) -> np.ndarray:
    return 0.5 * squared_errors / self._variance + 0.5 * size * np.log(
      2.0 * np.pi * self._variance
    )


def lattice_axis(
  smallest_scale: float, ratio: float, means_per_scale: float
) -> np.ndarray:
  """(mean, ln scale) of one latent, [P, 2]; narrow ones stand closer."""
  pairs = []
  scale = smallest_scale
  while scale < _LARGEST_SCALE:
    spacing = min(scale / means_per_scale, _LARGEST_MEAN_SPACING)
    means = np.arange(-_LARGEST_MEAN, _LARGEST_MEAN + spacing, spacing)
    pairs.append(np.stack([means, np.full_like(means, np.log(scale))], axis=1))
    scale *= ratio
  return np.concatenate(pairs)


def kl_to_prior(means: np.ndarray, log_scales: np.ndarray) -> np.ndarray:
  """KL(N(m, diag s²) ‖ N(0, I)): [..., K], [..., K] → [...]."""
  per_latent = 0.5 * (means**2 + np.exp(2.0 * log_scales) - 1.0) - log_scales
  return np.sum(per_latent, axis=-1)


def descend(
  energy: Callable[[np.ndarray], np.ndarray],
  parameters: np.ndarray,
  *,
  num_rounds: int = _NUM_ROUNDS,
) -> tuple[np.ndarray, np.ndarray]:
  """Parabolas along each coordinate in turn, with steps that shrink.

  Args:
    energy: [N, P] → [N].
    parameters: where to start, [N, P].
    num_rounds: over all coordinates.

  Returns:
    The lowest parameters met, [N, P], and their energy, [N].
  """
  parameters = parameters.copy()
  value = energy(parameters)
  num_parameters = parameters.shape[1]
  steps = np.full(num_parameters, 0.2)
  # A mean is moved in units of its scale.
  half = num_parameters // 2
  for _ in range(num_rounds):
    for k in range(num_parameters):
      step = np.full(len(parameters), steps[k])
      if k < half:
        step = step * np.exp(parameters[:, half + k])
      parameters, value = _parabola_step(energy, parameters, value, k, step)
    steps = 0.7 * steps
  return parameters, value


def _parabola_step(energy, parameters, value, k, step):
  """Moves coordinate k to the lowest of four: here, ±step, the vertex."""
  sides = []
  for sign in (-1.0, 1.0):
    moved = parameters.copy()
    moved[:, k] += sign * step
    sides.append((moved, energy(moved)))
  (_, low), (_, high) = sides
  # Where a side is infinite, the vertex is no move.
  with np.errstate(invalid="ignore"):
    curvature = np.maximum(low + high - 2.0 * value, 1e-12)
    offset = np.clip(0.5 * (low - high) / curvature, -3.0, 3.0)
  offset = np.nan_to_num(offset)
  vertex = parameters.copy()
  vertex[:, k] += offset * step
  for moved, moved_value in (*sides, (vertex, energy(vertex))):
    better = moved_value < value
    parameters = np.where(better[:, np.newaxis], moved, parameters)
    value = np.where(better, moved_value, value)
  return parameters, value
