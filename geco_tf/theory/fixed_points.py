# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixed points of a β-VAE of unlimited capacity, for a whole sweep of β.

The latent space is cut into A tiles of prior masses π_a. On tile a the decoder
is a constant, v_a, and the posterior density of x_i is m_ia times the prior's:

  (19)  m_ia = e^{−‖x_i − v_a‖²/β} / Σ_b π_b e^{−‖x_i − v_b‖²/β}
  (20)  v_a  = Σ_i m_ia x_i / Σ_j m_ja

It is expectation maximisation for a mixture of Gaussians of variance β/2 and
weights π_a. β = 1/λ, the multiplier of RE with reduction="sum". What descends
is the free energy, in nats:

  F = −(1/n) Σ_i ln Σ_a π_a e^{−‖x_i − v_a‖²/β}

Everything is in log-space: at any β, weights over tiles and weights over data
are both a softmax.

Source: "Taming VAEs", section 3.2, appendices A and C.4.
"""

from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.theory import checks, memory

# Up to this many dimensions, distances are sums of squared differences, which
# XLA fuses into the exponential; beyond, a matrix product is faster.
_MAX_FUSED_DIMS = 8
# Σ_i m_ia below this: the tile is so far from all data that the terms of (20)
# may have underflowed, and its softmax over the data is computed by itself.
_REMOTE = 1e-15
# Matrices [n, A] that are alive at a time, at most.
_NUM_TEMPORARIES = 4


class Operator(Protocol):
  """What is done to the reconstructions after each iteration (20).

  `lipschitz` has some. A state, one row a β, is carried along. The origin of x
  is the mean of the data.
  """

  tolerance: float  # Of the excess.

  def initial_state(self, betas: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """The states at the start, [B, ...], of the type of betas.

    Args:
      betas: [B].
      initial: V at the start, [B, A, D].
    """
    ...

  def __call__(
    self,
    target: tf.Tensor,
    weights: tf.Tensor,
    masses: tf.Tensor,
    state: tf.Tensor,
    *,
    is_last: bool = False,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """What becomes of the right side of (20), at one β.

    Args:
      target: [A, D].
      weights: N_a = π_a (1/n) Σ_i m_ia / β, [A], which the reconstruction error
        gives to ‖v_a − target_a‖².
      masses: π_a, [A].
      state: [...].
      is_last: no other iteration will go on from here.

    Returns:
      New reconstructions [A, D], and the new state.
    """
    ...

  def excess(self, reconstructions: tf.Tensor) -> tf.Tensor:
    """By how much V breaks what the operator promises: [..., A, D] → [...]."""
    ...


class FixedPoints(NamedTuple):
  """Where the iteration ended, at each β."""

  betas: tf.Tensor  # [B]
  reconstructions: tf.Tensor  # [B, A, D], v_a.
  order_parameter: tf.Tensor  # [B], u(β), units of x², summed over D.
  free_energy: tf.Tensor  # [B], F, nats.
  num_iterations: tf.Tensor  # [B], int32.
  step_norm: tf.Tensor  # [B], of the last step: the Euclidean norm over V.
  excess: tf.Tensor  # [B], over the operator's bound; 0 without one.
  trajectory: tf.Tensor  # [T + 1, B, A, D]; [0, B, A, D] if not kept.
  state: tf.Tensor  # [B, ...], of the operator; [B, 0] without one.


def tile_centres(tiles_per_side: int = 32) -> np.ndarray:
  """The centres of L × L tiles of the square [−1, 1]²: [L², 2]."""
  checks.whole("tiles_per_side", tiles_per_side)
  side = (np.arange(tiles_per_side) + 0.5) * 2.0 / tiles_per_side - 1.0
  grid = np.meshgrid(side, side, indexing="ij")
  return np.stack(grid, axis=-1).reshape(-1, 2)


def initial_reconstructions(
  data: Any, *, tiles_per_side: int = 32, noise: float = 0.01, seed: int = 0
) -> np.ndarray:
  """v_a at the centres of the tiles, plus small uniform noise.

  Two-dimensional data are taken to live on the latent square itself, as in the
  paper. In more dimensions the square is laid into the plane of the two largest
  principal components, its edges two standard deviations from the mean.

  Args:
    data: [n, D], D ≥ 2.
    tiles_per_side: L.
    noise: half its range, in units of a tile's side.
    seed: of the noise.

  Returns:
    [L², D], float64.

  Raises:
    UserError: if D < 2, the data are not finite, a number is out of range, or
      the memory does not suffice.

  Source: "Taming VAEs", appendix A.
  """
  data = checks.matrix("data", data)
  checks.whole("tiles_per_side", tiles_per_side)
  checks.not_negative("noise", noise)
  if data.shape[1] < 2:
    raise errors.UserError(
      "`initial` must be given for data of one dimension, which has no plane "
      "to lay the tiles into."
    )
  num_tiles = tiles_per_side**2
  memory.check(
    f"{num_tiles:,} tiles", 8 * num_tiles * (_NUM_TEMPORARIES + data.shape[1])
  )
  reach = noise * 2.0 / tiles_per_side
  generator = np.random.default_rng(seed)
  centres = tile_centres(tiles_per_side)
  centres = centres + generator.uniform(-reach, reach, centres.shape)
  if data.shape[1] == 2:
    return centres
  _, scales, axes = np.linalg.svd(data - data.mean(0), full_matrices=False)
  # With fewer than two components, the plane is a line or a point.
  rows = scales[:2, np.newaxis] * axes[:2] * 2.0 / np.sqrt(len(data))
  return data.mean(0) + centres[:, : len(rows)] @ rows


def find(
  data: Any,
  betas: Any,
  *,
  masses: Any = None,
  initial: Any = None,
  tiles_per_side: int = 32,
  smoothing: float = 0.5,
  max_iterations: int = 400,
  tolerance: float = 1e-3,
  operator: Operator | None = None,
  keep_trajectory: bool = False,
  memory_limit: int | None = None,
  dtype: tf.DType = tf.float32,
) -> FixedPoints:
  """Iterates (19) and (20) at every β of a sweep at once.

    V ← smoothing · V + (1 − smoothing) · operator(right side of (20))

  until the Euclidean norm of V's step is below the tolerance and V keeps the
  operator's bound, for each β by itself. A β whose bound is still broken after
  T iterations gets a last projection of the right side of (20), with more
  steps; `excess` says what is left. Without an operator F falls at every step,
  whatever the smoothing. One `tf.while_loop` does it all; without an operator
  XLA compiles it whole. It counts from the mean of the data, so that an offset
  costs no digits.

  Args:
    data: x_i, [n, D].
    betas: [B], positive.
    masses: π_a, [A], positive and of sum 1; None is uniform.
    initial: V at the start, [A, D] or [B, A, D]; None is
      `initial_reconstructions`.
    tiles_per_side: L, for the default of `initial`.
    smoothing: of V, from 0 (none) to below 1.
    max_iterations: T.
    tolerance: of the step, in units of x; 0 makes all T iterations.
    operator: what is done to the right side of (20).
    keep_trajectory: whether V of every iteration is returned; a β that stopped
      repeats its last. A last projection is no iteration.
    memory_limit: bytes that this may take; None is what the machine has.
    dtype: tf.float64 for βs below 1e-5 times the data's variance, or tolerances
      below 1e-5.

  Returns:
    The `FixedPoints`.

  Raises:
    UserError: if data or betas are not finite, a β is not positive, masses do
      not sum to 1, shapes do not fit, or the memory does not suffice.

  Source: "Taming VAEs", equations 19 and 20, appendix A.
  """
  data = checks.matrix("data", data)
  betas = _tensor(checks.betas(betas, dtype.as_numpy_dtype), dtype)
  _check_iteration(smoothing, max_iterations, tolerance)
  checks.whole("tiles_per_side", tiles_per_side)
  if initial is not None:
    initial = _checked_initial(initial, len(betas), data.shape[1])
  _check_memory(
    data.shape,
    len(betas),
    tiles_per_side**2 if initial is None else initial.shape[-2],
    num_kept=max_iterations * keep_trajectory,
    bytes_each=dtype.size,
    limit=memory_limit,
  )
  if initial is None:
    initial = initial_reconstructions(data, tiles_per_side=tiles_per_side)
  masses = _tensor(checks.masses(masses, initial.shape[-2]), dtype)
  centre = data.mean(axis=0)
  # Finite in float64 need not be so here.
  data = checks.matrix("data", data - centre, dtype.as_numpy_dtype)
  data = _tensor(data, dtype)
  initial = tf.broadcast_to(
    _tensor(initial - centre, dtype), [len(betas), *initial.shape[-2:]]
  )
  centre = _tensor(centre, dtype)
  run = _iterate_xla if operator is None else _iterate
  state = (
    tf.zeros([len(betas), 0], dtype)
    if operator is None
    else operator.initial_state(betas, initial)
  )
  found = run(
    data,
    betas,
    masses,
    initial,
    state,
    tf.constant(smoothing, dtype),
    tf.constant(tolerance, dtype),
    tf.constant(max_iterations),
    operator=operator,
    trajectory_length=max_iterations if keep_trajectory else 0,
  )
  error, energy = _evaluate(data, found[0], betas, masses)
  return FixedPoints(
    betas=betas,
    order_parameter=error,
    free_energy=energy,
    reconstructions=found[0] + centre,
    num_iterations=found[1],
    step_norm=found[2],
    excess=(
      tf.zeros_like(betas) if operator is None else operator.excess(found[0])
    ),
    trajectory=found[4] + centre if keep_trajectory else found[4][:0],
    state=found[3],
  )


def responsibilities(
  data: Any, reconstructions: Any, beta: Any, masses: Any = None
) -> tf.Tensor:
  """π_a m_ia, the posterior mass that x_i gives to tile a: (19).

  Args:
    data: [n, D].
    reconstructions: [A, D].
    beta: a positive scalar.
    masses: π_a, [A]; None is uniform.

  Returns:
    [n, A], each row of sum 1.

  Raises:
    UserError: if beta is not positive, data are not finite, masses do not sum
      to 1, or the memory does not suffice.
  """
  dtype = _floating_type(data)
  data = checks.matrix("data", data)
  reconstructions = checks.matrix("reconstructions", reconstructions)
  _check_responsibilities(len(data), len(reconstructions), dtype)
  data, reconstructions = _tensor(data, dtype), _tensor(reconstructions, dtype)
  (beta,) = _tensor(checks.betas([beta]), dtype)
  masses = _tensor(checks.masses(masses, len(reconstructions)), dtype)
  log_kernel = _log_kernel(data, reconstructions, beta)
  return tf.nn.softmax(log_kernel + tf.math.log(masses), axis=1)


def order_parameter(
  data: Any, reconstructions: Any, betas: Any, masses: Any = None
) -> tf.Tensor:
  """u(β) = (1/n) Σ_i Σ_a π_a m_ia ‖x_i − v_a‖², the expected squared error.

  Args:
    data: [n, D].
    reconstructions: [B, A, D].
    betas: [B].
    masses: π_a, [A]; None is uniform.

  Returns:
    [B], units of x², summed over D.
  """
  return _evaluate(data, reconstructions, betas, masses)[0]


def free_energy(
  data: Any, reconstructions: Any, betas: Any, masses: Any = None
) -> tf.Tensor:
  """F = −(1/n) Σ_i ln Σ_a π_a e^{−‖x_i − v_a‖²/β}, which (20) lowers.

  Args:
    data: [n, D].
    reconstructions: [B, A, D].
    betas: [B].
    masses: π_a, [A]; None is uniform.

  Returns:
    [B], nats.
  """
  return _evaluate(data, reconstructions, betas, masses)[1]


class Merged(NamedTuple):
  """Reconstructions without repetition."""

  points: np.ndarray  # [K, D], means of those that were merged.
  counts: np.ndarray  # [K], how many tiles have each.


def merged(
  reconstructions: Any, data: Any, *, distance: float = 1e-2
) -> Merged:
  """The distinct fixed points.

  A tile that is no farther than the distance from a tile before it, which is
  itself no part of another's group, joins that tile's group.

  Args:
    reconstructions: [A, D], at one β.
    data: x_i, [n, D], whose scale is that of the distance.
    distance: in units of √(total variance of the data).

  Returns:
    The `Merged`, most frequent first.

  Raises:
    UserError: if reconstructions or data are not a finite matrix, or distance
      is negative.
  """
  left = checks.matrix("reconstructions", reconstructions)
  checks.not_negative("distance", distance)
  reach = distance * np.sqrt(checks.matrix("data", data).var(axis=0).sum())
  points, counts = [], []
  while len(left):
    near = np.linalg.norm(left - left[0], axis=1) <= reach
    points.append(left[near].mean(axis=0))
    counts.append(near.sum())
    left = left[~near]
  order = np.argsort(counts, kind="stable")[::-1]
  return Merged(np.stack(points)[order], np.array(counts)[order])


class LearnedSigma(NamedTuple):
  """A decoder whose σ was learned jointly with the means."""

  sigmas: tf.Tensor  # [T + 1], from the first on; the last is repeated.
  reconstructions: tf.Tensor  # [A, D]
  num_iterations: tf.Tensor  # [], int32.


def learn_sigma(
  data: Any,
  *,
  initial_sigma: float,
  initial: Any = None,
  tiles_per_side: int = 32,
  max_iterations: int = 400,
  smallest_sigma: float = 1e-6,
  dtype: tf.DType = tf.float64,
) -> LearnedSigma:
  """Updates σ and V jointly, as the unconstrained ELBO does: σ goes to 0.

    (19) with β = 2σ²,   (20),   σ² ← (1/nD) Σ_i Σ_a π_a m_ia ‖x_i − v_a‖²

  With a tile for each distinct example σ halves and halves; there is no fixed
  point before 0. With fewer tiles it stops at their quantization error.

  Args:
    data: [n, D].
    initial_sigma: σ at the start, in units of x.
    initial: V at the start, [A, D]; None is `initial_reconstructions`.
    tiles_per_side: L, for the default of `initial`.
    max_iterations: T.
    smallest_sigma: where it stops; below, numbers run out.
    dtype: of everything.

  Returns:
    The `LearnedSigma`.

  Raises:
    UserError: if a σ is not positive, the data are not finite, or the memory
      does not suffice.

  Source: "Taming VAEs", section 3.1, (ii).
  """
  data = checks.matrix("data", data)
  checks.positive("initial_sigma", initial_sigma)
  checks.positive("smallest_sigma", smallest_sigma)
  _check_iteration(0.0, max_iterations, 0.0)
  if initial is None:
    initial = initial_reconstructions(data, tiles_per_side=tiles_per_side)
  initial = _tensor(_checked_initial(initial, 1, data.shape[1]), dtype)
  _check_memory(
    data.shape, 1, len(initial), num_kept=0, bytes_each=dtype.size, limit=None
  )
  sigmas, reconstructions, num_iterations = _iterate_with_sigma(
    _tensor(data, dtype),
    initial,
    tf.constant(initial_sigma, dtype),
    tf.constant(smallest_sigma, dtype),
    max_iterations=max_iterations,
  )
  return LearnedSigma(sigmas, reconstructions, num_iterations)


# What is compiled.


def _loop(
  data: tf.Tensor,
  betas: tf.Tensor,
  masses: tf.Tensor,
  initial: tf.Tensor,
  state: tf.Tensor,
  smoothing: tf.Tensor,
  tolerance: tf.Tensor,
  max_iterations: tf.Tensor,
  *,
  operator: Operator | None,
  trajectory_length: int,
) -> tuple[tf.Tensor, ...]:
  """V, numbers of iterations, norms of the last step, states, trajectory."""

  def constrained(beta, v, state, is_last=False):
    target, occupancy = _right_side(data, v, beta, masses)
    if operator is None:
      return target, state
    weights = masses * occupancy / beta
    return operator(target, weights, masses, state, is_last=is_last)

  def is_broken(v):
    return operator is not None and operator.excess(v) > operator.tolerance

  def move(of_beta):
    beta, v, state, is_active, norm = of_beta

    def step():
      target, new_state = constrained(beta, v, state)
      new = smoothing * v + (1.0 - smoothing) * target
      norm = tf.norm(new - v)
      return new, new_state, (norm >= tolerance) | is_broken(new), norm

    # A β that has stopped costs nothing, and keeps what it has.
    return tf.cond(is_active, step, lambda: (v, state, is_active, norm))

  def body(t, v, counts, is_active, norms, states, trajectory):
    counts += tf.cast(is_active, counts.dtype)
    v, states, is_active, norms = tf.map_fn(
      move,
      (betas, v, states, is_active, norms),
      fn_output_signature=(v.dtype, states.dtype, tf.bool, norms.dtype),
    )
    if trajectory_length:
      trajectory = trajectory.write(t + 1, v)
    return t + 1, v, counts, is_active, norms, states, trajectory

  def goes_on(t, v, counts, is_active, norms, states, trajectory):
    del v, counts, norms, states, trajectory
    return (t < max_iterations) & tf.reduce_any(is_active)

  def mend(of_beta):
    beta, v, state = of_beta
    return tf.cond(
      is_broken(v),
      lambda: constrained(beta, v, state, is_last=True),
      lambda: (v, state),
    )

  trajectory = tf.TensorArray(
    initial.dtype,
    trajectory_length + 1,
    element_shape=initial.shape,
    clear_after_read=False,
  ).write(0, initial)
  last, v, counts, _, norms, states, trajectory = tf.while_loop(
    goes_on,
    body,
    (
      tf.constant(0),
      initial,
      tf.zeros_like(betas, tf.int32),
      tf.ones_like(betas, tf.bool),
      tf.zeros_like(betas),
      state,
      trajectory,
    ),
  )
  path = trajectory.stack()
  if trajectory_length:
    is_made = tf.range(trajectory_length + 1) <= last
    path = tf.where(is_made[:, tf.newaxis, tf.newaxis, tf.newaxis], path, v)
  if operator is not None:
    v, states = tf.map_fn(
      mend, (betas, v, states), fn_output_signature=(v.dtype, states.dtype)
    )
  return v, counts, norms, states, path


_iterate = tf.function(_loop, autograph=False)
_iterate_xla = tf.function(_loop, autograph=False, jit_compile=True)


def _right_side(
  data: tf.Tensor, v: tf.Tensor, beta: tf.Tensor, masses: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """The right side of (20) [A, D], and the occupancy (1/n) Σ_i m_ia [A].

  The kernel of each example is taken relative to its largest, and each weight
  is exponentiated once: sums over data of m_ia x_i and of m_ia are one matrix
  product. Where all of a tile's weights are too small for that, they are
  exponentiated again relative to the tile's largest.
  """
  num_examples, num_dims = data.shape
  log_kernel = _log_kernel(data, v, beta)  # [n, A]
  relative = log_kernel - tf.reduce_max(log_kernel, axis=1, keepdims=True)
  kernel = tf.exp(relative)
  evidence = tf.linalg.matvec(kernel, masses)[:, tf.newaxis]  # [n, 1]
  with_ones = tf.concat([data, tf.ones_like(evidence)], axis=1)
  # [D + 1, A]: this way round Eigen's product is the faster.
  sums = tf.matmul(with_ones / evidence, kernel, transpose_a=True)
  total = sums[num_dims]
  is_remote = total < _REMOTE

  def softmax_over_data():
    weights = tf.nn.softmax(relative - tf.math.log(evidence), axis=0)
    return tf.matmul(data, weights, transpose_a=True)

  def keep():
    return sums[:num_dims]

  any_remote = tf.reduce_any(is_remote)
  weighted = tf.cond(any_remote, softmax_over_data, keep)
  safe_total = tf.where(is_remote, tf.ones_like(total), total)
  target = tf.where(is_remote, weighted, sums[:num_dims] / safe_total)
  return tf.transpose(target), total / num_examples


def _log_kernel(data: tf.Tensor, v: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
  """−‖x_i − v_a‖²/β: [n, A]."""
  if data.shape[1] <= _MAX_FUSED_DIMS:
    squares = [
      (data[:, d, tf.newaxis] - v[:, d]) ** 2 for d in range(data.shape[1])
    ]
    return -tf.add_n(squares) / beta
  # ‖x‖² − 2xv + ‖v‖² about the mean, where its terms cancel least.
  centre = tf.reduce_mean(data, axis=0)
  data, v = data - centre, v - centre
  squared = (
    tf.reduce_sum(data**2, axis=1)[:, tf.newaxis]
    + tf.reduce_sum(v**2, axis=1)
    - 2.0 * tf.matmul(data, v, transpose_b=True)
  )
  return -tf.maximum(squared, 0.0) / beta


def _evaluate(
  data: Any, reconstructions: Any, betas: Any, masses: Any
) -> tuple[tf.Tensor, tf.Tensor]:
  """The order parameter u and the free energy F: each [B]."""
  dtype = _floating_type(reconstructions)
  data = checks.matrix("data", data)
  betas = checks.betas(betas, dtype.as_numpy_dtype)
  reconstructions = checks.array("reconstructions", reconstructions)
  if (reconstructions.ndim, *reconstructions.shape[::2]) != (
    3,
    len(betas),
    data.shape[1],
  ):
    raise errors.UserError(
      f"`reconstructions` must be [{len(betas)}, A, {data.shape[1]}]; got "
      f"{list(reconstructions.shape)}."
    )
  _check_responsibilities(len(data), reconstructions.shape[1], dtype)
  masses = checks.masses(masses, reconstructions.shape[1])
  return _evaluate_compiled(
    *(_tensor(x, dtype) for x in (data, reconstructions, betas, masses)),
    num_dims=data.shape[1],
  )


@tf.function(autograph=False, reduce_retracing=True)
def _evaluate_compiled(data, reconstructions, betas, masses, *, num_dims):
  data = tf.ensure_shape(data, [None, num_dims])

  def of_beta(args):
    beta, v = args
    log_kernel = _log_kernel(data, v, beta)
    log_joint = log_kernel + tf.math.log(masses)
    q = tf.nn.softmax(log_joint, axis=1)
    error = -beta * tf.reduce_mean(tf.reduce_sum(q * log_kernel, axis=1))
    return error, -tf.reduce_mean(tf.reduce_logsumexp(log_joint, axis=1))

  dtype = betas.dtype
  return tf.map_fn(
    of_beta, (betas, reconstructions), fn_output_signature=(dtype, dtype)
  )


@tf.function
def _iterate_with_sigma(
  data: tf.Tensor,
  v: tf.Tensor,
  sigma: tf.Tensor,
  smallest: tf.Tensor,
  *,
  max_iterations: int,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  masses = tf.fill([len(v)], tf.constant(1.0 / len(v), v.dtype))
  sigmas = tf.TensorArray(sigma.dtype, max_iterations + 1).write(0, sigma)
  t = tf.constant(0)
  while t < max_iterations and sigma > smallest:
    beta = 2.0 * sigma**2
    q = tf.nn.softmax(_log_kernel(data, v, beta), axis=1)
    v, _ = _right_side(data, v, beta, masses)
    squared = -_log_kernel(data, v, tf.ones([], v.dtype))
    total = tf.reduce_mean(tf.reduce_sum(q * squared, axis=1))
    sigma = tf.sqrt(total / data.shape[1])
    t += 1
    sigmas = sigmas.write(t, sigma)
  path = sigmas.stack()
  return tf.where(tf.range(max_iterations + 1) <= t, path, sigma), v, t


# What a user may get wrong.


def _tensor(values: Any, dtype: tf.DType) -> tf.Tensor:
  """By way of NumPy, since TensorFlow makes Python's floats float32 first."""
  return tf.constant(np.asarray(values, dtype.as_numpy_dtype))


