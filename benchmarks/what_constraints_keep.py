# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""What does each constraint keep, and what does it drop, beside RE?

  python -m benchmarks.what_constraints_keep --only=mnist \\
      --classifier=runs/classifier_mnist
  python -m benchmarks.what_constraints_keep --only=cifar10 \\
      --classifier=runs/classifier_cifar10 --cifar10=image_folder:PATH
  python -m benchmarks.what_constraints_keep --only=per_class

Trains one model a constraint, prints whether each is met and how every other
constraint would judge it, and draws docs/images/what_constraints_keep_*.png.
Four minutes a run of MNIST on one core, six of CIFAR-10: 3, 3 and 1 runs
beside those of reconstruction_targets. Finished runs are read from
docs/results/; pictures need their folders.
"""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf
from absl import flags

import geco_tf
from benchmarks import instruments, results
from geco_tf import constraints, data, evaluation, figures, models, runs
from geco_tf.data import pipeline
from geco_tf.figures import image_grid
from launch import command_line

_ONLY = flags.DEFINE_enum(
  "only", "mnist", ["mnist", "cifar10", "per_class"], "which part."
)
_CLASSIFIER = flags.DEFINE_string(
  "classifier", None, "folder of launch.train_classifier."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CIFAR10 = flags.DEFINE_string("cifar10", "cifar10", "data set to use for it.")
_WORKDIRS = flags.DEFINE_string("workdirs", "runs", "folder for the runs.")

# Name of the run → its constraints.
RUNS: dict[str, dict[str, Sequence[str]]] = {
  "mnist": {
    "mnist_auto_0.1": ("re:0.1",),
    "mnist_fre": ("fre:0.05",),
    "mnist_pncc": ("pncc:0.85",),
    "mnist_cla": ("cla:0.95",),
  },
  "cifar10": {
    "cifar10_auto_0.1": ("re:0.1",),
    "cifar10_fre": ("fre:0.5,features=block_0",),
    "cifar10_pncc": ("pncc:0.8",),
    "cifar10_re_pncc": ("re:0.1", "pncc:0.8"),
  },
}
_NUM_STEPS = {"mnist_cla": 6000}  # As the doctor asks after the preset's.
_PER_CLASS = "mnist_re_per_class"
_KAPPA = 0.1
_NUM_SHOWN = 10
_NUM_EXAMPLES = 10_000
_IMAGES = pathlib.Path(__file__).parent.parent / "docs" / "images"


def training(data_name: str, name: str, specs: Sequence[str]) -> results.Run:
  """The run that holds these constraints; κ = .1 is one of another page."""
  if specs == ("re:0.1",):
    return results.Run(name, {"preset": data_name, "kappa": _KAPPA})
  flag_values = {"preset": data_name, "constraint": specs}
  if name in _NUM_STEPS:
    flag_values["num_steps"] = _NUM_STEPS[name]
  return results.Run(name, flag_values)


def print_runs(found: Mapping[str, dict]) -> None:
  """What was asked, and what came of it, as Markdown."""
  print("| constraint | reached | met | KL | RMSE | final λ | the doctor |")
  print("|" + "---|" * 7)
  for asked, result in found.items():
    s = result["summary"]
    reached = ", ".join(f"{n} {v:.4f}" for n, v in s["level"].items())
    multiplier = ", ".join(f"{v:.3g}" for v in s["multiplier"].values())
    met = "yes" if s["satisfied"] else "no"
    print(
      f"| {asked} | {reached} | {met} | {s['kl']:.2f} | {s['rmse']:.4f} | "
      f"{multiplier} | {result['doctor']} |"
    )


def _trained(run: results.Run) -> tuple[dict, snt.Module]:
  machine = {} if _DATA_DIR.value is None else {"data_dir": _DATA_DIR.value}
  if run.flags["preset"] == "cifar10":
    machine["dataset"] = _CIFAR10.value
  if _CLASSIFIER.value is not None:
    machine["classifier"] = _CLASSIFIER.value
  result = results.result(run, _WORKDIRS.value, machine)
  return result, runs.load(os.path.join(_WORKDIRS.value, run.name))


def _source(data_name: str) -> data.Source:
  return data.load(
    _CIFAR10.value if data_name == "cifar10" else data_name,
    data_dir=_DATA_DIR.value,
  )


def _reconstructed(model: snt.Module, images: np.ndarray) -> np.ndarray:
  seed = tf.constant([0, 0], tf.int32)
  return models.call(model, images, None, seed=seed).reconstruction.numpy()


def keep(data_name: str) -> None:
  """One data set: trains, prints two tables, and draws."""
  source = _source(data_name)
  columns = instruments.make(data_name, _CLASSIFIER.value, source)
  images, labels = instruments.test_images(source)
  shown = slice(None, None, instruments.NUM_IMAGES // _NUM_SHOWN)
  found, rows, blocks = {}, {}, {"data": images[shown]}
  for name, specs in RUNS[data_name].items():
    asked = " and ".join(specs)
    found[asked], model = _trained(training(data_name, name, specs))
    changed = _reconstructed(model, images)
    rows[asked] = instruments.levels(columns, images, changed, labels)
    kl = found[asked]["summary"]["kl"]
    blocks[f"{asked}   KL {kl:.1f}"] = changed[shown]
    blocks[f"{asked}, samples from the prior"] = model.sample(
      _NUM_SHOWN, seed=tf.constant([0, 0], tf.int32)
    ).numpy()
  print_runs(found)
  print("\nTest images as each of them reconstructs them:\n")
  instruments.print_table(rows)
  _write(f"what_constraints_keep_{data_name}", rows)
  figure = image_grid.labelled_rows(blocks, num_columns=_NUM_SHOWN)
  figures.save(
    figure, _IMAGES / f"what_constraints_keep_{data_name}", suffixes=("png",)
  )


def per_class() -> None:
  """RMSE of every digit, with one λ and with one for each digit."""
  source = _source("mnist")
  geco = geco_tf.GECO(
    constraints.PerClass(
      constraints.ReconstructionError(_KAPPA), num_classes=source.num_classes
    )
  )
  rows = {}
  for name, specs in {
    "mnist_auto_0.1": ("re:0.1",),
    _PER_CLASS: ("re:0.1,per=class",),
  }.items():
    result, model = _trained(training("mnist", name, specs))
    fixed = pipeline.evaluation_batches(
      source.train, 250, num_examples=_NUM_EXAMPLES
    )
    level = evaluation.constraint_levels(
      model, geco, fixed.batches, has_labels=True
    )["re"]
    rows[specs[0]] = [*level.value.tolist(), result["summary"]["kl"]]
  print("| constraint | " + " | ".join(map(str, range(10))) + " | worst | KL |")
  print("|" + "---|" * 13)
  for asked, (*levels, kl) in rows.items():
    listed = " | ".join(f"{v:.4f}" for v in levels)
    print(f"| {asked} | {listed} | {max(levels) / _KAPPA:.3f} κ | {kl:.2f} |")
  _write("what_constraints_keep_per_class", rows)


def _write(name: str, numbers: Any) -> None:
  path = results.FOLDER / f"{name}.json"
  path.write_text(json.dumps(numbers, indent=1) + "\n")


def main() -> None:
  """One part."""
  if _ONLY.value == "per_class":
    per_class()
  else:
    keep(_ONLY.value)


if __name__ == "__main__":
  command_line.run(main)
