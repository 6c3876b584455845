# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prepares a data set of TensorFlow Datasets from files you have.

For machines without internet:

  python -m launch.prepare_data --dataset=mnist --from_dir=DIR

where DIR holds the files as they are published.
"""

from absl import flags

from geco_tf.data import prepare
from launch import command_line

_DATASET = flags.DEFINE_string(
  "dataset", None, "Its name in TensorFlow Datasets.", required=True
)
_FROM_DIR = flags.DEFINE_string(
  "from_dir", None, "The folder that holds its files.", required=True
)
_DATA_DIR = flags.DEFINE_string(
  "data_dir",
  None,
  "Where prepared data go; by default TFDS_DATA_DIR or ~/tensorflow_datasets.",
)


def run() -> None:
  """Prepares the data set that the flags name."""
  print(
    prepare.prepare(
      _DATASET.value, from_dir=_FROM_DIR.value, data_dir=_DATA_DIR.value
    )
  )


def main() -> None:
  """The console entry."""
  command_line.run(run)


if __name__ == "__main__":
  main()
