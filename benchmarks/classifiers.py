# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""How good the judges are: trains the classifiers and prints.

  python -m benchmarks.classifiers --only=mnist
  python -m benchmarks.classifiers --only=cifar10 \\
      --cifar10=image_folder:PATH

A step of 128 images takes about 50 ms of one core on MNIST and 250 ms on
CIFAR-10. Finished runs are read from docs/results/.
"""

from absl import flags

from benchmarks import results
from launch import command_line

_RUNS = {
  "digits": {"dataset": "digits"},
  "mnist": {"dataset": "mnist"},
  "cifar10": {
    "dataset": "cifar10",
    "model": "cifar_resnet",
    "flip": True,
    "num_steps": 3_000,
    "warmup_steps": 200,
  },
}

_ONLY = flags.DEFINE_enum("only", "digits", list(_RUNS), "which data.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CIFAR10 = flags.DEFINE_string("cifar10", "cifar10", "data set to use for it.")
_WORKDIRS = flags.DEFINE_string("workdirs", "runs", "folder for the runs.")


def main() -> None:
  """Trains what is missing and prints a row of the table."""
  name = _ONLY.value
  run = results.Run(f"classifier_{name}", _RUNS[name], "train_classifier")
  here = {} if _DATA_DIR.value is None else {"data_dir": _DATA_DIR.value}
  if name == "cifar10":
    here["dataset"] = _CIFAR10.value
  found = results.result(run, _WORKDIRS.value, here)
  summary = found["summary"]
  low, high = summary["test_accuracy_interval"]
  print(
    "| data | classifier | steps | test accuracy | 99 % interval | seconds |"
  )
  print("|---|---|---|---|---|---|")
  print(
    f"| {name} | {summary['model']} | {summary['num_steps']} | "
    f"{summary['test_accuracy']:.2%} | {low:.2%} to {high:.2%} | "
    f"{found['seconds']} |"
  )


if __name__ == "__main__":
  command_line.run(main)
