# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Likelihoods that do not depend on the multipliers."""

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import data, errors, models
from geco_tf.data import pipeline
from geco_tf.evaluation import pieces as pieces_lib
from geco_tf.evaluation import reconstruction, replicas

BIN_WIDTH = 1.0 / 255.0  # Between two values of a pixel.
# σ of a model that reconstructs perfectly, which has no density.
SMALLEST_SIGMA = 0.5 * BIN_WIDTH
_BATCH_SIZE = 250
# Examples whose bounds are one piece; latents of one example that are decoded
# together; what decoding and weighing take, in copies of an image's float64.
_BOUNDS_PER_PIECE = 20
_LATENTS_PER_CALL = 250
_WORKING_COPIES = 32


def quantized_normal_per_dim(
  mse: float, sigma: float, bin_width: float = BIN_WIDTH
) -> float:
  """Expected −ln p of one dimension under the quantized normal, nats.

    ½ ln 2πσ² + (MSE + bin²/12) / 2σ² − ln bin

  The mean over u ~ U(−½, ½)·bin of −ln(N(x + u; g, σ²)·bin), with
  E (x − g)² = MSE.

  Args:
    mse: mean squared error per dimension, data in [0, 1].
    sigma: σ of the decoder.
    bin_width: between two values of a pixel.

  Returns:
    Nats per dimension.

  Source: "Taming VAEs", appendix D, after Rosca et al. 2018; BUILD_NOTES 8.
  """
  variance = sigma**2
  spread = mse + bin_width**2 / 12.0
  return (
    0.5 * math.log(2.0 * math.pi * variance)
    + spread / (2.0 * variance)
    - math.log(bin_width)
  )


def quantized_normal_log_prob(
  images: tf.Tensor,
  means: tf.Tensor,
  sigma: float,
  *,
  noise: tf.Tensor | None = None,
) -> tf.Tensor:
  """The log probability of quantized images, summed over their dimensions.

    exact:       Σ_d ln [Φ((x + bin/2 − g)/σ) − Φ((x − bin/2 − g)/σ)]
    noise form:  Σ_d [ln N(x + u; g, σ²) + ln bin],  u ~ U(−½, ½)·bin

  By Jensen, the noise form is below the exact one on average; by (bin/σ)²/24 a
  dimension or so, at errors of the size of σ.

  Args:
    images: x, [B, …], multiples of bin = 1/255.
    means: g, [B, …].
    sigma: σ of the decoder.
    noise: u/bin, uniform in [−½, ½), of the images' shape; None for the exact
      form.

  Returns:
    [B], nats; float64 in the exact form, where a bin is a small difference.

  Source: "Taming VAEs", appendix D, after Rosca et al. 2018.
  """
  if noise is not None:
    there = images + BIN_WIDTH * tf.cast(noise, images.dtype)
    log_prob = tfd.Normal(means, sigma).log_prob(there) + math.log(BIN_WIDTH)
  else:
    images, means = (tf.cast(t, tf.float64) for t in (images, means))
    # By symmetry both ends are on the left, where ln Φ keeps its digits.
    end = (0.5 * BIN_WIDTH - tf.abs(images - means)) / sigma
    normal = tfd.Normal(tf.zeros([], tf.float64), 1.0)
    upper = normal.log_cdf(end)
    lower = normal.log_cdf(end - BIN_WIDTH / sigma)
    log_prob = upper + tf.math.log1p(-tf.exp(lower - upper))
  return tf.reduce_sum(log_prob, axis=range(1, log_prob.shape.rank))


class Likelihood(NamedTuple):
  """Means over examples at a given σ, with one z ~ q(z|x) each; λ is not in it.

  The negative log likelihood is E_q −ln p(x|z). As a point in the plane of rate
  and distortion it is (`kl`, `neg_log_likelihood`).
  """

  sigma: float
  num_dims: int  # D.
  num_examples: int
  rmse: float
  kl: float  # nats.
  neg_log_likelihood: float  # nats, noise form, its expectation over u.
  neg_log_likelihood_exact: float  # nats.
  kl_per_step: tuple[float, ...] = ()  # nats, of models that have steps.

  @property
  def elbo(self) -> float:
    """−(negative log likelihood + KL), nats, in the noise form."""
    return -(self.neg_log_likelihood + self.kl)

  def to_json(self) -> dict[str, Any]:
    """The same as JSON, nats beside bits per dimension."""
    fields = self._asdict()
    fields["elbo"] = self.elbo
    for name in (
      "kl",
      "neg_log_likelihood",
      "neg_log_likelihood_exact",
      "elbo",
    ):
      fields[f"{name}_bits_per_dim"] = bits_per_dim(fields[name], self.num_dims)
    return {**fields, "kl_per_step": list(self.kl_per_step)}


