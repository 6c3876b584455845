# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 9 of "Taming VAEs": images of ConvDraw on CelebA."""

from typing import Any

from geco_tf.experiments import blocks, families
from geco_tf.experiments.base import Folder, Settings

_WANTED = (("conv_draw", "celeb_a"),)


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Data, reconstructions and samples of two ELBOs, GECO+RE and GECO+FRE.

  CIFAR-10 stands in for CelebA where that is given.

  Cost: six runs of 15 minutes on one core; what is kept costs nothing.
  """
  return blocks.draw("figure9", plan(settings), settings, folder)


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return blocks.needed(plan(settings))


def plan(settings: Settings) -> list[blocks.Block]:
  """The blocks, in the picture's order."""
  (family,) = families.make(_WANTED, settings)
  return [
    *blocks.elbos(family),
    *blocks.geco(family, families.SHOWN_KAPPAS),
    blocks.constrained(family, blocks.FRE),
  ]
