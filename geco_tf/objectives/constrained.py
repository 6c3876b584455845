# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""GECO as an objective: KL under constraints."""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from geco_tf import geco
from geco_tf.constraints import base as constraints_base
from geco_tf.models import outputs as outputs_lib
from geco_tf.objectives import base


class ConstrainedKL(base.Objective):
  """min E[KL] under E[C] ≤ 0: the Lagrangian of "Taming VAEs", equation 2."""

  def __init__(
    self,
    constraints: Iterable[constraints_base.Constraint],
    *,
    update_rule: Any = "auto",
    decay: float = 0.99,
    name: str | None = None,
  ):
    """Builds the objective; the arguments are those of `geco_tf.GECO`."""
    super().__init__(name=name)
    self.geco = geco.GECO(constraints, update_rule=update_rule, decay=decay)

  def loss(
    self, images: tf.Tensor, outputs: outputs_lib.VAEOutputs, **context: Any
  ) -> base.Loss:
    values = self.geco.constraint_values(
      images,
      outputs.reconstruction,
      kl=outputs.kl,
      latents=outputs.latents,
      **context,
    )
    return base.Loss(self.geco.lagrangian(outputs.kl, values), values)

  def initialize(self, statistics: Any) -> None:
    self.geco.initialize(statistics)

  def update(self, statistics: Any) -> dict[str, tf.Tensor]:
    return self.geco.update(statistics)
