# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seven examples with known answers: when does a VAE prefer a wrong model?"""

import functools
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf.experiments.base import Folder, Settings
from geco_tf.failure_modes import (
  conditions,
  ensembles,
  ground_truths,
  methods,
  quadrature,
  rearrangements,
  verdicts,
  walks,
)
from geco_tf.figures import densities

STARTS = ("truth", "random")
_Methods = tuple[str, ...]
# The ones that decide the verdicts come first.
METHODS = (
  "vae",
  "nvp",
  "geco",
  "iwae_10",
  "vae_learned",
  "beta_vae",
  "iwae_3",
  "lagging",
  "iwae_20",
)
# The latents' grid where q and the posteriors are compared, by number of
# latents; finer where the truth asks for that.
_SPACINGS = {1: 0.004, 2: 0.08}
_DATA_SPACING = 1.0  # In units of σ.
_MIN_MASS = 1e-7
_PIXELS = 64


class Scale(NamedTuple):
  """How much is trained."""

  num_restarts: int
  num_examples: int
  start_steps: int
  num_steps: int
  batch_size: int
  hidden_sizes: tuple[int, ...] = (50, 50, 50)
  num_moves: int = 400  # Of the search for a simpler model.
  walk_steps: int = 40  # From the truth with unlimited networks.
  walk_points: int = 600
  # x where models are measured at, by number of latents.
  num_points: Mapping[int, int] = types.MappingProxyType({1: 700, 2: 150})
  methods: Mapping[str, _Methods] = types.MappingProxyType(
    {
      "truth": METHODS[:-1],
      "random": ("vae", "geco", "iwae_10", "vae_learned"),
    }
  )
  truths: tuple[str, ...] = ground_truths.names()


