# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 10 of "Taming VAEs": images of ConvDraw on Color-MNIST."""

from typing import Any

from geco_tf.experiments import blocks, families
from geco_tf.experiments.base import Folder, Settings

_WANTED = (("conv_draw", "color"),)


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Data, reconstructions and samples of two ELBOs and of GECO at three κ.

  Cost: five runs of 14 minutes on one core; what is kept costs nothing.
  """
  return blocks.draw("figure10", plan(settings), settings, folder)


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return blocks.needed(plan(settings))


def plan(settings: Settings) -> list[blocks.Block]:
  """The blocks, in the picture's order."""
  (family,) = families.make(_WANTED, settings)
  return [
    *blocks.elbos(family),
    *blocks.geco(family, families.SHOWN_KAPPAS),
  ]
