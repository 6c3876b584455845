# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The competing ways to train a VAE, on many restarts at once.

Every loss is a sum over restarts of what each would minimise alone, and Adam
works on each number by itself, so that no restart touches another.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf import geco
from geco_tf.constraints import base as constraints_base
from geco_tf.constraints import reconstruction_error
from geco_tf.failure_modes import descent, ensembles, posteriors

Decode = Callable[[np.ndarray], Any]  # z [G, K] → x [1, G, D]
_REGRESSION_SPREAD = 1.5
_REGRESSION_POINTS = 20_000
_VARIANCE_ROWS = 10_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
  """What is trained, and how."""

  posterior: str = "mean_field"  # Or "nvp".
  learns_variance: bool = False  # σ² by gradient; otherwise it is given.
  beta: float = 1.0  # The weight of the KL.
  num_importance_samples: int = 1  # k of the IWAE; 1 is the ELBO.
  encoder_steps: int = 0  # Steps of the encoder alone before each other step.
  is_constrained: bool = False  # GECO: RMSE ≤ σ in place of a likelihood.


METHODS = {
  "vae": Method(),
  "vae_learned": Method(learns_variance=True),
  "beta_vae": Method(beta=0.5),
  "iwae_3": Method(num_importance_samples=3),
  "iwae_10": Method(num_importance_samples=10),
  "iwae_20": Method(num_importance_samples=20),
  "lagging": Method(encoder_steps=5),
  "nvp": Method(posterior="nvp"),
  "nvp_learned": Method(posterior="nvp", learns_variance=True),
  "geco": Method(is_constrained=True),
  "geco_nvp": Method(posterior="nvp", is_constrained=True),
}


class RestartErrors(constraints_base.PositiveErrorConstraint):
  """The reconstruction error of R restarts, each with its own multiplier.

    C_r = Σ_d (x_rd − g_rd)² − D κ²

  It is `constraints.ReconstructionError` for every restart, but for where λ
  starts: at 1/2κ². κ is the noise here, and networks this small are trained
  before a λ that starts lower has climbed to it.
  """

  def __init__(self, kappa: float, num_restarts: int):
    """Builds the constraint.

    Args:
      kappa: the RMSE per dimension.
      num_restarts: R.
    """
    self.name = "re"
    self.size = num_restarts
    self._bound = kappa**2
    self._one = reconstruction_error.ReconstructionError(kappa)

  def __call__(
    self,
    targets: tf.Tensor,
    reconstruction: tf.Tensor,
    squared_error: tf.Tensor | None = None,
    **context: Any,
  ) -> constraints_base.ConstraintValue:
    """Every restart's error.

    Args:
      targets: [B, R, D].
      reconstruction: [B, R, D].
      squared_error: [B, R], in place of the reconstruction's, where that is an
        expectation over several.
      **context: not read.
    """
    del context
    bound = tf.fill([self.size], targets.shape[2] * self._bound)
    error = squared_error
    if error is None:
      error = tf.reduce_sum((targets - reconstruction) ** 2, axis=2)
    return constraints_base.ConstraintValue(
      violation=error - bound,
      weight=None,
      bound=bound,
      initial_multiplier=tf.fill([self.size], 0.5 / self._bound),
    )

  def is_satisfied(
    self, moving_average: tf.Tensor, bound: tf.Tensor
  ) -> tf.Tensor:
    return self._one.is_satisfied(moving_average, bound)


def fit(
  data: np.ndarray,
  method: Method,
  *,
  latent_size: int,
  variance: float,
  num_restarts: int = 10,
  start: Decode | None = None,
  hidden_sizes: tuple[int, ...] = (48, 48),
  num_steps: int = 5_000,
  batch_size: int = 100,
  learning_rate: float = 3e-3,
  seed: int = 0,
  on_progress: descent.OnProgress | None = None,
) -> ensembles.Ensemble:
  """Trains R restarts of a method.

  Args:
    data: [N, D], in any units.
    method: one of METHODS, or your own.
    latent_size: K.
    variance: σ² of the noise. Where it is learned, what it starts from; under
      GECO, κ = σ.
    num_restarts: R.
    start: a function to start from, in place of random weights; see `start_at`.
    hidden_sizes: of encoder and decoder.
    num_steps: of Adam, its rate falling to a tenth along a cosine.
    batch_size: examples a step, drawn with replacement, others for each
      restart.
    learning_rate: of Adam at the start.
    seed: of everything random.
    on_progress: called now and then with the step and the losses [R].

  Returns:
    The trained ensemble.

  Raises:
    UserError: as `Ensemble`.
  """
  ensemble = ensembles.Ensemble(
    data,
    latent_size=latent_size,
    num_restarts=num_restarts,
    variance=variance,
    posterior=method.posterior,
    hidden_sizes=hidden_sizes,
    seed=seed,
  )
  if start is not None:
    start_at(ensemble, start, seed=seed)
  train(
    ensemble,
    data,
    method,
    num_steps=num_steps,
    batch_size=batch_size,
    learning_rate=learning_rate,
    seed=seed,
    on_progress=on_progress,
  )
  return ensemble


