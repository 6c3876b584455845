# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast everything is, each against a named peer in the same run.

  python -m benchmarks.run
  python -m benchmarks.run --only=geco_overhead --only=marginal_kl
  python -m benchmarks.run --quick

On cores that do nothing else. Peers take turns, block by block;
one that is not installed (pip install -e '.[benchmarks]') is said to be absent.
Writes docs/results/performance_<part>.json of what was measured, and the table
in docs/performance.md of all that are there. --quick takes the smallest sizes,
to see that everything runs, and writes nothing.
"""

import importlib

from absl import flags

from benchmarks import performance
from launch import command_line

_ONLY = flags.DEFINE_multi_enum(
  "only", list(performance.NAMES), performance.NAMES, "parts to measure."
)


def main() -> None:
  """Measures the parts that were asked for, in the page's order."""
  performance.run(
    {
      name: importlib.import_module(f"benchmarks.{name}").measure
      for name in performance.NAMES
      if name in _ONLY.value
    }
  )


if __name__ == "__main__":
  command_line.run(main)
