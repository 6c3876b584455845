# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Lipschitz constraints on the decoder, after each iteration.

Tiles have places z_a in the latent space. For pairs of tiles,

  (8)  Σ_ab Ω_ab [A_ab ‖v_a − v_b‖² − K² D_ab],   A_ab = π_a π_b,
       D_ab = π_a π_b ‖z_a − z_b‖²,   Ω ≥ 0,

asks that ‖v_a − v_b‖ ≤ K ‖z_a − z_b‖: locally, for pairs within a radius, or
globally, for all. With the reconstruction error it is a quadratic in V, whose
least is the projection

  (N + 2 Lap) V = N F,   N = diag(π_a (1/n) Σ_i m_ia / β),
  W = ½ (Ω∘A + (Ω∘A)ᵀ),   Lap = diag(W 1) − W,

of F, the right side of (20). N is 0 on tiles that no data use, and is not
inverted. `FixedPenalty` has a given Ω, which says how much slopes cost but not
how large they get: K drops out. `Bound` ascends the dual, so that K holds. Both
are operators for `fixed_points.find`. With `FixedPenalty`, what falls at each
step is F plus the Dirichlet energy.

Source: "Taming VAEs", appendices B and C.5.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.theory import checks, memory

SOLVERS = ("auto", "dense", "sparse")
# Cholesky up to here, and wherever the graph is dense; else by conjugate
# gradients, whose cost is that of the graph's edges.
_MAX_DENSE_TILES = 256
_DENSE_SHARE = 0.1
_MAX_CG_ITERATIONS = 2000
# Of numbers for each pair and dimension, alive at a time in the dual ascent.
_NUM_TEMPORARIES = 6


class Pairs(NamedTuple):
  """Pairs of tiles, each once, that a constraint holds for."""

  first: np.ndarray  # [E], int32, a.
  second: np.ndarray  # [E], int32, b > a.
  distance: np.ndarray  # [E], ‖z_a − z_b‖.
  num_tiles: int

  def slopes(self, reconstructions: Any) -> tf.Tensor:
    """‖v_a − v_b‖ / ‖z_a − z_b‖.

    Args:
      reconstructions: [..., A, D].

    Returns:
      [..., E].
    """
    v = _reconstructions(self, reconstructions)
    lengths = tf.norm(_differences(self, v), axis=-1)
    return lengths / tf.constant(self.distance, v.dtype)


def pairs(latents: Any, radius: float | None = None) -> Pairs:
  """The pairs of a local constraint, or of a global one.

  Args:
    latents: z_a, the centres of the tiles, [A, d].
    radius: pairs no farther than that; None is all pairs.

  Returns:
    The `Pairs`.

  Raises:
    UserError: if the radius is under one tile, so that some tile has no
      neighbour, two tiles are at one place, or the memory does not suffice for
      all pairs.
  """
  latents = checks.matrix("latents", latents)
  # Indices, differences and distances of all pairs are made first.
  memory.check(
    f"the pairs of {len(latents):,} tiles",
    len(latents) ** 2 * (3 + latents.shape[1]) * 8 / 2,
  )
  first, second = np.triu_indices(len(latents), k=1)
  distance = np.linalg.norm(latents[first] - latents[second], axis=1)
  if not distance.all():
    raise errors.UserError("`latents` must be distinct; two are the same.")
  if radius is not None:
    # Centres that differ by rounding are as far apart as they should be.
    is_near = distance <= radius * (1 + 1e-9)
    first, second, distance = first[is_near], second[is_near], distance[is_near]
    if len(np.union1d(first, second)) < len(latents) > 1:
      raise errors.UserError(
        "`radius` must be at least one tile, so that every tile has a "
        f"neighbour; got {radius:g}."
      )
  return Pairs(
    first.astype(np.int32), second.astype(np.int32), distance, len(latents)
  )


