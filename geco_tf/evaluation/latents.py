# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a model's latents hold: active units, exports, walks."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import data, models

_LATENTS_PER_CALL = 250
# A unit whose posterior mean varies less over the data is not used.
ACTIVE_VARIANCE = 1e-2
TRAVERSAL_EXTENT = 3.0


class ActiveUnits(NamedTuple):
  """How much each unit's posterior mean varies over the data."""

  variances: np.ndarray  # [U], U = all latents of an example in a row.
  num_examples: int
  num_samples: int  # Latents an example; 0 where the mean is in closed form.

  @property
  def num_active(self) -> int:
    """Units above the threshold."""
    return int(np.sum(self.variances > ACTIVE_VARIANCE))


def active_units(
  model: snt.Module,
  batches: Iterable[Any],
  *,
  num_samples: int = 32,
  seed: int = 0,
) -> ActiveUnits:
  """Finds the units that tell something of the data.

    A_u = Var_x E_q[z_u],  active if above 1e-2

  Without a closed form the mean is that of m samples, whose own variance is
  taken off: A_u = Var_x z̄_u − E_x s²_u / m, unbiased, and negative at times.

  Args:
    model: any model of the package, with its variables created.
    batches: of type `Batch`, once through; at least two examples.
    num_samples: latents an example, at least two, where they are needed.
    seed: of them.

  Returns:
    The `ActiveUnits`.

  Source: Burda et al. 2016, section 5.
  """

  def sampled(images, context, number):
    draw = models.draws(model, images, context)
    latents = draw(num_samples, tf.stack([seed, number])).latents
    shape = [num_samples, tf.shape(images)[0], np.prod(latents.shape[1:])]
    mean, variance = tf.nn.moments(tf.reshape(latents, shape), axes=0)
    return mean, variance / (num_samples - 1)

  compiled = tf.function(sampled, autograph=False, reduce_retracing=True)
  per_call = max(1, _LATENTS_PER_CALL // num_samples)  # Examples.
  parts: list[Any] = []
  has_closed_form = True
  for batch in batches:
    mean = _closed_form(model, batch) if has_closed_form else None
    if mean is None:
      has_closed_form = False
      for start in range(0, len(batch.images), per_call):
        images, context = (
          None if array is None else array[start : start + per_call]
          for array in (batch.images, batch.context)
        )
        parts.append(compiled(images, context, tf.constant(len(parts))))
    else:
      parts.append((mean, tf.zeros_like(mean)))
  means, noises = (
    np.concatenate([array.numpy() for array in arrays]).astype(np.float64)
    for arrays in zip(*parts, strict=True)
  )
  return ActiveUnits(
    means.var(axis=0, ddof=1) - noises.mean(axis=0),
    len(means),
    0 if has_closed_form else num_samples,
  )


def _closed_form(model: Any, batch: data.Batch) -> tf.Tensor | None:
  """E_q z of each example, [B, U], if the posterior knows it."""
  if not hasattr(model, "posterior"):
    return None
  try:
    mean = model.posterior(batch.images, batch.context).mean()
  except NotImplementedError:  # TFP's, of a flow.
    return None
  return tf.reshape(mean, [tf.shape(mean)[0], -1])


def export(
  model: snt.Module, batches: Iterable[Any], *, seed: int = 0
) -> dict[str, np.ndarray]:
  """One z ~ q(z|x) for each example, and what it costs.

  Args:
    model: any model of the package, with its variables created.
    batches: of type `Batch`, once through.
    seed: of the latents.

  Returns:
    Arrays for an .npz: latents [N, …], log_q, log_prior and kl [N] (nats),
    labels [N].
  """
  compiled = tf.function(
    lambda images, context, number: models.call(
      model, images, context, seed=tf.stack([seed, number])
    ),
    autograph=False,
    reduce_retracing=True,
  )
  parts: dict[str, list[np.ndarray]] = {}
  for i, batch in enumerate(batches):
    outputs = compiled(batch.images, batch.context, tf.constant(i))
    for name in ("latents", "log_q", "log_prior", "kl"):
      parts.setdefault(name, []).append(getattr(outputs, name).numpy())
    parts.setdefault("labels", []).append(batch.labels.numpy())
  return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def traversal(
  model: Any,
  latents: tf.Tensor,
  unit: int,
  context: tf.Tensor | None = None,
  *,
  num_points: int = 10,
) -> np.ndarray:
  """What one unit does: means as it goes from −3 to 3, all others held.

  Args:
    model: any model of the package.
    latents: of one example, [1, …].
    unit: in 0 … U − 1.
    context: of the example, [1, …], or None.
    num_points: P.

  Returns:
    [P, H, W, C].
  """
  flat = np.repeat(np.reshape(latents, [1, -1]), num_points, axis=0)
  flat[:, unit] = np.linspace(-TRAVERSAL_EXTENT, TRAVERSAL_EXTENT, num_points)
  return _decoded(model, flat, latents, context)


def interpolation(
  model: Any,
  one: tf.Tensor,
  other: tf.Tensor,
  context: tf.Tensor | None = None,
  *,
  num_points: int = 10,
) -> np.ndarray:
  """Means along the great circle from one latent to another.

  A straight line between draws of N(0, I) passes where none of them are: near
  the origin. The length goes evenly from the one's to the other's.

  Args:
    model: any model of the package.
    one: latents of one example, [1, …].
    other: of another.
    context: held on the way, [1, …], or None.
    num_points: P, both ends among them.

  Returns:
    [P, H, W, C].
  """
  start, end = (np.reshape(z, [1, -1]).astype(np.float64) for z in (one, other))
  lengths = [max(float(np.linalg.norm(z)), 1e-12) for z in (start, end)]
  share = np.linspace(0.0, 1.0, num_points)[:, np.newaxis]
  cosine = np.clip(np.sum(start * end) / (lengths[0] * lengths[1]), -1.0, 1.0)
  angle = np.arccos(cosine)
  if np.sin(angle) < 1e-6:  # In line with the origin: no circle is the least.
    path = (1.0 - share) * start + share * end
  else:
    path = (
      np.sin((1.0 - share) * angle) * start / lengths[0]
      + np.sin(share * angle) * end / lengths[1]
    ) / np.sin(angle)
    path *= (1.0 - share) * lengths[0] + share * lengths[1]
  return _decoded(model, path, one, context)


def _decoded(
  model: Any, flat: np.ndarray, like: tf.Tensor, context: tf.Tensor | None
) -> np.ndarray:
  shape = (len(flat), *np.shape(like)[1:])
  latents = tf.constant(flat.reshape(shape), tf.float32)
  if context is not None:
    context = tf.repeat(context, len(flat), axis=0)
  return models.decoder(model, context)(latents).numpy()
