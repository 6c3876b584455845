# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How λ moves. A new rule is one file and one line here."""

from geco_tf.multipliers.auto import Auto
from geco_tf.multipliers.base import LogState, UpdateRule
from geco_tf.multipliers.exponential import Exponential
from geco_tf.multipliers.log_ratio import LogRatio
from geco_tf.registry import Registry

registry = Registry("update rule")
register = registry.register

register("auto", Auto)
register("exponential", Exponential)
register("log_ratio", LogRatio)

__all__ = [
  "Auto",
  "Exponential",
  "LogRatio",
  "LogState",
  "UpdateRule",
  "register",
  "registry",
]
