# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 11 of "Taming VAEs": images of ConvDraw on CIFAR-10."""

from typing import Any

from geco_tf.experiments import blocks, families
from geco_tf.experiments.base import Folder, Settings

_WANTED = (("conv_draw", "cifar10"),)


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Data, reconstructions and samples of ELBOs and of GECO+RE, +FRE, +pNCC.

  Cost: six runs of 15 minutes on one core; what is kept costs nothing.
  """
  return blocks.draw("figure11", plan(settings), settings, folder)


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return blocks.needed(plan(settings))


def plan(settings: Settings) -> list[blocks.Block]:
  """The blocks, in the picture's order."""
  (family,) = families.make(_WANTED, settings)
  return [
    *blocks.elbos(family),
    *blocks.geco(family, families.SHOWN_KAPPAS[1:]),
    blocks.constrained(family, blocks.FRE),
    blocks.constrained(family, blocks.PNCC),
  ]