def dirichlet_energy(
  of: Pairs, reconstructions: Any, omega: Any, masses: Any = None
) -> tf.Tensor:
  """Σ_ab Ω_ab A_ab ‖v_a − v_b‖², which the projection lowers.

  Args:
    of: the pairs.
    reconstructions: [A, D].
    omega: Ω, one number or [E]; of both (a, b) and (b, a).
    masses: π_a, [A]; None is uniform.

  Returns:
    [], nats.
  """
  v = _reconstructions(of, reconstructions)
  masses = checks.masses(masses, of.num_tiles, v.dtype.as_numpy_dtype)
  weights = _edge_weights(of, tf.constant(masses), omega)
  squared = tf.reduce_sum(_differences(of, v) ** 2, axis=-1)
  return 2.0 * tf.reduce_sum(weights * squared)


def project(
  target: tf.Tensor,
  weights: tf.Tensor,
  of: Pairs,
  edge_weights: tf.Tensor,
  *,
  solver: str = "auto",
) -> tf.Tensor:
  """Solves (N + 2 Lap) V = N target.

  Args:
    target: F, [A, D].
    weights: the diagonal of N, [A], ≥ 0.
    of: the pairs.
    edge_weights: W_ab of each pair, [E], ≥ 0.
    solver: "dense" (Cholesky), "sparse" (conjugate gradients, to the rounding
      of the type) or "auto".

  Returns:
    V, [A, D]. A part of the graph that no data use stays where its target is.

  Raises:
    UserError: if the solver is unknown.

  Source: "Taming VAEs", equations 24 and 25.
  """
  _check_solver(solver)
  pulls = 2.0 * edge_weights
  solve = _make_solve(_held(weights), of, pulls, solver)
  # For V − target: what need not move does not, to the last digit.
  pull = _divergence(of, pulls[:, tf.newaxis] * _differences(of, target))
  return target + solve(-pull, tf.zeros_like(target))


