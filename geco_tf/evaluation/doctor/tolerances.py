# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a constraint holds, and why not: infeasible, moving, slack."""

import math

import numpy as np

from geco_tf import constraints
from geco_tf.evaluation.doctor import findings
from geco_tf.evaluation.doctor.outlook import RISE, Outlook, fit, outlook
from geco_tf.evaluation.doctor.traces import Run, Track

# Fewer rows than this have no trend.
LEAST_ROWS = 9
# More than that many times the steps of this run is no plan.
_MOST_RUNS = 4.0
# A λ that changes by more within the last tenth has not settled.
_SETTLED = 0.15
# Below this share of its start a multiplier weighs nothing, and below so many
# nats a code says nothing of an image.
_NO_WEIGHT = 1e-4
NO_CODE = 0.1


def examine(run: Run, track: Track) -> list[findings.Finding]:
  """Whether it holds; the reason if not."""
  if track.is_held:
    return _held(run, track)
  return [_violated(run, track, outlook(run, track))]


def _violated(
  run: Run, track: Track, ahead: Outlook | None
) -> findings.Finding:
  if ahead is None or len(track.step) < LEAST_ROWS:
    return _too_short(run, track)
  if run.kl[-1] < NO_CODE and not np.isnan(run.kl[-1]):
    return _collapsed(run, track)
  if ahead.is_hopeless:
    return infeasible(run, track, ahead)
  over = ahead.num_steps
  if over is not None and over <= _MOST_RUNS * track.step[-1]:
    return _moving(run, track, ahead, over)
  if ahead.rise > RISE:
    return _slow(run, track, ahead)
  return _stuck(run, track, ahead)


def infeasible(run: Run, track: Track, ahead: Outlook) -> findings.Finding:
  """κ is out of reach, and λ climbs in vain."""
  best, limit = track.best, _limit(track, ahead)
  best_words, reach = "", "a looser κ"
  if best is not None and track.kappa is not None:
    reach = findings.tolerance_flag(track, findings.reachable(track, best))
    best_words = f"; best reached {findings.amount(best)}"
  if limit is not None:
    best_words += (
      f", and an endless λ would leave about {findings.amount(limit)}"
    )
  return findings.problem(
    "infeasible",
    f"κ = {track.kappa} is out of reach of {track.name}: λ rose "
    f"{math.exp(ahead.rise):.2g}-fold over the last third and the "
    f"{_moved(track, ahead)}{best_words}.{_noise(run, track)}",
    f"{reach}, or a larger --latent_size or more --num_steps",
    track,
    best=best,
    limit=limit,
    log_rise=ahead.rise,
  )


def _noise(run: Run, track: Track) -> str:
  """Says so where the data have noise that no model can tell before."""
  config = run.config
  if track.registered != "re":
    return ""
  if config.pixel_noise > 0.0 or config.task == "color":
    return " The data have noise on every pixel, which no code can foresee."
  return ""


def _limit(track: Track, ahead: Outlook) -> float | None:
  """The level that an endless λ would leave, by the trend."""
  if ahead.limit is None or ahead.limit <= 0.0:
    return None
  return track.level_of(ahead.limit)


def _moved(track: Track, ahead: Outlook) -> str:
  """What the error did over the last third."""
  is_floor = track.kind is not None and track.kind.is_floor
  what = f"{track.word}'s distance to 1" if is_floor else track.word
  if track.kind is None:
    what = "violation"
  if abs(ahead.relief) < 5e-4:
    return f"{what} stood still"
  way = "fell" if ahead.relief > 0 else "rose"
  return f"{what} {way} by {100.0 * abs(ahead.relief):.2g} %"


def _state(track: Track) -> str:
  """What is, against what should be."""
  level = track.level
  if level is None or track.kappa is None:
    return f"{track.name} is violated"
  return (
    f"{track.name} is violated{track.entry}: {track.word} "
    f"{findings.amount(level)} for κ = {track.kappa:g}"
  )


def _too_short(run: Run, track: Track) -> findings.Finding:
  change = f"--num_steps={findings.round_steps(10 * run.config.num_steps)}"
  make = findings.problem if run.is_over else findings.note
  return make(
    "too_short",
    f"{_state(track)}, and {len(track.step)} rows of metrics are too few to "
    "say why.",
    f"{change} or a smaller --log_every",
    track,
    level=track.level,
  )


def _collapsed(run: Run, track: Track) -> findings.Finding:
  return findings.problem(
    "collapse",
    f"{_state(track)}, and the code is empty (KL {run.kl[-1]:.2g} nats): the "
    f"decoder ignores it at λ = {track.multiplier[-1]:.3g}.",
    _faster(run, track, 10.0),
    track,
    kl=run.kl[-1],
    multiplier=track.multiplier[-1],
  )


def _moving(
  run: Run, track: Track, ahead: Outlook, num_steps: float
) -> findings.Finding:
  total = findings.round_steps(max(num_steps, 1.2 * track.step[-1]))
  make = findings.problem if run.is_over else findings.note
  is_early = not run.is_over and total <= run.config.num_steps
  return make(
    "moving",
    f"{_state(track)}, still on its way: over the last third the "
    f"{_moved(track, ahead)}; by its trend it is there at about step "
    f"{total:,}.",
    "" if is_early else f"--num_steps={total}" + findings.or_auto(run, track),
    track,
    level=track.level,
    num_steps=total,
  )


