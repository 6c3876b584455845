# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tiles: which part of the latent space belongs to which example.

A VAE of unlimited capacity gives each of n examples a tile Ω_i of the latent
space, q(z|x_i) = π(z) 1[z ∈ Ω_i] / π_i, where π_i = ∫_Ω_i π(z) dz. Where tiles
overlap, the best reconstruction is a blur of several examples; what no tile
covers is a hole, where nothing holds the decoder. `equiprobable` makes the
ideal, `optimal_reconstruction` is the decoder to it, and `latent_plane` looks
for tiles, blurs and holes in any trained model with two latents.

Source: "Taming VAEs", section 3.1 and figure 1.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import errors
from geco_tf.theory import checks, memory

# The plane that is looked at holds all but .2 % of N(0, I).
_EXTENT = 3.5
# Numbers at each point: two coordinates, twice; four fields, twice.
_NUM_FIELDS = 12
# Densities are computed for this many (latent, image) pairs at a time.
_PAIRS_PER_BLOCK = 2**20


class Tiling(NamedTuple):
  """Boxes that are disjoint and cover the latent space."""

  low: tf.Tensor  # [n, d], −inf at the edge of a Gaussian's space.
  high: tf.Tensor  # [n, d]


def equiprobable(
  num_tiles: int, marginal: tfd.Distribution, *, num_dims: int = 2
) -> Tiling:
  """A partition into boxes of equal prior mass, 1/n each, for any n.

  The first coordinate is cut into about √n slabs, and each slab, along the
  second coordinate, into as many tiles as its mass asks for. With one
  dimension the tiles are the intervals between quantiles. Further dimensions
  are left whole.

  Args:
    num_tiles: n.
    marginal: of one latent, `tfd.Normal(0.0, 1.0)` or `tfd.Uniform(-1.0, 1.0)`
      or any other with a `quantile`; the prior has num_dims of it.
    num_dims: d.

  Returns:
    The tiling; posteriors on it have E KL = ln n and a marginal KL of 0, which
    is the highest ELBO that a partition can have.

  Raises:
    UserError: if a number is below 1, or the marginal is of several latents.

  Source: "Taming VAEs", section 3.1.
  """
  checks.whole("num_tiles", num_tiles)
  checks.whole("num_dims", num_dims)
  if [*marginal.batch_shape, *marginal.event_shape]:
    raise errors.UserError(
      "`marginal` must be of one latent, such as tfd.Normal(0.0, 1.0); got "
      f"{marginal.name} of the shape "
      f"{[*marginal.batch_shape, *marginal.event_shape]}."
    )
  num_slabs = 1 if num_dims == 1 else max(1, round(math.sqrt(num_tiles)))
  # Slab s holds the tiles from edges[s] on.
  edges = [round(s * num_tiles / num_slabs) for s in range(num_slabs + 1)]
  low, high = [], []
  for start, stop in itertools.pairwise(edges):
    for tile in range(start, stop):
      sides = [(start / num_tiles, stop / num_tiles)] if num_dims > 1 else []
      count = stop - start
      sides.append(((tile - start) / count, (tile - start + 1) / count))
      sides += [(0.0, 1.0)] * (num_dims - len(sides))
      low.append([side[0] for side in sides])
      high.append([side[1] for side in sides])
  return Tiling(
    marginal.quantile(tf.constant(low, marginal.dtype)),
    marginal.quantile(tf.constant(high, marginal.dtype)),
  )


def prior_masses(tiling: Tiling, marginal: tfd.Distribution) -> tf.Tensor:
  """π_i = ∫_Ω_i π(z) dz: [n]."""
  sides = marginal.cdf(tiling.high) - marginal.cdf(tiling.low)
  return tf.reduce_prod(sides, axis=-1)


def is_inside(tiling: Tiling, latents: Any) -> tf.Tensor:
  """Whether z_s lies in Ω_i: bool [S, n], for latents [S, d]."""
  latents = tf.convert_to_tensor(latents, tiling.low.dtype)[:, tf.newaxis]
  return tf.reduce_all(
    (tiling.low <= latents) & (latents < tiling.high), axis=-1
  )


def log_prob(inside: tf.Tensor, masses: Any, log_prior: Any) -> tf.Tensor:
  """The posteriors' densities, ln q(z_s|x_i) = ln π(z_s) − ln π_i inside.

  Args:
    inside: whether z_s lies in the support Ω_i, bool [S, n]; supports may
      overlap.
    masses: π_i, [n].
    log_prior: ln π(z_s), [S], nats.

  Returns:
    [S, n], nats; −inf outside.
  """
  masses = tf.convert_to_tensor(masses)
  log_prior = tf.cast(log_prior, masses.dtype)
  density = log_prior[:, tf.newaxis] - tf.math.log(masses)
  return tf.where(inside, density, -math.inf)


