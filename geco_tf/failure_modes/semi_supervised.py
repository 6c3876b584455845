# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Semi-supervised VAEs, and what becomes of p(x|y) in them.

x = g(y, z) + noise with a label y that few rows have. Where the posterior is
q(z|x) q(y|x), one z has to do for every y, and the cheapest decoder is one that
ignores y: p(x|y=0) = p(x|y=1), functional collapse.

R restarts, N rows of D dimensions, of which L are labelled.

Source: Kingma et al. 2014 (M2) for the objective; "Failure Modes of Variational
Autoencoders and Their Effects on Downstream Tasks" for the collapse.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from geco_tf import errors, geco
from geco_tf.constraints import base as constraints_base
from geco_tf.failure_modes import (
  dense,
  descent,
  ensembles,
  methods,
  posteriors,
)

LABELS = ("discrete", "continuous")
# Points of z behind ln p(x|y), and how much wider than the prior they lie.
_NUM_POINTS = 128
_SPREAD = 1.5
_CANDIDATES = 8  # Labels among which a continuous one has to be told.


@dataclasses.dataclass(frozen=True, kw_only=True)
class Method:
  """What is trained, and how."""

  is_structured: bool = False  # q(z|x, y) in place of q(z|x).
  is_constrained: bool = False  # GECO: RMSE ≤ σ.
  label_kappa: float | None = None  # With GECO: E[−ln p(y|x)] ≤ this, nats.