def bits_per_dim(nats: float, num_dims: int) -> float:
  """Nats of an example in bits per dimension."""
  return nats / (num_dims * math.log(2.0))


def optimal_sigma(
  model: snt.Module, batches: Iterable[Any], *, seed: int = 0
) -> float:
  """The decoder's σ that makes given data likeliest.

    σ_opt = sqrt(1/(B D) Σ_b ‖x_b − g(z_b)‖²),  z_b ~ q(z|x_b)

  Args:
    model: any model of the package, with its variables created.
    batches: of type `Batch`, of training data.
    seed: of the noise.

  Returns:
    σ_opt, not below half a bin.

  Raises:
    UserError: if it is not a number, as after a training that diverged.

  Source: "Taming VAEs", equation 26.
  """
  measure = reconstruction.ReconstructionMeasure(model)
  found = measure(batches, seed=seed)
  if not math.isfinite(found.rmse + found.kl):
    raise errors.UserError(
      f"RMSE and KL must be numbers; got {found.rmse} and {found.kl}, as after "
      "a training that diverged."
    )
  return max(found.rmse, SMALLEST_SIGMA)


def measure(
  model: snt.Module, batches: Iterable[Any], sigma: float, *, seed: int = 0
) -> Likelihood:
  """Likelihood, KL and ELBO of a model on fixed examples.

  Batches are cut over the replicas of the strategy that it is called under.

  Args:
    model: any model of the package, with its variables created.
    batches: of type `Batch`, once through; the last may be smaller.
    sigma: of the decoder, as `optimal_sigma` gives it.
    seed: of the noise; the same seed and batches give the same numbers.

  Returns:
    The `Likelihood`.
  """

  def sums(part: replicas.Part, number: tf.Tensor) -> tuple[tf.Tensor, ...]:
    images, context = part.examples
    outputs = models.call(
      model, images, context, seed=part.seed(tf.stack([seed, number]))
    )
    error = tf.math.squared_difference(images, outputs.reconstruction)
    log_prob = quantized_normal_log_prob(images, outputs.reconstruction, sigma)
    steps = outputs.kl_per_step
    return (
      tf.reduce_sum(part.real(error)),
      tf.reduce_sum(part.real(log_prob)),
      tf.reduce_sum(part.real(outputs.kl)),
      tf.zeros([0])
      if steps is None
      else tf.reduce_sum(part.real(steps), axis=0),
    )

  compiled = replicas.OverReplicas(sums, autograph=False)
  totals: list[Any] = [0.0, 0.0, 0.0, 0.0]
  count, num_dims = 0, 1
  for i, batch in enumerate(batches):
    for found in compiled((batch.images, batch.context), tf.constant(i)):
      for j, part in enumerate(found):
        totals[j] = totals[j] + part.numpy().astype(np.float64)
    num_dims = math.prod(batch.images.shape[1:])
    count += len(batch.images)
  error, log_prob, kl, kl_per_step = (total / count for total in totals)
  mse = float(error) / num_dims
  return Likelihood(
    sigma=sigma,
    num_dims=num_dims,
    num_examples=count,
    rmse=mse**0.5,
    kl=float(kl),
    neg_log_likelihood=num_dims * quantized_normal_per_dim(mse, sigma),
    neg_log_likelihood_exact=-float(log_prob),
    kl_per_step=tuple(float(step) for step in kl_per_step),
  )


class ImportanceWeightedBound(NamedTuple):
  """A lower bound of ln p(x), the mean over examples; nats."""

  value: float
  standard_error: float  # Over the examples.
  num_importance_samples: int  # k.
  num_examples: int
  num_dims: int

  def to_json(self) -> dict[str, Any]:
    """The same as JSON, with its bits per dimension."""
    return {
      **self._asdict(),
      "bits_per_dim": bits_per_dim(-self.value, self.num_dims),
    }


