# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Takes the step again that a run was stopped at: what is not finite in it.

python -m launch.replay --workdir=runs/mnist
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf import training
from launch import command_line

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the run.", required=True
)


def run() -> None:
  """One call, and its words."""
  print(training.replay(_WORKDIR.value))


def main() -> None:
  """The console entry."""
  command_line.run(run, if_stopped="nothing was changed")


if __name__ == "__main__":
  main()
