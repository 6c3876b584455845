# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of `benchmarks.run` hand over, and its page."""

import importlib.metadata
import json
import os
import pathlib
import platform
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import flags

from benchmarks import results
from geco_tf import errors
from geco_tf.training import strategies

_QUICK = flags.DEFINE_bool(
  "quick", False, "only see that everything runs; nothing is written."
)
_THREADS = flags.DEFINE_integer(
  "threads", os.cpu_count(), "threads of TensorFlow and PyTorch."
)

_PAGE = results.FOLDER.parent / "performance.md"
_VERSIONS = {
  "TensorFlow": "tensorflow",
  "NumPy": "numpy",
  "PyTorch": "torch",
  "cooper": "cooper-optim",
}
_NUM_DEVICES = 2  # Logical CPUs.
# The parts, each a module with `measure`, in the order of the page.
NAMES = (
  "training_step",
  "geco_overhead",
  "input_pipeline",
  "marginal_kl",
  "fixed_points",
)


class Row(NamedTuple):
  """One comparison; times are milliseconds, one a round."""

  what: str
  name: str
  ms: np.ndarray | None  # None: it is not installed.
  peer: str
  peer_ms: np.ndarray | None


class Part(NamedTuple):
  """What a benchmark found."""

  rows: Sequence[Row]
  remarks: Sequence[str] = ()  # Whole sentences.


Benchmark = Callable[[bool], Part]  # Of whether to be quick.


def run(benchmarks: Mapping[str, Benchmark]) -> None:
  """Measures, prints, and writes numbers and page.

  Args:
    benchmarks: one of NAMES → what measures it.
  """
  prepare(_THREADS.value)
  for name, benchmark in benchmarks.items():
    print(f"{name} …", flush=True)
    part = benchmark(_QUICK.value)
    shown = _table({name: _as_json(part)})
    print("\n".join([*shown, "", *part.remarks, ""]), flush=True)
    if not _QUICK.value:
      keep(name, part)
  if not _QUICK.value:
    write_page(_PAGE)


def keep(name: str, part: Part) -> None:
  """Writes the part's numbers, with machine and versions."""
  results.FOLDER.mkdir(parents=True, exist_ok=True)
  text = json.dumps(_as_json(part), indent=1, ensure_ascii=False) + "\n"
  _file(name).write_text(text, encoding="utf-8")


def prepare(threads: int) -> None:
  """As many threads for every framework; must come before they compute.

  Raises:
    UserError: if there are none.
  """
  if threads < 1:
    raise errors.UserError(f"`threads` must be at least 1; got {threads}.")
  tf.config.threading.set_intra_op_parallelism_threads(threads)
  # Replicas wait for each other.
  tf.config.threading.set_inter_op_parallelism_threads(
    max(threads, _NUM_DEVICES)
  )
  strategies.split_cpu(_NUM_DEVICES)
  try:
    import torch
  except ImportError:
    return
  torch.set_num_threads(threads)


def write_page(page: pathlib.Path) -> None:
  """Puts the table of all kept parts between the marks of the page."""
  parts = {
    name: json.loads(_file(name).read_text(encoding="utf-8"))
    for name in NAMES
    if _file(name).exists()
  }
  lines = [*_machines(parts), "", *_table(parts), ""]
  lines += [f"- {remark}" for p in parts.values() for remark in p["remarks"]]
  results.write_table(page, "\n".join(lines))


def _file(name: str) -> pathlib.Path:
  return results.FOLDER / f"performance_{name}.json"


def _as_json(part: Part) -> dict[str, Any]:
  return {
    "machine": _machine(),
    "versions": _versions(),
    "rows": [_row_as_json(row) for row in part.rows],
    "remarks": list(part.remarks),
  }


def _row_as_json(row: Row) -> dict[str, Any]:
  ratio = None
  if row.ms is not None and row.peer_ms is not None:
    # Round by round: what slows the machine slows both of a round.
    ratio = row.ms / row.peer_ms
  return {
    "benchmark": row.what,
    "name": row.name,
    "peer": row.peer,
    "ratio": _spread(ratio),
    "ms": _spread(row.ms),
    "peer_ms": _spread(row.peer_ms),
  }


def _spread(values: np.ndarray | None) -> list[float] | None:
  """Median, least and largest."""
  if values is None:
    return None
  return [float(f(values)) for f in (np.median, np.min, np.max)]


def _machine() -> str:
  model = platform.processor() or platform.machine()
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  if cpuinfo.exists():
    for line in cpuinfo.read_text(encoding="utf-8").splitlines():
      if line.startswith("model name"):
        model = line.partition(":")[2].strip()
  size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
  return f"{os.cpu_count()} cores, {model}, {size:.0f} GiB"


def _versions() -> str:
  found = [f"Python {platform.python_version()}"]
  for name, package in _VERSIONS.items():
    try:
      version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      version = "not installed"
    found.append(f"{name} {version}")
  return ", ".join(found)


def _machines(parts: Mapping[str, Any]) -> list[str]:
  """Where the parts were measured; once, if all were measured alike."""
  by_place: dict[str, list[str]] = {}
  for name, part in parts.items():
    place = f"{part['machine']}. {part['versions']}."
    by_place.setdefault(place, []).append(f"`{name}`")
  if len(by_place) == 1:
    return list(by_place)
  return [f"{', '.join(n)}: {place}  " for place, n in by_place.items()]


def _table(parts: Mapping[str, Any]) -> list[str]:
  lines = [
    "| ratio of times | benchmark | measured | ms | against | ms |",
    "|" + "---|" * 6,
  ]
  for name, part in parts.items():
    for row in part["rows"]:
      ratio = _shown(row["ratio"], ".3f")
      lines.append(
        f"| {ratio} | `{name}`: {row['benchmark']} | {row['name']} | "
        f"{_shown(row['ms'], '#.3g')} | {row['peer']} | "
        f"{_shown(row['peer_ms'], '#.3g')} |"
      )
  return lines


def _shown(spread: Sequence[float] | None, form: str) -> str:
  if spread is None:
    return "not installed"
  median, low, high = (
    f"{v:,.0f}" if v >= 100 else f"{v:{form}}" for v in spread
  )
  return f"{median} ({low} to {high})"
