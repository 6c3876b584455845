# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every figure or table of the papers shares: settings and a folder."""

import os
from collections.abc import Callable, Mapping, Sequence
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
  # For items whose runs are shared, see `trained_runs`; None is a folder beside
  # the items' own.
  results: str | None = None  # What is kept of runs.
  workdirs: str | None = None  # The runs' own folders.
  may_train: bool = True  # Whether to train what is missing.
  classifier: str | None = None  # Folder of one, whose features judge samples.


# What decides the numbers of an item or a piece.
DECISIVE = ("scale", "seed", "dataset")


class Folder:
  """Where an item leaves its results; what is finished is read, not redone.

  results.json       the item's numbers
  tables.md          those that are tables, to read
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
    # Where TFDS keeps its data decides nothing; pieces have always said so.
    self._settings: dict[str, Any] = {"data_dir": None}
    self._settings |= {name: getattr(settings, name) for name in DECISIVE}
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

  def save_tables(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]):
    """Writes tables, title → rows of column → cell, as Markdown."""
    text = "\n".join(f"{t}\n\n{_markdown(rows)}" for t, rows in tables.items())
    workdir.write_text(self.file("tables.md"), text)


def _markdown(rows: Sequence[Mapping[str, Any]]) -> str:
  """One line a row; a number has four digits, and None is empty."""
  if not rows:
    return "(nothing yet)\n"

  def line(cells) -> str:
    return f"| {' | '.join(cells)} |\n"

  head = line(rows[0]) + line("---" for _ in rows[0])
  return head + "".join(line(map(_cell, row.values())) for row in rows)


def _cell(value: Any) -> str:
  if value is None:
    return ""
  return f"{value:.4g}" if isinstance(value, float) else str(value)


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
  check_scale(settings)
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


def check_scale(settings: Settings) -> None:
  """Raises a UserError for a scale that there is none of."""
  if settings.scale not in SCALES:
    raise errors.unknown_name("scale", settings.scale, SCALES)


def folder_of(name: str, scale: str, outdir: str) -> str:
  """Where an item's results go."""
  return os.path.join(outdir, f"{name}_{scale}")


def tables_in(folder: str) -> str:
  """What `Folder.save_tables` wrote there; empty if it has none."""
  path = os.path.join(folder, "tables.md")
  if not workdir.exists(path):
    return ""
  with tf.io.gfile.GFile(path) as file:
    return str(file.read())


def cost(item: Item) -> str:
  """What an item's docstring says behind "Cost:"."""
  _, _, behind = (item.__doc__ or "").partition("Cost:")
  return " ".join(behind.partition("\n\n")[0].split()) or "not said"
