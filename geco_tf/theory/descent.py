# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixed points under any differentiable constraint, by descent.

On the tiles of `fixed_points`, with C_ia = C(x_i, v_a) and λ one number or one
for each of K constraints:

  (5)  m_ia = e^{−λᵀC_ia} / Σ_b π_b e^{−λᵀC_ib}
  (6)  Σ_i m_ia λᵀ∂C_ia/∂v_a = 0

(6) cannot be solved for v_a in general; it is what a step of descent leaves
alone:

  v_a ← v_a − η Σ_i w_ia λᵀ∂C_ia/∂v_a,   w_ia = m_ia / Σ_j m_ja

For RE, C = ‖x − v‖² − κ², a step of η = 1/2λ is equation 20 exactly, with
β = 1/λ. What descends is −(1/n) Σ_i ln Σ_a π_a e^{−λᵀC_ia}, in nats, if η is
small enough for C.

Source: "Taming VAEs", equations 5 and 6, appendix C.1.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.theory import checks

# (data [n, D], reconstructions [A, D]) → C [n, A] or [n, A, K].
ConstraintFn = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class Descent(NamedTuple):
  """Where the descent ended."""

  reconstructions: tf.Tensor  # [A, D], v_a.
  free_energies: tf.Tensor  # [T], nats, before each step; NaN once stopped.
  num_iterations: tf.Tensor  # [], int32.
  step_norm: tf.Tensor  # [], of the last step: the Euclidean norm over V.


def descend(
  data: Any,
  constraint_fn: ConstraintFn,
  multipliers: Any,
  initial: Any,
  *,
  step_size: float,
  masses: Any = None,
  max_iterations: int = 400,
  tolerance: float = 1e-3,
) -> Descent:
  """Iterates (5) and the descent form of (6).

  Args:
    data: x_i, [n, D].
    constraint_fn: C, (data [n, D], reconstructions [A, D]) → [n, A] if λ is one
      number, else [n, A, K]; of TensorFlow operations that have gradients.
    multipliers: λ ≥ 0, [] or [K].
    initial: V at the start, [A, D]; its type, if it is of floats, is that of
      everything.
    step_size: η, in units of x² where λᵀC is in nats.
    masses: π_a, [A], positive and of sum 1; None is uniform.
    max_iterations: T.
    tolerance: of the Euclidean norm of a step, in units of x, at which it
      stops.

  Returns:
    The `Descent`.

  Raises:
    UserError: if data, initial or C are not finite, a multiplier is negative,
      a number is out of range, shapes do not fit, C does not depend on V by
      gradients, or masses do not sum to 1.
  """
  dtype = np.asarray(initial).dtype
  dtype = dtype if dtype.kind == "f" else np.dtype(np.float32)
  initial = checks.matrix("initial", initial, dtype)
  data = checks.matrix("data", data, dtype)
  if data.shape[1] != initial.shape[1]:
    raise errors.UserError(
      f"`initial` must be [A, {data.shape[1]}]; got {list(initial.shape)}."
    )
  multipliers = checks.array("multipliers", multipliers, dtype)
  if not ((multipliers >= 0) & (multipliers < np.inf)).all():
    raise errors.UserError(
      f"`multipliers` must be 0 or more; got {multipliers.tolist()}."
    )
  checks.positive("step_size", step_size)
  checks.whole("max_iterations", max_iterations)
  checks.not_negative("tolerance", tolerance)
  of_problem = (
    tf.constant(data),
    tf.constant(multipliers),
    tf.constant(initial),
    tf.math.log(checks.masses(masses, len(initial), dtype)),
  )
  _check_constraint(constraint_fn, *of_problem)
  return Descent(
    *_iterate(
      *of_problem,
      tf.constant(step_size, dtype),
      tf.constant(tolerance, dtype),
      constraint_fn=constraint_fn,
      max_iterations=max_iterations,
    )
  )


@tf.function
def _iterate(
  data: tf.Tensor,
  multipliers: tf.Tensor,
  v: tf.Tensor,
  log_masses: tf.Tensor,
  step_size: tf.Tensor,
  tolerance: tf.Tensor,
  *,
  constraint_fn: ConstraintFn,
  max_iterations: int,
) -> tuple[tf.Tensor, ...]:
  free_energies = tf.TensorArray(v.dtype, max_iterations)
  t, norm = tf.constant(0), tf.constant(float("inf"), v.dtype)
  while t < max_iterations and norm >= tolerance:
    free_energy, gradient = _free_energy_and_gradient(
      data, multipliers, v, log_masses, constraint_fn
    )
    free_energies = free_energies.write(t, free_energy)
    step = step_size * gradient
    v, norm, t = v - step, tf.norm(step), t + 1
  path = free_energies.stack()
  nan = tf.constant(float("nan"), v.dtype)
  path = tf.where(tf.range(max_iterations) < t, path, nan)
  return v, path, t, norm


def _free_energy_and_gradient(
  data: tf.Tensor,
  multipliers: tf.Tensor,
  v: tf.Tensor,
  log_masses: tf.Tensor,
  constraint_fn: ConstraintFn,
) -> tuple[tf.Tensor, tf.Tensor]:
  """The free energy [], and Σ_i w_ia λᵀ∂C_ia/∂v_a [A, D]."""
  with tf.GradientTape() as tape:
    tape.watch(v)
    energy = constraint_fn(data, v) * multipliers
    if energy.shape.rank == 3:
      energy = tf.reduce_sum(energy, axis=2)  # [n, A]
    evidence = tf.reduce_logsumexp(log_masses - energy, axis=1)
    log_m = -energy - evidence[:, tf.newaxis]
    weights = tf.stop_gradient(tf.nn.softmax(log_m, axis=0))
    weighted = tf.reduce_sum(weights * energy)
  return -tf.reduce_mean(evidence), tape.gradient(weighted, v)


def _check_constraint(
  constraint_fn: ConstraintFn,
  data: tf.Tensor,
  multipliers: tf.Tensor,
  v: tf.Tensor,
  log_masses: tf.Tensor,
) -> None:
  shape = [len(data), len(v), *multipliers.shape]
  constraint = tf.convert_to_tensor(constraint_fn(data, v))
  if constraint.shape.as_list() != shape or not np.isfinite(constraint).all():
    raise errors.UserError(
      f"`constraint_fn` must give finite numbers {shape} (examples, tiles, "
      f"multipliers if a list); got the shape {constraint.shape.as_list()}."
    )
  _, gradient = _free_energy_and_gradient(
    data, multipliers, v, log_masses, constraint_fn
  )
  if gradient is None:
    raise errors.UserError(
      "`constraint_fn` must have a gradient in the reconstructions; got none."
    )
