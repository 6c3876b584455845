# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the traces of a run to findings, the most important first."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from geco_tf.evaluation.doctor import findings, multipliers, tolerances, traces
from geco_tf.evaluation.doctor.findings import Finding
from geco_tf.evaluation.doctor.outlook import outlook
from geco_tf.evaluation.doctor.traces import Run, Track
from geco_tf.runs.config import Config
from geco_tf.runs.workdir import Workdir

# The most important first: what spoils the rest comes before what it spoils.
_ORDER = (
  "diverged", "overflow", "skipped", "contradiction", "speed", "wind_up",
  "oscillation", "collapse", "infeasible", "stuck", "slow", "moving", "slack",
  "generous", "sigma", "too_short", "settling",
)  # fmt: skip
# These are said while a run goes on; the rest waits for its end.
_URGENT = (
  "diverged", "overflow", "contradiction", "speed", "wind_up", "oscillation",
  "collapse", "infeasible",
)  # fmt: skip
# Before a third of the run all is still in motion; these are certain anyway.
_CERTAIN = ("diverged", "overflow")
_EARLIEST_WARNING = 1.0 / 3.0
# A share of lost steps that is worth a word at any time of the run.
_LOST = 0.01
# Finer than a level of 8 bits a learned σ codes the rounding of the pixels.
_FINEST_SIGMA = 1.0 / 255.0
# What a λ that moves badly brings with it.
_CONSEQUENCES = (
  "infeasible",
  "stuck",
  "slow",
  "moving",
  "generous",
  "settling",
  "collapse",
  "too_short",
)
# λ of both has to rise by that over the last third: 10 %.
_PULL = 0.1


class Diagnosis(NamedTuple):
  """What was found."""

  findings: tuple[Finding, ...]  # The most important first.
  line: str  # All of it in one line.

  @property
  def is_healthy(self) -> bool:
    """Whether nothing has to be changed."""
    return all(f.severity != findings.PROBLEM for f in self.findings)


def examine(
  rows: Sequence[Mapping[str, Any]],
  config: Config,
  summary: Mapping[str, Any] | None = None,
) -> Diagnosis:
  """Says what is wrong with a run, and which flag to change.

  A function of its arguments alone. A run that goes on yet is not blamed for
  what may still come.

  Args:
    rows: of metrics.jsonl, as they are there: null is not finite.
    config: of the run.
    summary: of a run that has ended; its levels are better measured.
  """
  if not rows:
    text = "no row of metrics yet; nothing to examine."
    return Diagnosis((), text)
  run = traces.read(rows, config, summary)
  found = _find(run)
  return Diagnosis(tuple(found), _line(run, found))


def examine_run(workdir: str) -> Diagnosis:
  """`examine` for a run's folder, ended or not.

  Raises:
    UserError: if there is no run.
  """
  folder = Workdir(workdir)
  config = folder.read_config()
  return examine(folder.read_metrics(), config, folder.read_summary())


def warnings(
  rows: Sequence[Mapping[str, Any]], config: Config
) -> list[Finding]:
  """What is worth saying while the run goes on.

  Before a third of it nothing but overflow, and a training that is lost: then
  much is on its way that looks wrong.
  """
  if not rows:
    return []
  run = traces.read(rows, config)
  is_early = run.last_step < _EARLIEST_WARNING * config.num_steps
  kinds = _CERTAIN if is_early else _URGENT
  return [
    f for f in _find(run) if f.kind in kinds and f.severity == findings.PROBLEM
  ]


def in_one_line(found: Finding) -> str:
  """What is, and what to change."""
  use = f" Use {found.change}." if found.change else ""
  return found.sentence + use


def describe(diagnosis: Diagnosis) -> str:
  """All findings as text: what is, and what to change."""
  lines = [diagnosis.line]
  for found in diagnosis.findings:
    lines += ["", f"{found.severity}: {found.sentence}"]
    if found.change:
      lines.append(f"  change: {found.change}")
  return "\n".join(lines)


def _find(run: Run) -> list[Finding]:
  if diverged := _diverged(run):
    return [diverged]
  found = [*_lost_steps(run)]
  if not run.tracks:
    found += _without_constraint(run)
  for track in run.tracks:
    of_multiplier = multipliers.examine(run, track)
    found += of_multiplier
    # What follows from a λ that has no hold needs no advice of its own.
    found += [
      f
      for f in tolerances.examine(run, track)
      if not (of_multiplier and f.kind in _CONSEQUENCES)
    ]
  found = _contradictions(run, found)
  return sorted(
    found,
    key=lambda f: (f.severity != findings.PROBLEM, _ORDER.index(f.kind)),
  )


def _diverged(run: Run) -> Finding | None:
  bad = ~(np.isfinite(run.rmse) & np.isfinite(run.kl))
  if not bad[-1]:
    return None
  step = int(run.step[np.argmax(bad)])
  rate = run.config.learning_rate / 3.0
  return findings.problem(
    "diverged",
    f"RMSE and KL are not finite since about step {step:,}.",
    f"--learning_rate={rate:.1g} or --gradient_clip=1",
    step=step,
  )


