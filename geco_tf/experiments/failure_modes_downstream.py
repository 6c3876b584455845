# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the failure modes of VAEs do to four downstream tasks."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import stats

from geco_tf.experiments.base import Folder, Settings
from geco_tf.failure_modes import (
  downstream,
  ground_truths,
  methods,
  semi_supervised,
)
from geco_tf.figures import downstream as figures

TITLES = {
  "none": "no defence",
  "truth": "ground truth",
  "alternative": "entangled twin",
  "vae": "VAE",
  "vae_learned": "VAE, σ learned",
  "iwae_10": "IWAE, k = 10",
  "nvp": "NVP posterior",
  "geco": "GECO, κ = σ",
  "mean_field": "q(z|x) q(y|x)",
  "structured": "q(z|x, y) q(y|x)",
  "geco_label": "GECO, labels too",
}
_SIZES = (1, 2, 3)
_COMPRESSED = ("absolute_value", "clusters")
_CORRELATION, _FACTOR_NOISE = 0.8, 0.05
_STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
_ATTACKED = "circle"
_LABELLED = 100
_COLLAPSED = {
  "discrete_semi_circle": (0.0, 1.0),
  "continuous_semi_circle": (-1.0, 1.0),
}
# How much above the truth's own −ln p(y|x) the label constraint allows.
_LABEL_SLACK = 1.05

