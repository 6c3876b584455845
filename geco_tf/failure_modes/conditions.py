# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""When may a VAE prefer a wrong model? What the theorem's conditions measure.

  −ELBO = H(x) + KL(p ‖ p_θ) + E_p KL(q(z|x) ‖ p_θ(z|x))

A model other than the truth has the better ELBO if it loses less in the second
term than it gains in the third. With the noise fixed, that needs that

1. the true posteriors are far from Gaussian for a large portion of x, and
2. no f that explains p(x) equally well has simpler ones; it would be learned.

A model here is `decode` [G, K] → [R, G, D], `variance` [R] and, if it has one,
its `posterior_log_prob` (x [N, D], z [G, K]) → ln q(z|x) [R, N, G].

Source: "Failure Modes of Variational Autoencoders and Their Effects on
Downstream Tasks".
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from geco_tf import errors
from geco_tf.failure_modes import ground_truths, quadrature

PosteriorLogProb = Callable[[np.ndarray, np.ndarray], np.ndarray]

# A Gaussian over one of two equal modes far apart is off by ln 2 = .69 nats.
THRESHOLD = 0.5
# "A large portion of x", condition 1.
LARGE_PORTION = 0.2
# Condition 2 fails if an equal p(x) has less than this share of the gap.
SIMPLER = 0.5

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
_NUM_EXAMPLES_OF_TWO_LATENTS = 60
_GOLDEN_RATIO = 0.5 * (np.sqrt(5.0) - 1.0)


class Decomposition(NamedTuple):
  """The terms of −ELBO, nats per example, of R models."""

  entropy: float  # H(x) of the data.
  kl: np.ndarray  # [R], KL(p ‖ p_θ).
  gap: np.ndarray  # [R], E_p KL(q(z|x) ‖ p_θ(z|x)).
  neg_elbo: np.ndarray  # [R], summed by itself, not from the other three.

  @property
  def residual(self) -> np.ndarray:
    """−ELBO less the sum of its terms, [R]: the quadrature's error."""
    return self.neg_elbo - (self.entropy + self.kl + self.gap)


class MeanFieldFit(NamedTuple):
  """For each x, the Gaussian with diagonal covariance nearest p(z|x)."""

  mean: np.ndarray  # [N, K]
  scale: np.ndarray  # [N, K]
  gap: np.ndarray  # [N], KL(q ‖ p(z|x)), nats.


class PosteriorDifficulty(NamedTuple):
  """What condition 1 asks: how far p(z|x) are from Gaussians."""

  gap: float  # E_p of the best Gaussian's gap, nats.
  share: float  # P(x whose gap is over the threshold).
  holds: bool  # Whether that share is a large portion.


class Rearrangement(NamedTuple):
  """What condition 2 asks: the simplest model found with the same p(x)."""

  values: np.ndarray  # [M, D], f on M cells of the prior, equally likely.
  gap: float  # E of the best Gaussian's gap with those, nats.
  gap_before: float  # The same of f itself.
  holds: bool  # Whether no model that was found is much simpler.


def decompose(
  truth: ground_truths.GroundTruth,
  decode: quadrature.Decode,
  variance: np.ndarray,
  posterior_log_prob: PosteriorLogProb,
  *,
  grid: quadrature.LatentGrid | None = None,
  data: ground_truths.DataGrid | None = None,
) -> Decomposition:
  """The three terms of −ELBO and −ELBO itself, by quadrature over x and z.

  Args:
    truth: whose p(x) it is.
    decode: of the models, [G, K] → [R, G, D].
    variance: of the models, σ² [R].
    posterior_log_prob: of the models, (x [N, D], z [G, K]) → [R, N, G], nats.
    grid: over the models' latents; None takes the truth's.
    data: None takes the truth's.

  Returns:
    The terms.
  """
  grid = truth.latent_grid() if grid is None else grid
  data = truth.data_grid() if data is None else data
  log_evidence = _ModelTerms(decode, variance, grid)
  sums = []
  for rows in quadrature.blocks(len(data.x), log_evidence.row_size):
    log_q = np.asarray(posterior_log_prob(data.x[rows], grid.points))
    sums.append(
      log_evidence(data.x[rows], log_q.astype(np.float64)) @ data.mass[rows]
    )
  log_prob, gap, neg_elbo = np.sum(sums, axis=0)
  return Decomposition(data.entropy, -data.entropy - log_prob, gap, neg_elbo)


