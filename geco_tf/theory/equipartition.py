# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Equipartition: how much of the prior each tile must have.

With energies H_ia = λ‖x_i − v_a‖² the encoder is q_ia ∝ π_a e^{−H_ia}, and the
prior masses π of the tiles minimise the free energy, a convex function,

  F(π) = −(1/n) Σ_i ln Σ_a π_a e^{−H_ia} = E KL + E H   (nats),

exactly where

  c_a = (1/n) Σ_i e^{−H_ia} / Σ_b π_b e^{−H_ib}  is 1 if π_a > 0, else ≤ 1:

every tile that is used holds as much of the aggregate posterior as of the
prior. That is the fixed point of Blahut and Arimoto's iteration π ← π c, which
needs 10⁵ steps to come near where many tiles are left empty; `occupation` goes
there by about fifteen Newton steps.

Source: "Taming VAEs", section 3.3; Blahut 1972.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.theory import checks, memory

# Of the interior-point method: the usual values.
_CENTRING = 0.1
_STEP_TO_BOUNDARY = 0.995
_RIDGE = 1e-13
# Matrices [n, A] and [A, A] that are alive at a time.
_NUM_TEMPORARIES = 4


class Occupation(NamedTuple):
  """The prior masses of the tiles, and what they cost; float64."""

  masses: tf.Tensor  # [A], π_a, of sum 1; small, not 0, where not used.
  condition: tf.Tensor  # [A], c_a.
  residual: tf.Tensor  # [], max over a of c_a − 1 and π_a |c_a − 1|.
  free_energy: tf.Tensor  # [], F, nats.
  kl: tf.Tensor  # [], E KL(q ‖ π), nats; the rate.
  energy: tf.Tensor  # [], E H, nats; λ times the distortion.
  num_iterations: tf.Tensor  # [], int32.

  def is_used(self, least_mass: float = 1e-6) -> tf.Tensor:
    """Which tiles hold more prior mass than that: bool [A]."""
    return self.masses > least_mass


def energies(data: Any, reconstructions: Any, multiplier: Any) -> tf.Tensor:
  """H_ia = λ‖x_i − v_a‖².

  Args:
    data: x_i, [n, D].
    reconstructions: v_a, [A, D].
    multiplier: λ = 1/β > 0, that of RE with reduction="sum".

  Returns:
    [n, A], nats. Takes memory for n A D numbers.

  Raises:
    UserError: if the data are not finite, λ is not positive and finite, shapes
      do not fit, or the memory does not suffice.
  """
  data = checks.array("data", data, None)
  dtype = data.dtype if data.dtype.kind == "f" else np.float64
  data = checks.matrix("data", data, dtype)
  reconstructions = checks.matrix("reconstructions", reconstructions, dtype)
  if data.shape[1] != reconstructions.shape[1]:
    raise errors.UserError(
      f"`reconstructions` must be [A, {data.shape[1]}]; got "
      f"{list(reconstructions.shape)}."
    )
  checks.positive("multiplier", float(multiplier))
  memory.check(
    f"{len(data):,} examples × {len(reconstructions):,} tiles",
    2 * len(data) * reconstructions.size * data.itemsize,
  )
  # By differences: the expanded square would lose the small distances.
  apart = tf.constant(data)[:, tf.newaxis] - reconstructions
  return float(multiplier) * tf.reduce_sum(apart**2, axis=-1)


def condition(energy: Any, masses: Any) -> tf.Tensor:
  """c_a, the aggregate posterior's mass of each tile over the prior's.

  Args:
    energy: H_ia, [n, A], nats.
    masses: π_a, [A].

  Returns:
    [A]; 1 on every used tile of an equipartition.
  """
  energy = tf.convert_to_tensor(energy)
  log_masses = tf.math.log(tf.cast(masses, energy.dtype))
  evidence = tf.reduce_logsumexp(log_masses - energy, axis=1)
  log_shares = -energy - evidence[:, tf.newaxis]
  num_examples = tf.cast(tf.shape(energy)[0], energy.dtype)
  return tf.exp(tf.reduce_logsumexp(log_shares, axis=0)) / num_examples


def occupation(
  energy: Any, *, tolerance: float = 1e-9, max_iterations: int = 200
) -> Occupation:
  """The masses that solve the stationarity condition.

  A primal-dual interior-point method for min F(π) + Σ π_a, π ≥ 0, whose
  solution sums to 1 by itself; s ≥ 0 are the multipliers of π ≥ 0:

    (∇²F + diag(s/π)) Δπ = c − 1 + μ/π,    Δs = μ/π − s − (s/π) Δπ

  One iteration costs n A² multiplications.

  Args:
    energy: H_ia, [n, A], nats; computed in float64.
    tolerance: of the residual.
    max_iterations: after which it stops where it is; `residual` says where
      that is.

  Returns:
    The `Occupation`. Where two tiles have the same energies, how they share
    their mass is arbitrary.

  Raises:
    UserError: if the energies are not a finite matrix, or the memory does not
      suffice.

  Source: "Taming VAEs", section 3.3.
  """
  energy = tf.constant(checks.matrix("energy", energy))
  num_examples, num_tiles = energy.shape
  memory.check(
    f"Newton steps of {num_tiles:,} tiles",
    _NUM_TEMPORARIES
    * (num_examples + num_tiles)
    * num_tiles
    * energy.dtype.size,
  )
  masses, num_iterations = _solve(
    _scaled_boltzmann(energy),
    tf.constant(tolerance, tf.float64),
    tf.constant(max_iterations),
  )
  return _describe(energy, masses, num_iterations)


