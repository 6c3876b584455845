# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Diagnoses: measurements with known answers, words for known numbers."""

import json

import numpy as np
import pytest

from geco_tf import errors
from geco_tf.failure_modes import (
  diagnose,
  ensembles,
  findings,
  report,
  tables,
)
from geco_tf.figures import diagnosis as figures

_SETTINGS = diagnose.Settings(
  latent_size=2,
  num_restarts=2,
  num_steps=4,
  hidden_size=4,
  num_importance_samples=20,
)


@pytest.fixture(scope="module")
def data():
  return np.random.default_rng(0).normal(size=[300, 3])


def _encoder_to(data, loc, raw_scale):
  """An ensemble whose q(z|x) = N(loc x₀, scale) in its first latent."""
  ensemble = ensembles.Ensemble(
    data, latent_size=2, num_restarts=2, variance=1.0, hidden_sizes=()
  )
  weight = np.zeros([2, 3, 4])
  weight[:, 0, 0] = loc * np.sqrt(data.var(axis=0).mean())
  ensemble.encoder.weights[0].assign(weight)
  bias = np.zeros([2, 1, 4])
  bias[:, :, 2] = raw_scale
  ensemble.encoder.biases[0].assign(bias)
  return ensemble


def test_marginal_kl_is_zero_where_the_posterior_is_the_prior(data):
  ensemble = _encoder_to(data, 0.0, 0.0)
  found = diagnose.marginal_kl(ensemble, data, data)
  np.testing.assert_allclose(found["value"], 0.0, atol=2e-3)
  assert found["bias_bound"] == 0.0


def test_marginal_kl_is_that_of_the_gaussian_that_q_of_z_is(data):
  """q(z) of N(2x₀, 1) with x₀ standard normal is N(0, 5)."""
  wide = np.random.default_rng(1).normal(size=[3_000, 3])
  wide = (wide - wide.mean(axis=0)) / wide.std(axis=0)
  found = diagnose.marginal_kl(_encoder_to(wide, 2.0, 0.0), wide, wide)
  expected = 0.5 * (5.0 - 1.0 - np.log(5.0))
  # Terms have a deviation of 4/√2: 6 σ/√3000.
  np.testing.assert_allclose(found["value"], expected, atol=0.32)


def test_bias_bound_is_said_where_the_mixture_is_a_part(data, monkeypatch):
  monkeypatch.setattr(diagnose, "_MAX_MIXTURE_ROWS", 100)
  found = diagnose.marginal_kl(_encoder_to(data, 1.0, 0.0), data, data[:20])
  assert found["bias_bound"] == pytest.approx(np.log(3.0))


def test_active_units_are_those_that_move_with_x(data):
  assert diagnose.active_units(_encoder_to(data, 0.0, 0.0), data).max() == 0
  moved = diagnose.active_units(_encoder_to(data, 1.0, -1.0), data)
  np.testing.assert_array_equal(moved, 1)


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory):
  folder = tmp_path_factory.mktemp("diagnosis")
  rows = np.random.default_rng(0).normal(size=[60, 3])
  np.savez(folder / "table.npz", x=rows)
  said = []
  judged = report.run(
    f"npz:{folder / 'table.npz'}", str(folder), _SETTINGS, say=said.append
  )
  return folder, judged, said


def test_report_leaves_numbers_words_and_pictures(diagnosed):
  folder, judged, said = diagnosed
  found = json.loads((folder / "diagnosis.json").read_text(encoding="utf-8"))
  assert set(found["methods"]) == set(diagnose.LABELS)
  for row in found["methods"].values():
    assert np.isfinite(row["log_likelihood"]).all()
    assert len(row["marginal_kl"]["value"]) == 2
  assert [f["name"] for f in found["findings"]] == [f.name for f in judged]
  text = (folder / "report.txt").read_text(encoding="utf-8")
  assert text.splitlines() == said[-len(text.splitlines()) :]
  for finding in judged:
    assert finding.evidence in text
    assert (finding.advice in text) == finding.is_present
  for stem in ("diagnosis", "samples"):
    for suffix in ("png", "svg"):
      assert (folder / f"{stem}.{suffix}").stat().st_size > 1_000


@pytest.mark.parametrize("num_columns", [1, 3])
def test_samples_are_drawn_whatever_the_columns(num_columns):
  points = np.random.default_rng(0).normal(size=[20, num_columns])
  figure = figures.samples({"held out": points, "nvp": points}, diagnose.LABELS)
  shown = [len(ax.collections) + len(ax.patches) for ax in figure.axes]
  assert shown == [1, 2]


def test_progress_is_told_for_every_method(diagnosed):
  _, _, said = diagnosed
  for label in diagnose.LABELS.values():
    assert any(label in line and "training" in line for line in said)


def _marginal(value, bias_bound):
  return {"value": value, "without_own": value, "bias_bound": bias_bound}


