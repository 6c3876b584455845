# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Update rules on problems whose x* and λ* are known.

  python -m benchmarks.update_rules

A few minutes on one core. Every rule but `auto` is searched over four settings,
on the two problems without noise; the setting that is soonest within 1 % of x*
and λ* there, by the geometric mean, is then taken to all four problems.
Writes docs/results/update_rules.json, the table in docs/update_rules.md and
docs/images/update_rules.png.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks import results
from geco_tf import multipliers
from geco_tf.figures import style
from launch import command_line
from tests import geco_test_problems as problems

_DOCS = results.FOLDER.parent
_DOCUMENT = _DOCS / "update_rules.md"
_IMAGE = _DOCS / "images" / "update_rules.png"

_NUM_POINTS = 120
_KEY = ((4.0, 1.0, 0.25, 0.04), 0.5)


class Case(NamedTuple):
  """A problem and how it is trained."""

  make: Callable[[], problems.Problem]
  optimizer: Callable[[int], keras.optimizers.Optimizer]
  num_steps: int
  tolerance: float = 0.01  # What counts as there: noise alone is above 1 %.


def _cosine_sgd(num_steps: int) -> keras.optimizers.Optimizer:
  schedule = keras.optimizers.schedules.CosineDecay(0.05, num_steps, alpha=0.2)
  return keras.optimizers.SGD(schedule)


CASES = {
  "quadratic": Case(
    problems.Quadratic, lambda _: keras.optimizers.SGD(0.05), 20_000
  ),
  "water-filling": Case(
    lambda: problems.ExactLinearGaussian(*_KEY),
    lambda _: keras.optimizers.Adam(3e-3),
    20_000,
  ),
  "quadratic, noisy": Case(
    lambda: problems.Quadratic(deviation=0.5), _cosine_sgd, 20_000, 0.05
  ),
  "water-filling, noisy": Case(
    lambda: problems.LinearGaussian(*_KEY), problems.cosine_adam, 20_000, 0.05
  ),
}
NOISE_FREE = ("quadratic", "water-filling")

SETTINGS: Mapping[str, tuple[dict[str, float], ...]] = {
  "auto": ({},),
  "augmented_lagrangian": tuple(
    {"rate": r, "penalty": p} for r in (3e-3, 1e-2) for p in (1.0, 10.0)
  ),
  "exponential": tuple({"rate": r} for r in (1e-3, 3e-3, 1e-2, 3e-2)),
  "log_ratio": tuple({"rate": r} for r in (1e-3, 3e-3, 1e-2, 3e-2)),
  "nu_pi": tuple(
    {"rate": r, "proportional": p} for r in (3e-3, 1e-2) for p in (0.5, 2.0)
  ),
  "softplus_gradient": tuple(
    {"rate": r, "beta_2": b} for r in (3e-4, 1e-3) for b in (0.999, 0.9999)
  ),
}


def measure(rule: str, options: dict[str, float], name: str) -> dict[str, Any]:
  """One training, in numbers and as a thinned trace of λ / λ*."""
  case = CASES[name]
  problem = case.make()
  traces = problems.train(
    problem,
    multipliers.registry.build(rule, available={}, options=options),
    case.optimizer(case.num_steps),
    case.num_steps,
  )
  point_errors = _relative_errors(traces.points, problem.solution)
  multiplier_errors = _relative_errors(traces.multipliers, problem.multipliers)
  active = int(np.argmax(problem.multipliers))
  multiplier = traces.multipliers[:, active]
  target = problem.multipliers[active]
  kept = np.unique(np.geomspace(1, case.num_steps, _NUM_POINTS).astype(int)) - 1
  return {
    "steps_x": _settled(point_errors, case.tolerance),
    "steps_multiplier": _settled(multiplier_errors, case.tolerance),
    "overshoot": max(
      0.0, float(multiplier.max() / max(multiplier[0], target)) - 1.0
    ),
    "final_error_x": float(point_errors[-1]),
    "final_error_multiplier": float(multiplier_errors[-1]),
    "trace": {
      "step": (kept + 1).tolist(),
      "multiplier": [float(f"{m:.4g}") for m in multiplier[kept] / target],
    },
  }


