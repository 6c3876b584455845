# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From the numbers of a diagnosis to words: what is wrong, and what to do."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geco_tf.failure_modes import diagnose

# Nats per row below which a difference is not worth a user's time.
_LEAST_NATS = 0.1
# Standard errors that a difference must be of, to be called one.
_ERRORS = 3.0
_LEAST_NOISE_RATIO = 1.1
_LEAST_MARGINAL_KL = 0.5
_P_VALUE = 0.01
_LABELS = diagnose.LABELS


class Finding(NamedTuple):
  """One failure mode."""

  name: str
  is_present: bool
  evidence: str  # The numbers behind it, in a sentence.
  advice: str  # What to do; empty where nothing is.


def judge(diagnosis: Mapping[str, Any]) -> list[Finding]:
  """Every failure mode, present or not.

  Args:
    diagnosis: what `diagnose.diagnose` found.

  Returns:
    The findings, in the order of the report.
  """
  found = [
    _sacrificed_density(diagnosis),
    _posterior_gap(diagnosis),
    _noise_bias(diagnosis),
    _unused_latents(diagnosis),
    _holes(diagnosis),
    _overfitting(diagnosis),
    _wrong_density(diagnosis),
  ]
  return found


def _best(methods: Mapping[str, Any], name: str, key: str) -> float:
  """A measurement of the restart with the best ELBO of rows held back."""
  return methods[name][key][methods[name]["best"]]


def _sacrificed_density(diagnosis) -> Finding:
  """Condition of the paper's title: p(x) given up for easy inference."""
  methods = diagnosis["methods"]
  richer = max(
    ("nvp", "iwae"), key=lambda n: _best(methods, n, "log_likelihood")
  )
  rows = np.array(methods[richer]["log_likelihood_rows"]) - np.array(
    methods["mean_field"]["log_likelihood_rows"]
  )
  loss, error = rows.mean(), rows.std(ddof=1) / np.sqrt(len(rows))
  # Restarts differ by luck; a difference within that says nothing of methods.
  luck = max(
    np.std(methods[n]["log_likelihood"]) for n in ("mean_field", richer)
  )
  return Finding(
    "p(x) given up for easy inference",
    bool(loss > max(_LEAST_NATS, _ERRORS * error, luck)),
    f"held-out rows are {abs(loss):.2f} ± {error:.2f} nats "
    f"{'likelier' if loss > 0 else 'less likely'} under "
    f"{_LABELS[richer]} than under the mean-field VAE (between restarts: ± "
    f"{luck:.2f})",
    "Use a richer posterior (NVP) or an IWAE: the decoder was "
    "bent so that a Gaussian would do.",
  )


def _posterior_gap(diagnosis) -> Finding:
  methods = diagnosis["methods"]
  gap = _best(methods, "mean_field", "posterior_gap")
  nvp = _best(methods, "nvp", "posterior_gap")
  return Finding(
    "the mean-field posterior does not fit",
    bool(gap > _LEAST_NATS and gap > 1.5 * nvp),
    f"its ELBO is {gap:.2f} nats a row under ln p(x); with NVP {nvp:.2f}",
    "Do not read z off the mean-field encoder, nor compare models by its "
    "ELBO: use NVP, and importance-weighted likelihoods.",
  )


def _noise_bias(diagnosis) -> Finding:
  methods = diagnosis["methods"]
  ours = _best(methods, "mean_field", "variance")
  # A σ² that held-out rows speak against is no witness; the others must agree.
  least = _best(methods, "mean_field", "log_likelihood") - _LEAST_NATS
  other = max(
    (
      _best(methods, n, "variance")
      for n in ("nvp", "iwae")
      if _best(methods, n, "log_likelihood") > least
    ),
    default=ours,
  )
  spread = np.std(np.log(methods["mean_field"]["variance"]))
  ratio = ours / other
  return Finding(
    "noise overestimated",
    bool(ratio > _LEAST_NOISE_RATIO and np.log(ratio) > 2.0 * spread),
    f"σ² is {ours:.3g} with the mean-field VAE"
    + (
      f" and {other:.3g} with a richer posterior: {ratio:.2f} times"
      if other != ours
      else "; no richer posterior explains held-out rows as well"
    ),
    "Train with GECO at the κ that your measurement error implies (in units "
    "of a column's standard deviation), in place of learning σ².",
  )


