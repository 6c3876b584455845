# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The figures and tables of the papers, one file each, by name."""

from geco_tf import registry as registry_lib
from geco_tf.experiments import (
  failure_modes,
  failure_modes_downstream,
  figure1,
  figure2,
  figure7,
  figure8,
)
from geco_tf.experiments.base import Folder, Settings, cost, folder_of
from geco_tf.experiments.base import reproduce as _reproduce

__all__ = [
  "Folder",
  "Settings",
  "cost",
  "folder_of",
  "register",
  "registry",
  "reproduce",
]

registry = registry_lib.Registry("item")
register = registry.register
register("failure_modes", failure_modes.run)
register("failure_modes_downstream", failure_modes_downstream.run)
register("figure1", figure1.run)
register("figure2", figure2.run)
register("figure7", figure7.run)
register("figure8", figure8.run)


def reproduce(item: str, settings: Settings, outdir: str) -> dict:
  """Runs a registered item; see `base.reproduce`."""
  return _reproduce(item, registry[item], settings, outdir)
