# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a violated constraint is going: to a limit, or to its tolerance."""

import math
from typing import NamedTuple

import numpy as np

from geco_tf.evaluation.doctor.traces import Run, Track

# The trend is that of the last third: the start says nothing of the end.
_TREND_START = 2.0 / 3.0
# λ has to have risen by that (5 %) for what it bought to be measured, and by
# twice that for two constraints to be pulling against each other.
RISE = 0.05
# Standard errors that a trend needs to be believed.
_ERRORS = 3.0
# A λ that doubles and takes less than 7 % off the error (an elasticity of .1)
# climbs in vain. Where every direction is coded it is .5, and in runs that
# arrive it is .25 and more.
_IN_VAIN = 0.1
# Otherwise the limit has to have moved by less than a quarter while λ rose by a
# fifth: where training is what lowers the error, it moves by half.
_STEADY = 0.25
_CLEAR_RISE = 0.2


class Line(NamedTuple):
  """y = intercept + slope x by least squares."""

  slope: float
  intercept: float
  slope_error: float  # Standard errors, if y were independent.
  intercept_error: float


class Outlook(NamedTuple):
  """Where a violated constraint is going."""

  rise: float  # Growth of ln λ over the last third.
  relief: float  # What the error lost meanwhile, as a share of it.
  limit: float | None  # C for an endless λ, by its trend; None is unknown.
  is_hopeless: bool  # Whether that is surely above 0, and λ climbs in vain.
  num_steps: float | None  # When C is 0, if it goes on like this.


def outlook(run: Run, track: Track) -> Outlook | None:
  """Follows the last third of a violated constraint to its end.

  By its trend C = C_∞ + s / λ, as in water-filling, where every direction that
  is coded has the error 1/2λ: C_∞ is what an endless λ would leave. Where that
  is negative, λ has to come to s / −C_∞, at its present pace in ln steps.
  None where there are too few rows.
  """
  last = _window(track, 1.0)
  if last.sum() < 4:
    return None
  multiplier, c = track.multiplier[last], track.violation[last]
  log_step = np.log(track.step[last])
  pace = fit(log_step, np.log(multiplier)).slope
  rise = pace * float(log_step[-1] - log_step[0])
  c_line = fit(log_step, c)
  relief = _relief(track, c_line, log_step)
  if rise <= RISE:
    return Outlook(rise, relief, None, False, _crossing(c_line, track))
  line = fit(1.0 / multiplier, c)
  needed = None
  if line.intercept < 0 < line.slope:
    ratio = max(line.slope / -line.intercept / multiplier[-1], 1.0)
    exponent = math.log(ratio) / pace
    if exponent < 10.0:
      needed = float(track.step[-1]) * math.exp(exponent)
  is_hopeless = line.intercept > _ERRORS * line.intercept_error and (
    relief < _IN_VAIN * rise
    or _is_beyond(run, track)
    or (rise > _CLEAR_RISE and _is_steady(track, line.intercept))
  )
  return Outlook(rise, relief, line.intercept, is_hopeless, needed)


def _window(track: Track, end: float) -> np.ndarray:
  """The rows of the last third of a run up to a share of it: bool [N]."""
  until = end * track.step[-1]
  rows = (track.step >= _TREND_START * until) & (track.step <= until)
  rows &= np.isfinite(track.violation) & np.isfinite(track.multiplier)
  return rows & (track.multiplier > 0)


def _is_steady(track: Track, limit: float) -> bool:
  """Whether the limit was nearly the same a third of the run earlier."""
  before = _window(track, _TREND_START)
  if before.sum() < 4:
    return False
  line = fit(1.0 / track.multiplier[before], track.violation[before])
  return abs(line.intercept - limit) < _STEADY * limit


def _is_beyond(run: Run, track: Track) -> bool:
  """Whether λ is past all that κ can be worth.

  In water-filling a direction that is coded has the error 1/2λ and any other
  less, so that their mean is κ² at some λ ≤ 1/2κ². Where it is not, what is
  left is noise, or too much for the model.
  """
  is_image_sum = track.registered == "re" and track.kind is not None
  if not is_image_sum or run.config.reduction != "sum" or track.kappa is None:
    return False
  return bool(track.multiplier[-1] > 1.0 / (2.0 * track.kappa**2))


def fit(x: np.ndarray, y: np.ndarray) -> Line:
  """The line through points (x, y), at least three."""
  x_mean, y_mean = x.mean(), y.mean()
  spread = float(((x - x_mean) ** 2).sum())
  if spread == 0.0:
    return Line(0.0, float(y_mean), math.inf, math.inf)
  slope = float(((x - x_mean) * (y - y_mean)).sum()) / spread
  intercept = float(y_mean - slope * x_mean)
  left = y - intercept - slope * x
  variance = float((left**2).sum()) / max(len(x) - 2, 1)
  return Line(
    slope,
    intercept,
    math.sqrt(variance / spread),
    math.sqrt(variance * (1.0 / len(x) + x_mean**2 / spread)),
  )


def _crossing(line: Line, track: Track) -> float | None:
  """The step at which a falling C is 0; line is C over ln step."""
  if line.slope >= -_ERRORS * line.slope_error:
    return None
  exponent = -line.intercept / line.slope
  if exponent > math.log(track.step[-1]) + 10.0:
    return None
  return math.exp(exponent)


def _relief(track: Track, line: Line, log_step: np.ndarray) -> float:
  """What the error lost over the last third, as a share of it.

  The error is the level, what a floor leaves to 1, or else C itself.
  """
  before, after = (
    _error(track, line.intercept + line.slope * at)
    for at in (log_step[0], log_step[-1])
  )
  return (before - after) / abs(before) if before else 0.0


def _error(track: Track, violation: float) -> float:
  level = track.level_of(violation)
  if level is None:
    return violation
  return 1.0 - level if track.kind and track.kind.is_floor else level
