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

from geco_tf.failure_modes import ground_truths, mean_field, quadrature

PosteriorLogProb = Callable[[np.ndarray, np.ndarray], np.ndarray]

# A Gaussian over one of two equal modes far apart is off by ln 2 = .69 nats.
THRESHOLD = 0.5
# "A large portion of x", condition 1.
LARGE_PORTION = 0.2


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


class PosteriorDifficulty(NamedTuple):
  """What condition 1 asks: how far p(z|x) are from Gaussians."""

  gap: float  # E_p of the best Gaussian's gap, nats.
  share: float  # P(x whose gap is over the threshold).
  holds: bool  # Whether that share is a large portion.


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
  fit = mean_field.best_mean_field(
    truth.decode, truth.variance, data.x, truth.latent_grid()
  )
  share = float(data.mean(fit.gap > threshold))
  return PosteriorDifficulty(
    float(data.mean(fit.gap)), share, share > LARGE_PORTION
  )