def kl(masses: Any) -> tf.Tensor:
  """KL(q(z|x_i) ‖ π) = −ln π_i of each posterior: [n], nats."""
  return -tf.math.log(tf.convert_to_tensor(masses))


def optimal_reconstruction(log_q: Any, data: Any) -> tf.Tensor:
  """The best decoder for given posteriors, a blur where they overlap.

    g(z) = Σ_i w_i(z) x_i,   w_i(z) = q(z|x_i) / Σ_j q(z|x_j)

  Args:
    log_q: ln q(z_s|x_i), [S, n], nats; −inf where there is none.
    data: x_i, [n, ...].

  Returns:
    [S, ...]; NaN in a hole, where every posterior is 0 and any value is as
    good as any other.

  Source: "Taming VAEs", equation 4.
  """
  log_q = tf.convert_to_tensor(log_q)
  data = tf.convert_to_tensor(data, log_q.dtype)
  return tf.tensordot(tf.nn.softmax(log_q, axis=-1), data, axes=1)


def blurred_reconstruction(inside: Any, masses: Any, data: Any) -> tf.Tensor:
  """The best decoder where supports of the prior's restrictions overlap.

    g(z) = Σ_{i: z ∈ Ω_i} x_i/π_i  ÷  Σ_{i: z ∈ Ω_i} 1/π_i

  An example with a small support weighs more: its posterior is denser.

  Args:
    inside: whether z_s lies in Ω_i, bool [S, n].
    masses: π_i, [n].
    data: x_i, [n, ...].

  Returns:
    [S, ...]; NaN in a hole, where no support is.

  Source: "Taming VAEs", section 3.1, "Blurred reconstructions".
  """
  masses = tf.convert_to_tensor(masses)
  weights = tf.where(inside, 1.0 / masses, tf.zeros_like(masses))
  weights /= tf.reduce_sum(weights, axis=-1, keepdims=True)
  return tf.tensordot(weights, tf.convert_to_tensor(data, masses.dtype), axes=1)


class LatentPlane(NamedTuple):
  """A trained model's latent plane, seen on a grid of R × R points.

  The first index of a field is the first latent.
  """

  axis: tf.Tensor  # [R], the grid's coordinates along either latent.
  log_prior: tf.Tensor  # [R, R], ln π(z), nats.
  log_marginal: tf.Tensor  # [R, R], ln q(z) = ln (1/n) Σ_i q(z|x_i), nats.
  owner: tf.Tensor  # [R, R], int32, the i whose q(z|x_i) is largest.
  certainty: tf.Tensor  # [R, R], its weight w_i(z), from 1/n to 1.

  @property
  def extent(self) -> float:
    """The plane is [−extent, extent]², half a cell beyond the axis."""
    half = 0.5 * (self.axis[1] - self.axis[0])
    return float(self.axis[-1] + half)

  def holes(self, threshold: float = 0.1) -> tf.Tensor:
    """Where q(z) < threshold · π(z): bool [R, R].

    The prior sends samples there, and hardly any example does.
    """
    checks.positive("threshold", threshold)
    return self.log_marginal - self.log_prior < math.log(threshold)

  def blurs(self, threshold: float = 0.9) -> tf.Tensor:
    """Where no w_i(z) reaches the threshold: bool [R, R].

    The best reconstruction is a mean of several examples there.
    """
    return self.certainty < threshold

  def marginal_kl(self) -> tf.Tensor:
    """KL(q(z) ‖ π) by the sum over the grid: [], nats.

    Of use where all of q(z) lies on the plane, and is smooth or the grid fine.
    """
    log_prior = tf.nn.log_softmax(tf.reshape(self.log_prior, [-1]))
    log_q = tf.nn.log_softmax(tf.reshape(self.log_marginal, [-1]))
    return tf.reduce_sum(
      tf.math.multiply_no_nan(log_q - log_prior, tf.exp(log_q))
    )

  def prior_mass(self, region: tf.Tensor) -> tf.Tensor:
    """How much of the prior lies in a region: [], from 0 to 1.

    Args:
      region: bool [R, R].
    """
    prior = tf.nn.softmax(tf.reshape(self.log_prior, [-1]))
    return tf.reduce_sum(tf.where(tf.reshape(region, [-1]), prior, 0.0))


