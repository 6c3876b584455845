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
)
from geco_tf.figures import densities

STARTS = ("truth", "random")
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
TITLES = {
  "truth": "ground truth",
  "vae": "VAE, σ fixed",
  "vae_learned": "VAE, σ learned",
  "beta_vae": "β-VAE, β = ½",
  "iwae_3": "IWAE, k = 3",
  "iwae_10": "IWAE, k = 10",
  "iwae_20": "IWAE, k = 20",
  "lagging": "lagging inference",
  "nvp": "NVP posterior",
  "geco": "GECO, κ = σ",
}
# What the paper reports of p(x) for the mean-field VAE; None where its claim is
# about p(x|y).
PAPER_FAILS = {
  "figure_8": True,
  "circle": False,
  "absolute_value": False,
  "clusters": True,
  "spiral_dots": True,
  "discrete_semi_circle": None,
  "continuous_semi_circle": None,
}
# KL(p ‖ p_θ) that counts as a worse p(x), nats, beyond the NVP posterior's:
# what a network of this size and this training leave is in both.
KL_TOLERANCE = 0.02
# The latents' grid where q and the posteriors are compared.
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
  num_moves: int = 1_000  # Of the search for a simpler model.
  # x where models are measured at, by number of latents.
  num_points: Mapping[int, int] = types.MappingProxyType({1: 700, 2: 150})
  methods: tuple[str, ...] = METHODS
  starts: tuple[str, ...] = STARTS
  truths: tuple[str, ...] = ground_truths.names()


