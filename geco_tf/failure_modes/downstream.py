# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a VAE's failures do to the tasks it is trained for.

(a) compression: does the ELBO find the true number of latents?
(b) disentanglement: does it find the true axes among equally likely ones?
(c) adversarial defence: does projecting onto the decoder's manifold help?
(d) semi-supervised learning: does p(x|y) still depend on y?

Each task is a function from a ground truth to numbers, over R restarts.

Source: "Failure Modes of Variational Autoencoders and Their Effects on
Downstream Tasks"; BUILD_NOTES says what is ours.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import optimize, spatial, stats

from geco_tf.failure_modes import (
  ensembles,
  ground_truths,
  methods,
  quadrature,
  semi_supervised,
)

_TRUTH_RANGE = 4.0  # of z, on either side, that a manifold is drawn over.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Effort:
  """How long a task may take."""

  num_rows: int = 2_000
  num_test_rows: int = 500
  num_restarts: int = 5
  num_steps: int = 4_000
  num_importance_samples: int = 2_000
  seed: int = 0


def _fit(truth, x, method, effort, **options) -> ensembles.Ensemble:
  return methods.fit(
    x,
    method,
    **{
      "latent_size": truth.num_latents,
      "variance": truth.noise_variance,
      "num_restarts": effort.num_restarts,
      "num_steps": effort.num_steps,
      "seed": effort.seed,
      **options,
    },
  )


def _rows(truth, effort) -> tuple[np.ndarray, np.ndarray]:
  train = truth.sample(effort.num_rows, seed=effort.seed).x
  return train, truth.sample(effort.num_test_rows, seed=effort.seed + 1).x


# (a)


def latent_dimensions(
  truth: ground_truths.GroundTruth,
  method: methods.Method,
  sizes: Sequence[int],
  effort: Effort,
) -> list[dict[str, Any]]:
  """Held-out ELBO and likelihood against the number of latents.

  Args:
    truth: with its own number of latents.
    method: to train with; σ² is the truth's.
    sizes: numbers of latents to try.
    effort: how much.

  Returns:
    For each size "latent_size", and lists over restarts, nats per row: "elbo",
    "log_likelihood", and the "train_elbo" that one would choose by.
  """
  train, test = _rows(truth, effort)
  found = []
  for size in sizes:
    ensemble = _fit(truth, train, method, effort, latent_size=size)
    measured = {
      "elbo": ensemble.elbo(test),
      "train_elbo": ensemble.elbo(train[: len(test)]),
      "log_likelihood": ensemble.log_likelihood(
        test, num_samples=effort.num_importance_samples
      ),
    }
    means = {
      k: v.numpy().mean(axis=1).astype(float).tolist()
      for k, v in measured.items()
    }
    found.append({"latent_size": size, **means})
  return found


# (b)


def correlated_factors(
  correlation: float = 0.8, noise_variance: float = 0.05
) -> ground_truths.GroundTruth:
  """Two factors that move x in directions that are not orthogonal: x = A z.

    A = [[1, ρ], [0, √(1 − ρ²)]],  the columns' angle is arccos ρ

  p(z|x) is a Gaussian of precision Λ = I + AᵀA/σ², whose factors are
  correlated, while with A V in place of A, V the eigenvectors of AᵀA, it has
  none and p(x) is the same: the best mean-field Gaussian costs
  ½ (Σ ln Λ_ii − ln det Λ) nats at A and none at A V.

  Args:
    correlation: ρ.
    noise_variance: σ².
  """
  matrix = _factors(correlation)

  def rotated(z):
    return z @ (matrix @ np.linalg.eigh(matrix.T @ matrix)[1]).T

  entangled = ground_truths.GroundTruth(
    "entangled_factors", rotated, noise_variance, 2
  )
  return ground_truths.GroundTruth(
    "correlated_factors",
    lambda z: z @ matrix.T,
    noise_variance,
    2,
    alternative=entangled,
  )


