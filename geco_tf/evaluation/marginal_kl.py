# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Does q(z) = E q(z|x) look like the prior? The marginal KL, pair by pair."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import data, errors, models
from geco_tf.data import pipeline
from geco_tf.evaluation import likelihood, replicas
from geco_tf.evaluation import pieces as pieces_lib

# A block of so many examples is a piece, and meets the latents a few at a time,
# so that the activations of a call stay in a core's cache.
_BLOCK_SIZE = 500
_PAIRS_PER_CALL = 2_000
# What the layers between features and density hold, in copies of the features.
_WORKING_COPIES = 8

Progress = Callable[[int, int], None]


class Estimate(NamedTuple):
  """A mean over S samples, nats."""

  value: float
  standard_error: float


class MarginalKL(NamedTuple):
  """The marginal KL of M examples, and what it says of all N; nats."""

  marginal_kl: Estimate  # KL(q_M ‖ π), q_M the mixture of the M posteriors.
  average_kl: Estimate  # E KL(q(z|x) ‖ π), from the same samples.
  mutual_information: Estimate  # Their difference, I(x; z) ≤ ln M.
  # Where M < N, that of all N is between this and `marginal_kl`, on average.
  lower_bound: Estimate
  num_components: int  # M.
  population: int  # N.
  num_samples: int  # S.

  @property
  def bias_bound(self) -> float:
    """ln(N/M): how far `marginal_kl` may be above that of all N, nats."""
    return math.log(self.population / self.num_components)

  def to_json(self) -> dict[str, Any]:
    """The same, as JSON can hold it."""
    return {
      **{
        name: field._asdict() if isinstance(field, Estimate) else field
        for name, field in self._asdict().items()
      },
      "bias_bound": self.bias_bound,
    }


def estimate(
  model: Any,
  split: data.Split,
  *,
  num_components: int | None = None,
  num_samples: int = 1_000,
  seed: int = 0,
  memory_gib: float = 1.0,
  folder: str | None = None,
  settings: dict[str, Any] | None = None,
  progress: Progress | None = None,
) -> MarginalKL:
  """Measures how far the aggregate posterior is from the prior.

    marginal KL = (1/S) Σ_s [ln (1/M) Σ_n q(z_s|x_n) − ln π(z_s)]
    z_s ~ q(z|x_s), each x_s drawn from its own S-th part of the M examples

  With M of N examples it is on average too large for all N, by ln(N/M) at most,
  as a sample's own component weighs 1/M in place of 1/N. Given its true weight,
  and the rest to the M − 1 others, the mixture is unbiased and its logarithm on
  average too small: `lower_bound`.

  Args:
    model: unconditional, with its variables created. Its densities come from
      `posterior_features` and `pairwise_log_prob`, or else `posterior`.
    split: N examples, of training.
    num_components: M, drawn by seed; None is all.
    num_samples: S.
    seed: of that draw and of the latents.
    memory_gib: what may be held beside model and data.
    folder: for finished pieces; None keeps none. A measurement that is killed
      and started again gives the same number, bit for bit; to rounding, if on
      another number of replicas.
    settings: what else tells these pieces from those of another model.
    progress: told how many of how many blocks are done.

  Returns:
    The `MarginalKL`. Standard errors are those of independent samples from the
    M examples; the choice of the M is not in them.

  Raises:
    UserError: if the model is conditional or its posterior has no density, a
      number is not positive or above N, the memory does not suffice, a density
      is not a number, or `folder` holds other files.

  Source: "Taming VAEs", appendix D and table 2.
  """
  count = split.num_examples if num_components is None else num_components
  _check(split, count, num_samples)
  features_fn, log_prob_fn = _densities(model)
  sampler = _Sampler(model, split, count, num_samples, seed)
  sizes = _sizes(features_fn, sampler, memory_gib)
  pieces = pieces_lib.Pieces(
    folder,
    {
      **(settings or {}),
      "population": split.num_examples,
      "num_components": count,
      "num_samples": num_samples,
      "seed": seed,
      "owners": "one of each stratum",
      **sizes._asdict(),
    },
  )
  drawn = pieces.get("samples", sampler.draw)
  others = _log_sum_of_others(
    drawn["latents"],
    _Blocks(features_fn, log_prob_fn, sampler, sizes),
    pieces,
    progress or (lambda done, total: None),
  )
  return _combine(drawn, others, count, split.num_examples)