def latent_plane(
  model: Any, images: Any, *, extent: float = _EXTENT, resolution: int = 128
) -> LatentPlane:
  """Looks at the latent plane of a trained model.

  Args:
    model: with two latents, and `posterior(images)`; where it has
      `posterior_features` and `pairwise_log_prob` too, these are used, being
      faster. Its prior is `model.prior`, or N(0, I) where it has none.
    images: the n examples whose posteriors are shown, [n, H, W, C].
    extent: the grid covers [−extent, extent]².
    resolution: R, points along a side.

  Returns:
    The `LatentPlane`.

  Raises:
    UserError: if the model does not have two latents, there is no image, or as
      `plane` does.
  """
  images = tf.convert_to_tensor(images)
  if not len(images):
    raise errors.UserError("`images` must be at least 1; got none.")
  posterior = model.posterior(images)
  num_latents = posterior.event_shape.as_list()
  if num_latents != [2]:
    raise errors.UserError(
      "`model` must have 2 latents to be seen as a plane; got "
      f"{', '.join(map(str, num_latents)) or 'a scalar'}."
    )
  prior = getattr(model, "prior", None)
  if prior is None:
    prior = tfd.MultivariateNormalDiag(tf.zeros([2], posterior.dtype))
  return plane(
    _pairwise_log_prob(model, images, posterior),
    lambda latents: prior.log_prob(tf.cast(latents, prior.dtype)),
    block_size=max(1, _PAIRS_PER_BLOCK // len(images)),
    extent=extent,
    resolution=resolution,
  )


def _pairwise_log_prob(
  model: Any, images: tf.Tensor, posterior: tfd.Distribution
) -> Callable[[tf.Tensor], tf.Tensor]:
  """The function latents [S, 2] → ln q(z_s|x_i) [S, n]."""
  if not hasattr(model, "pairwise_log_prob"):
    return lambda latents: posterior.log_prob(
      tf.cast(latents, posterior.dtype)[:, tf.newaxis]
    )
  features = model.posterior_features(images)
  return lambda latents: model.pairwise_log_prob(latents, features)


def plane(
  pairwise_log_prob: Callable[[tf.Tensor], tf.Tensor],
  log_prior: Callable[[tf.Tensor], tf.Tensor],
  *,
  block_size: int = 10_000,
  extent: float = _EXTENT,
  resolution: int = 128,
) -> LatentPlane:
  """The plane of any n densities, for what is no model.

  Args:
    pairwise_log_prob: latents [S, 2] → ln q(z_s|x_i) [S, n], nats.
    log_prior: latents [S, 2] → ln π(z_s) [S], nats.
    block_size: the largest S that they are given.
    extent: the grid covers [−extent, extent]².
    resolution: R, points along a side.

  Returns:
    The `LatentPlane`; where all densities are 0 the certainty is 1/n.

  Raises:
    UserError: if a number is not positive, a density is NaN, or the memory
      does not suffice.
  """
  checks.positive("extent", extent)
  checks.whole("resolution", resolution)
  if resolution < 2:
    raise errors.UserError(
      f"`resolution` must be at least 2; got {resolution}."
    )
  memory.check(
    f"{resolution:,} × {resolution:,} points", 4 * _NUM_FIELDS * resolution**2
  )
  # The middles of cells, so that means over points are integrals.
  half = extent / resolution
  axis = tf.linspace(half - extent, extent - half, resolution)
  latents = tf.stack(tf.meshgrid(axis, axis, indexing="ij"), axis=-1)
  latents = tf.reshape(latents, [-1, 2])
  blocks = [
    _block(pairwise_log_prob(latents[start : start + block_size]))
    for start in range(0, len(latents), block_size)
  ]
  fields = [log_prior(latents)]
  fields += [tf.concat(field, axis=0) for field in zip(*blocks, strict=True)]
  shape = [resolution, resolution]
  return LatentPlane(axis, *(tf.reshape(field, shape) for field in fields))


def _block(log_q: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Density, owner and its weight, from ln q(z_s|x_i) [S, n]: each [S]."""
  if bool(tf.reduce_any(tf.math.is_nan(log_q))):
    raise errors.UserError(
      "The model's densities ln q(z|x) must be numbers; some are NaN, as after "
      "a run that diverged, or of images that are not finite."
    )
  total = tf.reduce_logsumexp(log_q, axis=-1)
  num_examples = tf.cast(tf.shape(log_q)[-1], log_q.dtype)
  weight = tf.exp(tf.reduce_max(log_q, axis=-1) - total)
  return (
    total - tf.math.log(num_examples),
    tf.argmax(log_q, axis=-1, output_type=tf.int32),
    tf.where(tf.math.is_finite(total), weight, 1.0 / num_examples),
  )
