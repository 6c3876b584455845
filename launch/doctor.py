# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Says what is wrong with a run, and which flag to change to what.

python -m launch.doctor --workdir=runs/mnist

Reads metrics.jsonl and summary.json; the run may still be going. Exit status 0
says that nothing has to change, 1 that something has to.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf.evaluation import doctor
from launch import command_line

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the run.", required=True
)


def run() -> None:
  """One call, and its words."""
  diagnosis = doctor.examine_run(_WORKDIR.value)
  print(doctor.describe(diagnosis))
  if not diagnosis.is_healthy:
    sys.exit(1)


def main() -> None:
  """The console entry."""
  command_line.run(run, if_stopped="nothing was changed")


if __name__ == "__main__":
  main()