class Tiles(NamedTuple):
  """Where the tiles are, and how large."""

  reconstructions: tf.Tensor  # [A, D], v_a.
  occupation: Occupation


def settle(
  data: Any,
  reconstructions: Any,
  multiplier: Any,
  *,
  tolerance: float = 1e-9,
  max_rounds: int = 500,
) -> Tiles:
  """The fixed point in both: how large the tiles are, and what they show.

  Alternates `occupation` with v_a ← Σ_i q_ia x_i / Σ_j q_ja. The free energy
  never rises. At its least, over all places to start from, it is that of the
  best VAE of unlimited capacity, whose expected KL is the rate-distortion
  function of the data.

  Args:
    data: x_i, [n, D].
    reconstructions: v_a to start from, [A, D].
    multiplier: λ = 1/β > 0.
    tolerance: the fall of the free energy, in nats, at which to stop.
    max_rounds: after which it stops where it is.

  Returns:
    The `Tiles`, in float64.

  Raises:
    UserError: as `energies` does.

  Source: "Taming VAEs", equations 19 and 20, and section 3.3.
  """
  data = checks.matrix("data", data)
  reconstructions = checks.matrix("reconstructions", reconstructions)
  occupied = occupation(energies(data, reconstructions, multiplier))
  for _ in range(max_rounds):
    energy = energies(data, reconstructions, multiplier)
    log_q = tf.math.log(occupied.masses) - energy
    # Over tiles first, which makes q; then over data, which makes the mean.
    log_q -= tf.reduce_logsumexp(log_q, axis=1, keepdims=True)
    reconstructions = tf.linalg.matmul(
      tf.nn.softmax(log_q, axis=0), data, transpose_a=True
    )
    before = occupied.free_energy
    occupied = occupation(energies(data, reconstructions, multiplier))
    if before - occupied.free_energy < tolerance:
      break
  return Tiles(reconstructions, occupied)


def _scaled_boltzmann(energy: tf.Tensor) -> tf.Tensor:
  """exp(−H_ia + min_b H_ib): [n, A], float64.

  c does not change when an example's energies all shift. With the shift every
  row has a 1, so that at the solution, where c ≤ 1, Σ_a π_a exp(…) ≥ 1/n:
  nothing underflows, however large λ.
  """
  energy = tf.cast(energy, tf.float64)
  return tf.exp(tf.reduce_min(energy, axis=1, keepdims=True) - energy)


@tf.function(reduce_retracing=True)
def _solve(
  boltzmann: tf.Tensor, tolerance: tf.Tensor, max_iterations: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """π [A] and the number of Newton steps."""
  num_examples = tf.cast(tf.shape(boltzmann)[0], boltzmann.dtype)
  num_tiles = tf.cast(tf.shape(boltzmann)[1], boltzmann.dtype)
  masses = tf.ones_like(boltzmann[0]) / num_tiles
  slack = tf.ones_like(masses)
  shares = _shares(boltzmann, masses)
  step = tf.constant(0)
  while step < max_iterations and (
    _residual(masses, tf.reduce_mean(shares, axis=0)) > tolerance
  ):
    target = _CENTRING * tf.reduce_mean(masses * slack) / masses
    hessian = tf.matmul(shares, shares, transpose_a=True) / num_examples
    # The ridge is for tiles with the same energies.
    ridge = _RIDGE * tf.reduce_max(tf.linalg.diag_part(hessian))
    gradient = tf.reduce_mean(shares, axis=0) - 1.0 + target
    factor = tf.linalg.cholesky(
      hessian + tf.linalg.diag(slack / masses + ridge)
    )
    move = tf.linalg.cholesky_solve(factor, gradient[:, tf.newaxis])[:, 0]
    slack_move = target - slack - slack / masses * move
    masses += _longest_step(masses, move) * move
    slack += _longest_step(slack, slack_move) * slack_move
    shares = _shares(boltzmann, masses)
    step += 1
  return masses / tf.reduce_sum(masses), step


def _shares(boltzmann: tf.Tensor, masses: tf.Tensor) -> tf.Tensor:
  """e^{−H_ia} / Σ_b π_b e^{−H_ib}: [n, A]."""
  return boltzmann / tf.linalg.matvec(boltzmann, masses)[:, tf.newaxis]


def _longest_step(value: tf.Tensor, move: tf.Tensor) -> tf.Tensor:
  """The share of the move, at most 1, that leaves the value positive: []."""
  shares = tf.where(move < 0.0, -value / move, math.inf)
  return tf.minimum(_STEP_TO_BOUNDARY * tf.reduce_min(shares), 1.0)


def _residual(masses: tf.Tensor, c: tf.Tensor) -> tf.Tensor:
  """How far the masses, scaled to sum 1, are from equipartition: []."""
  total = tf.reduce_sum(masses)
  masses, c = masses / total, c * total
  return tf.reduce_max(tf.maximum(c - 1.0, masses * tf.abs(c - 1.0)))


def _describe(
  energy: tf.Tensor, masses: tf.Tensor, num_iterations: tf.Tensor
) -> Occupation:
  logits = tf.math.log(masses) - energy
  free_energy = -tf.reduce_mean(tf.reduce_logsumexp(logits, axis=1))
  q = tf.nn.softmax(logits, axis=1)
  mean_energy = tf.reduce_mean(tf.reduce_sum(q * energy, axis=1))
  c = condition(energy, masses)
  return Occupation(
    masses=masses,
    condition=c,
    residual=_residual(masses, c),
    free_energy=free_energy,
    kl=free_energy - mean_energy,
    energy=mean_energy,
    num_iterations=num_iterations,
  )