def _unused_latents(diagnosis) -> Finding:
  size = diagnosis["settings"]["latent_size"]
  active = {
    n: int(_best(diagnosis["methods"], n, "active_units")) for n in _LABELS
  }
  most = max(active.values())
  used = ", ".join(f"{_LABELS[n]} {count}" for n, count in active.items())
  return Finding(
    "latents that nothing uses",
    most < size,
    f"latents that are used, of {size}: {used}",
    f"Set --latent_size={max(1, most)}, or find out with a larger κ whether "
    "fewer do.",
  )


def _holes(diagnosis) -> Finding:
  value, without_own = (
    {
      n: _best({n: {**m["marginal_kl"], "best": m["best"]}}, n, key)
      for n, m in diagnosis["methods"].items()
    }
    for key in ("value", "without_own")
  )
  bound = diagnosis["methods"]["mean_field"]["marginal_kl"]["bias_bound"]
  lowest = min(value, key=lambda n: value[n])
  above = f" (too high by at most {bound:.2f})" if bound > 0 else ""
  return Finding(
    "holes: the encoder does not fill the prior",
    bool(
      min(value["mean_field"] - bound, without_own["mean_field"])
      > _LEAST_MARGINAL_KL
    ),
    f"KL(q(z) ‖ prior) is {value['mean_field']:.2f} nats with the mean-field "
    f"VAE{above}, {without_own['mean_field']:.2f} without each z's own row; "
    f"the lowest is {value[lowest]:.2f}, with {_LABELS[lowest]}",
    "Samples fall where the decoder was never trained. Use GECO with a larger "
    "--kappa, or fewer latents.",
  )


def _overfitting(diagnosis) -> Finding:
  methods = diagnosis["methods"]
  drop = {
    n: _best(methods, n, "train_elbo") - _best(methods, n, "elbo")
    for n in _LABELS
  }
  gap = _best(methods, "mean_field", "posterior_gap")
  columns = len(diagnosis["data"]["columns"])
  least = min(drop, key=lambda n: drop[n])
  return Finding(
    "training rows learned by heart",
    # A tenth of a nat for each column is more than a fit of the means costs.
    bool(drop["mean_field"] > max(0.1 * columns, gap)),
    f"the mean-field ELBO falls by {drop['mean_field']:.2f} nats from training "
    f"to held-out rows; least with {_LABELS[least]}, by {drop[least]:.2f}",
    "Gather rows, lower --hidden_size, or use GECO with a larger --kappa. "
    "The other findings hold for this overfitted model.",
  )


def _wrong_density(diagnosis) -> Finding:
  rows = {n: diagnosis["methods"][n] for n in _LABELS}
  real = diagnosis["data"]["real_data"]["classifier"]["accuracy"]
  told = [
    n
    for n, row in rows.items()
    if min(row["mmd"]["p_value"], row["classifier"]["p_value"]) < _P_VALUE / 2
  ]
  accuracies = ", ".join(
    f"{_LABELS[n]} {row['classifier']['accuracy']:.0%}"
    for n, row in rows.items()
  )
  who = (
    "No model's"
    if not told
    else "All models'"
    if len(told) == len(rows)
    else " and ".join(_LABELS[n] for n in told) + "'s"
  )
  return Finding(
    "samples that can be told from data",
    bool(told),
    f"{who} samples are told from held-out rows; a classifier is right for "
    f"{accuracies} (training rows against held-out ones: {real:.0%})",
    "A Gaussian of one σ for every column may be the wrong noise; "
    "transform skewed columns (logarithm), or raise --latent_size."
    if len(told) == len(rows)
    else "Prefer a method whose samples cannot be told.",
  )
