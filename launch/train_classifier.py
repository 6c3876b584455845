# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Trains a classifier, for constraints and as a judge of samples.

For digits and what is like them:

  python -m launch.train_classifier --dataset=mnist --workdir=judges/mnist

For photographs:

  python -m launch.train_classifier --dataset=cifar10 --model=cifar_resnet \
      --flip --num_steps=3000 --warmup_steps=200 --workdir=judges/cifar10
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf import runs, training
from launch import command_line, config_flags

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the classifier.", required=True
)
config_flags.define(runs.ClassifierConfig)
flags.adopt_module_key_flags(config_flags)


def run() -> None:
  """Flags to a config, and one call."""
  given = config_flags.given(runs.ClassifierConfig)
  config = runs.ClassifierConfig().replace(**given)
  trained = training.train_classifier(config, workdir=_WORKDIR.value)
  training.print_summary(trained.summary)
  print(f"The classifier is in {_WORKDIR.value}/.")


def main() -> None:
  """The console entry."""
  command_line.run(run)


if __name__ == "__main__":
  main()