class Model(tf.Module):
  """R semi-supervised VAEs side by side, z of one dimension.

  Attributes:
    variance: σ², one for all restarts.
    label: "discrete", y ~ Bernoulli(½) coded ±1; or "continuous", y ~ N(0, 1).
  """

  def __init__(
    self,
    data: np.ndarray,
    *,
    label: str,
    variance: float,
    num_restarts: int,
    is_structured: bool,
    hidden_sizes: tuple[int, ...],
    seed: int,
  ):
    super().__init__(name="semi_supervised")
    if label not in LABELS:
      raise errors.unknown_name("label", label, LABELS)
    self.label = label
    self.variance = variance
    self.num_restarts = num_restarts
    self.is_structured = is_structured
    self.data_size = data.shape[1]
    self._center = tf.constant(data.mean(axis=0), tf.float32)
    self._scale = tf.constant(math.sqrt(data.var(axis=0).mean()), tf.float32)
    make = dense.DenseEnsemble
    inputs = self.data_size + (1 if is_structured else 0)
    self.encoder = make([inputs, *hidden_sizes, 2], num_restarts, seed=seed)
    self.labeller = make(
      [self.data_size, *hidden_sizes, 1 if label == "discrete" else 2],
      num_restarts,
      seed=seed + 1,
    )
    self.decoder = make(
      [2, *hidden_sizes, self.data_size], num_restarts, seed=seed + 2
    )

  def decode_each(self, label: tf.Tensor, latents: tf.Tensor) -> tf.Tensor:
    """The means g(y, z): [..., 1] and [..., 1] → [..., D], coded labels."""
    inputs = tf.concat([label, latents], axis=-1)
    return self._center + self._scale * self.decoder(inputs)

  def decode_given(self, label: float) -> Callable[[np.ndarray], np.ndarray]:
    """The decoder with y held: z [G, 1] → [R, G, D]."""

    def decode(latents):
      latents = tf.cast(latents, tf.float32)[tf.newaxis]
      held = self.code(tf.fill(tf.shape(latents), float(label)))
      return self.decode_each(held, latents).numpy()

    return decode

  def code(self, label: tf.Tensor) -> tf.Tensor:
    """Labels as networks see them: 0 and 1 become ±1."""
    return 2.0 * label - 1.0 if self.label == "discrete" else label

  def standardise(self, data: tf.Tensor) -> tf.Tensor:
    return (data - self._center) / self._scale

  def error(self, data, label, latents) -> tf.Tensor:
    """Σ_d (x − g(y, z))²: [R, B]."""
    means = self.decode_each(label, latents)
    return tf.reduce_sum((data - means) ** 2, axis=-1)

  def sample_latents(self, data, label, noise) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws z ~ q(z|x[, y]), [R, B, 1], and its KL to the prior, [R, B]."""
    inputs = self.standardise(data)
    if self.is_structured:
      inputs = tf.concat([inputs, label], axis=-1)
    loc, scale = posteriors.loc_and_scale(self.encoder(inputs))
    loc, scale = loc[:, :, 0], scale[:, :, 0]
    return loc + scale * noise, _gaussian_kl(loc, scale)

  def log_joint_label(self, data: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """The log density ln p(x|y), by a sum over fixed z.

    They are the quantiles of N(0, 1.5²), weighted to be N(0, 1).

    Args:
      data: [R, B, D].
      label: candidates, coded, [R, C].

    Returns:
      [R, B, C], nats.
    """
    share = (tf.range(_NUM_POINTS, dtype=tf.float32) + 0.5) / _NUM_POINTS
    latents = _SPREAD * math.sqrt(2.0) * tf.math.erfinv(2.0 * share - 1.0)
    log_mass = 0.5 * latents**2 * (_SPREAD**-2 - 1.0)
    log_mass += math.log(_SPREAD / _NUM_POINTS)
    shape = [self.num_restarts, label.shape[1], _NUM_POINTS, 1]
    means = self.decode_each(
      tf.broadcast_to(label[:, :, tf.newaxis, tf.newaxis], shape),
      tf.broadcast_to(latents[:, tf.newaxis], shape),
    )
    difference = data[:, :, tf.newaxis, tf.newaxis] - means[:, tf.newaxis]
    error = tf.reduce_sum(difference**2, axis=-1)
    log_noise = -0.5 * error / self.variance
    log_noise -= 0.5 * self.data_size * math.log(2 * math.pi * self.variance)
    return tf.reduce_logsumexp(log_noise + log_mass, axis=-1)


def fit(
  data: np.ndarray,
  labels: np.ndarray | None,
  method: Method,
  *,
  label: str,
  variance: float,
  num_labelled: int,
  num_restarts: int = 10,
  hidden_sizes: tuple[int, ...] = (48, 48),
  num_steps: int = 5_000,
  batch_size: int = 100,
  learning_rate: float = 3e-3,
  seed: int = 0,
) -> Model:
  """Trains R restarts on rows of which the first few are labelled.

    −[(1/N) Σ_unlabelled ln p(x) bound + (1/N) Σ_labelled ln p(x, y) bound]
      − mean_labelled ln q(y|x)

  Under GECO the KLs are minimised, the squared error is held at D σ², and, if
  label_kappa is given, the labelled rows' −ln p(y|x) under the generative model
  at that. Both from the core, a multiplier for each restart.

  Args:
    data: [N, D].
    labels: [N], 0 or 1, or real numbers; only the first num_labelled are read.
    method: what is trained.
    label: "discrete" or "continuous".
    variance: σ² of the noise.
    num_labelled: L.
    num_restarts: R.
    hidden_sizes: of every network.
    num_steps: of Adam.
    batch_size: rows a step, of the unlabelled and of the labelled alike.
    learning_rate: of Adam at the start.
    seed: of everything random.

  Returns:
    The trained models.

  Raises:
    UserError: if there are no labels, not so many, or other ones; if data is
      not a finite table.
  """
  if labels is None:
    raise errors.UserError(
      "`labels` must be given to train with supervision; got none."
    )
  if not 1 <= num_labelled <= len(data):
    raise errors.UserError(
      f"`num_labelled` must be 1 to the number of rows, {len(data)}; got "
      f"{num_labelled}."
    )
  data = ensembles.check_table(data)
  _check_labels(np.asarray(labels), label, len(data), num_labelled)
  model = Model(
    data,
    label=label,
    variance=variance,
    num_restarts=num_restarts,
    is_structured=method.is_structured,
    hidden_sizes=hidden_sizes,
    seed=seed,
  )
  draw = _draw(data, labels, num_labelled, num_restarts, batch_size, seed)
  share = num_labelled / len(data)
  if method.is_constrained:
    loss: _Loss = _ConstrainedLoss(model, share, method.label_kappa)
  else:
    loss = _Loss(model, share)
  trainer = descent.Trainer(
    loss,
    draw,
    (*model.encoder.trainable_variables, *model.labeller.trainable_variables),
    model.decoder.trainable_variables,
    num_steps=num_steps,
    learning_rate=learning_rate,
  )
  trainer.run()
  return model


def _check_labels(
  labels: np.ndarray, label: str, num_rows: int, num_labelled: int
) -> None:
  if labels.shape != (num_rows,):
    raise errors.UserError(
      f"`labels` must be one for each of {num_rows} rows; got shape "
      f"{labels.shape}."
    )
  read = labels[:num_labelled]
  if label == "discrete" and not np.isin(read, (0, 1)).all():
    raise errors.UserError(
      f"`labels` must be 0 or 1 in the first {num_labelled} rows; got "
      f"{np.unique(read[~np.isin(read, (0, 1))])[0]}."
    )
  if not np.isfinite(read).all():
    raise errors.UserError(
      f"`labels` must be finite in the first {num_labelled} rows: NaN is no "
      "label."
    )


class LabelErrors(constraints_base.PositiveErrorConstraint):
  """C_r = E[−ln p(y|x)] − κ of R restarts: labels as likely as κ nats say."""

  def __init__(self, kappa: float, num_restarts: int):
    """Args: kappa: nats; num_restarts: R."""
    self.kappa = constraints_base.check_tolerance("label_kappa", kappa)
    self.name = "label"
    self.size = num_restarts

  def __call__(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> constraints_base.ConstraintValue:
    """Args: labels: −ln p(y|x) of the labelled rows, [B, R]."""
    neg_log_prob = context["labels"]
    bound = tf.fill([self.size], self.kappa)
    return constraints_base.ConstraintValue(
      violation=neg_log_prob - bound,
      weight=None,
      bound=bound,
      initial_multiplier=tf.ones([self.size]),
    )


def _draw(data, labels, num_labelled, num_restarts, batch_size, seed):
  """Half of a batch from all rows, half from the labelled ones."""
  table = np.concatenate([data, np.reshape(labels, [-1, 1])], axis=1)
  every = descent.draw_rows(table, num_restarts, batch_size, seed)
  labelled = descent.draw_rows(
    table[:num_labelled], num_restarts, batch_size, seed + 7
  )

  def draw(step):
    batch = every(step)
    both = tf.concat([batch.data, labelled(step).data], axis=1)
    return batch._replace(data=both)

  return draw


class _Loss(descent.Loss):
  """M2's bound: mean over rows of −ln p(x|y, z) and KLs, and −ln q(y|x)."""

  def __init__(self, model: Model, labelled_share: float):
    self._model = model
    self._share = labelled_share

  def __call__(self, batch):
    error, cost = self._terms(batch)
    loss = 0.5 * error / self._model.variance + cost
    return tf.reduce_mean(loss, axis=1), None

  def _terms(self, batch: descent.Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """Squared error, and all that is nats already: [R, B] each."""
    rows = batch.data[..., :-1]
    count = rows.shape[1] // 2
    known, label = self._known(batch)
    noise = tf.random.stateless_normal([*rows.shape[:2], 2], batch.seed)
    free_error, free_kl = self._unlabelled(rows[:, :count], noise[:, :count])
    known_error, known_kl = self._labelled(known, label, noise[:, count:, :1])
    share = self._share
    error = (1.0 - share) * free_error + share * known_error
    kl = (1.0 - share) * free_kl + share * known_kl
    return error, kl + self._label_cost(known, label)

  def _known(self, batch: descent.Batch) -> tuple[tf.Tensor, tf.Tensor]:
    """The labelled rows and their coded labels."""
    known = batch.data[:, batch.data.shape[1] // 2 :]
    return known[..., :-1], self._model.code(known[..., -1:])

  def _labelled(self, data, label, noise):
    """Squared error and KL of rows whose y is known, [R, B] each."""
    latents, kl = self._model.sample_latents(data, label, noise)
    return self._model.error(data, label, latents), kl

  def _unlabelled(self, data, noise):
    """The same where y ~ q(y|x)."""
    outputs = self._model.labeller(self._model.standardise(data))
    if self._model.label == "continuous":
      loc, scale = posteriors.loc_and_scale(outputs)
      loc, scale = loc[:, :, 0], scale[:, :, 0]
      label = loc + scale * noise[..., 1:]
      error, kl = self._labelled(data, label, noise[..., :1])
      return error, kl + _gaussian_kl(loc, scale)
    log_probs = [tf.math.log_sigmoid(sign * outputs) for sign in (-1.0, 1.0)]
    error, kl = 0.0, 0.0
    for sign, log_prob in zip((-1.0, 1.0), log_probs, strict=True):
      label = sign * tf.ones_like(outputs)
      log_prob = log_prob[..., 0]
      prob = tf.exp(log_prob)
      one_error, one_kl = self._labelled(data, label, noise[..., :1])
      error += prob * one_error
      kl += prob * (one_kl + log_prob + math.log(2.0))
    return error, kl

  def _label_cost(self, data, label):
    """−ln q(y|x), [R, B], which trains the labeller."""
    outputs = self._model.labeller(self._model.standardise(data))
    if self._model.label == "discrete":
      return -tf.math.log_sigmoid(label * outputs)[..., 0]
    loc, scale = posteriors.loc_and_scale(outputs)
    noise = (label - loc[:, :, 0]) / scale[:, :, 0]
    log_scale = tf.math.log(scale[:, :, 0, 0])
    return log_scale - posteriors.log_prior(noise)


class _ConstrainedLoss(_Loss):
  """GECO: the nats of the bound under an RMSE, and labels, that must be met."""

  def __init__(
    self, model: Model, labelled_share: float, label_kappa: float | None
  ):
    super().__init__(model, labelled_share)
    constraints: list[constraints_base.Constraint] = [
      methods.RestartErrors(math.sqrt(model.variance), model.num_restarts)
    ]
    if label_kappa is not None:
      constraints.append(LabelErrors(label_kappa, model.num_restarts))
    self._geco = geco.GECO(constraints)

  def __call__(self, batch):
    model = self._model
    error, cost = self._terms(batch)
    known, label = self._known(batch)
    rows = tf.transpose(known, [1, 0, 2])  # For their shape alone.
    values = self._geco.constraint_values(
      rows,
      rows,
      squared_error=tf.transpose(error),
      labels=self._neg_log_label(known, label),
    )
    loss = self._geco.lagrangian(tf.reduce_sum(cost, axis=0), values)
    return tf.fill([model.num_restarts], loss / model.num_restarts), values

  def update(self, state):
    self._geco.update(state)

  def _neg_log_label(self, data, label):
    """−ln p(y|x) among candidates, under the generative model: [B, R]."""
    model = self._model
    if model.label == "discrete":
      candidates = tf.tile([[-1.0, 1.0]], [model.num_restarts, 1])
      is_true = tf.concat([label < 0.0, label > 0.0], axis=-1)
    else:
      # A stratum of N(0, 1) stands for all labels in it.
      candidates, is_true = _strata(label, model.num_restarts)
    log_prob = tf.nn.log_softmax(model.log_joint_label(data, candidates))
    picked = tf.reduce_sum(tf.where(is_true, log_prob, 0.0), axis=-1)
    return -tf.transpose(picked)


def _strata(label: tf.Tensor, num_restarts: int):
  """Medians of equally likely parts of N(0, 1), and which one y is in."""
  share = (tf.range(_CANDIDATES, dtype=tf.float32) + 0.5) / _CANDIDATES
  medians = math.sqrt(2.0) * tf.math.erfinv(2.0 * share - 1.0)
  uniform = 0.5 * (1.0 + tf.math.erf(label[..., 0] / math.sqrt(2.0)))
  part = tf.minimum(tf.cast(uniform * _CANDIDATES, tf.int32), _CANDIDATES - 1)
  is_true = tf.one_hot(part, _CANDIDATES, True, False, dtype=tf.bool)
  return tf.tile(medians[tf.newaxis], [num_restarts, 1]), is_true


def _gaussian_kl(loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
  """KL(N(loc, scale²) ‖ N(0, 1)): [R, B, 1] → [R, B]."""
  return (0.5 * (loc**2 + scale**2 - 1.0) - tf.math.log(scale))[..., 0]