def gap_of_factors(correlation: float, noise_variance: float) -> float:
  """The gap of the best mean-field Gaussian at the true axes, nats."""
  matrix = _factors(correlation)
  precision = np.eye(2) + matrix.T @ matrix / noise_variance
  _, log_det = np.linalg.slogdet(precision)
  return float(0.5 * (np.sum(np.log(np.diag(precision))) - log_det))


def _factors(correlation: float) -> np.ndarray:
  return np.array([[1.0, correlation], [0.0, np.sqrt(1.0 - correlation**2)]])


def disentanglement(
  truth: ground_truths.GroundTruth,
  compared: Mapping[str, methods.Method],
  effort: Effort,
) -> dict[str, Any]:
  """How well each learned latent is one true factor, started at the truth.

  Args:
    truth: with two latents or more, and an alternative.
    compared: name → method.
    effort: how much.

  Returns:
    "truth" and "alternative" (the score of the true functions, with the mean
    of their true posteriors), and of each method, over restarts, "score",
    "elbo" and "log_likelihood", from the truth and ("random") from anywhere.
  """
  drawn = truth.sample(effort.num_test_rows, seed=effort.seed + 1)
  train, _ = _rows(truth, effort)
  found: dict[str, Any] = {
    "truth": _true_score(truth, drawn),
    "alternative": _true_score(truth.alternative, drawn),
  }
  for name, method in compared.items():
    for start in ("truth", "random"):
      ensemble = _fit(
        truth,
        train,
        method,
        effort,
        start=truth.decode if start == "truth" else None,
      )
      means = ensemble.sample_posterior(drawn.x, 100, seed=effort.seed)
      means = means.numpy().mean(axis=2)
      found[f"{name} from {start}"] = {
        "score": [matched_correlation(m, drawn.latents) for m in means],
        "elbo": _list(ensemble.elbo(drawn.x)),
        "log_likelihood": _list(
          ensemble.log_likelihood(
            drawn.x, num_samples=effort.num_importance_samples
          )
        ),
      }
  return found


def matched_correlation(learned: np.ndarray, true: np.ndarray) -> float:
  """Mean |rank correlation| of the best matching of latents to factors.

  1 where every latent is a monotone function of one factor. A rotation of two
  factors by 45° has .69.

  Args:
    learned: [N, K].
    true: [N, K].
  """
  size = true.shape[1]
  correlation = stats.spearmanr(learned, true).statistic
  between = np.abs(np.atleast_2d(correlation)[:size, size:])
  rows, columns = optimize.linear_sum_assignment(-between)
  return float(between[rows, columns].mean())


def _true_score(truth, drawn) -> float:
  grid = truth.latent_grid()
  log_prob = truth.posterior_log_prob(drawn.x[:200], grid)
  weights = np.exp(log_prob) * grid.cell
  return matched_correlation(weights @ grid.points, drawn.latents[:200])


# (c)


