# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seven digits, few enough to see whether a latent plane is tiled well."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf import data, errors
from geco_tf.data import sources
from geco_tf.theory import tilings

NUM_DIGITS = 7
_NUM_SAMPLES = 10_000  # Of a digit's posterior, behind the numbers.
_NUM_SHOWN = 100  # Of them, in the pictures.


def draw(source: data.Source, seed: int) -> data.Split:
  """Seven random training examples, as a function of the seed.

  Raises:
    UserError: if the source has no labels or not seven examples.
  """
  if source.train.labels is None or source.train.num_examples < NUM_DIGITS:
    raise errors.UserError(
      f"`dataset` must have labels and at least {NUM_DIGITS} examples; "
      f"{source.name!r} has not."
    )
  # RandomState's stream never changes between versions of NumPy.
  random = np.random.RandomState(seed)
  indices = random.choice(source.train.num_examples, NUM_DIGITS, replace=False)
  return sources.take(source.train, indices)


def repeated(
  digits: data.Split, num_classes: int | None, times: int
) -> data.Source:
  """A source whose batches, at its size, hold every digit equally often."""
  copies = np.tile(np.arange(NUM_DIGITS), times)
  return data.Source(
    name="micro",
    train=sources.take(digits, copies),
    test=digits,
    num_classes=num_classes,
  )


def unit(images: np.ndarray) -> np.ndarray:
  """Images as floats in [0, 1]."""
  if images.dtype == np.uint8:
    return (images / 255.0).astype(np.float32)
  return images


def measure(
  model: Any, images: np.ndarray, *, seed: int, num_samples: int = _NUM_SAMPLES
) -> dict[str, Any]:
  """How tight the tiles of a trained model are.

  Args:
    model: with two latents, as `models.VAE`.
    images: the n examples that it was trained on, [n, H, W, C] in [0, 1].
    seed: of the samples.
    num_samples: S, of each example's posterior.

  Returns:
    `kl`, `marginal_kl` and `information`, nats, each with the standard error of
    its mean over the n S samples; `rmse`; the prior's share in `holes` and
    `blurs`; some `samples` [n, 100, 2] and one `reconstruction` of each.
  """
  n = len(images)
  latents = model.posterior(images).sample(
    num_samples, seed=tf.constant([seed, 0])
  )  # [S, n, 2]
  flat = tf.reshape(latents, [-1, 2])
  features = model.posterior_features(images)
  log_q = model.pairwise_log_prob(flat, features)
  own = tf.reshape(tf.linalg.diag_part(tf.reshape(log_q, [-1, n, n])), [-1])
  log_prior = model.prior.log_prob(flat)
  log_marginal = tf.reduce_logsumexp(log_q, axis=1) - math.log(n)
  decoded = tf.stack([model.decode(z) for z in latents[:_NUM_SHOWN]])
  return {
    **_mean_and_error("kl", own - log_prior),
    **_mean_and_error("marginal_kl", log_marginal - log_prior),
    **_mean_and_error("information", own - log_marginal),
    "rmse": float(tf.sqrt(tf.reduce_mean((decoded - images) ** 2))),
    **shares(tilings.latent_plane(model, images)),
    "samples": _listed(tf.transpose(latents[:_NUM_SHOWN], [1, 0, 2])),
    "reconstruction": _listed(decoded[0]),
  }


def shares(plane: tilings.LatentPlane) -> dict[str, float]:
  """The prior's mass in holes, and in blurs outside of them."""
  holes = plane.holes()
  return {
    "holes": float(plane.prior_mass(holes)),
    "blurs": float(plane.prior_mass(plane.blurs() & ~holes)),
  }


def _listed(values: tf.Tensor) -> list[Any]:
  return values.numpy().astype(np.float64).round(3).tolist()


def _mean_and_error(name: str, values: tf.Tensor) -> dict[str, float]:
  array = values.numpy().astype(np.float64)
  error = array.std() / math.sqrt(array.size)
  return {name: float(array.mean()), f"{name}_error": float(error)}
