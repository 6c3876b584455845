# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How steep the decoder may be: the Lipschitz constraint of appendix B."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from geco_tf.constraints import base


class LipschitzConstraint(base.PositiveErrorConstraint):
  """The decoder's slope in latent space at most κ, root mean square.

    C = (‖g(z + h u) − g(z)‖ / h)² − κ²,   u uniform on the unit sphere

  by finite differences at the latents z of this batch. κ is in units of the
  image's norm (not per dimension) per unit of the latents. It bounds the mean
  over directions and examples: for d latents the steepest direction may be up
  to sqrt(d) times as steep, where the decoder varies along it alone.

  The natural multiplier is 1 / (2 Var x): a change costs what an error of its
  size costs under the reconstruction error.

  Source: "Taming VAEs", equation 8, with one multiplier for all pairs and
  neighbours at distance h for pairs.
  """

  slack = base.SQUARE_SLACK  # 3 % are of κ, not of its square.

  def __init__(
    self, kappa: float, *, distance: float = 0.1, name: str = "lipschitz"
  ):
    """Builds the constraint.

    Args:
      kappa: the largest slope.
      distance: h, in units of the latents, whose prior has deviation 1.
      name: the key in values, metrics and multipliers.

    Raises:
      UserError: if either is not positive and finite.
    """
    self.kappa = base.check_tolerance("kappa", kappa)
    self._distance = base.check_tolerance("distance", distance)
    self.name = name

  def __call__(  # type: ignore[override]
    self,
    targets: tf.Tensor,
    reconstruction: tf.Tensor,
    *,
    decoder: Callable[[tf.Tensor], tf.Tensor],
    latents: tf.Tensor,
    noise: Callable[[Sequence[Any]], tf.Tensor] | None = None,
    **context: Any,
  ) -> base.ConstraintValue:
    """The constraint on one batch; one more call of the decoder.

    Args:
      targets: [B, ...], for the natural multiplier.
      reconstruction: [B, ...], g(z), the decoder's own.
      decoder: latents → [B, ...].
      latents: z, [B, ...].
      noise: a shape → standard normal noise, for the directions; without it
        row b of every batch looks into a direction of its own.
      **context: not read.

    Returns:
      The `ConstraintValue`, violation [B].
    """
    del context
    reconstruction = tf.convert_to_tensor(reconstruction)
    step = self._distance * _directions(latents, noise)
    change = decoder(latents + step) - reconstruction
    axes = list(range(1, change.shape.rank))
    variance = tf.math.reduce_variance(targets)
    slope = tf.reduce_sum(change**2, axes) / self._distance**2
    return base.ConstraintValue(
      violation=slope - self.kappa**2,
      weight=None,
      bound=tf.constant(self.kappa**2, slope.dtype),
      initial_multiplier=base.natural_multiplier(variance),
    )

  def level(self, mean: tf.Tensor, bound: tf.Tensor) -> tf.Tensor:
    """The RMS slope."""
    return tf.sqrt(tf.maximum(mean + bound, 0.0))


def _directions(
  latents: tf.Tensor, noise: Callable[[Sequence[Any]], tf.Tensor] | None
) -> tf.Tensor:
  """Unit vectors u, of the latents' shape and type."""
  shape = [tf.shape(latents)[0], *latents.shape[1:]]
  if noise is None:
    drawn = tf.random.stateless_normal(shape, [0, 0])
  else:
    drawn = noise(shape)
  drawn = tf.cast(drawn, latents.dtype)
  axes = list(range(1, latents.shape.rank))
  return drawn * tf.math.rsqrt(tf.reduce_sum(drawn**2, axes, keepdims=True))
