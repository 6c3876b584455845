# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every figure or table of the papers shares: settings and a folder."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import tensorflow as tf
from matplotlib import figure as mpl_figure

from geco_tf import errors
from geco_tf.figures import style
from geco_tf.runs import workdir

SCALES = ("laptop", "paper")
_T = TypeVar("_T")


class Settings(NamedTuple):
  """What a user may choose of an item."""

  scale: str = "laptop"  # One of SCALES.
  seed: int = 0
  data_dir: str | None = None  # Where TFDS keeps its data sets.
  dataset: str | None = None  # In place of the item's own.


class Folder:
  """Where an item leaves its results; what is finished is read, not redone.

  results.json       the item's numbers
  *.png, *.svg       its pictures
  pieces/*.json      parts that are finished
  runs/              workdirs of trained models
  """

  def __init__(self, path: str, settings: Settings):
    """Makes the folder.

    Args:
      path: any `tf.io.gfile` path.
      settings: of the item; pieces made under others are made again.
    """
    self.path = os.fspath(path)
    self._settings = dict(settings._asdict(), data_dir=None)
    tf.io.gfile.makedirs(self.file("pieces"))

  def file(self, *names: str) -> str:
    """The path of a file in this folder."""
    return os.path.join(self.path, *names)

  def piece(self, name: str, compute: Callable[[], _T]) -> _T:
    """What compute returned, now or in a run before.

    Args:
      name: of the file under pieces/.
      compute: takes nothing; its result must be what JSON can hold.

    Returns:
      The result, as JSON gives it back: tuples are lists.
    """
    path = self.file("pieces", f"{name}.json")
    made = workdir.read_json(path)
    if made is None or made["settings"] != self._settings:
      made = {"settings": self._settings, "result": compute()}
      workdir.write_json(path, made)
    return workdir.read_json(path)["result"]

  def save_figure(self, name: str, figure: mpl_figure.Figure) -> None:
    """Writes a picture as PNG and SVG."""
    style.save(figure, self.file(name))


# An item's function: (settings, folder) → the numbers, as JSON can hold them.
# Its docstring has a line "Cost: …".
Item = Callable[[Settings, Folder], dict[str, Any]]


def reproduce(
  name: str, item: Item, settings: Settings, outdir: str
) -> dict[str, Any]:
  """Runs an item, and writes its results.json.

  Args:
    name: of the item.
    item: its function.
    settings: of the user.
    outdir: the item's own folder is <outdir>/<name>_<scale>.

  Returns:
    The numbers.

  Raises:
    UserError: for a scale that there is none of, and as the item says.
  """
  if settings.scale not in SCALES:
    raise errors.unknown_name("scale", settings.scale, SCALES)
  folder = Folder(folder_of(name, settings.scale, outdir), settings)
  results = item(settings, folder)
  workdir.write_json(
    folder.file("results.json"),
    {
      "item": name,
      "settings": settings._asdict(),
      "versions": workdir.versions(),
      "results": results,
    },
  )
  return results


def folder_of(name: str, scale: str, outdir: str) -> str:
  """Where an item's results go."""
  return os.path.join(outdir, f"{name}_{scale}")


def cost(item: Item) -> str:
  """What an item's docstring says behind "Cost:"."""
  lines = (item.__doc__ or "").splitlines()
  for line in lines:
    if line.strip().startswith("Cost:"):
      return line.strip().removeprefix("Cost:").strip()
  return "not said"
