# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which failure modes a VAE shows on a table of numbers.

Competing posteriors are trained on the same rows; where they disagree, the
poorer one is at fault. Nothing here needs the truth. Of each restart the
weights are kept that did best on rows held back: small tables are soon learned
by heart.
"""

import dataclasses
import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geco_tf import errors
from geco_tf.evaluation import two_sample
from geco_tf.failure_modes import ensembles, methods, posteriors, tables

# Held-out rows that are measured at most, and rows of a marginal KL's mixture.
_MAX_TEST_ROWS = 1_000
_MAX_MIXTURE_ROWS = 4_000
_ELBO_SAMPLES = 200
_STEPS_PER_LOOK = 50  # Rows held back are looked at so often.
# A unit whose mean moves less than this is not used (Burda et al. 2016).
_ACTIVE_VARIANCE = 0.01


def _field(default: Any, help_text: str) -> Any:
  return dataclasses.field(default=default, metadata={"help": help_text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
  """What a user may choose. Each field is a flag of the same name."""

  latent_size: int = _field(4, "dimensions of z.")
  kappa: float | None = _field(
    None, "GECO's RMSE on standardised columns; else the noise nvp learned."
  )
  num_restarts: int = _field(5, "of each method, side by side.")
  num_steps: int = _field(4_000, "of Adam.")
  hidden_size: int = _field(32, "width of the two hidden layers.")
  num_importance_samples: int = _field(2_000, "behind each ln p(x).")
  test_share: float = _field(0.25, "of the rows, held out and measured.")
  stop_share: float = _field(
    0.2, "of the other rows, held back to choose when to stop."
  )
  seed: int = _field(0, "of everything random.")

  def check(self) -> None:
    """Raises: UserError: for a value out of its range."""
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if field.name != "seed" and value is not None and not value > 0:
        raise errors.UserError(f"`{field.name}` must be positive; got {value}.")
    if self.seed < 0:
      raise errors.UserError(f"`seed` must not be negative; got {self.seed}.")
    for name in ("test_share", "stop_share"):
      share = getattr(self, name)
      if not share < 1.0:
        raise errors.UserError(f"`{name}` must be below 1; got {share}.")


class _Trained(NamedTuple):
  name: str
  ensemble: ensembles.Ensemble


# In the order of the report.
LABELS = {
  "mean_field": "mean field",
  "nvp": "NVP",
  "iwae": "IWAE (k = 10)",
  "geco": "GECO (mean field)",
}
_METHODS = {
  "mean_field": methods.Method(learns_variance=True),
  "nvp": methods.Method(posterior="nvp", learns_variance=True),
  "iwae": methods.Method(num_importance_samples=10, learns_variance=True),
  "geco": methods.Method(is_constrained=True),
}


def diagnose(
  table: tables.Table,
  settings: Settings,
  *,
  say: Callable[[str], None] = logging.info,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
  """Trains the competitors on a table and measures them on held-out rows.

  Args:
    table: the data, in any units; columns are standardised.
    settings: of the user.
    say: is told how far it is, a line at a time.

  Returns:
    The numbers, as JSON can hold them ("data", "settings", "methods" → name →
    measurements), and the points of a picture: "held out" and each method's
    samples, [M, D] each, standardised.

  Raises:
    UserError: for settings out of range.
  """
  settings.check()
  split = tables.split(
    table, test_share=settings.test_share, seed=settings.seed
  )
  test = split.test[:_MAX_TEST_ROWS]
  num_held_back = max(1, round(settings.stop_share * len(split.train)))
  train, held_back = np.split(split.train, [-num_held_back])
  if len(train) < 2:
    raise errors.UserError(
      f"`stop_share` must leave two rows or more; {settings.stop_share} leaves "
      f"{len(train)} of {len(split.train)}."
    )
  found: dict[str, Any] = {}
  samples = {"held out": test}
  kappa = settings.kappa or 0.0
  for name, method in _METHODS.items():
    if name == "geco" and settings.kappa is None:
      kappa = math.sqrt(found["nvp"]["variance"][found["nvp"]["best"]])
    say(f"{LABELS[name]}: training {settings.num_restarts} restarts")
    variance = 0.25 if name != "geco" else kappa**2
    ensemble, kept = _fit(train, held_back, method, variance, settings, say)
    say(f"{LABELS[name]}: measuring")
    found[name], samples[name] = measure(
      ensemble, train, test, settings, best=int(kept.elbo.argmax())
    )
    found[name]["best_step"] = kept.steps.tolist()
  data = {
    "rows": len(table.values),
    "training_rows": len(train),
    "held_back_rows": len(held_back),
    "measured_rows": len(test),
    "columns": list(table.columns),
    "decoder_parameters": _decoder_parameters(ensemble),
    "real_data": _two_samples(train, test, settings.seed),
  }
  chosen = dataclasses.asdict(settings) | {"kappa": kappa}
  return {"data": data, "settings": chosen, "methods": found}, samples


def warnings(num_rows: int, num_columns: int, settings: Settings) -> list[str]:
  """What a table is too small for, in words; empty if it is large enough.

  Args:
    num_rows: to train on.
    num_columns: of the table.
    settings: of the user.
  """
  found = []
  hidden, latents = settings.hidden_size, settings.latent_size
  parameters = (
    (latents + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * num_columns
  )
  if num_rows * num_columns < parameters:
    found.append(
      f"The decoder has {parameters:,} parameters and the training rows hold "
      f"{num_rows * num_columns:,} numbers: it can learn them by heart. Gather "
      f"more, until {math.ceil(parameters / num_columns):,} rows are trained "
      "on, or lower --hidden_size."
    )
  if latents >= num_columns:
    found.append(
      f"{latents} latent dimensions for {num_columns} columns compress "
      "nothing; lower --latent_size."
    )
  return found


def _fit(
  train, held_back, method, variance, settings, say
) -> tuple[ensembles.Ensemble, "_BestSoFar"]:
  """The trained restarts, each at its best step, and how good these are."""
  ensemble = ensembles.Ensemble(
    train,
    latent_size=settings.latent_size,
    num_restarts=settings.num_restarts,
    variance=variance,
    posterior=method.posterior,
    hidden_sizes=(settings.hidden_size,) * 2,
    seed=settings.seed,
  )
  best = _BestSoFar(ensemble, held_back, settings.seed + 2)

  def on_progress(step, losses):
    elbo = best.look(step)
    if step % 1_000 == 0 or step == settings.num_steps:
      say(
        f"  step {step:,}/{settings.num_steps:,}  loss {losses.mean():.3f}  "
        f"ELBO of rows held back {elbo.mean():.3f}"
      )

  methods.train(
    ensemble,
    train,
    method,
    num_steps=settings.num_steps,
    seed=settings.seed,
    on_progress=on_progress,
    steps_per_call=_STEPS_PER_LOOK,
  )
  best.restore()
  if method.is_constrained:
    methods.set_variance(ensemble, train, settings.seed)
  return ensemble, best


class _BestSoFar:
  """Of each restart the weights with the highest ELBO on rows held back.

  Attributes:
    elbo: that ELBO, [R], nats a row.
    steps: when it was, [R].
  """

  def __init__(self, ensemble: ensembles.Ensemble, rows: np.ndarray, seed: int):
    self._ensemble = ensemble
    self._rows = rows[:_MAX_TEST_ROWS]
    self._seed = seed
    self.elbo = np.full(ensemble.num_restarts, -np.inf)
    self._weights = [v.numpy() for v in ensemble.variables]
    self.steps = np.zeros(ensemble.num_restarts, int)

  def look(self, step: int) -> np.ndarray:
    """Keeps what is better now; returns the ELBOs [R]."""
    found = self._ensemble.elbo(self._rows, num_samples=20, seed=self._seed)
    elbo = found.numpy().mean(axis=1)
    is_better = elbo > self.elbo
    self.elbo[is_better] = elbo[is_better]
    self.steps[is_better] = step
    for kept, variable in zip(
      self._weights, self._ensemble.variables, strict=True
    ):
      kept[is_better] = variable.numpy()[is_better]
    return elbo

  def restore(self) -> None:
    """Puts them back."""
    for kept, variable in zip(
      self._weights, self._ensemble.variables, strict=True
    ):
      variable.assign(kept)


def measure(
  ensemble: ensembles.Ensemble,
  train: np.ndarray,
  test: np.ndarray,
  settings: Settings,
  *,
  best: int,
) -> tuple[dict[str, Any], np.ndarray]:
  """Everything that is measured of one method.

  Args:
    ensemble: R trained restarts.
    train: [N, D], what it was trained on.
    test: [M, D], what it was not.
    settings: of the user.
    best: the restart that is looked at closer.

  Returns:
    Lists over restarts ("elbo", "log_likelihood", "variance", …; means over
    rows, nats), more of the best one, and samples of it, [M, D].
  """
  seed = settings.seed + 1
  train_part = train[: len(test)]
  elbo = ensemble.elbo(test, num_samples=_ELBO_SAMPLES, seed=seed).numpy()
  log_likelihood = ensemble.log_likelihood(
    test, num_samples=settings.num_importance_samples, seed=seed
  ).numpy()
  train_elbo = ensemble.elbo(train_part, num_samples=50, seed=seed).numpy()
  samples = ensemble.sample(len(test), seed=seed)[best].numpy()
  found = {
    "best": best,
    "train_elbo": _means(train_elbo),
    "elbo": _means(elbo),
    "log_likelihood": _means(log_likelihood),
    "log_likelihood_rows": log_likelihood[best].tolist(),
    "posterior_gap": _means(log_likelihood - elbo),
    "variance": ensemble.variance.numpy().tolist(),
    "active_units": active_units(
      ensemble, train[:_MAX_MIXTURE_ROWS], seed=seed
    ).tolist(),
    "marginal_kl": marginal_kl(ensemble, train, test, seed=seed),
    **_two_samples(samples, test, seed),
  }
  return found, samples


def active_units(
  ensemble: ensembles.Ensemble, data: np.ndarray, *, seed: int = 0
) -> np.ndarray:
  """How many latents move with x: Var_x(E_q z) > .01, [R].

  Source: Burda et al. 2016, section 5.2.
  """
  latents = ensemble.sample_posterior(data, 50, seed=seed).numpy()
  # The mean of 50 samples has their variance / 50 on top, taken off again.
  within = latents.var(axis=2, ddof=1).mean(axis=1) / latents.shape[2]
  moved = latents.mean(axis=2).var(axis=1) - within
  return np.sum(moved > _ACTIVE_VARIANCE, axis=1)


def marginal_kl(
  ensemble: ensembles.Ensemble,
  train: np.ndarray,
  test: np.ndarray,
  *,
  seed: int = 0,
) -> dict[str, Any]:
  """KL(q(z) ‖ N(0, I)), q(z) = (1/N) Σ_n q(z|x_n) over the training rows.

    (1/S) Σ_s [ln q(z_s) − ln N(z_s; 0, I)],  z_s ~ q(z|x), one for each row

  Args:
    ensemble: R restarts.
    train: [N, D]. Of many rows the mixture takes M = 4,000; that
      overestimates by at most ln(N / M).
    test: its number of rows is S.
    seed: of the samples.

  Returns:
    "value" [R], nats; "without_own" [R], where q(z_s) leaves out the row that
    z_s comes from, which few narrow posteriors that do not overlap lower; and
    "bias_bound".

  Source: "Taming VAEs", appendix D.
  """
  mixture = train[:_MAX_MIXTURE_ROWS]
  rows = mixture[: len(test)]
  latents = ensemble.sample_posterior(rows, 1, seed=seed)[:, :, 0]
  log_prior = posteriors.log_prior(latents).numpy()
  pairs = ensemble.posterior_log_prob(mixture, latents).numpy()
  log_q = np.logaddexp.reduce(pairs, axis=1) - math.log(len(mixture))
  own = np.arange(len(rows))
  pairs[:, own, own] = -np.inf
  without_own = np.logaddexp.reduce(pairs, axis=1) - math.log(len(mixture) - 1)
  return {
    "value": _means(log_q - log_prior),
    "without_own": _means(without_own - log_prior),
    "bias_bound": math.log(len(train) / len(mixture)),
  }


def _two_samples(sample, test, seed) -> dict[str, Any]:
  sample = sample[: len(test)]
  return {
    "mmd": two_sample.mmd(sample, test, seed=seed)._asdict(),
    "classifier": two_sample.classifier_test(sample, test, seed=seed)._asdict(),
  }


def _decoder_parameters(ensemble: ensembles.Ensemble) -> int:
  sizes = [v.shape[1:].num_elements() for v in ensemble.decoder.variables]
  return int(sum(sizes))


def _means(values: np.ndarray) -> list[float]:
  """[R, rows] → R means."""
  return values.mean(axis=1).astype(float).tolist()