def adversarial_defence(
  truth: ground_truths.GroundTruth,
  edges: Sequence[float],
  compared: Mapping[str, methods.Method],
  strengths: Sequence[float],
  effort: Effort,
) -> dict[str, Any]:
  """A classifier's accuracy on attacked points, projected onto manifolds.

  Classes are intervals of the true latent. The attack moves x by a length that
  is given in units of σ, up the loss of a classifier that knows p(y|x) exactly;
  the defence replaces x by the nearest g(z).

  Args:
    truth: of one latent.
    edges: of the classes, values of z.
    compared: name → method; the best restart by training ELBO is used.
    strengths: lengths of the attack, in σ.
    effort: how much.

  Returns:
    "strengths", and "accuracy": "none" (no defence), "truth" (its own manifold)
    and each method → a list over strengths; and "displacement" → how far
    the projection of a clean point is from its noiseless f(z), in σ.
  """
  sigma = float(np.sqrt(truth.noise_variance))
  drawn = truth.sample(effort.num_test_rows, seed=effort.seed + 1)
  classes = np.digitize(drawn.latents[:, 0], edges)
  classifier = _BayesClassifier(truth, edges)
  manifolds = {"truth": truth.decode(_along())[0]}
  train, _ = _rows(truth, effort)
  for name, method in compared.items():
    ensemble = _fit(truth, train, method, effort)
    best = int(np.argmax(_list(ensemble.elbo(train[:500]))))
    manifolds[name] = ensemble.decode(_along())[best].numpy()
  accuracy: dict[str, list[float]] = {n: [] for n in ("none", *manifolds)}
  for strength in strengths:
    attacked = classifier.attack(drawn.x, classes, strength * sigma)
    accuracy["none"].append(classifier.accuracy(attacked, classes))
    for name, manifold in manifolds.items():
      defended = project(attacked, manifold)
      accuracy[name].append(classifier.accuracy(defended, classes))
  clean = truth.function(drawn.latents)
  displacement = {
    name: float(
      np.linalg.norm(project(clean, m) - clean, axis=1).mean() / sigma
    )
    for name, m in manifolds.items()
  }
  return {
    "strengths": list(strengths),
    "accuracy": accuracy,
    "displacement": displacement,
  }


def project(points: np.ndarray, manifold: np.ndarray) -> np.ndarray:
  """The nearest of a manifold's points [G, D] to each of [N, D]."""
  _, nearest = spatial.cKDTree(manifold).query(points)
  return manifold[nearest]


def _along() -> np.ndarray:
  """Latents that a curve is drawn through, midpoints of cells: [G, 1]."""
  share = (np.arange(4_000) + 0.5) / 4_000
  return _TRUTH_RANGE * (2.0 * share - 1.0)[:, np.newaxis]