class _ModelTerms:
  """Per example: ln p_θ(x), the posterior's gap and −ELBO."""

  def __init__(self, decode, variance, grid):
    self._grid = grid
    self._variance = variance
    self._means = np.asarray(decode(grid.points), np.float64)
    self.row_size = self._means.shape[0] * self._means.shape[1]

  def __call__(self, x: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """The three from x [N, D] and ln q(z|x) [R, N, G]: [3, R, N]."""
    log_joint = quadrature.log_likelihood(x, self._means, self._variance)
    log_joint += self._grid.log_prior
    log_cell = np.log(self._grid.cell)
    log_prob = quadrature.log_sum_exp(log_joint.copy()) + log_cell
    q = np.exp(log_q + log_cell)
    neg_elbo = np.sum(q * (log_q - log_joint), axis=-1)
    log_posterior = log_joint - log_prob[..., np.newaxis]
    gap = np.sum(q * (log_q - log_posterior), axis=-1)
    return np.stack([log_prob, gap, neg_elbo])


def sampled_decomposition(
  entropy: float, elbo: np.ndarray, log_likelihood: np.ndarray
) -> Decomposition:
  """The same terms from a sample of x, for any number of latents.

  Args:
    entropy: H(x) of the data, nats; 0 leaves it in `kl`.
    elbo: of each example, [R, N], estimated with z ~ q.
    log_likelihood: ln p̂(x) [R, N], importance-weighted. It is biased low, so
      `kl` is biased high and `gap` low by the same amount.

  Returns:
    The terms; `residual` is zero but for rounding.
  """
  elbo = np.asarray(elbo, np.float64)
  log_likelihood = np.asarray(log_likelihood, np.float64)
  return Decomposition(
    entropy,
    -entropy - log_likelihood.mean(axis=1),
    (log_likelihood - elbo).mean(axis=1),
    -elbo.mean(axis=1),
  )


def posterior_difficulty(
  truth: ground_truths.GroundTruth,
  *,
  threshold: float = THRESHOLD,
  data: ground_truths.DataGrid | None = None,
) -> PosteriorDifficulty:
  """Condition 1: the best mean-field Gaussians at the truth.

  Args:
    truth: the model.
    threshold: nats; x whose gap is larger count as hard.
    data: None takes the truth's.

  Returns:
    Expectations under p(x).
  """
  data = truth.data_grid() if data is None else data
  fit = best_mean_field(
    truth.decode, truth.variance, data.x, truth.latent_grid()
  )
  share = float(data.mean(fit.gap > threshold))
  return PosteriorDifficulty(
    float(data.mean(fit.gap)), share, share > LARGE_PORTION
  )


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
  expected = _ExpectedEnergy(decode, variance, grid)
  log_evidence = quadrature.log_evidence(x, decode, variance, grid)[0]
  ends = [
    _descend(lambda p: expected(x, p), start)
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


class _ExpectedEnergy:
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
      self._weights(means[:, k], log_scales[:, k])
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
    energy += _kl_to_prior(means, log_scales)
    # Narrower ones fall between the points of the grid.
    is_summed = np.all(log_scales > np.log(_MIN_CELLS * self._cell), axis=1)
    return np.where(is_summed, energy, np.inf)

  def best_of_lattice(self, x: np.ndarray) -> np.ndarray:
    """The parameters of lowest energy: [N, D] → [N, 2K]."""
    parameters = self._lattice()
    moments = self._lattice_moments(parameters)
    x = x - self._center
    kl = _kl_to_prior(*np.split(parameters, 2, axis=-1))
    best = np.empty(len(x), int)
    for rows in quadrature.blocks(len(x), len(parameters)):
      squared_errors = moments[:, -1] - 2.0 * x[rows] @ moments[:, :-1].T
      best[rows] = np.argmin(self._energy(squared_errors, 0) + kl, axis=1)
    return parameters[best]

  def _lattice(self) -> np.ndarray:
    """Every Gaussian of the lattice, [P, 2K]."""
    axis = _lattice_axis(**_LATTICES[self._num_latents])
    if self._num_latents == 1:
      return axis
    first, second = np.repeat(axis, len(axis), 0), np.tile(axis, (len(axis), 1))
    return np.stack([first, second], axis=2).reshape(len(first), -1)

  def _lattice_moments(self, parameters) -> np.ndarray:
    """E_q of f and ‖f‖² for each of P Gaussians, [P, D + 1]."""
    means, log_scales = np.split(parameters, 2, axis=-1)
    if self._num_latents == 1:
      weights = self._weights(means[:, 0], log_scales[:, 0])
      return weights @ self._moments
    # Along each axis few (mean, scale) are distinct.
    table = self._moments
    places = []
    for k in range(2):
      pairs = np.stack([means[:, k], log_scales[:, k]], axis=1)
      distinct, place = np.unique(pairs, axis=0, return_inverse=True)
      weights = self._weights(distinct[:, 0], distinct[:, 1])
      table = np.moveaxis(np.tensordot(weights, table, axes=(1, k)), 0, k)
      places.append(place.ravel())
    return table[places[0], places[1]]

  def _weights(self, means, log_scales) -> np.ndarray:
    """What q has in each cell of an axis: [P], [P] → [P, G]."""
    scales = np.exp(log_scales)[:, np.newaxis]
    z = (self._axis - means[:, np.newaxis]) / scales
    return np.exp(-0.5 * z**2) * (self._cell / (scales * np.sqrt(2.0 * np.pi)))

  def _energy(self, squared_errors, size: int) -> np.ndarray:
    return 0.5 * squared_errors / self._variance + 0.5 * size * np.log(
      2.0 * np.pi * self._variance
    )


def _lattice_axis(
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


def _kl_to_prior(means: np.ndarray, log_scales: np.ndarray) -> np.ndarray:
  """KL(N(m, diag s²) ‖ N(0, I)): [..., K], [..., K] → [...]."""
  per_latent = 0.5 * (means**2 + np.exp(2.0 * log_scales) - 1.0) - log_scales
  return np.sum(per_latent, axis=-1)


def _descend(
  energy: Callable[[np.ndarray], np.ndarray], parameters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Parabolas along each coordinate in turn, with steps that shrink.

  Args:
    energy: [N, P] → [N].
    parameters: where to start, [N, P].

  Returns:
    The lowest parameters met, [N, P], and their energy, [N].
  """
  parameters = parameters.copy()
  value = energy(parameters)
  num_parameters = parameters.shape[1]
  steps = np.full(num_parameters, 0.2)
  # A mean is moved in units of its scale.
  half = num_parameters // 2
  for _ in range(_NUM_ROUNDS):
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
  fit = best_mean_field(truth.decode, truth.variance, x, grid)
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
    means, log_scales = np.split(_lattice_axis(**_LATTICES[1]), 2, axis=1)
    edges = special.ndtri(np.linspace(0.0, 1.0, num_cells + 1))
    cdf = special.ndtr((edges - means) * np.exp(-log_scales))
    self._weights = np.diff(cdf, axis=1)  # [P, M]
    self._kl = _kl_to_prior(means, log_scales)

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
