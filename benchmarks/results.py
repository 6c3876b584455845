# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs whose results are kept: each is trained once, and then read."""

import json
import os
import pathlib
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geco_tf.evaluation import doctor

FOLDER = pathlib.Path(__file__).parent.parent / "docs" / "results"
_NUM_POINTS = 60
_COLUMNS = (
  "step", "rmse", "kl", "loss", "sigma", "accuracy", "test_accuracy",
)  # fmt: skip
_OF_CONSTRAINT = re.compile(r"geco/.*/(multiplier|moving_average)(_max)?")


class Run(NamedTuple):
  """One training: a name and the flags of its launcher."""

  name: str
  flags: Mapping[str, Any]
  launcher: str = "train"  # Of launch/.

  @property
  def arguments(self) -> list[str]:
    """Of the command line; a list is a flag that is repeated."""
    return [
      f"--{name}={v}"
      for name, value in self.flags.items()
      for v in (value if isinstance(value, (list, tuple)) else [value])
    ]


def result(
  run: Run, workdirs: str, machine_flags: Mapping[str, Any]
) -> dict[str, Any]:
  """The result of a run: read if it is there, trained if not.

  Args:
    run: what to train.
    workdirs: folder for the runs' own folders.
    machine_flags: flags that say where things are on this machine and are not
      kept ("data_dir", or a "dataset" whose path differs).

  Returns:
    As docs/results/<name>.json has it: command, summary, seconds, and the
    curve thinned to sixty points.
  """
  path = FOLDER / f"{run.name}.json"
  if not path.exists():
    FOLDER.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_train(run, workdirs, machine_flags)) + "\n")
  return json.loads(path.read_text())


def _train(
  run: Run, workdirs: str, machine_flags: Mapping[str, Any]
) -> dict[str, Any]:
  workdir = os.path.join(workdirs, run.name)
  here = [f"--{k}={v}" for k, v in machine_flags.items()]
  launcher = f"launch.{run.launcher}"
  command = [sys.executable, "-m", launcher, *run.arguments]
  print(f"training {run.name} …", flush=True)
  subprocess.run([*command, *here, f"--workdir={workdir}"], check=True)
  with open(os.path.join(workdir, "summary.json")) as f:
    summary = json.load(f)
  with open(os.path.join(workdir, "metrics.jsonl")) as f:
    rows = [json.loads(line) for line in f]
  return {
    "command": " ".join([f"python -m {launcher}", *run.arguments]),
    "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    "seconds": round(summary.pop("seconds", None) or _seconds(rows)),
    "summary": {k: v for k, v in summary.items() if k != "dataset"},
    "largest_multiplier": _largest_multiplier(rows),
    "doctor": _doctor(run, workdir),
    "curve": _thinned(rows),
  }


def _doctor(run: Run, workdir: str) -> str | None:
  """What the doctor says in one line; a classifier has none."""
  if run.launcher != "train":
    return None
  return doctor.examine_run(workdir).line


def _seconds(rows: list[dict[str, Any]]) -> float:
  """In the steps alone, also of a run that was stopped in between."""
  steps = [0, *(row["step"] for row in rows)]
  return sum(
    (row["step"] - before) / row["steps_per_second"]
    for row, before in zip(rows, steps, strict=False)
  )


def _largest_multiplier(rows: list[dict[str, Any]]) -> float | None:
  seen = [r["geco/re/multiplier"] for r in rows if "geco/re/multiplier" in r]
  # A multiplier that overflowed has no number in the metrics.
  return None if not seen or None in seen else max(seen)


def _thinned(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
  """Sixty rows at most, the first and the last among them, as columns."""
  places = np.linspace(0, len(rows) - 1, min(len(rows), _NUM_POINTS))
  kept = [rows[round(place)] for place in places]
  return {
    name: [_rounded(row.get(name)) for row in kept]
    for name in kept[-1]
    if name in _COLUMNS or _OF_CONSTRAINT.fullmatch(name)
  }


def _rounded(value: float | None) -> float | None:
  return None if value is None else float(f"{value:.5g}")