class _BayesClassifier:
  """The true p(y|x): of the posterior's mass between the edges."""

  def __init__(self, truth, edges):
    latents = _along()
    self._means = truth.decode(latents)[0]
    self._variance = truth.noise_variance
    self._log_prior = stats.norm.logpdf(latents[:, 0])
    self._one_hot = np.eye(len(edges) + 1)[np.digitize(latents[:, 0], edges)]

  def accuracy(self, x: np.ndarray, classes: np.ndarray) -> float:
    return float(np.mean(self._masses(x)[0].argmax(axis=1) == classes))

  def attack(self, x, classes, length: float, num_steps: int = 10):
    """Moves x by at most a length up −ln p(y|x), a step at a time."""
    start, rows = x, np.arange(len(x))
    for _ in range(num_steps if length else 0):
      masses, weights = self._masses(x)
      of_class = weights * self._one_hot[:, classes].T
      of_class /= masses[rows, classes][:, np.newaxis]
      # ∂ ln p(y|x)/∂x = (E[f(z)|x, y] − E[f(z)|x]) / σ²
      slope = (weights - of_class) @ self._means
      slope /= np.linalg.norm(slope, axis=1, keepdims=True) + 1e-12
      x = x + 2.0 * length / num_steps * slope
      moved = x - start
      far = np.linalg.norm(moved, axis=1, keepdims=True) / length
      x = start + moved / np.maximum(far, 1.0)
    return x

  def _masses(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p(y|x) [N, classes] and p(z|x) on the curve's points [N, G]."""
    squared = spatial.distance.cdist(x, self._means, "sqeuclidean")
    log_weights = self._log_prior - 0.5 * squared / self._variance
    log_weights -= log_weights.max(axis=1, keepdims=True)
    weights = np.exp(log_weights)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights @ self._one_hot + 1e-12, weights


# (d)


def functional_collapse(
  truth: ground_truths.GroundTruth,
  compared: Mapping[str, semi_supervised.Method],
  effort: Effort,
  *,
  num_labelled: int,
  held: tuple[float, float] = (0.0, 1.0),
) -> dict[str, Any]:
  """How far apart p(x|y) of two labels stay, and how right each is.

  Args:
    truth: with a label.
    compared: name → method.
    effort: how much.
    num_labelled: rows whose label training sees.
    held: the two labels.

  Returns:
    "truth" → "distance" of its two p(x|y), in total variation; and of each
    method over restarts "distance", "kl" (KL(p(x) ‖ p_θ(x))) and "kl_given"
    (the mean of KL(p(x|y) ‖ p_θ(x|y)) over the two), nats.
  """
  drawn = truth.sample(effort.num_rows, seed=effort.seed)
  judge = _ConditionalJudge(truth, held)
  found: dict[str, Any] = {"truth": {"distance": judge.true_distance}}
  for name, method in compared.items():
    model = semi_supervised.fit(
      drawn.x,
      drawn.labels,
      method,
      label=truth.label,
      variance=truth.noise_variance,
      num_labelled=num_labelled,
      num_restarts=effort.num_restarts,
      num_steps=effort.num_steps,
      seed=effort.seed,
    )
    found[name] = judge(model)
  return found


def label_entropy(truth: ground_truths.GroundTruth, num_rows: int = 500):
  """−E ln p(y|x) under the truth, as the label constraint measures it: nats.

  A discrete label among its two; a continuous one among eight equally likely
  strata, each by its median.
  """
  drawn = truth.sample(num_rows, seed=7)
  if truth.label == "discrete":
    candidates, which = (0.0, 1.0), drawn.labels
  else:
    share = (np.arange(8) + 0.5) / 8
    candidates = tuple(stats.norm.ppf(share))
    which = np.minimum((8 * stats.norm.cdf(drawn.labels)).astype(int), 7)
  log_prob = np.stack([truth.given(y).log_prob(drawn.x) for y in candidates])
  log_prob -= np.logaddexp.reduce(log_prob, axis=0)
  return float(-log_prob[which, np.arange(num_rows)].mean())


class _ConditionalJudge:
  """p(x|y) of a model against the truth's, on the truth's grid of x."""

  def __init__(self, truth, held):
    self._held = held
    self._data = truth.data_grid()
    self._area = np.exp(np.log(self._data.mass) - self._data.log_prob)
    self._variance = truth.variance
    self._label = truth.label
    self._true = [truth.given(y).log_prob(self._data.x) for y in held]

  @property
  def true_distance(self) -> float:
    one, other = np.exp(self._true)
    return float(0.5 * np.sum(np.abs(one - other) * self._area))

  def __call__(self, model: semi_supervised.Model) -> dict[str, list[float]]:
    given = [self._given(model, y) for y in self._held]
    one, other = np.exp(given)
    kl_given = [
      np.sum(np.exp(true) * (true - log_prob) * self._area, axis=-1)
      for true, log_prob in zip(self._true, given, strict=True)
    ]
    log_prob = self._marginal(model, given)
    return {
      "distance": (0.5 * np.sum(np.abs(one - other) * self._area, 1)).tolist(),
      "kl": self._data.mean(self._data.log_prob - log_prob).tolist(),
      "kl_given": np.mean(kl_given, axis=0).tolist(),
    }

  def _given(self, model, label: float) -> np.ndarray:
    """The log density ln p_θ(x|y): [R, N]."""
    grid = quadrature.latent_grid(1, spacing=0.02)
    variance = np.full(model.num_restarts, self._variance[0])
    return quadrature.log_evidence(
      self._data.x, model.decode_given(label), variance, grid
    )

  def _marginal(self, model, given) -> np.ndarray:
    if self._label == "discrete":
      return np.logaddexp(*given) - np.log(2.0)
    # Medians of strata of N(0, 1), equally likely.
    labels = stats.norm.ppf((np.arange(40) + 0.5) / 40)
    parts = [self._given(model, y) for y in labels]
    return np.logaddexp.reduce(parts, axis=0) - np.log(len(labels))


def _list(values: tf.Tensor) -> list[float]:
  """[R, rows] → R means."""
  return values.numpy().mean(axis=1).astype(float).tolist()
