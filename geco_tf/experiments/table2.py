# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Table 2 of "Taming VAEs": the marginal KL of an ELBO and of GECO."""

import functools
import math
import os
from collections.abc import Mapping
from typing import Any

from geco_tf import runs
from geco_tf.evaluation import marginal_kl, pieces
from geco_tf.evaluation.likelihood import quantized_normal_per_dim
from geco_tf.experiments import families
from geco_tf.experiments.base import Folder, Settings
from geco_tf.experiments.trained_runs import Run, TrainedRuns
from geco_tf.figures import equal_error

_WANTED = (("vae", "cifar10"), ("vae", "color"))
_KAPPA = 0.1  # Fixed beforehand: a larger one would flatter the ratio.
_NUM_SAMPLES = 1_000
_PAPER = {
  "cifar10": {"ELBO": 725.2, "GECO": 45.3},
  "color": {"ELBO": 182.5, "GECO": 10.3},
}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """KL(q(z) ‖ prior) in nats, with σ learned and by GECO at κ = .1.

  All training examples are in the mixture; 1,000 samples; standard errors.

  Cost: four runs of 5 to 10 minutes and four measurements of 2 minutes on one
  core; what is kept costs nothing.
  """
  store = families.store(settings, folder)
  results: dict[str, Any] = {}
  lines: dict[str, dict[str, tuple[float, float | None]]] = {}
  for family in families.make(_WANTED, settings):
    found = {
      name: _measured(training, store)
      for name, training in _trainings(family).items()
    }
    rows = {name: row for name, row in found.items() if row is not None}
    paper = {}
    if family.stands_for is None:
      paper = _PAPER[family.task or family.dataset]
    if not rows:
      continue
    results[family.data_label] = {
      "rows": rows, "paper": paper, "ratio": _ratio(rows, paper)
    }  # fmt: skip
    lines[family.data_label] = {
      **{_LABELS[n]: _value(row["marginal_kl"]) for n, row in rows.items()},
      **{f"{n} (paper)": (value, None) for n, value in paper.items()},
    }
  families.check_any(results, store)
  folder.save_figure("table2", equal_error.marginal_kl(lines))
  folder.save_tables(_tables(results))
  return {**results, "missing": store.missing}


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return [
    f"{training.name}{suffix}.json"
    for family in families.make(_WANTED, settings)
    for training in _trainings(family).values()
    for suffix in ("", "_marginal_kl")
  ]


_LABELS = {"ELBO": "ELBO, learned σ", "GECO": f"GECO, κ = {_KAPPA:g}"}


def _trainings(family: families.Family) -> Mapping[str, Run]:
  return {"ELBO": family.learned_sigma(), "GECO": family.geco(_KAPPA)}


def _value(estimate: Mapping[str, float]) -> tuple[float, float]:
  return estimate["value"], estimate["standard_error"]


def _measured(training: Run, store: TrainedRuns) -> dict[str, Any] | None:
  found = store.measured(
    training, "marginal_kl", functools.partial(measure, training)
  )
  kept = store.result(training)
  if found is None or kept is None:
    return None
  s = kept["summary"]
  nll = quantized_normal_per_dim(s["rmse"] ** 2, s["rmse"])
  return {
    **found,
    "rmse": s["rmse"],
    "test_rmse": s["test_rmse"],
    "neg_log_likelihood_per_dim": nll,
    "run": training.name,
  }


def measure(training: Run, workdir: str) -> dict[str, Any]:
  """The marginal KL of a finished run's newest weights; goes on if stopped."""
  source = runs.build.build_data(training.config())
  model = runs.load(workdir)
  say = functools.partial(print, flush=True)
  return marginal_kl.estimate(
    model,
    source.train,
    num_samples=min(_NUM_SAMPLES, source.train.num_examples),
    folder=os.path.join(workdir, "marginal_kl"),
    settings={"weights_crc32": runs.weights_crc32(model)},
    progress=pieces.tenths(f"marginal KL of {training.name}", say),
  ).to_json()


def _ratio(
  rows: Mapping[str, Mapping[str, Any]], paper: Mapping[str, float]
) -> dict[str, Any] | None:
  """ELBO / GECO, its error to first order, and the paper's."""
  if len(rows) < 2:
    return None
  (elbo, elbo_error), (geco, geco_error) = (
    _value(rows[name]["marginal_kl"]) for name in ("ELBO", "GECO")
  )
  ratio = elbo / geco
  error = abs(ratio) * math.hypot(elbo_error / elbo, geco_error / geco)
  return {
    "ratio": ratio,
    "standard error": error,
    "paper": paper["ELBO"] / paper["GECO"] if paper else None,
  }


def _tables(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
  def plus_minus(estimate: Mapping[str, float]) -> str:
    return "{:.2f} ± {:.2f}".format(*_value(estimate))

  rows = [
    {
      "data": data,
      "objective": _LABELS[name],
      "marginal KL": plus_minus(row["marginal_kl"]),
      "in the paper": result["paper"].get(name),
      "average KL": plus_minus(row["average_kl"]),
      "information": f"{row['mutual_information']['value']:.2f}",
      "RMSE": row["rmse"],
      "test RMSE": row["test_rmse"],
      "NLL, nats/dim": row["neg_log_likelihood_per_dim"],
      "N": row["num_components"],
      "S": row["num_samples"],
    }
    for data, result in results.items()
    for name, row in result["rows"].items()
  ]
  ratios = [
    {"data": data, **result["ratio"]}
    for data, result in results.items()
    if result["ratio"] is not None
  ]
  return {"Marginal KL, nats": rows, "ELBO / GECO": ratios}
