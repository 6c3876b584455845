# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The rows of metrics.jsonl as curves, one set for each constraint."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from geco_tf import constraints
from geco_tf.runs import specs
from geco_tf.runs.config import Config

_MULTIPLIER = re.compile(r"geco/(.+)/multiplier")


class Kind(NamedTuple):
  """How a constraint's violation C becomes what a user compares with κ."""

  word: str
  is_floor: bool  # Whether the level must be at least κ.
  bound: Callable[[float], float]  # κ → the size of the tolerance in C's units.
  level: Callable[[Any, float], Any]  # (C, κ) → level.


def _root(violation: Any, kappa: float) -> Any:
  return np.sqrt(np.maximum(kappa**2 + violation, 0.0))


def _below(violation: Any, kappa: float) -> Any:
  return kappa - violation


def _above(violation: Any, kappa: float) -> Any:
  return kappa + violation


# Constraints whose bound follows from κ alone. C of RE is taken in units of
# reduction="mean" here, from the RMSE, which every row has.
_KINDS = {
  "re": Kind("RMSE", False, lambda kappa: kappa**2, _root),
  "lipschitz": Kind("slope", False, lambda kappa: kappa**2, _root),
  "kl": Kind("KL", False, lambda kappa: kappa, _above),
  "cla": Kind("accuracy", True, lambda kappa: 1.0 - kappa, _below),
  "pncc": Kind("correlation", True, lambda kappa: 1.0 - kappa, _below),
}
# Where 3 % of κ, or of what a floor leaves to 1, is the tolerance's own share.
_RATIOS = frozenset({*_KINDS, "fre"})
_WORDS = {
  **{name: kind.word for name, kind in _KINDS.items()},
  "fre": "feature error",
  "nll": "−ln p per dimension",
}


class Track(NamedTuple):
  """One constraint through a run; N rows."""

  name: str
  registered: str  # The name before the colon in the flag.
  kappa: float | None
  options: Mapping[str, Any]  # Beside κ in the flag.
  kind: Kind | None  # None where C cannot be turned into a level.
  word: str  # For the level.
  per: str  # What the entries of a vector are: class, channel, region.
  is_from_kappa: bool  # Whether --kappa asked for it.
  step: np.ndarray  # [N]
  multiplier: np.ndarray  # [N], λ; of a vector the largest entry.
  violation: np.ndarray  # [N], C; of a vector the worst entry.
  satisfied: np.ndarray  # [N], share of the steps.
  skipped: np.ndarray  # [N], share of the steps.
  measured: np.ndarray | None  # Levels at the end, [K]; nan is not known.

  @property
  def level(self) -> float | None:
    """The worst level at the end, in κ's units; None if nobody knows.

    A user's constraint may have its violation for a level: that is no κ.
    """
    if self.registered not in _WORDS:
      return None
    if self.measured is not None:
      worst = np.nanmin if self._is_floor else np.nanmax
      return float(worst(self.measured))
    finite = self.violation[np.isfinite(self.violation)]
    return self.level_of(float(finite[-1])) if finite.size else None

  @property
  def entry(self) -> str:
    """Which entry of a vector is the worst, in words; "" for a scalar."""
    if self.measured is None or self.measured.size < 2:
      return ""
    worst = np.nanargmin if self._is_floor else np.nanargmax
    return f" ({self.per} {int(worst(self.measured))})"

  @property
  def best(self) -> float | None:
    """The best level of any row, or at the end."""
    finite = self.violation[np.isfinite(self.violation)]
    least = self.level_of(float(finite.min())) if finite.size else None
    known = [v for v in (least, self.level) if v is not None]
    if not known:
      return None
    return max(known) if self._is_floor else min(known)

  @property
  def is_held(self) -> bool:
    """Within 3 % of the tolerance: as measured, or else as the rows say."""
    excess = self.excess
    if excess is None:
      return bool(self.satisfied[-1] >= 0.5)
    return excess <= constraints.SLACK

  @property
  def excess(self) -> float | None:
    """How far the level is beyond κ, as a share of the tolerance.

    Negative inside; None where nobody knows.
    """
    level, kappa = self.level, self.kappa
    if level is None or kappa is None or self.registered not in _RATIOS:
      return None
    if self._is_floor:
      return (kappa - level) / (1.0 - kappa)
    return level / kappa - 1.0

  def level_of(self, violation: float) -> float | None:
    """The level at which C is this."""
    if self.kind is None or self.kappa is None:
      return None
    return float(self.kind.level(violation, self.kappa))

  @property
  def _is_floor(self) -> bool:
    return self.kind is not None and self.kind.is_floor


