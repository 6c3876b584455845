# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The ConvDraw model, arranged so that nothing is computed twice.

`plain` has the same network as it is defined.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import errors
from geco_tf.models import networks, noise, outputs, posteriors
from geco_tf.models.conv_draw import context as context_lib
from geco_tf.models.conv_draw import convolutions, layers, paths

FORMS = ("gqn", "error_feedback")
_LARGEST_FOURIER_SIDE = 8


class Conditions(NamedTuple):
  """What the generator needs of the context: nothing that a step changes.

  Here and below, n is 1 if steps share their cores, else num_steps.
  """

  start: tf.Tensor  # [B, h, w, hidden_size]: h_g before the first step.
  generation: tf.Tensor  # [B, h, w, n 4 hidden_size], a part of the gates.


class Features(NamedTuple):
  """What q(z|x) needs of x and its context: nothing that a step changes."""

  start: tf.Tensor  # As in Conditions.
  generation: tf.Tensor  # As in Conditions.
  inference: tf.Tensor  # [B, h, w, n 4 hidden_size], a part of the gates.
  blocks: tf.Tensor  # [B, h, w, s² C]: x, the pixels of a block in a row.


class _Generator(NamedTuple):
  """The generator between two steps. None is 0."""

  hidden: tf.Tensor  # h_g, [B, h, w, hidden_size]
  cell: tf.Tensor | None  # [B, h, w, hidden_size]
  drawn: tf.Tensor  # Σ h_g: the canvas is T of it.
  transformed_hidden: tf.Tensor | None  # By the algorithm of convolution.
  transformed_drawn: tf.Tensor | None


class _Inference(NamedTuple):
  """The inference core between two steps. None is 0."""

  cell: tf.Tensor | None = None
  transformed_hidden: tf.Tensor | None = None


class _Read(NamedTuple):
  """What is made of a context."""

  maps: tf.Tensor | None = None  # [B, h, w, hidden_size], for the cores.
  forecast: tf.Tensor | None = None  # [B, num_clusters], ln p_k.


class _Kernels(NamedTuple):
  """The kernels of one pass, transformed; those of cores in lists."""

  inference: list[convolutions.Joined]
  generation: list[convolutions.Joined]
  posterior: convolutions.Joined
  to_blocks: tf.Tensor  # P T, [hidden_size, s² C].


