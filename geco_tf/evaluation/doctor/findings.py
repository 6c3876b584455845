# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a finding is, and which flag answers it."""

import math
from typing import Any, NamedTuple

from geco_tf.evaluation.doctor.traces import Run, Track
from geco_tf.runs import specs

PROBLEM, NOTE = "problem", "note"


class Finding(NamedTuple):
  """One thing that was seen, in words and numbers."""

  kind: str
  severity: str  # PROBLEM, or NOTE for what may stay as it is.
  constraint: str | None
  sentence: str
  change: str  # The flag to change, and to what; "" if none.
  numbers: dict[str, float]


def problem(
  kind: str, sentence: str, change: str, track: Track | None = None, **numbers
) -> Finding:
  """A finding that asks for a change."""
  name = None if track is None else track.name
  return Finding(kind, PROBLEM, name, sentence, change, _plain(numbers))


def note(
  kind: str, sentence: str, change: str, track: Track | None = None, **numbers
) -> Finding:
  """A finding that one may live with."""
  return problem(kind, sentence, change, track, **numbers)._replace(
    severity=NOTE
  )


def _plain(numbers: dict[str, Any]) -> dict[str, float]:
  return {k: float(v) for k, v in numbers.items() if v is not None}


def tolerance_flag(track: Track, kappa: float) -> str:
  """The flag that gives this constraint another tolerance."""
  if track.is_from_kappa:
    return f"--kappa={kappa:g}"
  call = specs.Call(track.registered, kappa, dict(track.options))
  return f"--constraint={_written(call)}"


def _written(call: specs.Call) -> str:
  """A call as the flags have it."""
  number = "" if call.number is None else f":{call.number:g}"
  options = "".join(f",{k}={v}" for k, v in call.options.items())
  return f"{call.name}{number}{options}"


def rule_of(run: Run, track: Track) -> specs.Call:
  """The update rule of a constraint, as the flags have it."""
  for text in run.config.constraint_rule:
    name, _, rule = text.partition("=")
    if name == track.name:
      return specs.parse_call(rule)
  return specs.parse_call(run.config.update_rule)


def rate_flag(run: Run, track: Track, factor: float) -> str:
  """The flag that makes λ move faster or slower by a factor.

  A rule without a rate can only be made slower: it moves λ less often.
  """
  rule = rule_of(run, track)
  if rule.number is None:
    beat = float(rule.options.get("update_every", 1)) / factor
    options = {**rule.options, "update_every": str(math.ceil(beat))}
    return rule_flag(run, track, rule._replace(options=options))
  rate = float(f"{rule.number * factor:.2g}")
  return rule_flag(run, track, rule._replace(number=rate)) + or_auto(run, track)


def or_auto(run: Run, track: Track) -> str:
  """The rule without a rate as a second choice, where it is not the first."""
  if rule_of(run, track).name == "auto":
    return ""
  return f" or {rule_flag(run, track, specs.Call('auto', None, {}))}"


def rule_flag(run: Run, track: Track, rule: specs.Call) -> str:
  """The flag that gives this constraint that rule."""
  if any(t.partition("=")[0] == track.name for t in run.config.constraint_rule):
    return f"--constraint_rule={track.name}={_written(rule)}"
  return f"--update_rule={_written(rule)}"


def reachable(track: Track, level: float) -> float:
  """The tightest round tolerance that a level holds with 3 % to spare."""
  if track.kind is not None and track.kind.is_floor:
    return _rounded(level - 0.03 * (1.0 - level), math.floor)
  return _rounded(level * 1.03, math.ceil)


def round_steps(count: float) -> int:
  """A number of steps to two digits, not below it."""
  return int(_rounded(count, math.ceil))


def _rounded(value: float, towards: Any) -> float:
  """To two significant digits."""
  if value == 0.0:
    return 0.0
  unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
  return float(f"{towards(round(value / unit, 6)) * unit:.6g}")


def amount(level: float) -> str:
  """A level, as one says it."""
  return f"{level:.3g}"
