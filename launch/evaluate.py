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
from geco_tf.runs import config
from geco_tf.training import strategies
from launch import command_line, config_flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the run.", required=True
)
_STRATEGY = flags.DEFINE_enum(
  "strategy", "one", ["one", "mirrored", "tpu"], "devices of this machine."
)
_TPU = flags.DEFINE_string("tpu", None, "name or address, or local.")
_VIRTUAL_DEVICES = flags.DEFINE_integer(
  "virtual_devices", 1, "logical CPUs to split it into.", lower_bound=1
)
config_flags.define(evaluate.Settings)
flags.adopt_module_key_flags(config_flags)


def run() -> None:
  """One call, and its table."""
  settings = evaluate.Settings(**config_flags.given(evaluate.Settings))
  devices = _STRATEGY.value, _VIRTUAL_DEVICES.value, _TPU.value
  config.check_devices(*devices)
  strategy = strategies.make(
    devices[0], virtual_devices=devices[1], tpu=devices[2]
  )
  with strategy.scope():
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