_SCALES = {
  "laptop": Scale(10, 10_000, 2_000, 2_000, 50),
  "paper": Scale(10, 10_000, 10_000, 30_000, 200),
}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Every example by every method, from the truth and from random weights.

  First, at each ground truth: how far the true posteriors are from Gaussians
  (condition 1), and the simplest model found with the same p(x) (condition 2).
  Then, of each restart of each method, by quadrature and in nats:

    −ELBO = H(x) + KL(p ‖ p_θ) + E_p KL(q(z|x) ‖ p_θ(z|x))

  The verdict on an example: is the ELBO of a mean-field VAE that starts at the
  truth higher in the end than the truth's with its best Gaussians, and its p(x)
  worse than what the NVP posterior comes to from there?

  Cost: an hour on one core by estimate, not measured; 126 trainings.
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
  for start in scale.starts:
    for method in scale.methods:
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
        **summary(trained[name, start, method]),
      }
      for start in scale.starts
      for method in scale.methods
    ]
    results[name] = {
      **{k: v for k, v in truths[name].items() if k != "density"},
      "trained": rows,
      "verdict": verdict(name, truths[name], rows),
    }
    _draw_example(folder, name, truths[name], trained, scale)
  _draw_all(folder, truths, trained, scale)
  with tf.io.gfile.GFile(folder.file("table.md"), "w") as file:
    file.write(table(results))
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

  def conditions(self) -> dict[str, Any]:
    """The truth's posteriors, and the search for simpler ones."""
    truth = self._truth
    whole = truth.data_grid()
    difficulty = conditions.posterior_difficulty(truth, data=self._points)
    found = conditions.simplest_rearrangement(
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
    if truth.alternative is not None:
      measured |= self._alternative(truth.alternative, whole)
    return measured

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
      is_started=start == "truth",
    )
    return self._measure(model)

  def _model(self, posterior: str) -> ensembles.Ensemble:
    return ensembles.Ensemble(
      self._train_data,
      latent_size=self._truth.num_latents,
      num_restarts=self._scale.num_restarts,
      variance=self._truth.noise_variance,
      posterior=posterior,
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
    num_latents = self._truth.num_latents
    terms = conditions.decompose(
      self._truth,
      model.decode,
      variance,
      model.posterior_log_prob,
      grid=quadrature.latent_grid(num_latents, _SPACINGS[num_latents]),
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
    grid = quadrature.latent_grid(
      self._truth.num_latents, _SPACINGS[self._truth.num_latents]
    )
    log_prob = quadrature.log_evidence(
      x,
      lambda z: np.asarray(decode(z))[restart : restart + 1],
      np.asarray(variance)[restart : restart + 1],
      grid,
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


def summary(piece: Mapping[str, Any]) -> dict[str, Any]:
  """Means over restarts, and standard deviations, of what was measured."""
  result: dict[str, Any] = {}
  for key in ("kl", "gap", "neg_elbo", "neg_elbo_sampled", "variance"):
    values = np.asarray(piece[key])
    result[key] = float(values.mean())
    result[f"{key}_sd"] = float(values.std())
  result["residual"] = float(np.max(np.abs(piece["residual"])))
  return result


def verdict(
  name: str, truth: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
  """Whether the mean-field VAE fails, and whether it had to.

  Args:
    name: of the example.
    truth: its piece of conditions.
    rows: its summaries.

  Returns:
    elbo_gain: what the VAE's ELBO has over the truth's, nats.
    kl_excess: KL(p ‖ p_θ) of the VAE less that of the NVP posterior, nats.
    fails: both are positive, the second beyond the tolerance.
    expected: both conditions hold as measured.
    paper: whether the paper says that it fails, None where it does not say.
  """
  from_truth = {r["method"]: r for r in rows if r["start"] == "truth"}
  if not {"vae", "nvp"} <= set(from_truth):
    return {}
  gain = truth["neg_elbo"] - from_truth["vae"]["neg_elbo"]
  excess = from_truth["vae"]["kl"] - from_truth["nvp"]["kl"]
  return {
    "elbo_gain": gain,
    "kl_excess": excess,
    "fails": gain > 0.0 and excess > KL_TOLERANCE,
    "expected": truth["condition_1"] and truth["condition_2"],
    "paper": PAPER_FAILS[name],
  }


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
  """The numbers in Markdown."""
  lines = ["# Verdicts", *_verdict_table(results), ""]
  for name, example in results.items():
    lines += [f"# {name}", *_method_table(example), ""]
  return "\n".join(lines)


def _verdict_table(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
  lines = [
    "| example | gap at the truth | share of x > ½ nat | condition 1"
    " | gap rearranged | condition 2 | ELBO over the truth's"
    " | KL over the NVP's | fails | the paper |",
    "|---|---|---|---|---|---|---|---|---|---|",
  ]
  for name, row in results.items():
    says = row["verdict"]
    if not says:
      continue
    lines.append(
      f"| {name} | {row['posterior_gap']:.3f} | {row['share_of_hard_x']:.2f}"
      f" | {_yes(row['condition_1'])} | {row['rearranged_gap']:.3f}"
      f" | {_yes(row['condition_2'])} | {says['elbo_gain']:+.3f}"
      f" | {says['kl_excess']:+.3f} | {_yes(says['fails'])}"
      f" | {_yes(says['paper'])} |"
    )
  return lines


def _method_table(example: Mapping[str, Any]) -> list[str]:
  lines = [
    "| start | method | KL(p ‖ p_θ) | posterior gap | −ELBO | σ² |",
    "|---|---|---|---|---|---|",
    f"| | ground truth, best Gaussians | 0 | {example['posterior_gap']:.3f}"
    f" | {example['neg_elbo']:.3f} | |",
  ]
  for row in example["trained"]:
    cells = [
      f"{row[key]:.3f} ± {row[f'{key}_sd']:.3f}"
      for key in ("kl", "gap", "neg_elbo")
    ]
    lines.append(
      f"| {row['start']} | {TITLES[row['method']]} | {' | '.join(cells)}"
      f" | {row['variance']:.4f} |"
    )
  return lines


def _yes(value: bool | None) -> str:
  return "–" if value is None else "yes" if value else "no"


def _panel(
  title: str, piece: Mapping[str, Any]
) -> tuple[str, Sequence[Sequence[float]]]:
  kl = f"\nKL {np.mean(piece['kl']):.2f}" if "kl" in piece else "\n"
  return title + kl, piece["density"]


def _draw_example(folder, name, truth, trained, scale) -> None:
  """Every method, from each start in a row."""
  rows = {
    f"from {start}": [
      _panel(TITLES["truth"], truth),
      *(_panel(TITLES[m], trained[name, start, m]) for m in scale.methods),
    ]
    for start in scale.starts
  }
  folder.save_figure(name, densities.panels(rows))


def _draw_all(folder, truths, trained, scale) -> None:
  """All examples from the truth, by the methods that the verdict asks."""
  start = scale.starts[0]
  chosen = [m for m in ("vae", "nvp", "geco", "iwae_10") if m in scale.methods]
  rows = {
    name.replace("_", " "): [
      _panel(TITLES["truth"], truth),
      *(_panel(TITLES[m], trained[name, start, m]) for m in chosen),
    ]
    for name, truth in truths.items()
  }
  folder.save_figure("failure_modes", densities.panels(rows))
