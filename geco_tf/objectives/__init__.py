# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is minimised. A new objective is one file and one line here."""

from geco_tf.objectives.base import Loss, Objective
from geco_tf.objectives.constrained import (
  Constrained,
  ConstrainedDistortion,
  ConstrainedKL,
)
from geco_tf.objectives.context import constraint_context
from geco_tf.objectives.elbo import (
  ELBO,
  AnnealedSigmaELBO,
  BetaELBO,
  ClosedFormSigmaELBO,
  LearnedSigmaELBO,
)
from geco_tf.registry import Registry

registry = Registry("objective")
register = registry.register

register("elbo", ELBO)
register("beta_elbo", BetaELBO)
register("learned_sigma_elbo", LearnedSigmaELBO)
register("closed_form_sigma_elbo", ClosedFormSigmaELBO)
register("annealed_sigma_elbo", AnnealedSigmaELBO)
register("geco", ConstrainedKL)
register("geco_distortion", ConstrainedDistortion)

__all__ = [
  "ELBO",
  "AnnealedSigmaELBO",
  "BetaELBO",
  "ClosedFormSigmaELBO",
  "Constrained",
  "ConstrainedDistortion",
  "ConstrainedKL",
  "LearnedSigmaELBO",
  "Loss",
  "Objective",
  "constraint_context",
  "register",
  "registry",
]