def _relative_errors(trace: np.ndarray, target: np.ndarray) -> np.ndarray:
  return np.linalg.norm(trace - target, axis=1) / np.linalg.norm(target)


def _settled(errors: np.ndarray, tolerance: float) -> int | None:
  """The steps after which the error stays within; None if it does not."""
  # What is not a number is not within anything.
  outside = np.flatnonzero(~(errors <= tolerance))
  steps = int(outside[-1]) + 1 if outside.size else 0
  return steps if steps < len(errors) else None


def _cost(found: dict[str, Any], num_steps: int) -> float:
  """Steps until both are settled, as ln; twice the run if they are not."""
  both = (found["steps_x"], found["steps_multiplier"])
  return math.log(2 * num_steps if None in both else max(*both, 1))


def best_setting(rule: str) -> tuple[dict[str, float], dict[str, Any]]:
  """The options of a rule, and its results on the problems without noise."""
  candidates = []
  for options in SETTINGS[rule]:
    found = {name: measure(rule, options, name) for name in NOISE_FREE}
    cost = sum(_cost(found[n], CASES[n].num_steps) for n in NOISE_FREE)
    print(f"{rule} {options}: {math.exp(cost / 2):.0f} steps", flush=True)
    candidates.append((cost, options, found))
  _, options, found = min(candidates, key=lambda c: c[0])
  return options, found


def table(found: Mapping[str, Any]) -> str:
  """Markdown: one row for each rule and problem."""
  lines = [
    "| problem | rule | steps to x* | to λ* | overshoot of λ | "
    "final error of x | of λ |",
    "|" + "---|" * 7,
  ]
  for name in CASES:
    for rule, result in found.items():
      r = result["problems"][name]
      options = [f"{k}={v:g}" for k, v in result["options"].items()]
      shown = " ".join([f"`{rule}`", ", ".join(options)]).strip()
      lines.append(
        f"| {name} | {shown} | {_steps(r['steps_x'])} | "
        f"{_steps(r['steps_multiplier'])} | {100 * r['overshoot']:.0f} % | "
        f"{100 * r['final_error_x']:.2g} % | "
        f"{100 * r['final_error_multiplier']:.2g} % |"
      )
  return "\n".join(lines)


def _steps(steps: int | None) -> str:
  return "not" if steps is None else f"{steps:,}"


def draw(found: Mapping[str, Any]) -> None:
  """λ / λ* of the active constraint over the steps, a panel a problem."""
  with style.context():
    figure = style.new_figure(10.0, 6.4, column_gap=0.06)
    for ax, name in zip(figure.subplots(2, 2).flat, CASES, strict=True):
      for rule, result in found.items():
        trace = result["problems"][name]["trace"]
        ax.plot(trace["step"], trace["multiplier"], label=rule)
      near = CASES[name].tolerance
      ax.axhspan(1.0 - near, 1.0 + near, color="#DDDDDD", zorder=0)
      ax.set_title(name)
      ax.set_xscale("log")
      ax.set_xlabel("step")
      ax.set_ylabel("λ / λ*")
      style.log_y(ax, 0.1, 60.0)
    figure.axes[0].legend(loc="upper left")
    figure.savefig(_IMAGE)


def main() -> None:
  """Measures, and writes numbers, table and picture."""
  # Every training is a loop of its own, of which TensorFlow would warn.
  tf.get_logger().setLevel("ERROR")
  found = {}
  for rule in SETTINGS:
    options, measured = best_setting(rule)
    for name in CASES:
      if name not in measured:
        measured[name] = measure(rule, options, name)
    found[rule] = {"options": options, "problems": measured}
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  (results.FOLDER / "update_rules.json").write_text(json.dumps(found) + "\n")
  results.write_table(_DOCUMENT, table(found))
  draw(found)
  print(table(found))


if __name__ == "__main__":
  command_line.run(main)
