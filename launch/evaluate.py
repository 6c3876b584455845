# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Measures a finished run: python -m launch.evaluate --workdir=runs/mnist.

Likelihood, weighted bound, active units, pictures, marginal KL. What is done
is not done again, and a stopped evaluation goes on where it was.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf.evaluation import evaluate
from launch import command_line, config_flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the run.", required=True
)
config_flags.define(evaluate.Settings)
flags.adopt_module_key_flags(config_flags)


def run() -> None:
  """One call, and its table."""
  settings = evaluate.Settings(**config_flags.given(evaluate.Settings))
  result = evaluate.evaluate_run(_WORKDIR.value, settings)
  print(evaluate.describe(result))
  print(
    f"Kept in {_WORKDIR.value}/evaluation.json, the pictures in "
    f"{_WORKDIR.value}/figures/."
  )


def main() -> None:
  """The console entry."""
  command_line.run(run, if_stopped="the same command goes on where it was")


if __name__ == "__main__":
  main()
