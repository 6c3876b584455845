# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What fifty restarts of a small VAE cost against one.

  python -m benchmarks.restarts

About two minutes on two cores. Each number of restarts is timed twice: a whole
fit, with the building and tracing of the program that every fit pays once, and
a step by itself. Programs of their own, one after the other, are what the
restarts replace.
"""

import json
import subprocess
import sys
import time

from absl import flags

from benchmarks import results
from geco_tf.failure_modes import descent, ground_truths, methods
from launch import command_line

_METHODS = flags.DEFINE_list("methods", ["vae", "nvp"], "which to time.")
_RESTARTS = flags.DEFINE_integer("restarts", 50, "side by side.")
_STEPS = flags.DEFINE_integer("steps", 2_000, "of each fit.")
_ONE = flags.DEFINE_string("one", None, "used by this program itself.")


def _seconds(method: str, num_restarts: int) -> dict[str, float]:
  """Of a whole fit, and of one of its later steps."""
  stamps = [time.perf_counter()]
  methods.fit(
    ground_truths.get("clusters").sample(2_000, seed=0).x,
    methods.METHODS[method],
    latent_size=1,
    variance=0.2,
    num_restarts=num_restarts,
    num_steps=_STEPS.value,
    on_progress=lambda step, losses: stamps.append(time.perf_counter()),
  )
  calls = _STEPS.value // descent.STEPS_PER_CALL - 1
  return {
    "fit": stamps[-1] - stamps[0],
    "step": (stamps[-1] - stamps[1]) / (calls * descent.STEPS_PER_CALL),
  }


def _program_seconds(method: str) -> float:
  """Of one restart in a program of its own, from start to end."""
  start = time.perf_counter()
  subprocess.run(
    [
      sys.executable,
      "-m",
      "benchmarks.restarts",
      f"--one={method}",
      f"--steps={_STEPS.value}",
    ],
    check=True,
    capture_output=True,
  )
  return time.perf_counter() - start


def main() -> None:
  """Prints the ratios and keeps them in docs/results/."""
  if _ONE.value is not None:
    _seconds(_ONE.value, 1)
    return
  count, found = _RESTARTS.value, {}
  for method in _METHODS.value:
    one, many = _seconds(method, 1), _seconds(method, count)
    program = _program_seconds(method)
    found[method] = {"one": one, "many": many, "program_of_one": program}
    print(
      f"{method}: {count} restarts side by side {many['fit']:.1f} s, one "
      f"{one['fit']:.1f} s ({many['fit'] / one['fit']:.1f} times); a step "
      f"{1e3 * many['step']:.2f} ms against {1e3 * one['step']:.2f} ms; "
      f"{count} programs one after the other {count * program:.0f} s."
    )
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  content = {"restarts": count, "steps": _STEPS.value, "seconds": found}
  path = results.FOLDER / "restarts.json"
  path.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
  command_line.run(main)