class Run(NamedTuple):
  """All curves of a run; N rows."""

  config: Config
  tracks: tuple[Track, ...]
  step: np.ndarray  # [N]
  rmse: np.ndarray  # [N]
  kl: np.ndarray  # [N], nats.
  sigma: np.ndarray  # [N], of the decoder; nan where nobody learns it.
  skipped_gradients: np.ndarray  # [N], share of the steps.

  @property
  def last_step(self) -> int:
    return int(self.step[-1])

  @property
  def is_over(self) -> bool:
    return self.last_step >= self.config.num_steps


def read(
  rows: Sequence[Mapping[str, Any]],
  config: Config,
  summary: Mapping[str, Any] | None = None,
) -> Run:
  """Takes the rows apart.

  Args:
    rows: of metrics.jsonl, at least one; null is not finite.
    config: of the run.
    summary: of a run that has ended.
  """
  asked = _asked(config)
  names = [m.group(1) for key in rows[-1] if (m := _MULTIPLIER.fullmatch(key))]
  return Run(
    config=config,
    tracks=tuple(
      _track(rows, name, asked.get(name), config, summary) for name in names
    ),
    step=column(rows, "step"),
    rmse=column(rows, "rmse"),
    kl=column(rows, "kl"),
    sigma=column(rows, "sigma"),
    skipped_gradients=np.nan_to_num(column(rows, "skipped_gradients")),
  )


def column(rows: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
  """One metric of every row [N]; nan where it is missing or null."""
  values = [row.get(name) for row in rows]
  return np.array([math.nan if v is None else v for v in values], np.float64)


def _asked(config: Config) -> dict[str, specs.Call]:
  """The specs by the names that the metrics have."""
  calls = [specs.parse_call(text) for text in config.constraint_specs]
  return {call.options.get("name", call.name): call for call in calls}


def _track(
  rows: Sequence[Mapping[str, Any]],
  name: str,
  asked: specs.Call | None,
  config: Config,
  summary: Mapping[str, Any] | None,
) -> Track:
  is_vector = f"geco/{name}/multiplier_max" in rows[-1]
  registered = name if asked is None else asked.name
  kappa = None if asked is None else asked.number
  kind = _KINDS.get(registered)
  suffix = "_max" if is_vector else ""
  if is_vector and registered == "re":
    # The bound depends on the entry's size, which the rows do not tell.
    kind = None
  if registered == "re" and kind is not None and kappa is not None:
    violation = column(rows, "rmse") ** 2 - kappa**2
  else:
    key = "moving_average_max" if is_vector else "constraint"
    violation = column(rows, f"geco/{name}/{key}")
  return Track(
    name=name,
    registered=registered,
    kappa=kappa,
    options={} if asked is None else asked.options,
    kind=kind,
    word=_WORDS.get(registered, "level"),
    per="entry" if asked is None else str(asked.options.get("per", "entry")),
    is_from_kappa=config.kappa is not None,
    step=column(rows, "step"),
    multiplier=column(rows, f"geco/{name}/multiplier{suffix}"),
    violation=violation,
    satisfied=column(rows, f"geco/{name}/satisfied"),
    skipped=np.nan_to_num(column(rows, f"geco/{name}/skipped")),
    measured=_measured(name, registered, is_vector, summary),
  )


def _measured(
  name: str,
  registered: str,
  is_vector: bool,
  summary: Mapping[str, Any] | None,
) -> np.ndarray | None:
  if summary is None:
    return None
  level = (summary.get("level") or {}).get(name)
  if level is None and registered == "re" and not is_vector:
    level = summary.get("rmse")
  if level is None:
    return None
  found = np.atleast_1d(np.array(level, np.float64))
  return None if np.all(np.isnan(found)) else found
