# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures and tables of the papers, one file each, by name."""

from geco_tf import registry as registry_lib
from geco_tf.experiments import (
  failure_modes,
  failure_modes_downstream,
  figure1,
  figure2,
  figure3,
  figure4,
  figure5,
  figure6,
  figure7,
  figure8,
  figure9,
  figure10,
  figure11,
  table2,
)
from geco_tf.experiments.base import (
  Folder,
  Settings,
  cost,
  folder_of,
  tables_in,
)
from geco_tf.experiments.base import reproduce as _reproduce
from geco_tf.experiments.listing import listed as _listed
from geco_tf.experiments.listing import needed

__all__ = [
  "Folder",
  "Settings",
  "cost",
  "folder_of",
  "listed",
  "needed",
  "register",
  "registry",
  "reproduce",
  "tables_in",
]

registry = registry_lib.Registry("item")
register = registry.register
register("failure_modes", failure_modes.run)
register("failure_modes_downstream", failure_modes_downstream.run)
register("figure1", figure1.run)
register("figure2", figure2.run)
register("figure3", figure3.run)
register("figure4", figure4.run)
register("figure5", figure5.run)
register("figure6", figure6.run)
register("figure7", figure7.run)
register("figure8", figure8.run)
register("figure9", figure9.run)
register("figure10", figure10.run)
register("figure11", figure11.run)
register("table2", table2.run)


def listed(settings: Settings, outdir: str) -> str:
  """A line for each registered item; see `listing.listed`."""
  return _listed(registry, settings, outdir)


def reproduce(item: str, settings: Settings, outdir: str) -> dict:
  """Runs a registered item; see `base.reproduce`."""
  return _reproduce(item, registry[item], settings, outdir)