def _floating_type(values: Any) -> tf.DType:
  dtype = tf.as_dtype(getattr(values, "dtype", tf.float32))
  return dtype if dtype.is_floating else tf.float32


def _checked_initial(initial: Any, num_betas: int, num_dims: int) -> np.ndarray:
  """[A, D] or [B, A, D]."""
  initial = checks.array("initial", initial)
  if (
    0 in initial.shape
    or initial.shape[:-2] not in ((), (num_betas,))
    or initial.ndim < 2
    or initial.shape[-1] != num_dims
  ):
    raise errors.UserError(
      f"`initial` must be [A, {num_dims}] or [{num_betas}, A, {num_dims}]; got "
      f"{list(initial.shape)}."
    )
  checks.finite("initial", initial)
  return initial


def _check_iteration(
  smoothing: float, max_iterations: int, tolerance: float
) -> None:
  if not 0 <= smoothing < 1:
    raise errors.UserError(
      f"`smoothing` must be at least 0 and below 1; got {smoothing}."
    )
  checks.whole("max_iterations", max_iterations)
  checks.not_negative("tolerance", tolerance)


def _check_responsibilities(
  num_examples: int, num_tiles: int, dtype: tf.DType
) -> None:
  memory.check(
    f"{num_tiles:,} tiles × {num_examples:,} examples",
    _NUM_TEMPORARIES * num_examples * num_tiles * dtype.size,
  )


def _check_memory(
  of_data: tuple[int, ...],
  num_betas: int,
  num_tiles: int,
  *,
  num_kept: int,
  bytes_each: int,
  limit: int | None,
) -> None:
  """Before anything large is made."""
  num_examples, num_dims = of_data
  # The trajectory is kept once, stacked once and moved once.
  sweeps = (_NUM_TEMPORARIES + 3 * num_kept) * num_betas * num_tiles * num_dims
  numbers = _NUM_TEMPORARIES * num_examples * num_tiles + sweeps
  memory.check(
    f"{num_tiles:,} tiles × {num_examples:,} examples × {num_betas} betas",
    numbers * bytes_each,
    limit,
  )
