# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Conditional posteriors q(z|x): a diagonal Gaussian, and a flow on top of it.

A posterior works in two stages. `features` computes once per example what
depends on x alone; the rest combines those features with any number of latents.
That split is what makes the density of every pair (z, x) affordable.
"""

import abc
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import sonnet as snt
import tensorflow as tf
import tensorflow_probability as tfp
from tensorflow_probability import bijectors as tfb
from tensorflow_probability import distributions as tfd

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.models import networks

# Initial weights of the heads are this over sqrt(fan in): q(z|x) starts close
# to N(0, I), so that the KL starts close to 0.
INITIAL_SPREAD = 0.1
_SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0))
_MIN_SCALE = 1e-5


class GaussianFeatures(NamedTuple):
  """Mean and standard deviation of q(z|x)."""

  loc: tf.Tensor  # [B, d]
  scale: tf.Tensor  # [B, d], positive.


class NVPFeatures(NamedTuple):
  """The base's mean and standard deviation, and each coupling's context."""

  loc: tf.Tensor  # [B, d]
  scale: tf.Tensor  # [B, d], positive.
  context: tf.Tensor  # [B, num_couplings, coupling_width]


def loc_and_scale(raw: tf.Tensor) -> GaussianFeatures:
  """A head's outputs [..., 2 d] to mean and standard deviation [..., d].

  σ = softplus(r + ln(e − 1)) + 1e-5,  1 at r = 0
  """
  loc, raw_scale = tf.split(raw, 2, axis=-1)
  # Softplus grows linearly, so that one bad step cannot make q infinite; the
  # floor keeps ln(scale) finite.
  scale = tf.nn.softplus(raw_scale + _SOFTPLUS_INVERSE_OF_ONE) + _MIN_SCALE
  return GaussianFeatures(loc, scale)


def _small_weights(fan_in: int) -> snt.initializers.Initializer:
  return snt.initializers.TruncatedNormal(
    stddev=INITIAL_SPREAD / math.sqrt(fan_in)
  )


class _GaussianHead(snt.Module):
  """Encoder features to the mean and standard deviation of a Gaussian."""

  def __init__(self, latent_size: int, name: str | None = None):
    super().__init__(name=name)
    self._latent_size = latent_size

  @snt.once
  def _initialize(self, fan_in: int):
    self._linear = snt.Linear(
      2 * self._latent_size, w_init=_small_weights(fan_in), name="linear"
    )

  def __call__(self, hidden: tf.Tensor) -> GaussianFeatures:
    self._initialize(hidden.shape[-1])
    return loc_and_scale(self._linear(hidden))


def _base_log_prob(noise: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
  """The log density, in nats, of μ + σ ε under N(μ, diag σ²), from ε itself.

  Recovering ε from μ + σ ε would lose digits where σ is small beside μ.
  """
  half_log_2pi = 0.5 * math.log(2.0 * math.pi)
  return -tf.reduce_sum(
    0.5 * tf.square(noise) + tf.math.log(scale) + half_log_2pi, axis=-1
  )


class Posterior(snt.Module, abc.ABC):
  """What a model asks of q(z|x).

  A posterior from outside subclasses this and is made known by `register`.
  """

  @abc.abstractmethod
  def features(self, hidden: tf.Tensor) -> Any:
    """Everything that depends on x alone.

    Args:
      hidden: [B, h], of the encoder.

    Returns:
      A NamedTuple of tensors, each with the leading axis [B].
    """

  @abc.abstractmethod
  def distribution(self, features: Any) -> tfd.Distribution:
    """The posterior of each example: batch [B], event [d].

    Its `log_prob` takes any z, sampled or not, and broadcasts: z [S, 1, d]
    against a batch of N gives [S, N].
    """

  @abc.abstractmethod
  def sample_and_log_prob(
    self, features: Any, noise: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Reparameterised: z as a function of the noise, and its density.

    Args:
      features: of B examples.
      noise: ε, standard normal, [B, d].

    Returns:
      z [B, d] and ln q(z|x) [B], nats. Gradients reach every variable.
    """

  def pairwise_log_prob(self, latents: tf.Tensor, features: Any) -> tf.Tensor:
    """The density ln q(z_s|x_n) of every pair.

    Args:
      latents: [S, d].
      features: of N examples.

    Returns:
      [S, N], nats. Memory grows with S N: give it blocks.
    """
    return self.distribution(features).log_prob(latents[:, tf.newaxis])

  def kl_divergence(
    self, features: Any, prior: tfd.Distribution
  ) -> tf.Tensor | None:
    """KL(q(z|x) ‖ prior), [B], nats; None where it has no closed form."""
    del features, prior
    return None


