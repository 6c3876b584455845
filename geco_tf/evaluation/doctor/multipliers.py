# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How λ moved: overflow, steps too large, wind-up, oscillation."""

import numpy as np

from geco_tf.evaluation.doctor import findings
from geco_tf.evaluation.doctor.traces import Run, Track

# float32 ends at 3e38; no trade-off is worth this.
_OVERFLOWN = 1e30
# C_ma remembers 1/(1 − decay) steps. A λ that moves by e³ within them outruns
# what it answers to. `auto` may take e^2.4 at once, where C changes sign, and
# otherwise rises by e^.4 within them and falls by e^1.5.
_FASTEST = 3.0
# What is proposed instead of that speed, as a share of it.
_CALM = 0.1
# λ beyond so many times the larger of its first and its last value is what this
# project calls wound up. `auto` comes to 2.9 when it is well.
_WOUND_UP = 3.0
# Below that share of the larger of its first and its last value λ is as good as
# 0, which some rules reach, and it is all the same how fast it comes and goes.
_NEGLIGIBLE = 1e-2
# A swing is a change of direction by that factor, and three are a habit: a λ
# that looks for its place turns once or twice.
_SWING = 1.3
_HABIT = 3


def examine(run: Run, track: Track) -> list[findings.Finding]:
  """What the curve of λ shows by itself; the gravest alone."""
  for check in (_overflow, _speed, _wind_up, _oscillation):
    if found := check(run, track):
      return [found]
  return []


def _overflow(run: Run, track: Track) -> findings.Finding | None:
  bad = ~(np.abs(track.multiplier) < _OVERFLOWN)
  if not bad.any():
    return None
  step = int(track.step[np.argmax(bad)])
  return findings.problem(
    "overflow",
    f"λ of {track.name} left all bounds at step {step:,}: its steps are far "
    "too large.",
    findings.rate_flag(run, track, 0.01),
    track,
    step=step,
  )


def _speed(run: Run, track: Track) -> findings.Finding | None:
  memory = 1.0 / (1.0 - run.config.decay)
  usual = max(track.multiplier[0], track.multiplier[-1])
  logs = _log(track.multiplier, _NEGLIGIBLE * usual)
  # For every row the first one that is a memory later.
  later = np.searchsorted(track.step, track.step + memory)
  known = later < len(logs)
  if not known.any():
    return None
  moved = np.abs(logs[later[known]] - logs[known])
  passed = track.step[later[known]] - track.step[known]
  fastest = float(np.max(moved / passed)) * memory
  if fastest <= _FASTEST:
    return None
  return findings.problem(
    "speed",
    f"λ of {track.name} moves by a factor of e in {memory / fastest:.0f} "
    f"steps, and its average remembers {memory:.0f}: the rate is too large.",
    findings.rate_flag(run, track, _CALM * _FASTEST / fastest),
    track,
    log_multiplier_per_step=fastest / memory,
  )


def _wind_up(run: Run, track: Track) -> findings.Finding | None:
  values = track.multiplier
  peak = int(np.argmax(values))
  usual = max(values[0], values[-1])
  if values[peak] <= _WOUND_UP * usual:
    return None
  ratio = values[peak] / usual
  kl = run.kl[peak], run.kl[-1]
  rule = findings.rule_of(run, track)
  if rule.number is None:
    highest = findings.amount(1.5 * float(values[-1]))
    bounded = rule._replace(options={**rule.options, "highest": highest})
    change = findings.rule_flag(run, track, bounded)
  else:
    # In the log λ climbed so much too far.
    start = float(values[0])
    wanted = np.log(max(values[-1] / start, 1.0)) + 1.0
    shortened = wanted / np.log(values[peak] / start)
    change = findings.rate_flag(run, track, min(float(shortened), 1.0 / 3.0))
  return findings.problem(
    "wind_up",
    f"λ of {track.name} ran up to {values[peak]:.3g} at step "
    f"{track.step[peak]:,.0f}, {ratio:.1f} times where it is now "
    f"({values[-1]:.3g}); the KL was {kl[0]:.1f} then and is {kl[1]:.1f}: what "
    "such a peak costs is rarely given back.",
    change,
    track,
    peak=values[peak],
    step=track.step[peak],
    last=values[-1],
  )


def _oscillation(run: Run, track: Track) -> findings.Finding | None:
  late = track.step >= 0.5 * track.step[-1]
  logs = _log(track.multiplier[late], 1e-6 * np.max(track.multiplier[late]))
  turns = turning_points(logs, float(np.log(_SWING)))
  if len(turns) < _HABIT:
    return None
  steps = track.step[late][turns]
  period = 2.0 * float(np.mean(np.diff(steps)))
  swing = float(np.exp(np.mean(np.abs(np.diff(logs[turns])))))
  return findings.problem(
    "oscillation",
    f"λ of {track.name} swings: {len(turns)} turns in the second half, "
    f"{swing:.1f}-fold each, one swing in about {period:,.0f} steps: the rate "
    "is too large.",
    findings.rate_flag(run, track, 1.0 / 3.0),
    track,
    turns=len(turns),
    period=period,
  )


def _log(multiplier: np.ndarray, least: float) -> np.ndarray:
  """Ln λ; some rules reach 0."""
  return np.log(np.maximum(multiplier, least + 1e-30))


def turning_points(values: np.ndarray, least: float) -> list[int]:
  """Where a curve turns by at least so much: a zigzag without the small ones.

  Args:
    values: [N].
    least: how far it must come back to have turned.

  Returns:
    The positions of the turns.
  """
  turns: list[int] = []
  extreme, direction = 0, 0
  lowest = highest = 0
  for i in range(len(values)):
    if direction == 0:
      lowest = i if values[i] < values[lowest] else lowest
      highest = i if values[i] > values[highest] else highest
      if values[highest] - values[lowest] >= least:
        direction = 1 if highest > lowest else -1
        extreme = i
    elif direction * (values[i] - values[extreme]) > 0:
      extreme = i
    elif direction * (values[extreme] - values[i]) >= least:
      turns.append(extreme)
      extreme, direction = i, -direction
  return turns
