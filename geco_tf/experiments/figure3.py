# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 3 of "Taming VAEs": how a run moves through the information plane."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from geco_tf.experiments import families, trained_runs
from geco_tf.experiments.base import Folder, Settings
from geco_tf.figures import information_planes as pictures

# Model and data; the last is the paper's, which has no ELBO beside it.
_WANTED = (("vae", "mnist"), ("conv_draw", "mnist"), ("conv_draw", "rotate"))
_KAPPA = {"mnist": 0.1, "rotate": 0.15}
_SLACK = 1.03  # How far above κ an RMSE holds it.


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """KL and RMSE of GECO and of an ELBO with a learned σ, step by step.

  First the error falls to κ, at a KL that is higher than needed; from then on
  the KL falls and the error stays. An ELBO has no place to stop at.

  Cost: five runs, an hour on one core; what is kept costs nothing.
  """
  store = families.store(settings, folder)
  rows: dict[str, dict[str, pictures.Path]] = {}
  results: dict[str, Any] = {}
  kappas = {}
  for family in families.make(_WANTED, settings):
    kappa = _kappa(family)
    found = {
      name: store.result(training)
      for name, training in _trainings(family).items()
    }
    kept = {name: result for name, result in found.items() if result}
    if not kept:
      continue
    kappas[family.label] = kappa
    rows[family.label] = {n: trained_runs.course(r) for n, r in kept.items()}
    results[family.label] = {
      name: _numbers(path, kappa, kept[name])
      for name, path in rows[family.label].items()
    }
  families.check_any(rows, store)
  folder.save_figure("figure3", pictures.trajectories(rows, kappas))
  folder.save_tables({"When the error reaches κ, and what comes after": [
    {"run": label, "objective": name, **numbers}
    for label, row in results.items() for name, numbers in row.items()
  ]})  # fmt: skip
  return {"runs": results, "missing": store.missing}


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return [
    f"{training.name}.json"
    for family in families.make(_WANTED, settings)
    for training in _trainings(family).values()
  ]


def _kappa(family: families.Family) -> float:
  return _KAPPA[family.task or "mnist"]


def _trainings(family: families.Family) -> Mapping[str, trained_runs.Run]:
  trainings = {"GECO": family.geco(_kappa(family))}
  if family.task is None:
    trainings["ELBO, learned σ"] = family.learned_sigma()
  return trainings


def _numbers(
  path: pictures.Path, kappa: float, kept: Mapping[str, Any]
) -> dict[str, Any]:
  """Where κ was first held, and where the run ended; KL in nats."""
  # The curve is thinned; that of all rows is None where λ overflowed.
  largest = kept.get("largest_multiplier")
  if "geco/re/multiplier" not in kept["curve"]:
    largest = float(np.nanmax(path.multiplier))
  first = next(
    (i for i, r in enumerate(path.rmse) if r <= _SLACK * kappa), None
  )
  return {
    "κ": kappa,
    "first step at κ": None if first is None else int(path.step[first]),
    "KL there": None if first is None else path.kl[first],
    "highest KL": float(np.nanmax(path.kl)),
    "final RMSE": path.rmse[-1],
    "final KL": path.kl[-1],
    "highest λ": largest,
    "final λ": path.multiplier[-1],
  }
