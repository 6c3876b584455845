# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How λ moves. A new rule is one file and one line here."""

from collections.abc import Callable

from geco_tf.multipliers.augmented_lagrangian import AugmentedLagrangian
from geco_tf.multipliers.auto import Auto
from geco_tf.multipliers.base import LogState, UpdateRule, check_share
from geco_tf.multipliers.exponential import Exponential
from geco_tf.multipliers.log_ratio import LogRatio
from geco_tf.multipliers.nu_pi import NuPI
from geco_tf.multipliers.restrained import Restrained, with_options
from geco_tf.multipliers.softplus_gradient import SoftplusGradient
from geco_tf.registry import Registry

registry = Registry("update rule")


def register(name: str, builder: Callable[..., UpdateRule]):
  """Adds a rule under a name; it gains the options of `Restrained`.

  Raises:
    UserError: if another rule has the name already.
  """
  registry.register(name, with_options(builder))
  return builder


register("augmented_lagrangian", AugmentedLagrangian)
register("auto", Auto)
register("exponential", Exponential)
register("log_ratio", LogRatio)
register("nu_pi", NuPI)
register("softplus_gradient", SoftplusGradient)

__all__ = [
  "AugmentedLagrangian",
  "Auto",
  "Exponential",
  "LogRatio",
  "LogState",
  "NuPI",
  "Restrained",
  "SoftplusGradient",
  "UpdateRule",
  "check_share",
  "register",
  "registry",
]