def _check(split: data.Split, count: int, num_samples: int) -> None:
  likelihood.check_num_examples("num_components", count, split)
  if num_samples < 2:
    raise errors.UserError(
      f"`num_samples` must be at least 2; got {num_samples}."
    )
  if data.sources.view_of(split).context_shape is not None:
    raise errors.UserError(
      "The marginal KL is one of unconditional models: with a context every "
      "example has a prior of its own."
    )


def _densities(model: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
  """Functions images → features, and (latents, features) → [S, N]."""
  if hasattr(model, "pairwise_log_prob"):
    return model.posterior_features, model.pairwise_log_prob
  if hasattr(model, "posterior"):

    def log_prob(latents: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
      try:
        return model.posterior(images).log_prob(latents[:, tf.newaxis])
      except NotImplementedError as error:  # TFP's, of one without.
        raise _no_density(model) from error

    return tf.identity, log_prob
  raise _no_density(model)


def _no_density(model: Any) -> errors.UserError:
  return errors.UserError(
    f"The posterior of the model {type(model).__name__} has no density, which "
    "the marginal KL needs: give it `posterior` with `log_prob`, or "
    "`posterior_features` and `pairwise_log_prob`."
  )


class _Sampler:
  """M examples in a fixed order, and latents of the first of them."""

  def __init__(
    self, model: Any, split: data.Split, count: int, num_samples: int, seed: int
  ):
    self.count = count
    # Which example each sample is of, [S]: one of each S-th part, so that they
    # are even where classes follow each other, and all weigh the same.
    # RandomState's stream never changes between versions of NumPy.
    u = np.random.RandomState(seed).uniform(size=num_samples)
    places = (np.arange(num_samples) + u) * count / num_samples
    self.owners = np.minimum(places.astype(np.int64), count - 1)
    self._model, self._split, self._seed = model, split, seed
    self._compiled = tf.function(
      self._draw, autograph=False, reduce_retracing=True
    )

  def call(self, images: tf.Tensor, number: int | tf.Tensor = 0) -> Any:
    """The model's outputs for the batch of that number."""
    seed = tf.stack([self._seed, number])
    return models.call(self._model, images, None, seed=seed)

  def batches(self, batch_size: int) -> Any:
    """All M examples, once through."""
    return pipeline.evaluation_batches(
      self._split, batch_size, num_examples=self.count, seed=self._seed
    ).batches

  def draw(self) -> pieces_lib.Arrays:
    """Latents z_s, ln q(z_s|x_s) and ln π(z_s), a block's at a time."""
    parts: list[Any] = []
    for i, batch in enumerate(self.batches(_BLOCK_SIZE)):
      here = self.owners[self.owners // _BLOCK_SIZE == i] - i * _BLOCK_SIZE
      for start in range(0, len(here), _BLOCK_SIZE):
        images = tf.gather(batch.images, here[start : start + _BLOCK_SIZE])
        parts.append(self._compiled(images, tf.constant(len(parts))))
    latents, log_q, log_prior = (
      np.concatenate([field.numpy() for field in fields])
      for fields in zip(*parts, strict=True)
    )
    _check_numbers("ln q(z|x) − ln π(z)", np.isfinite(log_q - log_prior))
    return {"latents": latents, "log_q": log_q, "log_prior": log_prior}

  def _draw(self, images: tf.Tensor, number: tf.Tensor) -> tuple[Any, ...]:
    outputs = self.call(images, number)
    return outputs.latents, outputs.log_q, outputs.log_prior


class _Sizes(NamedTuple):
  """How the table of pairs is cut."""

  block_size: int  # Examples.
  latents_per_call: int


def _sizes(
  features_fn: Callable[..., Any],
  sampler: _Sampler,
  memory_gib: float,
) -> _Sizes:
  """The largest pieces that fit the cache and the memory."""
  num_samples = len(sampler.owners)
  if not memory_gib > 0:
    raise errors.UserError(f"`memory_gib` must be positive; got {memory_gib}.")
  batch = next(iter(sampler.batches(1)))
  features = tf.nest.flatten(features_fn(batch.images))
  latents = sampler.call(batch.images).latents.numpy()
  # Drawn, filled up, as a tensor, and in the order of the calls.
  per_latent = num_samples * (4 * latents.nbytes + 8 * 8)
  per_pair = _WORKING_COPIES * (
    sum(f.dtype.size * math.prod(f.shape) for f in features) + latents.nbytes
  )
  pairs = min(
    _PAIRS_PER_CALL, int((memory_gib * 2**30 - per_latent) / per_pair)
  )
  if pairs < 1:
    need = (per_latent + per_pair) / 2**30
    raise errors.UserError(
      f"`num_samples` = {num_samples} needs {need:.3g} GiB of memory; got "
      f"memory_gib = {memory_gib:g}. Raise `memory_gib` or lower "
      "`num_samples`."
    )
  block_size = min(_BLOCK_SIZE, sampler.count, pairs)
  return _Sizes(block_size, min(num_samples, max(1, pairs // block_size)))


class _Blocks:
  """The densities of all samples under one block of examples after another."""

  def __init__(
    self,
    features_fn: Callable[..., Any],
    log_prob_fn: Callable[..., Any],
    sampler: _Sampler,
    sizes: _Sizes,
  ):
    self._sampler, self._sizes = sampler, sizes
    self._features_fn, self._log_prob_fn = features_fn, log_prob_fn
    self._compiled = tf.function(
      self._log_sums_of_block, autograph=False, jit_compile=True
    )
    self._log_sums = replicas.OverReplicas(
      self._log_sums_of_part, autograph=False
    )

  def __len__(self) -> int:
    return -(-self._sampler.count // self._sizes.block_size)

  def __iter__(self) -> Any:
    """Functions of the latents [S, …], each to "log_sum", ln Σ q(z_s|x_n) [S].

    The sum is over the examples of one block but the sample's own.
    """
    size, count = self._sizes.block_size, self._sampler.count
    for i, batch in enumerate(self._sampler.batches(size)):
      indices = np.arange(i * size, (i + 1) * size)
      # The last block is filled up, so that all have one shape.
      filled = tf.gather(batch.images, indices % size % len(batch.images))
      indices[indices >= count] = -1

      yield functools.partial(self._log_sum, filled, indices)

  def _log_sum(
    self, images: tf.Tensor, indices: np.ndarray, latents: np.ndarray
  ) -> pieces_lib.Arrays:
    per_call = self._sizes.latents_per_call
    num_samples = len(latents)
    filled = -(-num_samples // per_call) * per_call
    own = np.resize(self._sampler.owners, filled)
    tiled = np.resize(latents, (filled, *latents.shape[1:]))
    parts = self._log_sums(
      (images, tf.constant(indices, tf.int32)),
      tf.reshape(tiled, [-1, per_call, *latents.shape[1:]]),
      tf.constant(own.reshape(-1, per_call), tf.int32),
    )
    sums = [part.numpy().reshape(-1)[:num_samples] for part in parts]
    with np.errstate(invalid="ignore"):  # NaN has an error of its own.
      log_sum = np.logaddexp.reduce(sums, dtype=np.float64)
    _check_numbers("ln q(z|x)", ~np.isnan(log_sum))  # −inf: far from all.
    return {"log_sum": log_sum}

  def _log_sums_of_part(
    self, part: replicas.Part, latents: tf.Tensor, own: tf.Tensor
  ) -> tf.Tensor:
    images, indices = part.examples
    indices = tf.where(part.is_real, indices, -1)
    # XLA fuses what is between the matrix products of a flow. On a CPU it is
    # slower at convolutions, which latents with more axes stand for.
    is_vector = latents.shape.rank == 3
    run = self._compiled if is_vector else self._log_sums_of_block
    return run(latents, own, self._features_fn(images), indices)

  def _log_sums_of_block(
    self, latents: tf.Tensor, own: tf.Tensor, features: Any, indices: tf.Tensor
  ) -> tf.Tensor:
    """[C, s, …] latents, [C, s] indices of their examples → [C, s]."""

    def of_call(i: tf.Tensor) -> tf.Tensor:
      log_q = self._log_prob_fn(latents[i], features)
      counts = (indices >= 0) & (indices != own[i][:, tf.newaxis])
      log_q = tf.where(counts, log_q, tf.constant(-math.inf, log_q.dtype))
      return tf.reduce_logsumexp(log_q, axis=1)

    # Not tf.map_fn: an error in it leaves a caching device on the process's
    # variable scope, with which no strategy's scope can be entered any more.
    num_calls = tf.shape(own)[0]
    found = tf.TensorArray(
      latents.dtype, num_calls, element_shape=own.shape[1:]
    )
    _, found = tf.while_loop(
      lambda i, _: i < num_calls,
      lambda i, found: (i + 1, found.write(i, of_call(i))),
      (tf.constant(0), found),
      parallel_iterations=1,
    )
    return found.stack()


def _log_sum_of_others(
  latents: np.ndarray,
  blocks: _Blocks,
  pieces: pieces_lib.Pieces,
  progress: Progress,
) -> np.ndarray:
  """The ln Σ_n q(z_s|x_n) over n ≠ s, [S], in one block's memory."""
  total = np.full(len(latents), -math.inf)
  for i, block in enumerate(blocks):
    compute = functools.partial(block, latents)
    piece = pieces.get(f"block_{i:05}", compute)
    total = np.logaddexp(total, piece["log_sum"])
    progress(i + 1, len(blocks))
  return total


def _combine(
  drawn: pieces_lib.Arrays, others: np.ndarray, count: int, population: int
) -> MarginalKL:
  """From ln q of a sample's own example, and ln Σ q of the others."""
  own = drawn["log_q"].astype(np.float64)
  log_prior = drawn["log_prior"].astype(np.float64)
  log_mixture, log_unbiased = _log_mixtures(own, others, count, population)
  return MarginalKL(
    marginal_kl=_estimate(log_mixture - log_prior),
    average_kl=_estimate(own - log_prior),
    mutual_information=_estimate(own - log_mixture),
    lower_bound=_estimate(log_unbiased - log_prior),
    num_components=count,
    population=population,
    num_samples=len(own),
  )


def _log_mixtures(
  own: np.ndarray, others: np.ndarray, count: int, population: int
) -> tuple[np.ndarray, np.ndarray]:
  """Ln q_M(z_s), and that whose exponential is q(z_s) on average, [S].

  Args:
    own: ln q(z_s|x_s), [S].
    others: ln Σ q(z_s|x_n) over the other M − 1 examples, [S].
    count: M.
    population: N.
  """
  log_mixture = np.logaddexp(own, others) - math.log(count)
  log_unbiased = own - math.log(population)
  if count > 1:
    share = (population - 1) / population / (count - 1)
    log_unbiased = np.logaddexp(log_unbiased, others + math.log(share))
  return log_mixture, log_unbiased


def _estimate(samples: np.ndarray) -> Estimate:
  return Estimate(
    float(samples.mean()), float(samples.std(ddof=1) / len(samples) ** 0.5)
  )


def _check_numbers(name: str, are_good: np.ndarray) -> None:
  if not are_good.all():
    raise errors.UserError(
      f"{name} must be a number; it is not for {np.sum(~are_good)} of "
      f"{are_good.size} samples, as after a training that diverged."
    )
