# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 4 of "Taming VAEs": where ways of training end, in the plane."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from geco_tf.evaluation import information_plane
from geco_tf.evaluation.likelihood import quantized_normal_per_dim
from geco_tf.experiments import families
from geco_tf.experiments.base import Folder, Settings
from geco_tf.experiments.trained_runs import Run, TrainedRuns
from geco_tf.figures import information_planes as pictures

_WANTED = (("vae", "mnist"), ("conv_draw", "mnist"), ("vae", "cifar10"))
# Around 1/λ of GECO at the tightest and at the loosest κ.
_BETAS = {
  "mnist": (0.01, 0.02, 0.125, 0.25, 0.5, 1.0, 2.0),
  "cifar10": (0.005, 0.02, 0.0625, 0.125, 0.25, 0.5, 1.5, 6.0),
  "conv_draw_mnist": (0.01, 0.02, 0.125, 0.5, 1.0, 2.0),
}
_OTHER_BETAS = (0.02, 0.125, 0.5, 2.0)
_NOISE_WIDTHS = (0.1, 0.3)  # Of images in [0, 1].
_BITS = (5, 2)
# Two trainings' KL differ so by their seed, at one error: relative.
_OF_SEEDS = 0.01


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """KL against RMSE and NLL at σ_opt of GECO at five κ, and of five ELBOs.

  For each model and data set, all at equal steps: GECO; β-ELBOs of many β; the
  ELBO with σ learned, with σ annealed by hand, on data with uniform noise, and
  on data of fewer bits. RMSE is measured on the data that a run was given, so
  that noise of width w leaves w/√12 at least.

  The table holds GECO against the β-ELBOs at each κ: their KL is interpolated
  at GECO's RMSE, on straight lines of ln KL over ln RMSE. Nothing is said of a
  difference that is below what such a line may be off and 1 % for the seed.

  Cost: 54 runs of 3 to 11 minutes on one core, 6 hours; what is kept costs
  nothing.
  """
  store = families.store(settings, folder)
  ends: dict[str, dict[str, pictures.Ends]] = {}
  points: dict[str, dict[str, list[dict[str, Any]]]] = {}
  table: list[dict[str, Any]] = []
  for family in families.make(_WANTED, settings):
    found = {
      name: _points(trainings, store)
      for name, trainings in _trainings(family).items()
    }
    points[family.label] = found
    ends[family.label] = {
      name: _ends(some, only_outer=name == "β-ELBO")
      for name, some in found.items()
      if some
    }
    table += [
      {"model and data": family.label, **row}
      for row in compared(found["GECO"], found["β-ELBO"])
    ]
  families.check_any([e for e in ends.values() if e], store)
  folder.save_figure("figure4", pictures.information_planes(ends))
  folder.save_tables({"GECO against the β-ELBOs, at GECO's RMSE": table})
  return {"points": points, "against_beta": table, "missing": store.missing}


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return [
    f"{training.name}.json"
    for family in families.make(_WANTED, settings)
    for trainings in _trainings(family).values()
    for training in trainings.values()
  ]


def _trainings(family: families.Family) -> Mapping[str, Mapping[str, Run]]:
  """Name of the way of training → what tells its runs apart → run."""
  betas = _BETAS.get(family.name.removesuffix("_paper"), _OTHER_BETAS)
  return {
    "GECO": {f"κ = {k:g}": family.geco(k) for k in families.KAPPAS},
    "β-ELBO": {f"β = {b:g}": family.beta(b) for b in betas},
    "ELBO, learned σ": {"": family.learned_sigma()},
    "ELBO, annealed σ": {"": family.annealed()},
    "ELBO, pixel noise": {
      f"w = {w:g}": family.pixel_noise(w) for w in _NOISE_WIDTHS
    },
    "ELBO, fewer bits": {f"{b} bits": family.bit_depth(b) for b in _BITS},
  }


def _points(
  trainings: Mapping[str, Run], store: TrainedRuns
) -> list[dict[str, Any]]:
  """Where each run ended, of those that there are."""
  points = []
  for at, training in trainings.items():
    kept = store.result(training)
    if kept is None:
      continue
    summary = kept["summary"]
    rmse = summary["rmse"]
    points.append({
      "run": training.name,
      "at": at,
      "kappa": summary["kappa"],
      "rmse": rmse,
      "kl": summary["kl"],
      "neg_log_likelihood_per_dim": quantized_normal_per_dim(rmse**2, rmse),
      "test_rmse": summary["test_rmse"],
      "test_kl": summary["test_kl"],
      "satisfied": summary["satisfied"],
    })  # fmt: skip
  return points


def _ends(
  points: Sequence[Mapping[str, Any]], *, only_outer: bool
) -> pictures.Ends:
  """As the picture takes them; words at the first and the last, or at all."""
  outer = (0, len(points) - 1)
  return pictures.Ends(
    rmse=[p["rmse"] for p in points],
    kl=[p["kl"] for p in points],
    notes=[
      p["at"] if i in outer or not only_outer else ""
      for i, p in enumerate(points)
    ],
    is_met=[p["satisfied"] is not False for p in points],
  )


def compared(
  geco: Sequence[Mapping[str, Any]], sweep: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
  """GECO's KL against that of the sweep at its RMSE, a row for each κ.

  Args:
    geco: points with `kappa`, `rmse`, `kl` and `satisfied`.
    sweep: points with `rmse` and `kl`; fewer than two are no sweep.

  Returns:
    Rows; "on or below" is yes, no, or says why neither can be told.
  """
  rows = []
  for point in geco:
    there = None
    if len(sweep) > 1:
      there = information_plane.interpolated_kl(
        point["rmse"], [(p["rmse"], p["kl"]) for p in sweep]
      )
    rows.append({
      "κ": point["kappa"],
      "κ is met": "yes" if point["satisfied"] else "no",
      "RMSE": point["rmse"],
      "KL of GECO": point["kl"],
      **_against(point["kl"], there),
    })  # fmt: skip
  return rows


def _against(
  kl: float, there: information_plane.Interpolated | None
) -> dict[str, Any]:
  """The cells that compare a KL with that of the sweep."""
  names = (
    "KL of β-ELBOs", "between RMSEs", "difference, %", "error of the line, %",
    "on or below",
  )  # fmt: skip
  if there is None or math.isnan(there.kl):
    return {**dict.fromkeys(names), "on or below": "no β there"}
  excess = kl / there.kl - 1.0
  verdict = "yes" if excess <= 0 else f"no, {100 * excess:.1f} % above"
  if 0 < abs(excess) < there.error + _OF_SEEDS:
    verdict = "within the error"
  between = f"{there.low:.3g} and {there.high:.3g}"
  cells = (there.kl, between, 100 * excess, 100 * there.error, verdict)
  return dict(zip(names, cells, strict=True))
