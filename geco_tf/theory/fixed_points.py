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
from geco_tf.theory import memory

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

  `lipschitz` has some. A state, one row a β, is carried along.
  """

  def initial_state(self, betas: tf.Tensor, initial: tf.Tensor) -> tf.Tensor:
    """The states at the start, [B, ...], of the type of betas.

    Args:
      betas: [B].
      initial: V at the start, [B, A, D].
    """
    ...

  def __call__(
    self, target: tf.Tensor, weights: tf.Tensor, state: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """What becomes of the right side of (20), at one β.

    Args:
      target: [A, D].
      weights: N_a = π_a (1/n) Σ_i m_ia / β, [A], which the reconstruction error
        gives to ‖v_a − target_a‖².
      state: [...].

    Returns:
      New reconstructions [A, D], and the new state.
    """
    ...


class FixedPoints(NamedTuple):
  """Where the iteration ended, at each β."""

  betas: tf.Tensor  # [B]
  reconstructions: tf.Tensor  # [B, A, D], v_a.
  order_parameter: tf.Tensor  # [B], u(β), units of x², summed over D.
  free_energy: tf.Tensor  # [B], F, nats.
  num_iterations: tf.Tensor  # [B], int32.
  step_norm: tf.Tensor  # [B], of the last step: the Euclidean norm over V.
  trajectory: tf.Tensor  # [T + 1, B, A, D]; [0, B, A, D] if not kept.
  state: tf.Tensor  # [B, ...], of the operator; [B, 0] without one.


def tile_centres(tiles_per_side: int = 32) -> np.ndarray:
  """The centres of L × L tiles of the square [−1, 1]²: [L², 2]."""
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
    UserError: if D < 2, the data are not finite, or a number is out of range.

  Source: "Taming VAEs", appendix A.
  """
  data = _checked_data(data, tf.float64).numpy()
  if tiles_per_side < 1:
    raise errors.UserError(
      f"`tiles_per_side` must be at least 1; got {tiles_per_side}."
    )
  if not 0 <= noise < np.inf:
    raise errors.UserError(f"`noise` must be 0 or more; got {noise}.")
  if data.shape[1] < 2:
    raise errors.UserError(
      "`initial` must be given for data of one dimension, which has no plane "
      "to lay the tiles into."
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

  until the Euclidean norm of V's step is below the tolerance, for each β by
  itself. Without an operator F falls at every step, whatever the smoothing.
  One `tf.while_loop` does it all; without an operator XLA compiles it whole.

  Args:
    data: x_i, [n, D].
    betas: [B], positive.
    masses: π_a, [A], positive and of sum 1; None is uniform.
    initial: V at the start, [A, D] or [B, A, D]; None is
      `initial_reconstructions`.
    tiles_per_side: L, for the default of `initial`.
    smoothing: of V, from 0 (none) to below 1.
    max_iterations: T.
    tolerance: of the step; 0 makes all T iterations.
    operator: what is done to the right side of (20).
    keep_trajectory: whether V of every iteration is returned; a β that stopped
      repeats its last.
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
  data = _checked_data(data, dtype)
  betas = _checked_betas(betas, dtype)
  if initial is not None:
    initial = _checked_initial(initial, betas, data)
  _check_iteration(smoothing, max_iterations, tolerance)
  _check_memory(
    data,
    len(betas),
    tiles_per_side**2 if initial is None else initial.shape[1],
    num_kept=max_iterations * keep_trajectory,
    limit=memory_limit,
  )
  if initial is None:
    initial = initial_reconstructions(data, tiles_per_side=tiles_per_side)
    initial = _checked_initial(initial, betas, data)
  masses = _checked_masses(masses, initial.shape[1], dtype)
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
  return FixedPoints(
    betas=betas,
    order_parameter=order_parameter(data, found[0], betas, masses),
    free_energy=free_energy(data, found[0], betas, masses),
    reconstructions=found[0],
    num_iterations=found[1],
    step_norm=found[2],
    trajectory=found[4] if keep_trajectory else found[4][:0],
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
    UserError: if beta is not positive, data are not finite, or masses do not
      sum to 1.
  """
  data = tf.convert_to_tensor(data)
  data = _checked_data(
    data, data.dtype if data.dtype.is_floating else tf.float32
  )
  (beta,) = _checked_betas([beta], data.dtype)
  reconstructions = _tensor(reconstructions, data.dtype)
  masses = _checked_masses(masses, reconstructions.shape[0], data.dtype)
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


def merged(reconstructions: Any, distance: float = 1e-2) -> Merged:
  """The distinct fixed points.

  A tile that is no farther than the distance from a tile before it, which is
  itself no part of another's group, joins that tile's group.

  Args:
    reconstructions: [A, D], at one β.
    distance: in units of x.

  Returns:
    The `Merged`, most frequent first.

  Raises:
    UserError: if reconstructions are not a finite matrix, or distance is
      negative.
  """
  left = np.asarray(reconstructions)
  if left.ndim != 2 or not len(left) or not np.isfinite(left).all():
    raise errors.UserError(
      f"`reconstructions` must be a finite matrix [A, D]; got the shape "
      f"{left.shape}{' with values that are not finite' * (left.size > 0)}."
    )
  if not distance >= 0:
    raise errors.UserError(f"`distance` must be 0 or more; got {distance}.")
  points, counts = [], []
  while len(left):
    near = np.linalg.norm(left - left[0], axis=1) <= distance
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
    UserError: if a σ is not positive, or the data are not finite.

  Source: "Taming VAEs", section 3.1, (ii).
  """
  data = _checked_data(data, dtype)
  for name, sigma in (
    ("initial_sigma", initial_sigma),
    ("smallest_sigma", smallest_sigma),
  ):
    if not 0 < sigma < np.inf:
      raise errors.UserError(f"`{name}` must be positive; got {sigma}.")
  _check_iteration(0.0, max_iterations, 0.0)
  if initial is None:
    initial = initial_reconstructions(data, tiles_per_side=tiles_per_side)
  initial = _checked_initial(initial, tf.ones([1], dtype), data)[0]
  sigmas, reconstructions, num_iterations = _iterate_with_sigma(
    data,
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

  def move(of_beta):
    beta, v, state, is_active, norm = of_beta

    def step():
      target, occupancy = _right_side(data, v, beta, masses)
      new_state = state
      if operator is not None:
        target, new_state = operator(target, masses * occupancy / beta, state)
      new = smoothing * v + (1.0 - smoothing) * target
      return new, new_state, tf.norm(new - v)

    # A β that has stopped costs nothing, and keeps what it has.
    return tf.cond(is_active, step, lambda: (v, state, norm))

  def body(t, v, counts, norms, states, trajectory):
    is_active = norms >= tolerance
    v, states, norms = tf.map_fn(
      move,
      (betas, v, states, is_active, norms),
      fn_output_signature=(v.dtype, states.dtype, norms.dtype),
    )
    counts += tf.cast(is_active, counts.dtype)
    if trajectory_length:
      trajectory = trajectory.write(t + 1, v)
    return t + 1, v, counts, norms, states, trajectory

  def goes_on(t, v, counts, norms, states, trajectory):
    del v, counts, states, trajectory
    return (t < max_iterations) & tf.reduce_any(norms >= tolerance)

  trajectory = tf.TensorArray(
    initial.dtype,
    trajectory_length + 1,
    element_shape=initial.shape,
    clear_after_read=False,
  ).write(0, initial)
  last, v, counts, norms, states, trajectory = tf.while_loop(
    goes_on,
    body,
    (
      tf.constant(0),
      initial,
      tf.zeros_like(betas, tf.int32),
      tf.fill(tf.shape(betas), tf.constant(np.inf, betas.dtype)),
      state,
      trajectory,
    ),
  )
  path = trajectory.stack()
  if trajectory_length:
    is_made = tf.range(trajectory_length + 1) <= last
    path = tf.where(is_made[:, tf.newaxis, tf.newaxis, tf.newaxis], path, v)
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
  reconstructions = tf.convert_to_tensor(reconstructions)
  dtype = reconstructions.dtype
  masses = _checked_masses(masses, reconstructions.shape[1], dtype)
  return _evaluate_compiled(
    _tensor(data, dtype),
    reconstructions,
    _checked_betas(betas, dtype),
    masses,
  )


@tf.function(autograph=False)
def _evaluate_compiled(data, reconstructions, betas, masses):
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
  masses = _checked_masses(None, v.shape[0], v.dtype)
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


def _checked_data(data: Any, dtype: tf.DType) -> tf.Tensor:
  data = _tensor(data, dtype)
  if data.shape.rank != 2 or 0 in data.shape:
    raise errors.UserError(
      f"`data` must be a matrix [n, D]; got the shape {data.shape}."
    )
  if not bool(tf.reduce_all(tf.math.is_finite(data))):
    raise errors.UserError("`data` must be finite; some values are not.")
  return data


def _checked_betas(betas: Any, dtype: tf.DType) -> tf.Tensor:
  betas = _tensor(betas, dtype)
  if betas.shape.rank != 1 or 0 in betas.shape:
    raise errors.UserError(
      f"`betas` must be a list of numbers; got the shape {betas.shape}."
    )
  wrong = betas[~((betas > 0) & tf.math.is_finite(betas))]
  if len(wrong):
    raise errors.UserError(
      f"`betas` must be positive and finite; got {float(wrong[0]):g}."
    )
  return betas


def _checked_initial(
  initial: Any, betas: tf.Tensor, data: tf.Tensor
) -> tf.Tensor:
  """[B, A, D]."""
  initial = _tensor(initial, data.dtype)
  if initial.shape.rank == 2:
    initial = tf.repeat(initial[tf.newaxis], len(betas), axis=0)
  if (
    initial.shape.rank != 3
    or 0 in initial.shape
    or initial.shape[0] != len(betas)
    or initial.shape[2] != data.shape[1]
  ):
    raise errors.UserError(
      f"`initial` must be [A, {data.shape[1]}] or [{len(betas)}, A, "
      f"{data.shape[1]}]; got {initial.shape}."
    )
  if not bool(tf.reduce_all(tf.math.is_finite(initial))):
    raise errors.UserError("`initial` must be finite; some values are not.")
  return initial


def _checked_masses(masses: Any, num_tiles: int, dtype: tf.DType) -> tf.Tensor:
  if masses is None:
    return tf.fill([num_tiles], tf.constant(1.0 / num_tiles, dtype))
  masses = _tensor(masses, dtype)
  if masses.shape != [num_tiles] or not bool(tf.reduce_all(masses > 0)):
    raise errors.UserError(
      f"`masses` must be {num_tiles} positive numbers; got the shape "
      f"{masses.shape} with a least of {float(tf.reduce_min(masses)):g}."
    )
  total = float(tf.reduce_sum(masses))
  if not abs(total - 1.0) < 1e-5:
    raise errors.UserError(f"`masses` must sum to 1; got the sum {total:g}.")
  return masses


def _check_iteration(
  smoothing: float, max_iterations: int, tolerance: float
) -> None:
  if not 0 <= smoothing < 1:
    raise errors.UserError(
      f"`smoothing` must be at least 0 and below 1; got {smoothing}."
    )
  if max_iterations < 1:
    raise errors.UserError(
      f"`max_iterations` must be at least 1; got {max_iterations}."
    )
  if not tolerance >= 0:
    raise errors.UserError(f"`tolerance` must be 0 or more; got {tolerance}.")


def _check_memory(
  data: tf.Tensor,
  num_betas: int,
  num_tiles: int,
  *,
  num_kept: int,
  limit: int | None,
) -> None:
  """Before anything large is made."""
  num_examples, num_dims = data.shape
  # The trajectory is kept once and stacked once.
  sweeps = (_NUM_TEMPORARIES + 2 * num_kept) * num_betas * num_tiles * num_dims
  numbers = _NUM_TEMPORARIES * num_examples * num_tiles + sweeps
  memory.check(
    f"{num_tiles:,} tiles × {num_examples:,} examples × {num_betas} betas",
    numbers * data.dtype.size,
    limit,
  )
