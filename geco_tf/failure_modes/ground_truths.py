# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seven generative models whose p(x) and p(z|x) are known.

x = f(z) + ε with z ~ N(0, I) and ε ~ N(0, σ²I), in two dimensions. In the two
semi-circles the second latent is a label that may or may not be observed.

Source: "Failure Modes of Variational Autoencoders and Their Effects on
Downstream Tasks"; BUILD_NOTES says which constants are from memory.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import spatial, special

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.failure_modes import quadrature

registry = registry_lib.Registry("ground truth")

LABELS = ("none", "discrete", "continuous")
# A data grid reaches this many σ from the curve: 3e-7 of the noise is outside.
_REACH = 5.5


class Sample(NamedTuple):
  """Draws from a ground truth."""

  x: np.ndarray  # [N, D]
  latents: np.ndarray  # [N, K], labels among them.
  labels: np.ndarray | None  # [N]: 0 or 1, or a real number; None without.


class DataGrid(NamedTuple):
  """Points of a plane with the mass of p(x) around each; Σ mass = 1."""

  x: np.ndarray  # [N, D]
  mass: np.ndarray  # [N], p(x) times the area of a cell.
  log_prob: np.ndarray  # [N], ln p(x), nats.

  def mean(self, values: np.ndarray) -> np.ndarray:
    """E_p of values [..., N]."""
    return np.asarray(values) @ self.mass

  def thinned(self, num_points: int, *, seed: int = 0) -> "DataGrid":
    """At most so many of the points, drawn by their mass and equal then.

    Expectations get a sampling error, smaller than that of independent draws.
    """
    if len(self.x) <= num_points:
      return self
    offset = np.random.default_rng(seed).random()
    places = (np.arange(num_points) + offset) / num_points * self.mass.sum()
    rows = np.searchsorted(np.cumsum(self.mass), places)
    mass = np.full(num_points, 1.0 / num_points)
    return DataGrid(self.x[rows], mass, self.log_prob[rows])

  @property
  def entropy(self) -> float:
    """H(x) = −E ln p(x), nats."""
    return -float(self.mean(self.log_prob))