class FixedPenalty:
  """The projection with a given Ω.

  It is a penalty: the larger Ω, the smaller the slopes, wherever they are.
  """

  tolerance = 0.0  # There is no bound to exceed.

  def __init__(
    self,
    latents: Any,
    omega: Any,
    *,
    radius: float | None = None,
    solver: str = "auto",
  ):
    """Makes the operator.

    Args:
      latents: z_a, [A, d].
      omega: Ω ≥ 0, in nats per unit of x²; one number, or [E] in the order of
        `pairs(latents, radius)`.
      radius: of a local constraint; None is a global one.
      solver: "dense", "sparse" or "auto".

    Raises:
      UserError: if omega is negative, the radius is under one tile, or the
        solver is unknown.
    """
    _check_solver(solver)
    self.pairs = pairs(latents, radius)
    omega = checks.array("omega", omega)
    if not ((omega >= 0) & (omega < np.inf)).all():
      raise errors.UserError(f"`omega` must be 0 or more; got {omega.min():g}.")
    if omega.shape not in ((), self.pairs.first.shape):
      raise errors.UserError(
        f"`omega` must be one number or [{len(self.pairs.first)}], one for "
        f"each pair; got the shape {list(omega.shape)}."
      )
    self._omega = omega
    self._solver = solver

  def initial_state(self, betas: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """Nothing: [B, 0]."""
    _check_tiles(self.pairs, initial)
    return tf.zeros([len(betas), 0], betas.dtype)

  def __call__(
    self,
    target: tf.Tensor,
    weights: tf.Tensor,
    masses: tf.Tensor,
    state: tf.Tensor,
    *,
    is_last: bool = False,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    del is_last
    edge_weights = _edge_weights(self.pairs, masses, self._omega)
    projected = project(
      target, weights, self.pairs, edge_weights, solver=self._solver
    )
    return projected, state

  def excess(self, reconstructions: tf.Tensor) -> tf.Tensor:
    """0: [..., A, D] → [...]."""
    return tf.zeros_like(reconstructions[..., 0, 0])


class Bound:
  """The projection with dual ascent on Ω: ‖v_a − v_b‖ ≤ K ‖z_a − z_b‖ holds.

  The nearest V to F (in the norm of N) that is K-Lipschitz is the projection
  with the Ω of its dual: Ω = 0 where the slope is below K. The ascent is the
  method of multipliers with differences u_ab of their own (ADMM):

    (N + Bᵀ ρ B) V = N F + Bᵀ(ρ u − y)      B: differences of pairs
    u = (BV + y/ρ), shortened to K ‖z_a − z_b‖ where it is longer
    y ← y + ρ (BV − u),   y_ab = 2 W_ab u_ab

  ρ, one of each pair, does not change the projection, only how soon it is
  reached. Each iteration of (20) goes on from the one before, so that few steps
  do. A β does not stop before K holds to the tolerance. Where the iterations
  end first, the last projection is solved to the tolerance, or for
  `_MAX_LAST_STEPS`; `FixedPoints.excess` tells how well it holds.
  """

  # ρ, relative to the pull of the data, where K is no less than the slope that
  # would span them; below, forces stay as large while differences shrink.
  _STIFFNESS = 20.0
  _MAX_LAST_STEPS = 5_000

  def __init__(
    self,
    latents: Any,
    slope: float,
    *,
    radius: float | None = None,
    tolerance: float = 1e-4,
    max_steps: int = 10,
    solver: str = "auto",
  ):
    """Makes the operator.

    Args:
      latents: z_a, [A, d].
      slope: K > 0, units of x per unit of z.
      radius: of a local constraint; None is a global one.
      tolerance: by which a slope may be above K, relative to K; and by which
        differences may still move, relative to the longest allowed. float32
        gets to about 1e-4.
      max_steps: of the ascent, in each iteration of (20). Where it ends first,
        the next iteration goes on, and the β with it.
      solver: "dense", "sparse" or "auto".

    Raises:
      UserError: if a number is not positive, the radius is under one tile, or
        the solver is unknown.
    """
    checks.positive("slope", slope)
    checks.positive("tolerance", tolerance)
    checks.whole("max_steps", max_steps)
    _check_solver(solver)
    self.pairs = pairs(latents, radius)
    self._slope = slope
    self._spread = float(np.sqrt(np.var(latents, axis=0).sum()))
    # Of each pair, in a tile's stiffness: the bound is on slopes, and without
    # the squares those of near tiles would hardly be felt among all others.
    shares = self.pairs.distance**-2.0
    self._shares = 0.5 * self.pairs.num_tiles * shares / shares.sum()
    self.tolerance = tolerance
    self._max_steps = max_steps
    self._solver = solver

  def initial_state(self, betas: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """Differences u and forces y: [B, 2, E, D]."""
    del betas
    _check_tiles(self.pairs, initial)
    num_betas, num_dims = initial.shape[0], initial.shape[2]
    numbers = (4 * num_betas + _NUM_TEMPORARIES) * num_dims
    memory.check(
      f"the {len(self.pairs.first):,} pairs of tiles × {num_betas} betas",
      numbers * len(self.pairs.first) * initial.dtype.size,
    )
    u = self._shortened(_differences(self.pairs, initial))
    return tf.stack([u, tf.zeros_like(u)], axis=1)

  def omega(self, state: tf.Tensor, masses: Any = None) -> tf.Tensor:
    """Ω of each pair, 0 where the slope is below K.

    Args:
      state: [..., 2, E, D], as `fixed_points.find` returns it.
      masses: π_a, [A]; None is uniform.

    Returns:
      [..., E], nats per unit of x².
    """
    dtype = state.dtype.as_numpy_dtype
    masses = checks.masses(masses, self.pairs.num_tiles, dtype)
    area = _edge_weights(self.pairs, tf.constant(masses), 1.0)
    force = tf.norm(state[..., 1, :, :], axis=-1)
    length = tf.constant(self._slope * self.pairs.distance, state.dtype)
    return force / (2.0 * length * area)

  def excess(self, reconstructions: tf.Tensor) -> tf.Tensor:
    """By how much the steepest slope is above K, relative to K, or 0.

    Args:
      reconstructions: [..., A, D].

    Returns:
      [...].
    """
    slopes = self.pairs.slopes(reconstructions)
    return tf.maximum(tf.reduce_max(slopes, axis=-1) / self._slope - 1.0, 0.0)

  def __call__(
    self,
    target: tf.Tensor,
    weights: tf.Tensor,
    masses: tf.Tensor,
    state: tf.Tensor,
    *,
    is_last: bool = False,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    del masses
    weights = _held(weights)
    stiffness = self._stiffness(target, weights)  # [E]
    solve = _make_solve(weights, self.pairs, stiffness, self._solver)
    rho = stiffness[:, tf.newaxis]
    allowed = tf.constant(self._slope * self.pairs.distance, target.dtype)

    def ascend(v, u, y, residual):
      del residual
      pulled = _divergence(self.pairs, rho * u - y)
      v = solve(weights[:, tf.newaxis] * target + pulled, v)
      apart = _differences(self.pairs, v)
      free = apart + y / rho
      new = self._shortened(free)
      excess = tf.norm(apart, axis=-1) / allowed - 1.0
      moved = tf.norm(new - u, axis=-1) / allowed
      # It is feasible when the one is small, and optimal when the other is.
      residual = tf.reduce_max(tf.maximum(excess, moved))
      return v, new, rho * (free - new), residual

    inf = tf.constant(np.inf, target.dtype)
    v, u, y, _ = tf.while_loop(
      lambda v, u, y, residual: residual > self.tolerance,
      ascend,
      (target, state[0], state[1], inf),
      maximum_iterations=self._MAX_LAST_STEPS if is_last else self._max_steps,
    )
    return v, tf.stack([u, y])

  def _stiffness(self, target: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """ρ of each pair: [E]."""
    share = weights / tf.reduce_sum(weights)
    spread = tf.sqrt(tf.reduce_sum(share[:, tf.newaxis] * target**2))
    tightness = tf.maximum(spread / (self._slope * self._spread), 1.0)
    scale = self._STIFFNESS * tightness * tf.reduce_mean(weights)
    return scale * tf.constant(self._shares, target.dtype)

  def _shortened(self, differences: tf.Tensor) -> tf.Tensor:
    """[..., E, D], none longer than K allows."""
    allowed = tf.constant(self._slope * self.pairs.distance, differences.dtype)
    length = tf.norm(differences, axis=-1)
    share = tf.math.divide_no_nan(allowed, length)
    share = tf.where(length > allowed, share, tf.ones_like(share))
    return differences * share[..., tf.newaxis]


def _check_tiles(of: Pairs, initial: tf.Tensor) -> None:
  if initial.shape[1] != of.num_tiles:
    raise errors.UserError(
      f"The operator's `latents` must be {initial.shape[1]}, as many as there "
      f"are tiles; got {of.num_tiles}."
    )


def _reconstructions(of: Pairs, values: Any) -> tf.Tensor:
  """V in floats, of as many tiles as the pairs are of: [..., A, D]."""
  v = tf.convert_to_tensor(values)
  if v.shape[-2:-1] != [of.num_tiles]:
    raise errors.UserError(
      f"`reconstructions` must be of {of.num_tiles} tiles, as the pairs are; "
      f"got the shape {v.shape}."
    )
  return v if v.dtype.is_floating else tf.cast(v, tf.float32)


def _edge_weights(of: Pairs, masses: tf.Tensor, omega: Any) -> tf.Tensor:
  """W_ab = Ω_ab π_a π_b: [E]."""
  area = tf.gather(masses, of.first) * tf.gather(masses, of.second)
  return tf.cast(omega, masses.dtype) * area


def _differences(of: Pairs, v: tf.Tensor) -> tf.Tensor:
  """v_a − v_b: [..., A, D] → [..., E, D]."""
  return tf.gather(v, of.first, axis=-2) - tf.gather(v, of.second, axis=-2)


def _divergence(of: Pairs, flow: tf.Tensor) -> tf.Tensor:
  """The transpose of `_differences`: [E, D] → [A, D]."""
  edges = np.arange(len(of.first))
  tiles = np.concatenate([of.first, of.second])
  indices = np.stack([tiles, np.tile(edges, 2)], axis=1)
  signs = np.repeat([1.0, -1.0], len(edges)).astype(flow.dtype.as_numpy_dtype)
  order = np.lexsort((indices[:, 1], tiles))
  # Three times as fast as sums over segments.
  incidence = tf.SparseTensor(
    indices[order].astype(np.int64), signs[order], [of.num_tiles, len(edges)]
  )
  return tf.sparse.sparse_dense_matmul(incidence, flow)


def _held(weights: tf.Tensor) -> tf.Tensor:
  """So little more that only what nothing else holds feels it.

  4e-11 of the largest weight in float64, 2e-5 in float32.
  """
  share = np.finfo(weights.dtype.as_numpy_dtype).eps ** (2 / 3)
  smallest = tf.constant(1e-30, weights.dtype)  # Not 0, if no tile is used.
  return weights + share * tf.reduce_max(weights) + smallest


def _make_solve(
  weights: tf.Tensor, of: Pairs, edge_weights: tf.Tensor, solver: str
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  """Solves (diag(weights) + Laplacian of edge_weights) V = right side.

  Returns:
    The function (right side, guess) → V, each [A, D].
  """
  degrees = tf.math.unsorted_segment_sum(edge_weights, of.first, of.num_tiles)
  degrees += tf.math.unsorted_segment_sum(edge_weights, of.second, of.num_tiles)
  diagonal = weights + degrees
  if not _is_dense(of, solver):
    return lambda right, guess: _conjugate_gradients(
      weights, of, edge_weights, diagonal, right, guess
    )
  # Cholesky reads the lower half alone.
  indices = np.stack([of.second, of.first], axis=1)
  lower = tf.scatter_nd(indices, -edge_weights, [of.num_tiles, of.num_tiles])
  factor = tf.linalg.cholesky(tf.linalg.set_diag(lower, diagonal))
  return lambda right, guess: tf.linalg.cholesky_solve(factor, right)


def _conjugate_gradients(
  weights: tf.Tensor,
  of: Pairs,
  edge_weights: tf.Tensor,
  diagonal: tf.Tensor,
  right: tf.Tensor,
  guess: tf.Tensor,
) -> tf.Tensor:
  """Preconditioned by the diagonal; the D columns are systems of their own."""

  def multiply(v):
    flow = edge_weights[:, tf.newaxis] * _differences(of, v)
    return weights[:, tf.newaxis] * v + _divergence(of, flow)

  def body(v, residual, direction, power):
    image = multiply(direction)
    bend = tf.reduce_sum(direction * image, axis=0)
    step = tf.math.divide_no_nan(power, bend)
    residual -= step * image
    scaled = residual / diagonal[:, tf.newaxis]
    new_power = tf.reduce_sum(residual * scaled, axis=0)
    turn = tf.math.divide_no_nan(new_power, power)
    return v + step * direction, residual, scaled + turn * direction, new_power

  residual = right - multiply(guess)
  direction = residual / diagonal[:, tf.newaxis]
  power = tf.reduce_sum(residual * direction, axis=0)
  eps = np.finfo(right.dtype.as_numpy_dtype).eps
  # `power` is the squared size of the correction still to come.
  solved = tf.reduce_sum(right**2 / diagonal[:, tf.newaxis], axis=0)
  enough = eps**2 * solved
  v, *_ = tf.while_loop(
    lambda v, residual, direction, power: tf.reduce_any(power > enough),
    body,
    (guess, residual, direction, power),
    maximum_iterations=_MAX_CG_ITERATIONS,
  )
  return v


def _is_dense(of: Pairs, solver: str) -> bool:
  if solver != "auto":
    return solver == "dense"
  share = 2.0 * len(of.first) / of.num_tiles**2
  return of.num_tiles <= _MAX_DENSE_TILES or share > _DENSE_SHARE


def _check_solver(solver: str) -> None:
  if solver not in SOLVERS:
    raise errors.unknown_name("solver", solver, SOLVERS)