def importance_weighted_bound(
  model: snt.Module,
  split: data.Split,
  sigma: float,
  *,
  num_importance_samples: int,
  num_examples: int,
  seed: int = 0,
  memory_gib: float = 1.0,
  pieces: pieces_lib.Pieces | None = None,
  progress: Any = None,
) -> ImportanceWeightedBound:
  """The importance-weighted bound with k samples, of the exact likelihood.

    ln p(x) ≥ E ln (1/k) Σ_i p(x|z_i) π(z_i) / q(z_i|x),  z_i ~ q(z|x)

  The sum is taken as the samples come: memory does not grow with k. Under a
  strategy each replica takes an example at a time.

  Args:
    model: any model of the package, with its variables created.
    split: of the data, usually test data.
    sigma: of the decoder, as `optimal_sigma` gives it.
    num_importance_samples: k. The bound rises with it, to ln p(x).
    num_examples: how many examples of the split, drawn by seed.
    seed: of that draw and the latents.
    memory_gib: what may be held beside model and data.
    pieces: where finished examples are kept.
    progress: told how many of how many examples are done.

  Returns:
    The bound.

  Raises:
    UserError: if a number is not positive, there are fewer examples than asked
      for, or the memory does not suffice.

  Source: Burda et al. 2016, equation 8.
  """
  models.networks.check_positive(num_importance_samples=num_importance_samples)
  check_num_examples("num_examples", num_examples, split)
  pieces = pieces or pieces_lib.Pieces(None, {})
  num_dims = math.prod(data.sources.view_of(split).image_shape)
  bound = _Bound(model, sigma, num_importance_samples, num_dims, memory_gib)
  fixed = pipeline.evaluation_batches(
    split, _BOUNDS_PER_PIECE, num_examples=num_examples, seed=seed
  )
  values: list[np.ndarray] = []
  for i, batch in enumerate(fixed.batches):
    compute = functools.partial(bound, batch, seed, i)
    values.extend(pieces.get(f"bounds_{i:05}", compute)["bounds"])
    if progress is not None:
      progress(len(values), num_examples)
  return ImportanceWeightedBound(
    float(np.mean(values)),
    float(np.std(values, ddof=1) / len(values) ** 0.5)
    if len(values) > 1
    else math.inf,
    num_importance_samples,
    num_examples,
    num_dims,
  )


class _Bound:
  """ln (1/k) Σ_i w_i of one example after another; traced once."""

  def __init__(
    self,
    model: snt.Module,
    sigma: float,
    num_importance_samples: int,
    num_dims: int,
    memory_gib: float,
  ):
    per_latent = 8 * _WORKING_COPIES * num_dims
    there = int(memory_gib * 2**30 / per_latent)
    if there < 1:
      raise errors.UserError(
        f"`memory_gib` must be at least {per_latent / 2**30:.3g} for images of "
        f"{num_dims} dimensions; got {memory_gib:g}."
      )
    self._model, self._sigma = model, sigma
    self._total = num_importance_samples
    self._per_call = min(num_importance_samples, _LATENTS_PER_CALL, there)
    self._compiled = replicas.OverReplicas(self._of_part, autograph=False)

  def __call__(
    self, batch: data.Batch, seed: int, number: int
  ) -> pieces_lib.Arrays:
    """The "bounds" [B] of the batch of that number."""
    size, together = len(batch.images), self._compiled.num_parts
    numbers = _BOUNDS_PER_PIECE * number + tf.range(size)
    seeds = tf.stack([tf.fill([size], seed), numbers], axis=1)
    bounds: list[np.ndarray] = []
    for b in range(0, size, together):
      some = tf.nest.map_structure(
        lambda t, b=b: None if t is None else t[b : b + together],
        (batch.images, batch.context, seeds),
      )
      bounds.extend(bound.numpy() for bound in self._compiled(some))
    # The last ones only gave the other replicas something to do.
    return {"bounds": np.array(bounds[:size])}

  def _of_part(self, part: replicas.Part) -> tf.Tensor:
    images, context, seeds = part.examples
    return self._of_example(images, context, seeds[0])

  def _of_example(
    self, images: tf.Tensor, context: tf.Tensor | None, seed: tf.Tensor
  ) -> tf.Tensor:
    draw = models.draws(self._model, images, context)
    per_call, total = self._per_call, self._total

    def add(call: tf.Tensor, log_sum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
      outputs = draw(
        per_call, tf.random.experimental.stateless_fold_in(seed, call)
      )
      log_weight = quantized_normal_log_prob(
        images, outputs.reconstruction, self._sigma
      ) + tf.cast(outputs.log_prior - outputs.log_q, tf.float64)
      # The last call may draw more than are wanted.
      is_wanted = call * per_call + tf.range(per_call) < total
      log_weight = tf.where(is_wanted, log_weight, -math.inf)
      log_new = tf.reduce_logsumexp(log_weight)
      return call + 1, tf.reduce_logsumexp([log_sum, log_new])

    num_calls = -(-total // per_call)
    _, log_sum = tf.while_loop(
      lambda call, log_sum: call < num_calls,
      add,
      (0, tf.constant(-math.inf, tf.float64)),
      parallel_iterations=1,
    )
    return log_sum - math.log(total)


def check_num_examples(name: str, count: int, split: data.Split) -> None:
  """Raises a UserError unless the split has so many examples."""
  if not 1 <= count <= split.num_examples:
    raise errors.UserError(
      f"`{name}` must be from 1 to the {split.num_examples} examples that "
      f"there are; got {count}."
    )
