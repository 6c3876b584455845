# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 6 of "Taming VAEs": ConvDraw's images under three objectives."""

from typing import Any

from geco_tf.experiments import blocks, families
from geco_tf.experiments.base import Folder, Settings

_WANTED = (("conv_draw", "celeb_a"), ("conv_draw", "color"))
_KAPPA = 0.1


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Data, reconstructions and samples of the ELBO, of GECO+RE and of GECO+FRE.

  On CelebA, for which CIFAR-10 stands in where that is given, and on
  Color-MNIST (ELBO and RE alone). All runs are of figures 9 and 10.

  Cost: five runs of 15 minutes on one core; what is kept costs nothing.
  """
  return blocks.draw("figure6", plan(settings), settings, folder)


def needed(settings: Settings) -> list[str]:
  """The files of kept results that it reads."""
  return blocks.needed(plan(settings))


def plan(settings: Settings) -> list[blocks.Block]:
  """The blocks, in the picture's order."""
  found = []
  for family in families.make(_WANTED, settings):
    elbo, _ = blocks.elbos(family)
    found += [elbo, *blocks.geco(family, (_KAPPA,))]
    if family.task is None:
      found.append(blocks.constrained(family, blocks.FRE))
  return found