def _slow(run: Run, track: Track, ahead: Outlook) -> findings.Finding:
  make = findings.problem if run.is_over else findings.note
  return make(
    "slow",
    f"{_state(track)}, and far from there: over the last third λ rose "
    f"{math.exp(ahead.rise):.2g}-fold and the {_moved(track, ahead)}.",
    _faster(run, track, 3.0) + _or_reached(track),
    track,
    level=track.level,
    log_rise=ahead.rise,
  )


def _faster(run: Run, track: Track, factor: float) -> str:
  """The flag for a λ that gets further."""
  if findings.rule_of(run, track).number is not None:
    return findings.rate_flag(run, track, factor)
  total = findings.round_steps(_MOST_RUNS * run.config.num_steps)
  return f"--num_steps={total}"


def _or_reached(track: Track) -> str:
  best = track.best
  if best is None or track.kappa is None:
    return ""
  kappa = findings.reachable(track, best)
  return f", or {findings.tolerance_flag(track, kappa)}"


def _stuck(run: Run, track: Track, ahead: Outlook) -> findings.Finding:
  make = findings.problem if run.is_over else findings.note
  highest = findings.rule_of(run, track).options.get("highest")
  if highest is not None and track.multiplier[-1] >= 0.99 * float(highest):
    change = f"a larger highest={highest} in the update rule"
  else:
    change = _faster(run, track, 10.0) + _or_reached(track)
  return make(
    "stuck",
    f"{_state(track)}, and λ stands still at {track.multiplier[-1]:.3g}.",
    change,
    track,
    level=track.level,
    multiplier=track.multiplier[-1],
  )


def _held(run: Run, track: Track) -> list[findings.Finding]:
  level, kappa = track.level, track.kappa
  is_alone = len(run.tracks) == 1
  is_weightless = track.multiplier[-1] < _NO_WEIGHT * track.multiplier[0]
  if is_weightless or (is_alone and run.kl[-1] < NO_CODE):
    return [_slack(run, track, is_alone)]
  if not run.is_over or len(track.step) < LEAST_ROWS:
    return []
  excess = track.excess
  if excess is not None and excess < -constraints.SLACK:
    assert level is not None and kappa is not None
    return [_generous(run, track, level, kappa)]
  change = settling(track)
  if abs(change) <= _SETTLED:
    return []
  way = "falling" if change < 0 else "rising"
  return [
    findings.note(
      "settling",
      f"{track.name} holds, and λ is still {way}, by "
      f"{100.0 * abs(math.expm1(change)):.0f} % over the last tenth: more "
      "steps would change the KL.",
      f"--num_steps={findings.round_steps(1.5 * track.step[-1])}",
      track,
      log_change=change,
    )
  ]


def settling(track: Track) -> float:
  """The change of ln λ over the last tenth, by its line."""
  last = (track.step >= 0.9 * track.step[-1]) & (track.multiplier > 0)
  if last.sum() < 3:
    return 0.0
  line = fit(track.step[last], np.log(track.multiplier[last]))
  return line.slope * 0.1 * float(track.step[-1])


def _slack(run: Run, track: Track, is_alone: bool) -> findings.Finding:
  level, kappa = track.level, track.kappa
  reached = "" if level is None else f" ({track.word} {level:.3g})"
  change = "a tighter κ"
  if level is not None and kappa is not None:
    tighter = 0.8 * level
    if track.kind is not None and track.kind.is_floor:
      tighter = 1.0 - 0.8 * (1.0 - level)
    change = findings.tolerance_flag(track, float(f"{tighter:.2g}"))
  why = (
    f"with a code of {run.kl[-1]:.2g} nats"
    if is_alone
    else f"with λ at {track.multiplier[-1]:.2g}"
  )
  make = findings.problem if is_alone else findings.note
  return make(
    "slack",
    f"{track.name} costs nothing: κ = {kappa} holds{reached} {why}.",
    change,
    track,
    level=level,
    kl=run.kl[-1],
    multiplier=track.multiplier[-1],
  )


def _generous(
  run: Run, track: Track, level: float, kappa: float
) -> findings.Finding:
  is_falling = settling(track) < 0
  tail = "λ is still falling towards it" if is_falling else "λ does not fall"
  costs = f"KL ({run.kl[-1]:.1f} nats)"
  if track.registered == "kl" or run.config.objective != "geco":
    costs = "the objective"
  # Beside others a constraint may be idle: then λ falls for good.
  make = findings.problem if len(run.tracks) == 1 else findings.note
  return make(
    "generous",
    f"{track.name} is better than asked{track.entry}: {track.word} "
    f"{findings.amount(level)} for κ = {kappa:g}, which costs "
    f"{costs}; {tail}.",
    f"--num_steps={findings.round_steps(1.5 * track.step[-1])}"
    + findings.or_auto(run, track),
    track,
    level=level,
  )
