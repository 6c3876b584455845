# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 5 of "Taming VAEs": GECO's KL at the error an ELBO ended at."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geco_tf.experiments import families, trained_runs
from geco_tf.experiments.base import Folder, Settings
from geco_tf.figures import equal_error
from geco_tf.figures.information_planes import Path

_WANTED = {
  "laptop": (("vae", "mnist"), ("vae", "cifar10")),
  "paper": (("conv_draw", "cifar10"),),
}
_NUM_SEEDS = {"laptop": 3, "paper": 1}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Trains by the ELBO, reads its RMSE off, and trains GECO at that κ.

  Each seed has an ELBO (σ learned) and a GECO run of equal steps: those of
  `benchmarks.against_elbo`. The ratio of their KL is given as the geometric
  mean over seeds, with its standard error.

  Cost: twelve runs of 4 to 5 minutes on one core, an hour; what is kept costs
  nothing.
  """
  store = families.store(settings, folder)
  results: dict[str, Any] = {}
  courses: dict[str, dict[str, Sequence[Path]]] = {}
  for family in families.make(_WANTED[settings.scale], settings):
    found = [
      _pair(family._replace(seed=settings.seed + i), store)
      for i in range(_NUM_SEEDS[settings.scale])
    ]
    pairs = [pair for pair in found if pair is not None]
    courses[family.label] = {
      name: [trained_runs.course(pair[i]) for pair in pairs]
      for i, name in enumerate(("ELBO, learned σ", "GECO"))
    }
    results[family.label] = _compared(pairs)
  families.check_any([r for r in results.values() if r["pairs"]], store)
  folder.save_figure("figure5", equal_error.kl_over_steps(courses))
  folder.save_tables(
    {
      "Each seed": [
        {"model and data": label, **row}
        for label, result in results.items()
        for row in result["pairs"]
      ],
      "KL of GECO / KL of the ELBO": [
        {"model and data": label, **result["ratio"]}
        for label, result in results.items()
        if result["pairs"]
      ],
    }
  )
  return {**results, "missing": store.missing}


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads; κ is not known before."""
  seeds = range(settings.seed, settings.seed + _NUM_SEEDS[settings.scale])
  return [
    f"{training.name}.json"
    for family in families.make(_WANTED[settings.scale], settings)
    for seed in seeds
    for training in (_elbo(family._replace(seed=seed)),
                     _geco(family._replace(seed=seed), 0.0))
  ]  # fmt: skip


def _elbo(family: families.Family) -> trained_runs.Run:
  return families.against_elbo(
    family.flags["preset"], "learned_sigma", family.seed, here=family.here,
    objective="learned_sigma_elbo",
  )  # fmt: skip


def _geco(family: families.Family, kappa: float) -> trained_runs.Run:
  return families.against_elbo(
    family.flags["preset"], "geco_at_learned_sigma", family.seed,
    here=family.here, kappa=kappa,
  )  # fmt: skip


def _pair(
  family: families.Family, store: trained_runs.TrainedRuns
) -> tuple[dict[str, Any], dict[str, Any]] | None:
  """The ELBO's result and GECO's; None if one is missing."""
  elbo = store.result(_elbo(family))
  if elbo is None:
    return None
  geco = store.result(_geco(family, round(elbo["summary"]["rmse"], 4)))
  return None if geco is None else (elbo, geco)


def _compared(
  pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]],
) -> dict[str, Any]:
  rows = []
  for elbo, geco in pairs:
    e, g = elbo["summary"], geco["summary"]
    rows.append({
      "steps": e["num_steps"],
      "RMSE of the ELBO": e["rmse"],
      "RMSE of GECO": g["rmse"],
      "KL of the ELBO": e["kl"],
      "KL of GECO": g["kl"],
      "ratio": g["kl"] / e["kl"],
    })  # fmt: skip
  if not rows:
    return {"pairs": [], "ratio": {}}
  logs = np.log([row["ratio"] for row in rows])
  ratio = float(np.exp(logs.mean()))
  error = None
  if len(rows) > 1:
    error = float(ratio * logs.std(ddof=1) / math.sqrt(len(rows)))
  return {
    "pairs": rows,
    "ratio": {
      "seeds": len(rows),
      "ratio": ratio,
      "standard error": error,
      "lowest": float(np.exp(logs.min())),
      "highest": float(np.exp(logs.max())),
    },
  }
