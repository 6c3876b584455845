# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures and tables: python -m launch.reproduce --item=figure2."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf import errors, experiments
from launch import command_line

# Of a checkout; an installed package has none.
_KEPT = pathlib.Path(__file__).parent.parent / "docs" / "results"

_ITEM = flags.DEFINE_string("item", None, "which figure or table; see --list.")
_SCALE = flags.DEFINE_string("scale", "laptop", "laptop or paper.")
_OUTDIR = flags.DEFINE_string("outdir", "results", "folder for the results.")
_SEED = flags.DEFINE_integer("seed", 0, "of everything random.")
_DATASET = flags.DEFINE_string(
  "dataset", None, "in place of the item's own; image_folder:PATH of CIFAR-10."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its data.")
_RESULTS = flags.DEFINE_string(
  "results",
  str(_KEPT) if _KEPT.is_dir() else None,
  "what is kept of runs that items share (default: docs/results of a checkout, "
  "else OUTDIR/kept).",
)
_WORKDIRS = flags.DEFINE_string(
  "workdirs", None, "the folders of these runs (default: OUTDIR/runs)."
)
_TRAIN = flags.DEFINE_bool(
  "may_train", True, "train what is missing; if not, draw what there is."
)
_CLASSIFIER = flags.DEFINE_string(
  "classifier", None, "folder of one, to judge samples by (figures 9 and 11)."
)
_LIST = flags.DEFINE_bool("list", False, "list the items and stop.")


def run() -> None:
  """One item, or the list of them."""
  settings = experiments.Settings(
    scale=_SCALE.value,
    seed=_SEED.value,
    data_dir=_DATA_DIR.value,
    dataset=_DATASET.value,
    results=_RESULTS.value,
    workdirs=_WORKDIRS.value,
    may_train=_TRAIN.value,
    classifier=_CLASSIFIER.value,
  )
  if _LIST.value:
    print(experiments.listed(settings, _OUTDIR.value))
    return
  if _ITEM.value is None:
    raise errors.UserError("`item` must be given; --list names them.")
  experiments.reproduce(_ITEM.value, settings, _OUTDIR.value)
  folder = experiments.folder_of(_ITEM.value, _SCALE.value, _OUTDIR.value)
  print(experiments.tables_in(folder), end="")
  print(f"results.json and the pictures are in {folder}/.")


def main() -> None:
  """The console entry."""
  command_line.run(run)


if __name__ == "__main__":
  main()
