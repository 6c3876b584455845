# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which examples fail, by which methods: verdicts and their tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

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
# Nats that count: −ELBO below the truth's, and KL(p ‖ p_θ) for a worse p(x).
ELBO_TOLERANCE = 0.01
KL_TOLERANCE = 0.02
_RIVALS = ("nvp", "iwae_10")


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
    walk_gain: what −ELBO falls by from the truth with unlimited networks, and
      walk_kl: KL(p ‖ p_θ) at its end; None for more latents than one.
    objective_fails: both count.
    gain: what the trained VAE's −ELBO is below the truth's with its best
      Gaussians.
    kl: KL(p ‖ p_θ) of the trained VAE, and rival_kls: of the NVP posterior and
      of the IWAE, which are as large and were trained as long.
    training_fails: the gain counts, and the KL above the better rival's.
    paper: whether the paper says that it fails, None where it does not say.
  """
  from_truth = {r["method"]: r for r in rows if r["start"] == "truth"}
  if not {"vae", *_RIVALS} <= set(from_truth):
    return {}
  found: dict[str, Any] = dict.fromkeys(
    ("walk_gain", "walk_kl", "objective_fails")
  )
  if "walk" in truth:
    first, *_, last = truth["walk"]["neg_elbo"]
    kl = truth["walk"]["kl"][-1]
    found["walk_gain"], found["walk_kl"] = first - last, kl
    found["objective_fails"] = _fails(first - last, kl)
  gain = truth["neg_elbo"] - from_truth["vae"]["neg_elbo"]
  kl, rivals = from_truth["vae"]["kl"], [from_truth[r]["kl"] for r in _RIVALS]
  return {
    **found,
    "gain": gain,
    "kl": kl,
    "rival_kls": rivals,
    "training_fails": _fails(gain, kl - min(rivals)),
    "paper": PAPER_FAILS[name],
  }


def _fails(gain: float, kl: float) -> bool:
  return gain > ELBO_TOLERANCE and kl > KL_TOLERANCE


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
  """The numbers in Markdown."""
  lines = ["# Verdicts", *_verdict_table(results), ""]
  lines += ["# KL(p ‖ p_θ) / −ELBO above H(x)", *_comparison(results), ""]
  for name, example in results.items():
    lines += [f"# {name}", *_method_table(example), ""]
  return "\n".join(lines)


_VERDICT_COLUMNS = (
  "example",
  "gap at the truth",
  "share of x > ½ nat",
  "condition 1",
  "gap rearranged",
  "condition 2",
  "unlimited networks: −ELBO falls by",
  "its KL(p ‖ p_θ)",
  "fails",
  "trained: −ELBO below the truth's by",
  "KL, VAE / NVP / IWAE",
  "fails",
  "the paper",
)


def _verdict_table(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
  lines = [
    f"| {' | '.join(_VERDICT_COLUMNS)} |",
    "|---" * len(_VERDICT_COLUMNS) + "|",
  ]
  for name, row in results.items():
    says = row["verdict"]
    if says:
      lines.append(f"| {name} | {' | '.join(_verdict_cells(row, says))} |")
  return lines


def _verdict_cells(row: Mapping[str, Any], says: Mapping[str, Any]) -> list:
  walk = ("–", "–")
  if says["walk_gain"] is not None:
    walk = f"{says['walk_gain']:.3f}", f"{says['walk_kl']:.3f}"
  return [
    f"{row['posterior_gap']:.3f}",
    f"{row['share_of_hard_x']:.2f}",
    _yes(row["condition_1"]),
    f"{row['rearranged_gap']:.3f} of {row['rearranged_gap_before']:.3f}",
    _yes(row["condition_2"]),
    *walk,
    _yes(says["objective_fails"]),
    f"{says['gain']:+.3f}",
    " / ".join(f"{kl:.3f}" for kl in (says["kl"], *says["rival_kls"])),
    _yes(says["training_fails"]),
    _yes(says["paper"]),
  ]


def _comparison(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
  """Every example by every method; what is above H(x) is KL plus gap."""
  lines = []
  starts = dict.fromkeys(
    row["start"] for example in results.values() for row in example["trained"]
  )
  for start in starts:
    rows = {
      name: [row for row in example["trained"] if row["start"] == start]
      for name, example in results.items()
    }
    methods = [TITLES[row["method"]] for row in next(iter(rows.values()))]
    lines += [
      "",
      f"| from {start} | truth, best Gaussians | {' | '.join(methods)} |",
      "|---" * (len(methods) + 2) + "|",
    ]
    for name, trained in rows.items():
      cells = [f"{r['kl']:.3f} / {r['kl'] + r['gap']:.2f}" for r in trained]
      gap = results[name]["posterior_gap"]
      lines.append(f"| {name} | 0 / {gap:.2f} | {' | '.join(cells)} |")
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