_SCALES = {
  "laptop": Scale(10, 10_000, 3_000, 4_000, 50),
  "paper": Scale(
    10, 10_000, 10_000, 30_000, 200, methods=dict.fromkeys(STARTS, METHODS)
  ),
}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Every example by every method, from the truth and from random weights.

  First, at each ground truth: how far the true posteriors are from Gaussians
  (condition 1), the simplest model found with the same p(x) (condition 2), and
  where −ELBO leads from there if networks can be anything (one latent). Then,
  of each restart of each method, by quadrature and in nats:

    −ELBO = H(x) + KL(p ‖ p_θ) + E_p KL(q(z|x) ‖ p_θ(z|x))

  Cost: an hour and three quarters on one core; 84 trainings of ten restarts.
  """
  return run_at(_SCALES[settings.scale], settings, folder)


def run_at(scale: Scale, settings: Settings, folder: Folder) -> dict[str, Any]:
  """Does what `run` does, at any scale."""
  examples = {
    name: _Example(ground_truths.get(name), scale, settings.seed)
    for name in scale.truths
  }
  truths = {
    name: folder.piece(f"{name}_conditions", example.conditions)
    for name, example in examples.items()
  }
  trained: dict[tuple[str, str, str], dict[str, Any]] = {}
  for start, chosen in scale.methods.items():
    for method in chosen:
      for name, example in examples.items():
        train = functools.partial(example.train, start, method)
        piece = folder.piece(f"{name}_{start}_{method}", train)
        trained[name, start, method] = piece
  results: dict[str, Any] = {}
  for name in scale.truths:
    rows = [
      {
        "start": start,
        "method": method,
        **verdicts.summary(trained[name, start, method]),
      }
      for start, chosen in scale.methods.items()
      for method in chosen
    ]
    results[name] = {
      **_without_images(truths[name]),
      "trained": rows,
      "verdict": verdicts.verdict(name, truths[name], rows),
    }
    _draw_example(folder, name, truths[name], trained, scale)
  _draw_all(folder, truths, trained, scale)
  with tf.io.gfile.GFile(folder.file("table.md"), "w") as file:
    file.write(verdicts.table(results))
  return results


class _Example:
  """One ground truth, its data, and what is measured of models of it."""

  def __init__(self, truth: ground_truths.GroundTruth, scale: Scale, seed: int):
    self._truth = truth
    self._scale = scale
    self._seed = seed
    self._started: dict[str, Sequence[np.ndarray]] = {}

  @functools.cached_property
  def _train_data(self) -> np.ndarray:
    return self._truth.sample(self._scale.num_examples, seed=self._seed).x

  @functools.cached_property
  def _points(self) -> ground_truths.DataGrid:
    points = self._truth.data_grid(_DATA_SPACING, _MIN_MASS)
    return points.thinned(self._scale.num_points[self._truth.num_latents])

  @functools.cached_property
  def _grid(self) -> quadrature.LatentGrid:
    truth = self._truth
    spacing = _SPACINGS[truth.num_latents]
    if truth.spacing is not None:
      spacing = min(spacing, 2.0 * truth.spacing)
    return quadrature.latent_grid(truth.num_latents, spacing)

  def conditions(self) -> dict[str, Any]:
    """The truth's posteriors, and the search for simpler ones."""
    truth = self._truth
    whole = truth.data_grid()
    difficulty = conditions.posterior_difficulty(truth, data=self._points)
    found = rearrangements.simplest_rearrangement(
      truth, num_moves=self._scale.num_moves, seed=self._seed
    )
    measured = {
      "entropy": whole.entropy,
      "posterior_gap": difficulty.gap,
      "share_of_hard_x": difficulty.share,
      # At the x where trained models are measured, so that they compare.
      "neg_elbo": self._points.entropy + difficulty.gap,
      "rearranged_gap_before": found.gap_before,
      "rearranged_gap": found.gap,
      "condition_1": difficulty.holds,
      "condition_2": found.holds,
      "density": self._density(truth.decode, truth.variance, 0),
    }
    if truth.num_latents == 1:
      measured["walk"] = self._walk()
    if truth.alternative is not None:
      measured |= self._alternative(truth.alternative, whole)
    return measured

  def _walk(self) -> dict[str, Any]:
    truth, scale = self._truth, self._scale
    walk = walks.from_truth(
      truth,
      num_steps=scale.walk_steps,
      data=self._points.thinned(scale.walk_points),
    )
    return {
      "neg_elbo": walk.neg_elbo.tolist(),
      "kl": walk.kl.tolist(),
      "gap": walk.gap.tolist(),
      "density": self._density(walk.decode, truth.variance, 0),
    }

  def _alternative(self, alternative, whole) -> dict[str, float]:
    difficulty = conditions.posterior_difficulty(
      alternative, data=alternative.data_grid(_DATA_SPACING, _MIN_MASS)
    )
    log_ratio = whole.log_prob - alternative.log_prob(whole.x)
    return {
      "alternative_kl": float(whole.mean(log_ratio)),
      "alternative_gap": difficulty.gap,
    }

  def train(self, start: str, method: str) -> dict[str, Any]:
    """Trains all restarts of one method, and measures them."""
    how = methods.METHODS[method]
    model = self._model(how.posterior)
    if start == "truth":
      for variable, value in zip(
        model.variables, self._weights_at_truth(how.posterior), strict=True
      ):
        variable.assign(value)
    methods.train(
      model,
      self._train_data,
      how,
      num_steps=self._scale.num_steps,
      batch_size=self._scale.batch_size,
      seed=self._seed,
    )
    return self._measure(model)

  def _model(self, posterior: str) -> ensembles.Ensemble:
    return ensembles.Ensemble(
      self._train_data,
      latent_size=self._truth.num_latents,
      num_restarts=self._scale.num_restarts,
      variance=self._truth.noise_variance,
      posterior=posterior,
      hidden_sizes=self._scale.hidden_sizes,
      seed=self._seed,
    )

  def _weights_at_truth(self, posterior: str) -> Sequence[np.ndarray]:
    """Of a model with that posterior; found once, for all methods."""
    if posterior not in self._started:
      model = self._model(posterior)
      methods.start_at(
        model,
        self._truth.decode,
        num_steps=self._scale.start_steps,
        batch_size=self._scale.batch_size,
        seed=self._seed,
      )
      self._started[posterior] = [v.numpy() for v in model.variables]
    return self._started[posterior]

  def _measure(self, model: ensembles.Ensemble) -> dict[str, Any]:
    variance = model.variance.numpy()
    terms = conditions.decompose(
      self._truth,
      model.decode,
      variance,
      model.posterior_log_prob,
      grid=self._grid,
      data=self._points,
    )
    held_out = self._truth.sample(1_000, seed=self._seed + 1).x
    sampled = model.elbo(held_out, num_samples=50, seed=self._seed)
    middle = int(np.argsort(terms.neg_elbo)[len(variance) // 2])
    return {
      "kl": terms.kl.tolist(),
      "gap": terms.gap.tolist(),
      "neg_elbo": terms.neg_elbo.tolist(),
      "residual": terms.residual.tolist(),
      "neg_elbo_sampled": (-np.mean(sampled, axis=1)).tolist(),
      "variance": variance.tolist(),
      "density": self._density(model.decode, variance, middle),
    }

  def _density(self, decode, variance, restart: int) -> list[list[float]]:
    """An image of p(x) of one restart, rows from the lowest x₂."""
    x = densities.pixels(self._box, _PIXELS)
    log_prob = quadrature.log_evidence(
      x,
      lambda z: np.asarray(decode(z))[restart : restart + 1],
      np.asarray(variance)[restart : restart + 1],
      self._grid,
    )
    image = np.exp(log_prob[0]).reshape(_PIXELS, _PIXELS)
    return np.round(image, 5).tolist()

  @functools.cached_property
  def _box(self) -> tuple[float, float, float, float]:
    """A square around nearly all data: left, right, bottom, top."""
    low, high = np.quantile(self._train_data, [0.002, 0.998], axis=0)
    centre, half = 0.5 * (low + high), 0.55 * float(np.max(high - low))
    left, bottom = (float(c - half) for c in centre)
    right, top = (float(c + half) for c in centre)
    return left, right, bottom, top


def _without_images(truth: Mapping[str, Any]) -> dict[str, Any]:
  """What is known of a truth, as results.json has it."""
  kept = {k: v for k, v in truth.items() if k != "density"}
  if "walk" in kept:
    kept["walk"] = {k: v for k, v in kept["walk"].items() if k != "density"}
  return kept


def _panel(
  title: str, piece: Mapping[str, Any]
) -> tuple[str, Sequence[Sequence[float]]]:
  kl = f"\nKL {np.mean(piece['kl']):.2f}" if "kl" in piece else "\n"
  return title + kl, piece["density"]


def _truth_panels(truth: Mapping[str, Any]) -> list:
  """The truth, and where the walk from it ends."""
  found = [_panel(verdicts.TITLES["truth"], truth)]
  if "walk" in truth:
    walk = truth["walk"] | {"kl": truth["walk"]["kl"][-1]}
    found.append(_panel("unlimited", walk))
  return found


def _draw_example(folder, name, truth, trained, scale) -> None:
  """Every method, from each start in a row."""
  rows = {
    f"from {start}": [
      *_truth_panels(truth),
      *(_panel(verdicts.TITLES[m], trained[name, start, m]) for m in chosen),
    ]
    for start, chosen in scale.methods.items()
  }
  folder.save_figure(name, densities.panels(rows))


def _draw_all(folder, truths, trained, scale) -> None:
  """All examples from the truth, by the methods that the verdict asks."""
  start, among = next(iter(scale.methods.items()))
  chosen = [m for m in ("vae", "nvp", "geco", "iwae_10") if m in among]
  rows = {
    name.replace("_", " "): [
      _panel(verdicts.TITLES["truth"], truth),
      *(_panel(verdicts.TITLES[m], trained[name, start, m]) for m in chosen),
    ]
    for name, truth in truths.items()
  }
  folder.save_figure("failure_modes", densities.panels(rows))