@dataclasses.dataclass(frozen=True)
class GroundTruth:
  """x = function(z) + N(0, σ²I), z ~ N(0, I).

  Attributes:
    name: what the registry calls it.
    function: latents [G, K] → [G, D].
    noise_variance: σ², in units of x².
    num_latents: K, the label included.
    label: what the last latent says: nothing, a class (latent > 0, so that y ~
      Bernoulli(½)) or a real number (the latent itself).
    alternative: a model of one latent with the same p(x) and simpler
      posteriors, where one is known.
    spacing: of the grid over latents; None takes the usual one. A function
      must not move further than about σ within a cell.
  """

  name: str
  function: Callable[[np.ndarray], np.ndarray]
  noise_variance: float
  num_latents: int = 1
  label: str = "none"
  alternative: "GroundTruth | None" = None
  spacing: float | None = None

  @property
  def variance(self) -> np.ndarray:
    """σ², [1]."""
    return np.array([self.noise_variance])

  def decode(self, latents: Any) -> np.ndarray:
    """f(z): [G, K] → [1, G, D]."""
    return self.function(np.asarray(latents, np.float64))[np.newaxis]

  def sample(self, num_samples: int, *, seed: int) -> Sample:
    """Independent draws of x, with what made them."""
    rng = np.random.default_rng(seed)
    latents = rng.standard_normal((num_samples, self.num_latents))
    means = self.function(latents)
    noise = np.sqrt(self.noise_variance) * rng.standard_normal(means.shape)
    return Sample(means + noise, latents, self._labels(latents))

  def log_prob(self, x: np.ndarray) -> np.ndarray:
    """The log density by quadrature: x [N, D] → ln p(x) [N], nats.

    Its error is largest behind a kink of f, that of the absolute value: below
    1e-3 wherever p(x) > 1e-9, and 1e-5 in the mean. It falls as the square of
    the grid's spacing. For smooth f it is negligible.
    """
    grid = self.latent_grid()
    return quadrature.log_evidence(x, self.decode, self.variance, grid)[0]

  def posterior_log_prob(
    self, x: np.ndarray, grid: quadrature.LatentGrid
  ) -> np.ndarray:
    """The true posterior: x [N, D] → ln p(z|x) [N, G], nats, a density in z."""
    return quadrature.log_posterior(x, self.decode, self.variance, grid)[0]

  def latent_grid(self) -> quadrature.LatentGrid:
    """The grid that integrals over this model's latents use."""
    return quadrature.latent_grid(self.num_latents, self.spacing)

  def data_grid(self, spacing: float = 0.7, min_mass: float = 1e-9) -> DataGrid:
    """Points for E_p over x: a square grid around the curve.

    p(x) is something convolved with N(0, σ²I), so sums over a grid of spacing
    h are exact to exp(−2π² σ²/h²): 3e-9 at h = σ.

    Args:
      spacing: in units of σ.
      min_mass: points that p(x) gives less are left out.
    """
    sigma = np.sqrt(self.noise_variance)
    curve = self.function(self.latent_grid().points)
    axes = [
      np.arange(low - _REACH * sigma, high + _REACH * sigma, spacing * sigma)
      for low, high in zip(curve.min(axis=0), curve.max(axis=0), strict=True)
    ]
    mesh = np.meshgrid(*axes, indexing="ij")
    x = np.stack([m.ravel() for m in mesh], axis=-1)
    distance, _ = spatial.cKDTree(curve).query(x)
    x = x[distance < _REACH * sigma]
    log_prob = self.log_prob(x)
    mass = np.exp(log_prob) * (spacing * sigma) ** x.shape[1]
    kept = mass > min_mass
    return DataGrid(x[kept], mass[kept], log_prob[kept])

  def given(self, label: float) -> "GroundTruth":
    """The model of p(x | y): the label is held, and is a latent no more.

    Args:
      label: 0 or 1 for a discrete one, any number for a continuous one.

    Raises:
      UserError: if this model has no label.
    """
    if self.label == "none":
      raise errors.UserError(
        "`label` can be given to a model with labels only; got one for"
        f" {self.name!r}, which has none."
      )
    held = label - 0.5 if self.label == "discrete" else label
    return GroundTruth(
      f"{self.name} given y = {label:g}",
      lambda z: self.function(np.append(z, np.full((len(z), 1), held), 1)),
      self.noise_variance,
      self.num_latents - 1,
    )

  def _labels(self, latents: np.ndarray) -> np.ndarray | None:
    if self.label == "none":
      return None
    last = latents[:, -1]
    return last if self.label == "continuous" else (last > 0.0).astype(int)


def get(name: str) -> GroundTruth:
  """The ground truth of that name.

  Raises:
    UserError: for a name that there is none of.
  """
  return registry[name]()


def names() -> tuple[str, ...]:
  """Every ground truth, in the paper's order."""
  return _NAMES


def _cdf(z: np.ndarray) -> np.ndarray:
  return special.ndtr(z[..., 0])


def _on_circle(angle: np.ndarray, radius: Any = 1.0) -> np.ndarray:
  return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def figure_8() -> GroundTruth:
  """A lemniscate whose two ends lie beside its crossing."""

  def function(z):
    t = np.pi * (0.6 + 1.8 * _cdf(z))
    x = np.sqrt(0.5) * np.cos(t) / (np.sin(t) ** 2 + 1.0)
    return np.stack([x, 2.0 * x * np.sin(t)], axis=-1)

  return GroundTruth("figure_8", function, 0.02)


def circle() -> GroundTruth:
  """Once around; both ends of the prior meet at (1, 0)."""

  def function(z):
    return _on_circle(2.0 * np.pi * _cdf(z))

  return GroundTruth("circle", function, 0.01)


def absolute_value() -> GroundTruth:
  """(|z|, |z|): every posterior has two modes, and need not have."""

  def function(z):
    return np.repeat(np.abs(z), 2, axis=-1)

  def quantile(z):
    # The half-normal's quantile at Φ(z): 1 − (1 + Φ(z))/2 = Φ(−z)/2.
    return np.repeat(-special.ndtri(0.5 * special.ndtr(-z)), 2, axis=-1)

  alternative = GroundTruth("absolute_value_unfolded", quantile, 0.01)
  # Its kink makes the sum's error h² and not exponentially small.
  return GroundTruth(
    "absolute_value", function, 0.01, alternative=alternative, spacing=0.002
  )