class ConvDraw(snt.Module):
  """A VAE that draws in L steps, each with latents of its own, on a canvas.

    p(z_l | z_<l)    = N(prior head of h_g)
    h_e              <- LSTM_e(h_e; features(x), context, h_g, D u)
    q(z_l | z_<l, x) = N(posterior head of h_e)
    h_g              <- LSTM_g(h_g; context, D u, z_l)
    u                <- u + T h_g
    g(z)             = sigmoid(P u + b)

  T, a transposed convolution, takes maps of the latents' resolution to the
  image's, D, a convolution, back; both have kernel = stride. P is a 1×1
  convolution. With the form "error_feedback", LSTM_e reads a convolution
  (kernel = stride) of x − sigmoid(P u + b) in place of D u. All starts at 0,
  save h_g of a conditional model: it starts from the context, so that the first
  prior knows it.

    context = gate · elu(its images' features) + features(Σ_k p_k m_k)

  The gate starts at 0. The p_k and m_k are those of a `context.Forecast`, which
  learns by `VAEOutputs.auxiliary_loss` alone, and without it nothing.

  What is computed is this, exactly, in less work. Between D, T and P are sums
  alone: D u = (D T) Σ h_g, and as kernel = stride, D T is one matrix for all
  places; likewise P T; so the canvas is never formed. What no step changes is
  convolved once, what is 0 not at all, and the priors of all steps in one
  batch. On a CPU, small maps are convolved by Fourier coefficients.

  KL in nats, in closed form for each step given the steps before; its mean
  under q is that of the paths. The noise is a function of the seed alone, so
  replicas (`noise.ReplicaSeed`) do not change it.

  Source: Gregor et al. 2016, "Towards Conceptual Compression"; Eslami et al.
  2018, "Neural scene representation and rendering".
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    *,
    context_shape: Sequence[int] | None = None,
    num_steps: int = 4,
    hidden_size: int = 32,
    latent_channels: int = 4,
    kernel_size: int = 5,
    stride: int = 4,
    form: str = "gqn",
    share_cores: bool = True,
    num_clusters: int = 64,
    precision: str = "float32",
    name: str | None = None,
  ):
    """Makes the layers.

    Args:
      image_shape: (side, side, C), a side from 8 to 64.
      context_shape: (K, side, side, C') of the images that the model is
        conditioned on; None for an unconditional model.
      num_steps: L.
      hidden_size: channels of the cores and of the canvas.
      latent_channels: c of the latents [L, h, w, c].
      kernel_size: of cores and heads.
      stride: side of the images over side of the latents.
      form: "gqn" or "error_feedback".
      share_cores: whether all steps have the same cores.
      num_clusters: of targets, which a `Forecast` tells from a context; 0 for
        no forecast.
      precision: "float32", or "bfloat16", of the convolutions: weights, sums
        over steps, cells, latents and densities are float32. Or "float64", of
        everything.
      name: of the module.

    Raises:
      UserError: if a name is unknown, a size below 1, or a shape does not fit.
    """
    super().__init__(name=name)
    self.image_shape = networks.check_image_shape(image_shape)
    networks.check_positive(
      num_steps=num_steps,
      hidden_size=hidden_size,
      latent_channels=latent_channels,
      kernel_size=kernel_size,
      stride=stride,
    )
    _check_choice("form", form, FORMS)
    networks.check_precision(precision)
    if not isinstance(num_clusters, int) or num_clusters < 0:
      raise errors.UserError(
        f"`num_clusters` must be a whole number, 0 or more; got "
        f"{num_clusters!r}."
      )
    # The text "false" is not false.
    if not isinstance(share_cores, bool):
      raise errors.UserError(
        f"`share_cores` must be True or False; got {share_cores!r}."
      )
    side = self.image_shape[0]
    if side % stride:
      raise errors.UserError(
        f"`stride` must divide the side of the images, {side}; got {stride}."
      )
    self.context_shape = _check_context_shape(context_shape, side)
    self.num_steps = num_steps
    self.stride = stride
    self.form = form
    maps_side = side // stride
    self.latent_shape = (num_steps, maps_side, maps_side, latent_channels)
    self._hidden_size = hidden_size
    self._num_cores = 1 if share_cores else num_steps
    self.num_clusters = num_clusters
    self._compute_dtype = tf.as_dtype(precision)
    self._dtype = networks.weight_dtype(self._compute_dtype)
    self._algorithm = _fastest(maps_side, kernel_size, self._compute_dtype)
    self._make_cores(kernel_size)
    self._make_heads(kernel_size)
    self._make_canvas()
    self._make_encoders()

  def _make_cores(self, kernel_size: int) -> None:
    feedback = {"gqn": "canvas", "error_feedback": "error"}[self.form]
    inputs = {
      "inference": ("features", "context", "h_g", feedback, "h_e"),
      "generation": ("context", "latents", "h_g", "canvas"),
    }
    self.inference_cores, self.generation_cores = (
      [
        layers.Core(
          self._channels(names, i),
          self._hidden_size,
          kernel_size,
          dtype=self._compute_dtype,
          name=f"{kind}_core_{i}",
        )
        for i in range(self._num_cores)
      ]
      for kind, names in inputs.items()
    )

  def _channels(self, names: Sequence[str], core: int) -> dict[str, int]:
    """Channels of those inputs of a core that are there and not always 0."""
    absent = set()
    if self.context_shape is None:
      absent.add("context")
    if core == 0 and self._num_cores == self.num_steps:
      # This core takes the first step and no other.
      absent |= {"canvas", "h_e"}
      if self.context_shape is None:
        absent.add("h_g")
    channels = {key: self._hidden_size for key in names if key not in absent}
    if "latents" in channels:
      channels["latents"] = self.latent_shape[-1]
    return channels

  def _make_heads(self, kernel_size: int) -> None:
    self.posterior_head, self.prior_head = (
      layers.Conv(
        self._hidden_size,
        2 * self.latent_shape[-1],
        kernel_size,
        # Both close to N(0, I) at first, so that the KL starts close to 0.
        spread=posteriors.INITIAL_SPREAD,
        dtype=self._compute_dtype,
        name=name,
      )
      for name in ("posterior_head", "prior_head")
    )

  def _make_canvas(self) -> None:
    """The kernels of T, D, P and the error's; kernel = stride for three."""
    size, places = self._hidden_size, self.stride**2
    channels = self.image_shape[-1]
    square, dtype = [self.stride, self.stride], self._dtype
    # [s, s, out, in], the order of transposed convolutions.
    self.up = layers.kernel([*square, size, size], size, "up", dtype=dtype)
    if self.num_steps > 1:
      self.down = layers.kernel(
        [*square, size, size], places * size, "down", dtype=dtype
      )
    self.to_mean = layers.Conv(size, channels, 1, dtype=dtype, name="to_mean")
    if self.form == "error_feedback":
      self.error_down = layers.kernel(
        [*square, channels, size], places * channels, "error_down", dtype=dtype
      )

  def _make_encoders(self) -> None:
    size, dtype = self._hidden_size, self._compute_dtype
    self.features = layers.FeatureNetwork(
      self.image_shape[-1], size, self.stride, dtype=dtype, name="features"
    )
    if self.context_shape is not None:
      self.context_encoder = context_lib.ContextEncoder(
        self.context_shape, size, self.stride, dtype=dtype
      )
      self.start = layers.Conv(size, size, 1, dtype=dtype, name="start")
      # Until latents are used, a context is noise beside them in every core,
      # and they may then never be; so it comes in by the optimizer's small
      # steps.
      self.gate = tf.Variable(tf.zeros([size], self._dtype), name="gate")
      if self.num_clusters:
        self.expectation = layers.FeatureNetwork(
          self.image_shape[-1],
          size,
          self.stride,
          dtype=dtype,
          name="expectation",
        )
        self.forecast = context_lib.Forecast(
          self.context_shape,
          self.image_shape,
          size,
          self.stride,
          num_clusters=self.num_clusters,
          dtype=dtype,
        )

  def __call__(
    self,
    images: tf.Tensor,
    context: tf.Tensor | None = None,
    *,
    seed: noise.Seed,
  ) -> outputs.VAEOutputs:
    """Encodes and draws, with one path of latents for each image.

    Args:
      images: [B, H, W, C], floats in [0, 1].
      context: [B, K, H, W, C'], floats in [0, 1]; None if unconditional.
      seed: int32 [2], or a `noise.ReplicaSeed`.

    Returns:
      `VAEOutputs`, latents [B, L, h, w, c]; gradients flow through them. Of a
      conditional model, `auxiliary_loss` is to be minimised too: add its mean.

    Raises:
      UserError: for images or a context of another shape or type.
    """
    images, read = self._encoded(images, context)
    features = self._features_of(images, read.maps)
    latents, posterior, states = self._infer(features, seed)
    prior = self._priors(states[:-1])
    kl = tf.transpose(tfd.kl_divergence(posterior, prior))
    return outputs.VAEOutputs(
      reconstruction=self._mean(states[-1]),
      kl=tf.reduce_sum(kl, axis=-1),
      latents=_swapped(latents),
      log_q=tf.reduce_sum(posterior.log_prob(latents), axis=0),
      log_prior=tf.reduce_sum(prior.log_prob(latents), axis=0),
      kl_per_step=kl,
      auxiliary_loss=self._auxiliary_loss(images, read),
    )

  def sample(
    self,
    n: int | tf.Tensor,
    context: tf.Tensor | None = None,
    *,
    seed: noise.Seed,
  ) -> tf.Tensor:
    """The mean images of n paths from the prior.

    Args:
      n: how many, on this replica.
      context: [n, K, H, W, C']; None if unconditional.
      seed: int32 [2], or a `noise.ReplicaSeed`.

    Returns:
      [n, H, W, C], in (0, 1).

    Raises:
      UserError: for a context of another shape or type.
    """
    _, states = self._draw(n, context, seed)
    return self._mean(states[-1])

  def drawing(
    self,
    n: int | tf.Tensor,
    context: tf.Tensor | None = None,
    *,
    seed: noise.Seed,
  ) -> tf.Tensor:
    """The mean images of the canvas after every step of `sample`.

    Args:
      n: how many, on this replica.
      context: [n, K, H, W, C']; None if unconditional.
      seed: int32 [2], or a `noise.ReplicaSeed`.

    Returns:
      [L, n, H, W, C], in (0, 1); the last is what `sample` gives.

    Raises:
      UserError: for a context of another shape or type.
    """
    _, states = self._draw(n, context, seed)
    return tf.stack([self._mean(state) for state in states[1:]])

  def decode(
    self, latents: tf.Tensor, context: tf.Tensor | None = None
  ) -> tf.Tensor:
    """The mean image of each path: [B, L, h, w, c] to [B, H, W, C].

    Raises:
      UserError: for latents or a context of another shape or type.
    """
    latents = self._checked_latents(latents)
    conditions = self._conditions(tf.shape(latents)[0], context)
    return self._mean(self._generate(conditions, latents)[-1])

  def posterior(
    self, images: tf.Tensor, context: tf.Tensor | None = None
  ) -> tfd.Distribution:
    """The posterior of each image's path: batch [B], event [L, h, w, c].

    Raises:
      UserError: for images or a context of another shape or type.
    """
    return paths.Posterior(self, self.posterior_features(images, context))

  @property
  def prior(self) -> tfd.Distribution:
    """The prior of paths: batch [], event [L, h, w, c].

    Of a conditional model, its `log_prob` and `sample` take `context=`.
    """
    return paths.Prior(self, self._dtype)

  def posterior_features(
    self, images: tf.Tensor, context: tf.Tensor | None = None
  ) -> Features:
    """What q(z|x) needs of x and its context: every tensor has [B] first.

    Raises:
      UserError: for images or a context of another shape or type.
    """
    images, read = self._encoded(images, context)
    return self._features_of(images, read.maps)

  def pairwise_log_prob(
    self, latents: tf.Tensor, features: Features
  ) -> tf.Tensor:
    """The density ln q(z_s|x_n) of every pair.

    Without a context, the generator reads z alone: it runs S times, not S N.

    Args:
      latents: [S, L, h, w, c].
      features: of N images, by `posterior_features`.

    Returns:
      [S, N], nats. Memory grows with S N: give it blocks.

    Raises:
      UserError: for latents of another shape.
    """
    latents = self._checked_latents(latents)
    count, num_images = tf.shape(latents)[0], tf.shape(features.start)[0]
    pairs = paths.tiled(features, count)
    repeated = tf.repeat(latents, num_images, axis=0)
    if self.context_shape is None:
      states = self._generate(self._conditions(count), latents)
      log_q = self._log_q(repeated, pairs, states, repeats=num_images)
    else:
      log_q = self._log_q(repeated, pairs, self._generate(pairs, repeated))
    return tf.reshape(log_q, [count, num_images])

  def posterior_log_prob(
    self, latents: tf.Tensor, features: Features
  ) -> tf.Tensor:
    """The density ln q(z_b|x_b): [B, L, h, w, c] to [B], nats."""
    latents = self._checked_latents(latents)
    return self._log_q(latents, features, self._generate(features, latents))

  def prior_log_prob(
    self, latents: tf.Tensor, context: tf.Tensor | None = None
  ) -> tf.Tensor:
    """The density ln p(z_b|context_b): [B, L, h, w, c] to [B], nats."""
    latents = self._checked_latents(latents)
    conditions = self._conditions(tf.shape(latents)[0], context)
    prior = self._priors(self._generate(conditions, latents)[:-1])
    return tf.reduce_sum(prior.log_prob(_swapped(latents)), axis=0)

  def sample_posterior(
    self, features: Features, *, seed: noise.Seed
  ) -> tf.Tensor:
    """One path for each image, [B, L, h, w, c]."""
    latents, _, _ = self._infer(features, seed)
    return _swapped(latents)

  def sample_prior(
    self,
    n: int | tf.Tensor,
    context: tf.Tensor | None = None,
    *,
    seed: noise.Seed,
  ) -> tf.Tensor:
    """Paths from the prior, [n, L, h, w, c]."""
    latents, _ = self._draw(n, context, seed)
    return tf.stack(latents, axis=1)

  # What no step changes. Maps are None if there is no context.

  def _encoded(
    self, images: tf.Tensor, context: tf.Tensor | None
  ) -> tuple[tf.Tensor, _Read]:
    """The images, checked, and what is read of their context."""
    images = tf.convert_to_tensor(images)
    networks.check_images(images, self.image_shape)
    context = self._checked_context(context, images.shape[0])
    return tf.cast(images, self._dtype), self._read(context)

  def _read(self, context: tf.Tensor | None) -> _Read:
    if context is None:
      return _Read()
    seen = self.gate * tf.nn.elu(self.context_encoder(context))
    if not self.num_clusters:
      return _Read(seen)
    forecast = self.forecast(context)
    expected = tf.stop_gradient(self.forecast.expected(forecast))
    return _Read(seen + self.expectation(expected), forecast)

  def _features_of(self, images: tf.Tensor, maps: tf.Tensor | None) -> Features:
    conditions = self._conditions_of(tf.shape(images)[0], maps)
    inference = self._unchanging(
      self.inference_cores,
      features=self.features(images),
      context=maps,
    )
    blocks = tf.nn.space_to_depth(images, self.stride)
    return Features(*conditions, inference, blocks)

  def _auxiliary_loss(self, images: tf.Tensor, read: _Read) -> tf.Tensor | None:
    if read.forecast is None:
      return None
    return self.forecast.loss(images, read.forecast)

  def _conditions(
    self, count: int | tf.Tensor, context: tf.Tensor | None = None
  ) -> Conditions:
    """For count images."""
    context = self._checked_context(context, tf.get_static_value(count))
    return self._conditions_of(count, self._read(context).maps)

  def _conditions_of(
    self, count: int | tf.Tensor, maps: tf.Tensor | None
  ) -> Conditions:
    """Those of the context's maps."""
    generation = self._unchanging(self.generation_cores, context=maps)
    if maps is not None:
      return Conditions(tf.tanh(self.start(maps)), generation)
    shape = [count, *self.latent_shape[1:3]]
    return Conditions(
      tf.zeros([*shape, self._hidden_size], self._dtype),
      tf.broadcast_to(generation, [*shape, generation.shape[-1]]),
    )

  def _unchanging(
    self, cores: list[layers.Core], **inputs: tf.Tensor | None
  ) -> tf.Tensor:
    """What these inputs and the biases add to the gates of all cores."""
    gates = tf.concat([core.bias for core in cores], axis=0)
    present = {key: maps for key, maps in inputs.items() if maps is not None}
    if not present:
      return gates
    kernels = [
      tf.concat([core.kernels[key] for key in present], axis=2)
      for core in cores
    ]
    return gates + self._algorithm(
      tf.concat([*present.values()], axis=-1), tf.concat(kernels, axis=-1)
    )

  def _kernels(self) -> _Kernels:
    """Composes D T and the error's kernel with what reads them."""
    size = self._hidden_size
    composed = {}
    if self.num_steps > 1:
      up, down = (
        tf.reshape(kernel, [-1, size, size]) for kernel in (self.up, self.down)
      )
      composed["canvas"] = tf.einsum("sui,suj->ij", up, down)
    if self.form == "error_feedback":
      composed["error"] = tf.reshape(self.error_down, [-1, size])

    def join(core: layers.Core, names: Sequence[str]) -> convolutions.Joined:
      kernels = {key: core.kernels[key] for key in names if key in core.kernels}
      for key in composed.keys() & kernels.keys():
        kernels[key] = tf.einsum("ij,xyjk->xyik", composed[key], kernels[key])
      return convolutions.Joined(self._algorithm, kernels)

    # In an order such that inputs which come together are neighbours.
    inference = ("h_g", "canvas", "error", "h_e")
    generation = ("latents", "h_g", "canvas")
    return _Kernels(
      inference=[join(core, inference) for core in self.inference_cores],
      generation=[join(core, generation) for core in self.generation_cores],
      posterior=convolutions.Joined(
        self._algorithm, {"h_e": self.posterior_head.kernel}
      ),
      to_blocks=self._to_blocks(),
    )

  def _to_blocks(self) -> tf.Tensor:
    """P T, [hidden_size, s² C]."""
    size = self._hidden_size
    up = tf.reshape(self.up, [-1, size, size])
    composed = tf.einsum("sui,uc->isc", up, self.to_mean.kernel[0, 0])
    return tf.reshape(composed, [size, -1])

  # The steps. Lists of states begin with the one before the first step.

  def _infer(
    self, features: Features, seed: noise.Seed
  ) -> tuple[tf.Tensor, tfd.Distribution, list[_Generator]]:
    """Draws a path for each image, inference and generation in turn.

    Returns:
      Latents [L, B, h, w, c], q of all steps, batch [L, B], and the L + 1
      states of the generator.
    """
    kernels = self._kernels()
    epsilon = self._noise(tf.shape(features.start)[0], seed)
    states, encoder, draws = [self._first(features)], _Inference(), []
    for step in range(self.num_steps):
      loc, scale, encoder = self._encode(
        step,
        self._of_core(features.inference, step),
        {
          **_seen(states[-1]),
          **self._error(features.blocks, states[-1].drawn, kernels),
        },
        encoder,
        kernels,
      )
      latents = loc + scale * epsilon[:, step]
      draws.append((latents, loc, scale))
      states.append(self._advance(step, features, states[-1], latents, kernels))
    latents, loc, scale = (
      tf.stack(values) for values in zip(*draws, strict=True)
    )
    return latents, _normal(loc, scale), states

  def _log_q(
    self,
    latents: tf.Tensor,
    features: Features,
    states: list[_Generator],
    *,
    repeats: int | tf.Tensor = 1,
  ) -> tf.Tensor:
    """The density of paths [B, L, h, w, c] on whose way the states are.

    Each state is that of so many paths in a row.
    """
    kernels, encoder, log_q = self._kernels(), _Inference(), 0.0
    for step, state in enumerate(states[:-1]):
      gates = self._of_core(features.inference, step)
      read = kernels.inference[step % self._num_cores](_seen(state))
      if read is not None:
        gates += tf.repeat(read, repeats, axis=0)
      drawn = tf.repeat(state.drawn, repeats, axis=0)
      loc, scale, encoder = self._encode(
        step,
        gates,
        self._error(features.blocks, drawn, kernels),
        encoder,
        kernels,
      )
      log_q += _normal(loc, scale).log_prob(latents[:, step])
    return log_q

  def _draw(
    self, count: int | tf.Tensor, context: tf.Tensor | None, seed: noise.Seed
  ) -> tuple[list[tf.Tensor], list[_Generator]]:
    """Paths from the prior, and the generator's states on their way."""
    conditions = self._conditions(count, context)
    kernels = self._kernels()
    epsilon = self._noise(count, seed)
    states, path = [self._first(conditions)], []
    for step in range(self.num_steps):
      raw = self.prior_head(states[-1].hidden)
      loc, scale = posteriors.loc_and_scale(raw)
      path.append(loc + scale * epsilon[:, step])
      states.append(
        self._advance(step, conditions, states[-1], path[-1], kernels)
      )
    return path, states

  def _generate(
    self, conditions: Conditions | Features, latents: tf.Tensor
  ) -> list[_Generator]:
    """The generator's states on the way of given paths [B, L, h, w, c]."""
    kernels = self._kernels()
    states = [self._first(conditions)]
    for step in range(self.num_steps):
      states.append(
        self._advance(step, conditions, states[-1], latents[:, step], kernels)
      )
    return states

  def _priors(self, states: list[_Generator]) -> tfd.Distribution:
    """The priors of all steps: batch [L, B], event [h, w, c]."""
    hiddens = tf.stack([state.hidden for state in states])
    raw = self._algorithm(
      snt.merge_leading_dims(hiddens, 2), self.prior_head.kernel
    )
    raw = snt.split_leading_dim(raw + self.prior_head.bias, hiddens, 2)
    return _normal(*posteriors.loc_and_scale(raw))

  def _first(self, conditions: Conditions | Features) -> _Generator:
    """The generator before the first step."""
    start = conditions.start
    transformed = None
    if self.context_shape is not None:
      transformed = self._algorithm.maps(start)
    return _Generator(start, None, tf.zeros_like(start), transformed, None)

  def _advance(
    self,
    step: int,
    conditions: Conditions | Features,
    state: _Generator,
    latents: tf.Tensor,
    kernels: _Kernels,
  ) -> _Generator:
    """One step of the generator."""
    read = kernels.generation[step % self._num_cores](
      {
        "latents": self._algorithm.maps(latents),
        "h_g": state.transformed_hidden,
        "canvas": state.transformed_drawn,
      }
    )
    gates = self._of_core(conditions.generation, step) + read
    hidden, cell = layers.lstm(gates, state.cell)
    transformed = self._algorithm.maps(hidden)
    drawn = transformed
    if state.transformed_drawn is not None:
      drawn += state.transformed_drawn
    return _Generator(hidden, cell, state.drawn + hidden, transformed, drawn)

  def _encode(
    self,
    step: int,
    gates: tf.Tensor,
    inputs: Mapping[str, tf.Tensor | None],
    encoder: _Inference,
    kernels: _Kernels,
  ) -> tuple[tf.Tensor, tf.Tensor, _Inference]:
    """One step of the inference core.

    Args:
      step: which.
      gates: what has been computed of them.
      inputs: what they read besides the core's own state.
      encoder: the state before.
      kernels: of this pass.

    Returns:
      Mean and standard deviation of q(z_l|z_<l, x), and the state after.
    """
    read = kernels.inference[step % self._num_cores](
      {**inputs, "h_e": encoder.transformed_hidden}
    )
    if read is not None:
      gates += read
    hidden, cell = layers.lstm(gates, encoder.cell)
    transformed = self._algorithm.maps(hidden)
    raw = kernels.posterior({"h_e": transformed}) + self.posterior_head.bias
    loc, scale = posteriors.loc_and_scale(raw)
    return loc, scale, _Inference(cell, transformed)

  def _error(
    self, blocks: tf.Tensor, drawn: tf.Tensor, kernels: _Kernels
  ) -> dict[str, tf.Tensor]:
    """The error x − sigmoid(P u + b) as an input, in the form that has it."""
    if self.form != "error_feedback":
      return {}
    error = blocks - self._mean_blocks(drawn, kernels.to_blocks)
    return {"error": self._algorithm.maps(error)}

  def _mean(self, state: _Generator) -> tf.Tensor:
    """The mean image, [B, H, W, C]."""
    blocks = self._mean_blocks(state.drawn, self._to_blocks())
    return tf.nn.depth_to_space(blocks, self.stride)

  def _mean_blocks(self, drawn: tf.Tensor, to_blocks: tf.Tensor) -> tf.Tensor:
    """sigmoid(P T Σ h_g + b), in blocks [B, h, w, s² C]."""
    bias = tf.tile(self.to_mean.bias, [self.stride**2])
    return tf.sigmoid(tf.tensordot(drawn, to_blocks, 1) + bias)

  def _of_core(self, gates: tf.Tensor, step: int) -> tf.Tensor:
    """The step's part of gates [B, h, w, n 4 hidden_size]."""
    return tf.split(gates, self._num_cores, axis=-1)[step % self._num_cores]

  def _noise(self, count: int | tf.Tensor, seed: noise.Seed) -> tf.Tensor:
    return noise.normal([count, *self.latent_shape], seed, self._dtype)

  def _checked_latents(self, latents: tf.Tensor) -> tf.Tensor:
    latents = tf.convert_to_tensor(latents)
    if not latents.shape[1:].is_compatible_with(self.latent_shape):
      raise errors.UserError(
        f"`latents` must have the shape [B, {_listed(self.latent_shape)}]; got "
        f"{latents.shape}."
      )
    return tf.cast(latents, self._dtype)

  def _checked_context(
    self, context: tf.Tensor | None, count: int | None
  ) -> tf.Tensor | None:
    """The context of count images, if that is known."""
    if self.context_shape is None:
      networks.check_no_context(context, "this model 'conv_draw'")
      return None
    wanted = f"[B, {_listed(self.context_shape)}], the model's `context_shape`"
    if context is None:
      raise errors.UserError(
        f"`context` must have the shape {wanted}; got None."
      )
    context = tf.convert_to_tensor(context)
    if not context.dtype.is_floating:
      raise errors.UserError(
        "`context` must be floats in [0, 1]; got the type "
        f"{context.dtype.name}."
      )
    if not context.shape[1:].is_compatible_with(self.context_shape):
      raise errors.UserError(
        f"`context` must have the shape {wanted}; got {context.shape}."
      )
    if not tf.TensorShape(count).is_compatible_with(context.shape[0]):
      raise errors.UserError(
        f"`context` must have one entry for each of {count} images; got "
        f"{context.shape[0]}."
      )
    return tf.cast(context, self._dtype)


def _fastest(
  side: int, kernel_size: int, dtype: tf.DType
) -> convolutions.Algorithm:
  """Accelerators have convolutions of their own; a CPU's are slow."""
  accelerators = (tf.config.list_logical_devices(d) for d in ("GPU", "TPU"))
  # Larger maps need transformed kernels of hundreds of megabytes.
  if side > _LARGEST_FOURIER_SIDE or any(accelerators):
    return convolutions.Direct(dtype)
  return convolutions.Fourier(side, kernel_size, dtype)


def _seen(state: _Generator) -> dict[str, tf.Tensor | None]:
  """What the inference core may read of the generator."""
  return {
    "h_g": state.transformed_hidden,
    "canvas": state.transformed_drawn,
  }


def _normal(loc: tf.Tensor, scale: tf.Tensor) -> tfd.Distribution:
  """A Gaussian with a diagonal covariance and events [h, w, c]."""
  return tfd.Independent(tfd.Normal(loc, scale), 3)


def _swapped(latents: tf.Tensor) -> tf.Tensor:
  """[L, B, h, w, c] to [B, L, h, w, c], and back."""
  return tf.transpose(latents, [1, 0, 2, 3, 4])


def _listed(sizes: Sequence[int]) -> str:
  return ", ".join(str(size) for size in sizes)


def _check_choice(name: str, value: str, known: Sequence[str]) -> None:
  if value not in known:
    raise errors.UserError(
      f"`{name}` must be {' or '.join(known)}; got {value!r}."
    )


def _check_context_shape(
  shape: Sequence[int] | None, side: int
) -> tuple[int, ...] | None:
  """Context images have the side of the images, and any channels."""
  if shape is None:
    return None
  shape = tuple(shape)
  if len(shape) != 4 or min(shape) < 1 or shape[1:3] != (side, side):
    raise errors.UserError(
      f"`context_shape` must be (images, {side}, {side}, channels), of the "
      f"side of `image_shape`; got {shape}."
    )
  return shape
