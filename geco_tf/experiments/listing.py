# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What items there are, what they cost, and what is there already."""

import os
import re
from collections.abc import Callable

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.experiments import (
  base,
  families,
  figure3,
  figure4,
  figure5,
  figure6,
  figure9,
  figure10,
  figure11,
  table2,
)
from geco_tf.runs import workdir

# Items whose runs are shared: the files of kept results that they read.
_NEEDED: dict[str, Callable[[base.Settings], list[str]]] = {
  "figure3": figure3.needed,
  "figure4": figure4.needed,
  "figure5": figure5.needed,
  "figure6": figure6.needed,
  "figure9": figure9.needed,
  "figure10": figure10.needed,
  "figure11": figure11.needed,
  "table2": table2.needed,
}


def needed(item: str, settings: base.Settings, outdir: str) -> dict[str, bool]:
  """The files of kept results that an item reads, and whether they are there.

  Args:
    item: a registered name; one whose runs are its own reads none.
    settings: of the user.
    outdir: of all items.

  Raises:
    UserError: if the item has nothing of the data set.
  """
  if item not in _NEEDED:
    return {}
  store = families.store_at(settings, outdir)
  return {file: store.is_kept(file) for file in _NEEDED[item](settings)}


def listed(
  items: registry_lib.Registry, settings: base.Settings, outdir: str
) -> str:
  """A line for each item: whether it is done, what is kept of it, its cost.

  Raises:
    UserError: for a scale that there is none of.
  """
  base.check_scale(settings)
  lines = []
  for name in sorted(items.names(), key=_in_order):
    folder = base.folder_of(name, settings.scale, outdir)
    lines.append(
      f"{name:26} {'done' if _is_done(folder, settings) else '':5}"
      f"{_kept(name, settings, outdir):15} {base.cost(items[name])}"
    )
  return "\n".join(lines)


def _is_done(folder: str, settings: base.Settings) -> bool:
  """With these settings, and nothing missing."""
  found = workdir.read_json(os.path.join(folder, "results.json"))
  if found is None or found["results"].get("missing"):
    return False
  return all(
    found["settings"].get(name) == getattr(settings, name)
    for name in base.DECISIVE
  )


def _kept(item: str, settings: base.Settings, outdir: str) -> str:
  try:
    files = needed(item, settings, outdir)
  except errors.UserError:
    return "other data"
  return f"{sum(files.values())} of {len(files)} kept" if files else ""


def _in_order(name: str) -> tuple[str, int]:
  """Figure 10 after figure 9."""
  number = re.search(r"\d+$", name)
  return name.rstrip("0123456789"), int(number.group()) if number else 0