def _staircase(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Steps of width 2 in t: tanh within the step, and the step's number."""
  step = np.floor(0.5 * t)
  return np.tanh(10.0 * t - 20.0 * step - 10.0), step


def clusters() -> GroundTruth:
  """Places on a circle at which the function stays, and leaps between."""

  def function(z):
    t = 2.0 * np.pi * special.expit(0.5 * np.pi * z[..., 0])
    within, step = _staircase(t)
    return _on_circle(2.0 * within + 4.0 * step + 2.0)

  return GroundTruth("clusters", function, 0.2)


def spiral_dots() -> GroundTruth:
  """The same on a spiral."""

  def function(z):
    t = 4.0 * np.pi * special.expit(0.5 * np.pi * z[..., 0])
    within, step = _staircase(t)
    s = within + 2.0 * step + 1.0
    return _on_circle(s, s)

  # Between dots a posterior is .0008 wide.
  return GroundTruth("spiral_dots", function, 0.08, spacing=0.0005)


def discrete_semi_circle() -> GroundTruth:
  """Two densities over one half of a circle, by a class y ~ Bernoulli(½)."""

  def function(z):
    share = (z[..., 1] > 0.0).astype(np.float64)
    return _on_circle(_semi_circle_angle(_cdf(z), 1.0 - share))

  def angle_cdf(share):
    # P(π√U ≤ πa) = a², P(πU³ ≤ πa) = a^(1/3).
    return 0.5 * (share**2 + np.cbrt(share))

  return _semi_circle("discrete", function, angle_cdf)


def continuous_semi_circle() -> GroundTruth:
  """The same two densities, mixed by a real label y ~ N(0, 1)."""

  def function(z):
    return _on_circle(_semi_circle_angle(_cdf(z), _beta_quantile(z[..., 1])))

  return _semi_circle("continuous", function, _mixed_angle_cdf)


def _semi_circle(
  label: str,
  function: Callable[[np.ndarray], np.ndarray],
  angle_cdf: Callable[[np.ndarray], np.ndarray],
) -> GroundTruth:
  """Either semi-circle; the alternative has p(x) right and ignores y."""
  # Dense where the quantile is steep: at both ends.
  share = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, 4001)) ** 3
  cdf = angle_cdf(share)

  def quantile(z):
    return _on_circle(np.pi * np.interp(_cdf(z), cdf, share))

  name = f"{label}_semi_circle"
  alternative = GroundTruth(f"{name}_without_label", quantile, 0.01)
  return GroundTruth(name, function, 0.01, 2, label, alternative)


def _semi_circle_angle(uniform: np.ndarray, weight: np.ndarray) -> np.ndarray:
  """An angle: h π √u + (1 − h) π u³."""
  return np.pi * (weight * np.sqrt(uniform) + (1.0 - weight) * uniform**3)


def _beta_quantile(y: np.ndarray) -> np.ndarray:
  """The quantile of Beta(.2, .2) at Φ(y); each distinct y is solved once."""
  distinct, where = np.unique(y, return_inverse=True)
  quantiles = special.betaincinv(0.2, 0.2, special.ndtr(distinct))
  return quantiles[where].reshape(np.shape(y))


def _mixed_angle_cdf(share: np.ndarray) -> np.ndarray:
  """P(h√U + (1 − h)U³ ≤ share), over U uniform and h ~ Beta(.2, .2)."""
  grid = quadrature.latent_grid(1, spacing=0.02)
  weights = np.exp(grid.log_prior) * grid.cell
  uniform = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, 4001)) ** 3
  cdf = np.zeros_like(share)
  for h, weight in zip(_beta_quantile(grid.points[:, 0]), weights, strict=True):
    angle = _semi_circle_angle(uniform, h) / np.pi
    cdf += weight * np.interp(share, angle, uniform)
  return cdf


_BUILDERS = (
  figure_8,
  circle,
  absolute_value,
  clusters,
  spiral_dots,
  discrete_semi_circle,
  continuous_semi_circle,
)
_NAMES = tuple(builder.__name__ for builder in _BUILDERS)
for _builder in _BUILDERS:
  registry.register(_builder.__name__, _builder)
