# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernel PCA with a Gaussian kernel, and its pre-images.

With k(x, z) = e^{−‖x − z‖²/β} = ⟨Φ(x), Φ(z)⟩, the pre-image of Σ_i γ_i Φ(x_i)
is the z whose Φ(z) is nearest to it. Where the gradient vanishes,

  z = Σ_i γ_i k(x_i, z) x_i / Σ_j γ_j k(x_j, z),

which is iterated. It is equation 20 of "Taming VAEs":

- without the normaliser of (19), m_ia = k(x_i, v_a): every tile looks for the
  pre-image of Σ_i Φ(x_i), the mean of the data in feature space;
- with it, γ_i = 1 / Σ_b π_b k(x_i, v_b) (`log_tile_coefficients`): examples
  that a tile already represents count less, and γ moves along with the tiles.

Computed in NumPy's float64: it is a check on the theory, of n³ operations.

Sources: Mika et al. 1999; Schölkopf, Smola and Müller 1997; "Taming VAEs",
section 3.2 and appendix C.4.
"""

from typing import Any, NamedTuple

import numpy as np

from geco_tf import errors
from geco_tf.theory import checks, memory


def kernel(data: Any, points: Any, beta: float) -> np.ndarray:
  """k(x_i, z_p) = e^{−‖x_i − z_p‖²/β}.

  Args:
    data: [n, D].
    points: [P, D].
    beta: > 0, units of x².

  Returns:
    [n, P], from 0 to 1.
  """
  return np.exp(_log_kernel(data, points, beta))


class KernelPCA(NamedTuple):
  """Components V_k = Σ_i α_ki (Φ(x_i) − Φ̄), of unit length."""

  data: np.ndarray  # [n, D]
  beta: float
  alphas: np.ndarray  # [K, n]
  variances: np.ndarray  # [K], of the scores of the data, largest first.

  def scores(self, points: Any) -> np.ndarray:
    """⟨V_k, Φ(z_p) − Φ̄⟩: [P, K], for points [P, D]."""
    of_points = kernel(self.data, points, self.beta)
    of_data = kernel(self.data, self.data, self.beta)
    # ⟨Φ(x_i) − Φ̄, Φ(z) − Φ̄⟩ but for a constant, which α sums away.
    centred = of_points - of_data.mean(axis=1, keepdims=True)
    centred -= centred.mean(axis=0)
    return (self.alphas @ centred).T

  def coefficients(self, points: Any) -> np.ndarray:
    """γ with Σ_i γ_pi Φ(x_i) = Φ̄ + Σ_k scores_pk V_k, the projection: [P, n].

    Args:
      points: [P, D].
    """
    gamma = self.scores(points) @ self.alphas
    return gamma + (1.0 - gamma.sum(axis=1, keepdims=True)) / len(self.data)


def fit(data: Any, beta: float, num_components: int) -> KernelPCA:
  """Kernel PCA, centred in feature space.

  Args:
    data: [n, D].
    beta: > 0, units of x²; scikit-learn's gamma is 1/β.
    num_components: K, from 1 to n − 1.

  Returns:
    The `KernelPCA`.

  Raises:
    UserError: if data are not finite, or a number is out of range.
  """
  data = checks.matrix("data", data)
  checks.whole("num_components", num_components)
  if not num_components < len(data):
    raise errors.UserError(
      f"`num_components` must be from 1 to {len(data) - 1}; got "
      f"{num_components}."
    )
  gram = kernel(data, data, beta)
  gram = gram - gram.mean(axis=0)
  gram = gram - gram.mean(axis=1, keepdims=True)
  values, vectors = np.linalg.eigh(gram)
  values = values[::-1][:num_components]
  vectors = vectors[:, ::-1][:, :num_components]
  # Of data that repeat, or lie on few directions of feature space, there are
  # fewer: the rest is rounding.
  rank = int((values > len(data) * np.finfo(float).eps * values[0]).sum())
  if rank < num_components:
    raise errors.UserError(
      f"`num_components` must be at most {rank}, the rank of the data's "
      f"kernel; got {num_components}."
    )
  # Each direction's sign is free, and its length is 1 in feature space.
  alphas = vectors.T / np.sqrt(values)[:, np.newaxis]
  return KernelPCA(data, beta, alphas, values / len(data))


def pre_image_step(
  data: Any,
  points: Any,
  beta: float,
  coefficients: Any = None,
  *,
  log_coefficients: Any = 0.0,
) -> np.ndarray:
  """One iteration towards pre-images.

    z ← Σ_i γ_i k(x_i, z) x_i / Σ_j γ_j k(x_j, z)

  Kernels are relative to the largest of each point, so that points far from
  all data move too.

  Args:
    data: [n, D].
    points: z, [P, D].
    beta: > 0, units of x².
    coefficients: γ, [n] or [P, n]; None is 1. Their scale does not matter.
    log_coefficients: ln of a further positive factor of γ, [] or [n].

  Returns:
    [P, D].

  Source: Mika et al. 1999, equation 10.
  """
  log_weights = _log_kernel(data, points, beta)  # [n, P]
  log_weights += np.asarray(log_coefficients)[..., np.newaxis]
  weights = np.exp(log_weights - log_weights.max(axis=0))
  if coefficients is not None:
    gamma = np.asarray(coefficients, np.float64)
    weights *= gamma.T if gamma.ndim == 2 else gamma[:, np.newaxis]
  return (weights / weights.sum(axis=0)).T @ np.asarray(data, np.float64)


def pre_image(
  data: Any,
  points: Any,
  beta: float,
  coefficients: Any = None,
  *,
  max_iterations: int = 1000,
  tolerance: float = 1e-10,
) -> np.ndarray:
  """Pre-images, from given points on.

  Args:
    data: [n, D].
    points: to start from, [P, D].
    beta: > 0, units of x².
    coefficients: γ, [n] or [P, n]; None is 1.
    max_iterations: after which it stops.
    tolerance: of the largest step of a coordinate, in units of x.

  Returns:
    [P, D].

  Raises:
    UserError: if data are not finite or beta is not positive.
  """
  data, points = checks.matrix("data", data), checks.matrix("points", points)
  for _ in range(max_iterations):
    moved = pre_image_step(data, points, beta, coefficients)
    step = np.abs(moved - points).max()
    points = moved
    if step <= tolerance:
      break
  return points


def log_tile_coefficients(
  data: Any, reconstructions: Any, beta: float, masses: Any = None
) -> np.ndarray:
  """The logarithms of γ_i = 1 / Σ_b π_b k(x_i, v_b): [n].

  With them, `pre_image_step` from the reconstructions is an iteration of (19)
  and (20).

  Args:
    data: [n, D].
    reconstructions: v_a, [A, D].
    beta: > 0, units of x².
    masses: π_a, [A]; None is uniform.

  Returns:
    [n].

  Source: "Taming VAEs", appendix C.4.
  """
  log_joint = _log_kernel(data, reconstructions, beta)  # [n, A]
  log_joint += np.log(checks.masses(masses, log_joint.shape[1]))
  return -np.logaddexp.reduce(log_joint, axis=1)


def _log_kernel(data: Any, points: Any, beta: float) -> np.ndarray:
  """[n, P]."""
  checks.positive("beta", beta)
  data, points = checks.matrix("data", data), checks.matrix("points", points)
  memory.check(
    f"{len(data):,} × {len(points):,} points",
    8 * len(data) * len(points) * (2 * data.shape[1] + 1),
  )
  apart = data[:, np.newaxis] - points
  return -(apart**2).sum(axis=-1) / beta
