# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 5 of "Taming VAEs": GECO's KL at the error an ELBO ended at."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geco_tf.constraints.base import SLACK
from geco_tf.evaluation import information_plane
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
  `benchmarks.against_elbo`. The ratio of their KL, GECO's being moved to the
  ELBO's RMSE, is given as the geometric mean over the seeds whose GECO ended
  within 3 % of it, with its standard error.

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
    results[family.label] = compared(pairs, families.NUM_DIMS[family.dataset])
  families.check_any([r for r in results.values() if r["pairs"]], store)
  folder.save_figure("figure5", equal_error.kl_over_steps(courses))
  folder.save_tables(
    {
      "Each seed": [
        {"model and data": label, **row}
        for label, result in results.items()
        for row in result["pairs"]
      ],
      "KL of GECO, at the ELBO's RMSE / KL of the ELBO": [
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
    for of_seed in [family._replace(seed=seed)]
    for training in (of_seed.learned_sigma(), of_seed.geco_at_learned_sigma(1))
  ]


def _pair(
  family: families.Family, store: trained_runs.TrainedRuns
) -> tuple[dict[str, Any], dict[str, Any]] | None:
  """The ELBO's result and GECO's; None if one is missing."""
  elbo = store.result(family.learned_sigma())
  if elbo is None:
    return None
  kappa = round(elbo["summary"]["rmse"], 4)
  geco = store.result(family.geco_at_learned_sigma(kappa))
  return None if geco is None else (elbo, geco)


def compared(
  pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], num_dims: int
) -> dict[str, Any]:
  """Each pair as a row, and the mean ratio of those that met the ELBO's RMSE.

  Args:
    pairs: results of an ELBO and of GECO, as `TrainedRuns` keeps them.
    num_dims: D of the data.
  """
  rows = []
  for elbo, geco in pairs:
    e, g = elbo["summary"], geco["summary"]
    there = information_plane.kl_at(
      e["rmse"], of_rmse=g["rmse"], kl=g["kl"],
      multiplier=g["multiplier"]["re"], num_dims=num_dims,
    )  # fmt: skip
    rows.append({
      "steps": e["num_steps"],
      "RMSE of the ELBO": e["rmse"],
      "RMSE of GECO": g["rmse"],
      "KL of the ELBO": e["kl"],
      "KL of GECO": g["kl"],
      "KL of GECO, at the ELBO's RMSE": there,
      "ratio": there / e["kl"],
      "κ is met": "yes" if abs(g["rmse"] / e["rmse"] - 1) <= SLACK else "no",
    })  # fmt: skip
  return {"pairs": rows, "ratio": _ratio(rows)}


def _ratio(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """The geometric mean; farther off than 3 %, nothing is said of the KL."""
  logs = np.log([row["ratio"] for row in rows if row["κ is met"] == "yes"])
  count = len(logs)
  found: dict[str, Any] = {"seeds": count, "left out, off κ": len(rows) - count}
  names = ("ratio", "standard error", "lowest", "highest")
  if not count:
    return {**found, **dict.fromkeys(names)}
  ratio = float(np.exp(logs.mean()))
  error = None
  if count > 1:
    error = float(ratio * logs.std(ddof=1) / math.sqrt(count))
  lowest, highest = (float(np.exp(log)) for log in (logs.min(), logs.max()))
  values = (ratio, error, lowest, highest)
  return {**found, **dict(zip(names, values, strict=True))}
