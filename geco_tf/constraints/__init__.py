# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What must hold. A new constraint is one file and one line here."""

from geco_tf.constraints.base import (
  SLACK,
  Constraint,
  ConstraintValue,
  PositiveErrorConstraint,
)
from geco_tf.constraints.classification_accuracy import ClassificationAccuracy
from geco_tf.constraints.reconstruction_error import ReconstructionError
from geco_tf.registry import Registry

registry = Registry("constraint")
register = registry.register

register("cla", ClassificationAccuracy)
register("re", ReconstructionError)

__all__ = [
  "SLACK",
  "ClassificationAccuracy",
  "Constraint",
  "ConstraintValue",
  "PositiveErrorConstraint",
  "ReconstructionError",
  "register",
  "registry",
]