def _lost_steps(run: Run) -> list[Finding]:
  found = []
  for track in {t.name: t for t in run.tracks}.values():
    share = _mean_share(run.step, track.skipped)
    if share > 0.0:
      found.append(_lost(f"The constraint {track.name} was", share, track))
  share = _mean_share(run.step, run.skipped_gradients)
  if share > 0.0:
    found.append(_lost("The gradient was", share, None))
  return found


def _lost(subject: str, share: float, track: Track | None) -> Finding:
  make = findings.problem if share > _LOST else findings.note
  change = "a smaller --learning_rate or --gradient_clip"
  if track is not None:
    change = f"a {track.name} that is finite for any image"
  return make(
    "skipped",
    f"{subject} not finite in {100.0 * share:.3g} % of the steps, which "
    "changed nothing.",
    change,
    track,
    share=share,
  )


def _mean_share(step: np.ndarray, share: np.ndarray) -> float:
  """Over all steps, from the means between the rows."""
  counts = np.diff(step, prepend=0.0)
  return float((counts * share).sum() / counts.sum())


def _without_constraint(run: Run) -> list[Finding]:
  found = []
  if run.kl[-1] < tolerances.NO_CODE and len(run.kl) >= tolerances.LEAST_ROWS:
    found.append(
      findings.problem(
        "collapse",
        f"The posterior has collapsed to the prior: KL {run.kl[-1]:.2g} nats "
        f"at an RMSE of {run.rmse[-1]:.3g}.",
        f"--objective=geco --kappa={findings.amount(0.7 * run.rmse[-1])}, or a "
        "smaller --beta or --sigma",
        kl=run.kl[-1],
      )
    )
  if run.sigma[-1] < _FINEST_SIGMA:
    found.append(
      findings.problem(
        "sigma",
        f"σ has run to {run.sigma[-1]:.2g}, finer than a level of 8 bits.",
        f"--objective=geco --kappa={max(run.rmse[-1], 0.01):.2g}",
        sigma=run.sigma[-1],
      )
    )
  return found


def _contradictions(run: Run, found: list[Finding]) -> list[Finding]:
  """Puts one finding for all constraints that pull against each other."""
  ahead = {t.name: o for t in run.tracks if (o := outlook(run, t))}
  pulling = [n for n, o in ahead.items() if o.rise > _PULL]
  lost = [f for f in found if f.kind == "infeasible"]
  if not lost or len(pulling) < 2:
    return found
  climbs = " and ".join(
    f"λ of {n} {math.exp(ahead[n].rise):.2g}-fold" for n in pulling
  )
  tracks = [t for t in run.tracks if t.name in pulling]
  loose = [c for t in tracks if (c := _loosened(t))]
  one = findings.problem(
    "contradiction",
    f"{' and '.join(pulling)} exclude each other: over the last third {climbs} "
    f"rose, and {' and '.join(str(f.constraint) for f in lost)} cannot be had "
    f"beside the rest ({', '.join(map(_status, tracks))}).",
    " or ".join(loose) or "a looser κ of one of them",
  )
  numbers = {f"log_rise_{n}": ahead[n].rise for n in pulling}
  one = one._replace(numbers=numbers)
  # One word for all that pull is enough.
  return [one, *(f for f in found if f.constraint not in pulling)]


def _loosened(track: Track) -> str:
  """The flag that asks for what a constraint has reached."""
  if track.is_held or track.level is None:
    return ""
  return findings.tolerance_flag(track, findings.reachable(track, track.level))


def _status(track: Track) -> str:
  """One constraint in a few words."""
  level = track.level
  words = track.name
  if level is not None and track.kappa is not None:
    words += f" {track.word} {findings.amount(level)} for κ = {track.kappa:g}"
  return words


def _line(run: Run, found: Sequence[Finding]) -> str:
  """The gravest finding, or what holds."""
  grave = [f for f in found if f.severity == findings.PROBLEM]
  where = ""
  if not run.is_over:
    where = f"at step {run.last_step:,} of {run.config.num_steps:,}: "
  if grave:
    more = f" (and {len(grave) - 1} more)" if len(grave) > 1 else ""
    return f"{where}{in_one_line(grave[0])}{more}"
  if not run.tracks:
    return (
      f"{where}no constraint to examine; KL {run.kl[-1]:.1f} at an RMSE of "
      f"{run.rmse[-1]:.3g}, no collapse."
    )
  return where + "; ".join(_well(run, t) for t in run.tracks) + "."


def _well(run: Run, track: Track) -> str:
  change = tolerances.settling(track)
  trend = "steady"
  if abs(change) > 0.05:
    way = "falling" if change < 0 else "rising"
    trend = f"{way} {100 * abs(math.expm1(change)):.0f} % a tenth of the run"
  verb = "holds" if track.is_held else "is on its way"
  status = _status(track).removeprefix(track.name).strip()
  status = f": {status}," if status else ","
  return f"{track.name} {verb}{status} λ {track.multiplier[-1]:.3g} {trend}"