def train(
  ensemble: ensembles.Ensemble,
  data: np.ndarray,
  method: Method,
  *,
  num_steps: int,
  batch_size: int = 100,
  learning_rate: float = 3e-3,
  seed: int = 0,
  on_progress: descent.OnProgress | None = None,
  steps_per_call: int = descent.STEPS_PER_CALL,
) -> None:
  """Trains an ensemble from where it stands.

  Under GECO, σ² becomes the mean squared error on the data at the end ("Taming
  VAEs", equation 26).

  Args:
    ensemble: is changed.
    data: and the rest, as `fit` has them.
    method: as there.
    num_steps: as there.
    batch_size: as there.
    learning_rate: as there.
    seed: as there.
    on_progress: as there.
    steps_per_call: between its calls.
  """
  if method.is_constrained:
    loss: descent.Loss = _ConstrainedLoss(ensemble)
  else:
    loss = _Bound(ensemble, method)
  decoder_variables = ensemble.decoder.trainable_variables
  if method.learns_variance:
    decoder_variables = (*decoder_variables, ensemble.log_variance)
  trainer = descent.Trainer(
    loss,
    descent.draw_rows(data, ensemble.num_restarts, batch_size, seed),
    ensemble.encoder_variables,
    decoder_variables,
    encoder_steps=method.encoder_steps,
    num_steps=num_steps,
    learning_rate=learning_rate,
  )
  trainer.run(on_progress, steps_per_call)
  if method.is_constrained:
    set_variance(ensemble, data, seed)


def start_at(
  ensemble: ensembles.Ensemble,
  decode: Decode,
  *,
  num_steps: int = 3_000,
  batch_size: int = 100,
  learning_rate: float = 1e-2,
  seed: int = 0,
) -> None:
  """Moves an ensemble to a given function and to posteriors fit for it.

  The decoder by regression, E ‖g(z) − f(z)‖² under z ~ N(0, 1.5² I), whose
  tails a sample rarely sees. Then, with the decoder held, the posterior by
  E ln q(z|x) under p(z, x), which covers every mode, and by the ELBO, which is
  what the mean-field VAE asks of it.

  Args:
    ensemble: with σ² of the truth.
    decode: f, [G, K] → [1, G, D].
    num_steps: of each fit of the posterior; the regression takes thrice that.
    batch_size: examples a step.
    learning_rate: of Adam at the start.
    seed: of the samples.
  """
  encoder, decoder = (
    ensemble.encoder_variables,
    ensemble.decoder.trainable_variables,
  )
  rng = np.random.default_rng(seed)
  latents = _REGRESSION_SPREAD * rng.standard_normal(
    [_REGRESSION_POINTS, ensemble.latent_size]
  )
  targets = np.asarray(decode(latents))[0]
  restarts = ensemble.num_restarts
  points = descent.draw_rows(targets, restarts, batch_size, seed, latents)
  samples = _draw_samples(ensemble, batch_size, seed)
  for loss, draw, encoder_variables, decoder_variables, share in (
    (_Regression(ensemble), points, (), decoder, 3),
    (_PosteriorFit(ensemble), samples, encoder, (), 1),
    (_Bound(ensemble, Method()), samples, encoder, (), 1),
  ):
    descent.Trainer(
      loss,
      draw,
      encoder_variables,
      decoder_variables,
      num_steps=share * num_steps,
      learning_rate=learning_rate,
    ).run()


