# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures and tables: python -m launch.reproduce --item=figure2."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf import errors, experiments
from launch import command_line

_ITEM = flags.DEFINE_string("item", None, "which figure or table; see --list.")
_SCALE = flags.DEFINE_string("scale", "laptop", "laptop or paper.")
_OUTDIR = flags.DEFINE_string("outdir", "results", "folder for the results.")
_SEED = flags.DEFINE_integer("seed", 0, "of everything random.")
_DATASET = flags.DEFINE_string("dataset", None, "in place of the item's own.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS keeps its data.")
_LIST = flags.DEFINE_bool("list", False, "list the items and stop.")


def run() -> None:
  """One item, or the list of them."""
  if _LIST.value:
    print("\n".join(_rows()))
    return
  if _ITEM.value is None:
    raise errors.UserError("`item` must be given; --list names them.")
  settings = experiments.Settings(
    scale=_SCALE.value,
    seed=_SEED.value,
    data_dir=_DATA_DIR.value,
    dataset=_DATASET.value,
  )
  experiments.reproduce(_ITEM.value, settings, _OUTDIR.value)
  folder = experiments.folder_of(_ITEM.value, _SCALE.value, _OUTDIR.value)
  print(f"results.json and the pictures are in {folder}/.")


def _rows() -> list[str]:
  rows = []
  for name in experiments.registry.names():
    folder = experiments.folder_of(name, _SCALE.value, _OUTDIR.value)
    is_there = os.path.exists(os.path.join(folder, "results.json"))
    state = "done" if is_there else "    "
    rows.append(
      f"{name:26} {state}  {experiments.cost(experiments.registry[name])}"
    )
  return rows


def main() -> None:
  """The console entry."""
  command_line.run(run)


if __name__ == "__main__":
  main()