def _healthy():
  """Numbers in which nothing is wrong."""
  test = {
    "mmd": {"statistic": 0.0, "p_value": 0.6},
    "classifier": {"accuracy": 0.5, "low": 0.4, "high": 0.6, "p_value": 0.5},
  }
  rows = np.random.default_rng(0).normal(size=100)
  method = {
    "best": 0,
    "train_elbo": [-10.0, -10.1],
    "elbo": [-10.05, -10.2],
    "log_likelihood": [-10.0, -10.1],
    "log_likelihood_rows": list(rows),
    "posterior_gap": [0.05, 0.1],
    "variance": [0.2, 0.21],
    "active_units": [2, 2],
    "marginal_kl": _marginal([0.1, 0.1], 0.0),
    **test,
  }
  return {
    "data": {"columns": ["a", "b"], "real_data": test},
    "settings": {"latent_size": 2},
    "methods": {n: json.loads(json.dumps(method)) for n in diagnose.LABELS},
  }


def _present(diagnosis):
  return [f.name for f in findings.judge(diagnosis) if f.is_present]


def test_nothing_is_found_where_nothing_is_wrong():
  assert _present(_healthy()) == []


@pytest.mark.parametrize(
  ("method", "changes", "name"),
  [
    ("nvp", {"log_likelihood": [-9.0, -9.1]}, "p(x) given up"),
    ("mean_field", {"posterior_gap": [0.5, 0.5]}, "does not fit"),
    ("mean_field", {"variance": [0.3, 0.31]}, "noise overestimated"),
    ("mean_field", {"train_elbo": [-7.0, -7.0]}, "learned by heart"),
    (
      "mean_field",
      {"marginal_kl": _marginal([0.9, 0.9], 0.0)},
      "holes",
    ),
  ],
)
def test_failure_is_found_where_it_was_put(method, changes, name):
  diagnosis = _healthy()
  row = diagnosis["methods"][method]
  row.update(changes)
  if "log_likelihood" in changes:
    row["log_likelihood_rows"] = [v + 1.0 for v in row["log_likelihood_rows"]]
  (found,) = _present(diagnosis)
  assert name in found


def test_unused_latents_and_wrong_samples_are_found():
  diagnosis = _healthy()
  for row in diagnosis["methods"].values():
    row["active_units"] = [1, 1]
  diagnosis["methods"]["geco"]["mmd"]["p_value"] = 0.002
  told, unused = sorted(_present(diagnosis), reverse=True)
  assert "told from data" in told
  assert "nothing uses" in unused


def test_holes_within_the_bias_of_the_estimate_are_not_holes():
  diagnosis = _healthy()
  for row in diagnosis["methods"].values():
    row["marginal_kl"] = _marginal([0.9, 0.9], 0.7)
  assert _present(diagnosis) == []


def test_holes_between_few_narrow_posteriors_are_not_holes():
  diagnosis = _healthy()
  for row in diagnosis["methods"].values():
    row["marginal_kl"] = _marginal([0.9, 0.9], 0.0) | {"without_own": [0.2] * 2}
  assert _present(diagnosis) == []


def test_noise_is_overestimated_only_if_all_richer_posteriors_say_so():
  diagnosis = _healthy()
  diagnosis["methods"]["iwae"]["variance"] = [0.1, 0.11]
  assert _present(diagnosis) == []


def test_warning_counts_the_parameters_of_the_decoder():
  few = diagnose.warnings(20, 3, _SETTINGS)
  ensemble = ensembles.Ensemble(
    np.eye(3), latent_size=2, num_restarts=1, variance=1.0, hidden_sizes=(4, 4)
  )
  count = sum(v.shape.num_elements() for v in ensemble.decoder.variables)
  assert diagnose._decoder_parameters(ensemble) == count == 47
  assert not few
  (warning,) = diagnose.warnings(15, 3, _SETTINGS)
  assert "47 parameters" in warning
  assert "16 rows are trained on" in warning


def test_warning_when_latents_compress_nothing():
  settings = diagnose.Settings(latent_size=3, hidden_size=1)
  (warning,) = diagnose.warnings(1_000, 3, settings)
  assert "compress nothing" in warning


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"num_restarts": 0}, "`num_restarts` must be positive; got 0"),
    ({"kappa": -0.1}, "`kappa` must be positive; got -0.1"),
    ({"test_share": 1.0}, "`test_share` must be below 1"),
    ({"stop_share": 0.99}, r"`stop_share` must leave .* leaves 0 of 15"),
    ({"seed": -1}, "`seed` must not be negative; got -1"),
  ],
)
def test_error_when_a_setting_is_out_of_range(changes, message):
  table = tables.Table(
    np.random.default_rng(0).normal(size=[20, 2]), ("a", "b")
  )
  with pytest.raises(errors.UserError, match=message):
    diagnose.diagnose(table, diagnose.Settings(**changes))
