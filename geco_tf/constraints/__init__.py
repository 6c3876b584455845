# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What must hold. A new constraint is one file and one line here."""

from geco_tf.constraints.base import (
  SLACK,
  Constraint,
  ConstraintValue,
  PositiveErrorConstraint,
  check_name,
)
from geco_tf.constraints.callable_constraint import from_callable
from geco_tf.constraints.classification_accuracy import ClassificationAccuracy
from geco_tf.constraints.feature_functions import local_statistics
from geco_tf.constraints.feature_reconstruction_error import (
  FeatureReconstructionError,
)
from geco_tf.constraints.kl_budget import KLBudget
from geco_tf.constraints.lipschitz_constraint import LipschitzConstraint
from geco_tf.constraints.neg_log_likelihood import NegLogLikelihood
from geco_tf.constraints.patch_normalized_cross_correlation import (
  PatchNormalizedCrossCorrelation,
)
from geco_tf.constraints.per_class import PerClass
from geco_tf.constraints.reconstruction_error import ReconstructionError
from geco_tf.registry import Registry

registry = Registry("constraint")
register = registry.register

register("cla", ClassificationAccuracy)
register("fre", FeatureReconstructionError)
register("kl", KLBudget)
register("lipschitz", LipschitzConstraint)
register("nll", NegLogLikelihood)
register("pncc", PatchNormalizedCrossCorrelation)
register("re", ReconstructionError)

__all__ = [
  "SLACK",
  "ClassificationAccuracy",
  "Constraint",
  "ConstraintValue",
  "FeatureReconstructionError",
  "KLBudget",
  "LipschitzConstraint",
  "NegLogLikelihood",
  "PatchNormalizedCrossCorrelation",
  "PerClass",
  "PositiveErrorConstraint",
  "ReconstructionError",
  "check_name",
  "from_callable",
  "local_statistics",
  "register",
  "registry",
]