def _draw_samples(
  ensemble: ensembles.Ensemble, batch_size: int, seed: int
) -> descent.Draw:
  """(z, x) from the models themselves."""
  shape = [ensemble.num_restarts, batch_size]

  def draw(step):
    latents = tf.random.stateless_normal(
      [*shape, ensemble.latent_size], [seed + 2, step]
    )
    noise = tf.random.stateless_normal(
      [*shape, ensemble.data_size], [seed + 3, step]
    )
    deviation = tf.sqrt(ensemble.variance)[:, tf.newaxis, tf.newaxis]
    data = ensemble.decode_each(latents) + deviation * noise
    # A decoder that is held is not to learn through its own samples.
    data = tf.stop_gradient(data)
    return descent.Batch(data, latents, tf.stack([seed + 4, step]))

  return draw


def _draw_latents(
  model: ensembles.Ensemble, batch: descent.Batch, num_samples: int
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Features, z ~ q and ln q."""
  features = model.features(batch.data)
  noise = tf.random.stateless_normal(
    [*batch.data.shape[:2], num_samples, model.latent_size], batch.seed
  )
  return features, *model.posterior.sample_and_log_prob(features, noise)


class _Bound(descent.Loss):
  """−ELBO, β-VAE and IWAE: −ln (1/k) Σ w, w = p(x|z) (p(z)/q(z|x))^β."""

  def __init__(self, ensemble: ensembles.Ensemble, method: Method):
    self._ensemble = ensemble
    self._method = method

  def __call__(self, batch):
    model, k = self._ensemble, self._method.num_importance_samples
    features, latents, log_q = _draw_latents(model, batch, k)
    log_likelihood = model.log_likelihood_given(batch.data, latents)
    if k == 1:
      kl = self._method.beta * model.posterior.kl(features, latents, log_q)
      return tf.reduce_mean(kl - log_likelihood[..., 0], axis=1), None
    log_ratio = posteriors.log_prior(latents) - log_q
    log_weights = log_likelihood + self._method.beta * log_ratio
    bound = tf.reduce_logsumexp(log_weights, axis=2) - math.log(k)
    return -tf.reduce_mean(bound, axis=1), None


class _ConstrainedLoss(descent.Loss):
  """GECO: KL under an RMSE of at most σ, a multiplier for each restart."""

  def __init__(self, ensemble: ensembles.Ensemble):
    self._ensemble = ensemble
    # Every restart has the same one to begin with.
    kappa = math.sqrt(float(ensemble.variance[0]))
    self.geco = geco.GECO(RestartErrors(kappa, ensemble.num_restarts))

  def __call__(self, batch):
    model = self._ensemble
    features, latents, log_q = _draw_latents(model, batch, 1)
    kl = model.posterior.kl(features, latents, log_q)
    values = self.geco.constraint_values(
      tf.transpose(batch.data, [1, 0, 2]),
      tf.transpose(model.decode_each(latents)[:, :, 0], [1, 0, 2]),
    )
    loss = self.geco.lagrangian(tf.reduce_sum(kl, axis=0), values)
    # The Lagrangian is the sum already; its R-th part stands for each.
    return tf.fill([model.num_restarts], loss / model.num_restarts), values

  def update(self, state):
    self.geco.update(state)


class _Regression(descent.Loss):
  """E ‖x − g(z)‖² / 2σ² over pairs."""

  def __init__(self, ensemble: ensembles.Ensemble):
    self._ensemble = ensemble

  def __call__(self, batch):
    model = self._ensemble
    error = (batch.data - model.decode_each(batch.latents)) ** 2
    mean = tf.reduce_mean(tf.reduce_sum(error, axis=2), axis=1)
    return 0.5 * mean / model.variance, None


class _PosteriorFit(descent.Loss):
  """−E ln q(z|x) under the model's own p(z, x)."""

  def __init__(self, ensemble: ensembles.Ensemble):
    self._ensemble = ensemble

  def __call__(self, batch):
    model = self._ensemble
    features = model.features(batch.data)
    latents = batch.latents[:, :, tf.newaxis]
    log_q = model.posterior.log_prob(features, latents)
    return -tf.reduce_mean(log_q[..., 0], axis=1), None


def set_variance(
  ensemble: ensembles.Ensemble, data: np.ndarray, seed: int
) -> None:
  """σ² = (1/ND) Σ ‖x − g(z)‖², z ~ q(z|x), over enough rows for 1 %."""
  data = data[:_VARIANCE_ROWS]
  latents = ensemble.sample_posterior(data, 10, seed=seed)
  means = ensemble.decode_each(latents)
  error = (tf.cast(data, tf.float32)[:, tf.newaxis] - means) ** 2
  ensemble.log_variance.assign(
    tf.math.log(tf.reduce_mean(error, axis=[1, 2, 3]))
  )
