# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where −ELBO leads from the truth when networks can be anything.

A trained VAE mixes three faults: those of its objective, of its networks and of
its training. Here the first is alone. Every x has a Gaussian of its own, f is a
table over a grid of z, and −ELBO is lowered in turns, exactly in each:

  f(z)  = Σ_n p(x_n) q(z|x_n) x_n / Σ_n p(x_n) q(z|x_n)
  q_n   = the best Gaussian, downhill from the last one

Both are expectations over a grid that carries the true p(x): there is no sample
to overfit. (A grid thinned to few points is one.)

Source: the first line is equation 4 of "Taming VAEs"; the question is that of
"Failure Modes of Variational Autoencoders and Their Effects on Downstream
Tasks", theorem 1.
"""

from typing import NamedTuple

import numpy as np

from geco_tf import errors
from geco_tf.failure_modes import ground_truths, mean_field, quadrature

_LEAST_MASS = 1e-12  # Of q(z), below which f(z) is left as it was.
_NUM_ROUNDS = 3  # Of the way downhill that q goes in a step.


class Walk(NamedTuple):
  """Nats per example after 0, 1, …, T steps; the first is the truth."""

  neg_elbo: np.ndarray  # [T + 1], never rising.
  kl: np.ndarray  # [T + 1], KL(p ‖ p_θ).
  gap: np.ndarray  # [T + 1], E_p KL(q(z|x) ‖ p_θ(z|x)).
  grid: quadrature.LatentGrid  # [G, 1]
  values: np.ndarray  # [G, D], f at the end.

  def decode(self, latents: np.ndarray) -> np.ndarray:
    """The last f between the grid's points: [N, 1] → [1, N, D]."""
    columns = [
      np.interp(latents[:, 0], self.grid.points[:, 0], column)
      for column in self.values.T
    ]
    return np.stack(columns, axis=1)[np.newaxis]


def from_truth(
  truth: ground_truths.GroundTruth,
  *,
  num_steps: int = 40,
  data: ground_truths.DataGrid | None = None,
) -> Walk:
  """Lowers −ELBO of the mean-field VAE with σ² fixed, from the truth.

  Args:
    truth: of one latent.
    num_steps: T.
    data: points of p(x); None takes the truth's.

  Returns:
    The way.

  Raises:
    UserError: if the truth has more latents than one.
  """
  if truth.num_latents != 1:
    raise errors.UserError(
      f"`truth` must have one latent; {truth.name!r} has {truth.num_latents}."
    )
  data = truth.data_grid() if data is None else data
  grid = truth.latent_grid()
  fit = mean_field.best_mean_field(truth.decode, truth.variance, data.x, grid)
  posterior = np.append(fit.mean, np.log(fit.scale), axis=1)
  (values,) = truth.decode(grid.points)
  measured = [_terms(values, posterior, truth, grid, data)]
  for _ in range(num_steps):
    values = _best_values(values, posterior, truth, grid, data)
    posterior = _best_posterior(values, posterior, truth, grid, data)
    measured.append(_terms(values, posterior, truth, grid, data))
  neg_elbo, kl, gap = np.array(measured).T
  return Walk(neg_elbo, kl, gap, grid, values)


def _energy(values, truth, grid) -> mean_field.ExpectedEnergy:
  return mean_field.ExpectedEnergy(
    lambda z: values[np.newaxis], truth.variance, grid
  )


def _best_values(values, posterior, truth, grid, data) -> np.ndarray:
  """Equation 4: each f(z) becomes the mean of the x that z stands for."""
  mass = _energy(values, truth, grid).weights(posterior[:, 0], posterior[:, 1])
  mass *= data.mass[:, np.newaxis]
  total = mass.sum(axis=0)[:, np.newaxis]
  means = (mass.T @ data.x) / np.maximum(total, _LEAST_MASS)
  return np.where(total > _LEAST_MASS, means, values)


def _best_posterior(values, posterior, truth, grid, data) -> np.ndarray:
  energy = _energy(values, truth, grid)
  lower, _ = mean_field.descend(
    lambda parameters: energy(data.x, parameters),
    posterior,
    num_rounds=_NUM_ROUNDS,
  )
  return lower


def _terms(values, posterior, truth, grid, data) -> tuple[float, float, float]:
  """−ELBO, KL(p ‖ p_θ) and the gap."""
  energy = _energy(values, truth, grid)(data.x, posterior)
  (log_prob,) = quadrature.log_evidence(
    data.x, lambda z: values[np.newaxis], truth.variance, grid
  )
  return (
    float(data.mean(energy)),
    float(data.mean(data.log_prob - log_prob)),
    float(data.mean(energy + log_prob)),
  )