_SCALES = {
  "laptop": downstream.Effort(num_restarts=5, num_steps=5_000),
  "paper": downstream.Effort(
    num_rows=5_000, num_restarts=10, num_steps=30_000, num_test_rows=2_000
  ),
}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Compression, disentanglement, adversarial defence, semi-supervision.

  (a) Held-out ELBO against the number of latents, the truth's being one.
  (b) x = A z with factors that are not orthogonal, against its equally likely
  rotation: at which axes does each method end, from the truth and at random?
  (c) Accuracy on attacked points after projecting them onto g's curve.
  (d) The distance between p(x|y) of two labels, with 100 labels in 2,000 rows.

  Cost: half an hour on one core: 31 trainings of five restarts.
  """
  return run_at(_SCALES[settings.scale], settings, folder)


def run_at(
  effort: downstream.Effort, settings: Settings, folder: Folder
) -> dict[str, Any]:
  """Does what `run` does, with any effort."""
  effort = downstream.Effort(**{**vars(effort), "seed": settings.seed})
  tasks: dict[str, Callable[[], Any]] = {
    **{f"compression_{n}": _compression(n, effort) for n in _COMPRESSED},
    "disentanglement": lambda: _disentanglement(effort),
    "defence": lambda: _defence(effort),
    **{n: _collapse(n, effort) for n in _COLLAPSED},
  }
  results = {name: folder.piece(name, task) for name, task in tasks.items()}
  for name, figure in pictures(results).items():
    folder.save_figure(name, figure)
  with tf.io.gfile.GFile(folder.file("table.md"), "w") as file:
    file.write(table(results))
  return results


def pictures(results: Mapping[str, Any]) -> dict[str, Any]:
  """The figures of all tasks, by name."""
  return {
    "compression": figures.compression(
      {n: results[f"compression_{n}"] for n in _COMPRESSED}
    ),
    "disentanglement": figures.disentanglement(
      results["disentanglement"], TITLES
    ),
    "defence": figures.defence(results["defence"], TITLES),
    "semi_supervision": figures.collapse(
      {n: results[n] for n in _COLLAPSED}, TITLES
    ),
  }


def table(results: Mapping[str, Any]) -> str:
  """Everything, in Markdown: mean ± standard deviation over restarts."""
  return "\n".join(
    [
      *_compression_rows(results),
      "",
      *_disentanglement_rows(results["disentanglement"]),
      "",
      *_defence_rows(results["defence"]),
      "",
      *_collapse_rows(results),
      "",
    ]
  )


def _methods(*names: str) -> dict[str, methods.Method]:
  return {name: methods.METHODS[name] for name in names}


def _compression(name: str, effort: downstream.Effort) -> Callable[[], Any]:
  def task():
    return {
      method: downstream.latent_dimensions(
        ground_truths.get(name), methods.METHODS[method], _SIZES, effort
      )
      for method in ("vae", "nvp")
    }

  return task


def _disentanglement(effort: downstream.Effort) -> dict[str, Any]:
  truth = downstream.correlated_factors(_CORRELATION, _FACTOR_NOISE)
  return {
    "gap_at_truth": downstream.gap_of_factors(_CORRELATION, _FACTOR_NOISE),
    **downstream.disentanglement(truth, _methods("vae", "nvp", "geco"), effort),
  }


def _defence(effort: downstream.Effort) -> dict[str, Any]:
  quarters = stats.norm.ppf([0.25, 0.5, 0.75])  # Equally likely classes.
  return downstream.adversarial_defence(
    ground_truths.get(_ATTACKED),
    quarters.tolist(),
    _methods("vae", "vae_learned", "iwae_10", "nvp", "geco"),
    _STRENGTHS,
    effort,
  )


def _collapse(name: str, effort: downstream.Effort) -> Callable[[], Any]:
  def task():
    truth = ground_truths.get(name)
    kappa = _LABEL_SLACK * downstream.label_entropy(truth)
    method = semi_supervised.Method
    compared = {
      "mean_field": method(),
      "structured": method(is_structured=True),
      "geco": method(is_constrained=True),
      "geco_label": method(is_constrained=True, label_kappa=kappa),
    }
    return {
      "label_kappa": kappa,
      **downstream.functional_collapse(
        truth,
        compared,
        effort,
        num_labelled=_LABELLED,
        held=_COLLAPSED[name],
      ),
    }

  return task


def _compression_rows(results: Mapping[str, Any]) -> list[str]:
  rows = [
    "| (a) truth, one latent | trained by | latents | ELBO | ln p(x) |",
    "|---|---|---|---|---|",
  ]
  for name in _COMPRESSED:
    for method, sizes in results[f"compression_{name}"].items():
      rows += [
        f"| {name} | {TITLES[method]} | {size['latent_size']} | "
        f"{_mean(size['elbo'])} | {_mean(size['log_likelihood'])} |"
        for size in sizes
      ]
  return rows


def _disentanglement_rows(found: Mapping[str, Any]) -> list[str]:
  rows = [
    "| (b) model | matched correlation | ELBO | ln p(x) |",
    "|---|---|---|---|",
    f"| ground truth | {found['truth']:.2f} | | |",
    f"| entangled twin | {found['alternative']:.2f} | | |",
  ]
  for name, row in found.items():
    if isinstance(row, Mapping):
      method, _, start = name.partition(" ")
      rows.append(
        f"| {TITLES[method]} {start} | {_mean(row['score'], 2)} | "
        f"{_mean(row['elbo'])} | {_mean(row['log_likelihood'])} |"
      )
  return rows


def _defence_rows(found: Mapping[str, Any]) -> list[str]:
  strengths = " | ".join(f"{s:g} σ" for s in found["strengths"])
  rows = [
    f"| (c) projected onto | {strengths} | curve off by |",
    "|---" * (len(found["strengths"]) + 2) + "|",
  ]
  for name, values in found["accuracy"].items():
    off = found["displacement"].get(name)
    rows.append(
      f"| {TITLES[name]} | "
      + " | ".join(f"{v:.0%}" for v in values)
      + f" | {'' if off is None else f'{off:.2f} σ'} |"
    )
  return rows


def _collapse_rows(results: Mapping[str, Any]) -> list[str]:
  rows = [
    "| (d) | distance of p(x\\|y) | KL of p(x) | KL of p(x\\|y) |",
    "|---|---|---|---|",
  ]
  for name in _COLLAPSED:
    truth = results[name]["truth"]["distance"]
    rows.append(f"| {name}: ground truth | {truth:.2f} | 0 | 0 |")
    rows += [
      f"| {name}: {_escaped(TITLES[method])} | {_mean(row['distance'], 2)} | "
      f"{_mean(row['kl'])} | {_mean(row['kl_given'])} |"
      for method, row in results[name].items()
      if isinstance(row, Mapping) and method != "truth"
    ]
  return rows


def _escaped(text: str) -> str:
  """A bar does not end a cell."""
  return text.replace("|", "\\|")


def _mean(values: Any, digits: int = 3) -> str:
  return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"
