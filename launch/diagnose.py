# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which failure modes a VAE shows on your own numbers.

python -m launch.diagnose --data=csv:measurements.csv
"""

import dataclasses
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf.failure_modes import diagnose, report
from launch import command_line

_DATA = flags.DEFINE_string(
  "data",
  None,
  "npz:FILE, npz:FILE:KEY or csv:FILE, a table of numbers.",
  required=True,
)
_OUTDIR = flags.DEFINE_string(
  "outdir", "diagnosis", "folder for table, figures and diagnosis.json."
)


def _define(field: dataclasses.Field) -> flags.FlagHolder:
  """One flag for a field of the settings."""
  define = flags.DEFINE_float
  if isinstance(field.default, int):
    define = flags.DEFINE_integer
  return define(field.name, field.default, field.metadata["help"])


_SETTINGS = {
  field.name: _define(field) for field in dataclasses.fields(diagnose.Settings)
}


def run() -> None:
  """Reads, trains, measures, reports."""
  chosen = {name: flag.value for name, flag in _SETTINGS.items()}
  report.run(_DATA.value, _OUTDIR.value, diagnose.Settings(**chosen))
  print(f"diagnosis.json and the pictures are in {_OUTDIR.value}/.")


def main() -> None:
  """The console entry."""
  command_line.run(run, if_stopped="nothing was kept")


if __name__ == "__main__":
  main()