class MeanField(Posterior):
  """A Gaussian with a diagonal covariance, q(z|x) = N(z; μ(x), diag σ(x)²).

    z        = μ + σ ε,  ε ~ N(0, I)
    ln q     = −Σ_i [ε_i²/2 + ln σ_i + ln(2π)/2]

  It starts close to N(0, I). Variables are created at the first call of
  `features`.
  """

  def __init__(self, latent_size: int, *, name: str | None = None):
    """Makes the layer, but none of its variables.

    Args:
      latent_size: d.
      name: of the module.

    Raises:
      UserError: if latent_size is below 1.
    """
    super().__init__(name=name)
    networks.check_positive(latent_size=latent_size)
    self._head = _GaussianHead(latent_size)

  def features(self, hidden: tf.Tensor) -> GaussianFeatures:
    return self._head(hidden)

  def distribution(self, features: GaussianFeatures) -> tfd.Distribution:
    return tfd.MultivariateNormalDiag(features.loc, features.scale)

  def sample_and_log_prob(
    self, features: GaussianFeatures, noise: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    latents = features.loc + features.scale * noise
    return latents, _base_log_prob(noise, features.scale)

  def kl_divergence(
    self, features: GaussianFeatures, prior: tfd.Distribution
  ) -> tf.Tensor:
    return tfd.kl_divergence(self.distribution(features), prior)


def _linear(layer: snt.Linear, inputs: tf.Tensor) -> tf.Tensor:
  """Applies the layer to the last axis, as one matrix product."""
  num_dims = inputs.shape.rank - 1
  outputs = layer(snt.merge_leading_dims(inputs, num_dims))
  return snt.split_leading_dim(outputs, inputs, num_dims)


class _Conditioner(snt.Module):
  """The network of one coupling: z_k and the context to ln s and t."""

  def __init__(
    self,
    changed_size: int,
    width: int,
    log_scale_bound: float,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self._log_scale_bound = log_scale_bound
    # The bias of the first layer is in the context.
    self._first = snt.Linear(width, with_bias=False, name="first")
    # Zero, so that the coupling starts as the identity.
    self._last = snt.Linear(
      2 * changed_size, w_init=snt.initializers.Zeros(), name="last"
    )

  def __call__(
    self,
    kept: tf.Tensor,
    context: tf.Tensor,
    *,
    elu: Callable[[tf.Tensor], tf.Tensor] = tf.nn.elu,
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the change that this coupling makes.

    Args:
      kept: z_k, [..., k].
      context: r_l, [..., width], broadcast against it.
      elu: how the hidden layer's function is computed.

    Returns:
      ln s within the bound, and t; both [..., c].
    """
    hidden = elu(_linear(self._first, kept) + context)
    raw, shift = tf.split(_linear(self._last, hidden), 2, axis=-1)
    bound = self._log_scale_bound
    return bound * tf.tanh(raw / bound), shift


def _elu_without_branches(x: tf.Tensor) -> tf.Tensor:
  """The same as tf.nn.elu to a rounding; XLA makes one short loop of it."""
  return tf.nn.relu(x) + (tf.exp(tf.minimum(x, 0.0)) - 1.0)


class _Couplings(tfb.Bijector):
  """The couplings of an `NVP` with the features of x bound to them."""

  def __init__(self, nvp: "NVP", context: tf.Tensor, name: str = "couplings"):
    """Binds the couplings of nvp to a context [B, num_couplings, width]."""
    parameters = {"nvp": nvp, "context": context, "name": name}
    self._nvp = nvp
    self._context = context
    super().__init__(
      forward_min_event_ndims=1,
      dtype=context.dtype,
      parameters=parameters,
      name=name,
    )

  @property
  def context(self) -> tf.Tensor:
    return self._context

  @classmethod
  def _parameter_properties(cls, dtype, num_classes=None):
    return {"context": tfp.util.ParameterProperties(event_ndims=2)}

  def _forward(self, x):
    return self._nvp.forward_and_log_det(x, self._context)[0]

  def _forward_log_det_jacobian(self, x):
    return self._nvp.forward_and_log_det(x, self._context)[1]

  def _inverse(self, y):
    return self._nvp.inverse_and_log_det(y, self._context)[0]

  def _inverse_log_det_jacobian(self, y):
    return self._nvp.inverse_and_log_det(y, self._context)[1]


class NVP(Posterior):
  """A real NVP posterior: conditional affine couplings after a Gaussian.

  Symbols: μ, σ [d] and contexts r_1 … r_L of x, from the encoder; the halves of
  z, of which coupling l keeps z_k and changes z_c; coupling l + 1 swaps them.

    z⁰             = μ + σ ε,  ε ~ N(0, I)
    h              = elu(W_l z_k + r_l)
    ln s           = b tanh(u / b),  (u, t) = V_l h + v_l
    forward:  z_c <- s z_c + t,      ln|det ∂forward| = Σ_i ln s_i
    inverse:  z_c <- (z_c − t) / s,  ln|det ∂inverse| = −Σ_i ln s_i
    ln q(z|x)      = ln N(z⁰; μ, diag σ²) − Σ_l Σ_i ln s_i

  V_l = v_l = 0 at the start: every coupling is the identity and q is its base,
  itself close to N(0, I). |ln s| ≤ b always. r_l, linear in the encoder's
  features, is the part of the first layer that reads x: computed once for each
  x, whatever the number of latents it meets.

  Source: Dinh et al. 2017 (real NVP), equations 4 to 8, with x as context.
  Variables are created at the first calls of `features` and of the densities.
  """

  def __init__(
    self,
    latent_size: int,
    *,
    num_couplings: int = 4,
    coupling_width: int = 128,
    log_scale_bound: float = 2.0,
    name: str | None = None,
  ):
    """Makes the layers, but none of their variables.

    Args:
      latent_size: d.
      num_couplings: L. Two change every dimension once.
      coupling_width: length of a coupling's hidden layer.
      log_scale_bound: b.
      name: of the module.

    Raises:
      UserError: if d is below 2 (there are no two halves), a size is below 1,
        or the bound is not positive.
    """
    super().__init__(name=name)
    if latent_size < 2:
      raise errors.UserError(
        "`latent_size` must be at least 2 for the posterior 'nvp', whose "
        f"couplings split it in two; got {latent_size}."
      )
    networks.check_positive(
      num_couplings=num_couplings, coupling_width=coupling_width
    )
    if not log_scale_bound > 0:
      raise errors.UserError(
        f"`log_scale_bound` must be positive; got {log_scale_bound}."
      )
    self._num_couplings = num_couplings
    self._coupling_width = coupling_width
    self._half_sizes = (latent_size // 2, latent_size - latent_size // 2)
    self._head = _GaussianHead(latent_size)
    self._to_context = snt.Linear(
      num_couplings * coupling_width, name="to_context"
    )
    self._conditioners = [
      _Conditioner(
        self._half_sizes[(level + 1) % 2],
        coupling_width,
        log_scale_bound,
        name=f"conditioner_{level}",
      )
      for level in range(num_couplings)
    ]

  def features(self, hidden: tf.Tensor) -> NVPFeatures:
    loc, scale = self._head(hidden)
    context = tf.reshape(
      self._to_context(hidden), [-1, self._num_couplings, self._coupling_width]
    )
    return NVPFeatures(loc, scale, context)

  def distribution(self, features: NVPFeatures) -> tfd.Distribution:
    return tfd.TransformedDistribution(
      tfd.MultivariateNormalDiag(features.loc, features.scale),
      _Couplings(self, features.context),
    )

  def sample_and_log_prob(
    self, features: NVPFeatures, noise: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    base = features.loc + features.scale * noise
    latents, log_det = self.forward_and_log_det(base, features.context)
    return latents, _base_log_prob(noise, features.scale) - log_det

  def pairwise_log_prob(
    self, latents: tf.Tensor, features: NVPFeatures
  ) -> tf.Tensor:
    # One pass for both z⁰ and ln|det|, where the bijector needs two. The first
    # layer of the coupling that is undone first reads z alone: once for each z,
    # as what is of x alone is in the features. The halves stay apart.
    halves, log_det = self._inverse_halves(
      latents[:, tf.newaxis], features.context, elu=_elu_without_branches
    )
    locs, scales = (
      tf.split(f, self._half_sizes, axis=-1)
      for f in (features.loc, features.scale)
    )
    return log_det + sum(
      _base_log_prob((half - loc) / scale, scale)
      for half, loc, scale in zip(halves, locs, scales, strict=True)
    )

  def forward_and_log_det(
    self, base: tf.Tensor, context: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Runs the couplings in order.

    Args:
      base: z⁰, [..., d].
      context: [B, num_couplings, coupling_width].

    Returns:
      z [..., B, d] and ln|det ∂z/∂z⁰| [..., B].
    """
    halves = tf.split(base, self._half_sizes, axis=-1)
    log_det = 0.0
    for level, conditioner in enumerate(self._conditioners):
      kept, changed = level % 2, (level + 1) % 2
      log_scale, shift = conditioner(halves[kept], context[:, level])
      halves[changed] = halves[changed] * tf.exp(log_scale) + shift
      log_det += tf.reduce_sum(log_scale, axis=-1)
    return _join(halves), log_det

  def inverse_and_log_det(
    self, latents: tf.Tensor, context: tf.Tensor
  ) -> tuple[tf.Tensor, tf.Tensor]:
    """Undoes the couplings, last one first.

    Args:
      latents: z, [..., d].
      context: [B, num_couplings, coupling_width].

    Returns:
      z⁰ [..., B, d] and ln|det ∂z⁰/∂z| [..., B].
    """
    halves, log_det = self._inverse_halves(latents, context)
    return _join(halves), log_det

  def _inverse_halves(
    self, latents: tf.Tensor, context: tf.Tensor, **options: Any
  ) -> tuple[list[tf.Tensor], tf.Tensor]:
    """As `inverse_and_log_det`, z⁰ in its two halves."""
    halves = tf.split(latents, self._half_sizes, axis=-1)
    log_det = 0.0
    for level in reversed(range(self._num_couplings)):
      kept, changed = level % 2, (level + 1) % 2
      log_scale, shift = self._conditioners[level](
        halves[kept], context[:, level], **options
      )
      halves[changed] = (halves[changed] - shift) * tf.exp(-log_scale)
      log_det -= tf.reduce_sum(log_scale, axis=-1)
    return halves, log_det


def _join(halves: list[tf.Tensor]) -> tf.Tensor:
  """Concatenates the halves, one of which may still lack the batch's axis."""
  first, second = halves[0].shape[:-1], halves[1].shape[:-1]
  if first.is_fully_defined() and first == second:
    return tf.concat(halves, axis=-1)
  shape = tf.broadcast_dynamic_shape(
    tf.shape(halves[0])[:-1], tf.shape(halves[1])[:-1]
  )
  return tf.concat(
    [
      tf.broadcast_to(half, tf.concat([shape, half.shape[-1:]], axis=0))
      for half in halves
    ],
    axis=-1,
  )


registry = registry_lib.Registry("posterior")
register = registry.register
register("mean_field", MeanField)
register("nvp", NVP)
