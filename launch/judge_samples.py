# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Has a classifier judge the samples of a conditional run.

python -m launch.judge_samples --workdir=runs/sum --classifier=judges/mnist
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf.evaluation import judging
from launch import command_line

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the conditional run.", required=True
)
_CLASSIFIER = flags.DEFINE_string(
  "classifier", None, "folder of launch.train_classifier.", required=True
)
_NUM_SAMPLES = flags.DEFINE_integer("num_samples", 2_000, "one per context.")
_SEED = flags.DEFINE_integer("seed", 0, "of contexts and samples.")
_DATA_DIR = flags.DEFINE_string(
  "data_dir", None, "where TFDS keeps its data; by default as the run had it."
)


def run() -> None:
  """One call, and its table."""
  result = judging.judge_run(
    _WORKDIR.value,
    _CLASSIFIER.value,
    num_samples=_NUM_SAMPLES.value,
    seed=_SEED.value,
    data_dir=_DATA_DIR.value,
  )
  print(judging.describe(result))
  print(
    f"Kept in {_WORKDIR.value}/judgement.json, the picture in "
    f"{_WORKDIR.value}/figures/conditional_samples.png."
  )


def main() -> None:
  """The console entry."""
  command_line.run(run)


if __name__ == "__main__":
  main()
