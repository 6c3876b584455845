# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures 1 and 8: what they measure, and that they run to the end."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from geco_tf import data, errors, experiments
from geco_tf.experiments import base, figure1, figure8, seven_digits
from geco_tf.runs import build
from geco_tf.theory import equipartition


class _Lattice:
  """Narrow posteriors N(m_i, s² I), too far apart to overlap."""

  prior = tfd.MultivariateNormalDiag(tf.zeros([2]))

  def __init__(self, means, scale):
    self._means = tf.constant(means, tf.float32)
    self._scale = scale

  def posterior(self, images):
    del images
    return tfd.MultivariateNormalDiag(
      self._means, self._scale * tf.ones_like(self._means)
    )

  def posterior_features(self, images):
    return types.SimpleNamespace(q=self.posterior(images))

  def pairwise_log_prob(self, latents, features):
    return features.q.log_prob(latents[:, tf.newaxis])

  def decode(self, latents):
    return tf.reshape(tf.reduce_sum(latents, axis=1), [-1, 1, 1, 1])


@pytest.mark.statistical
def test_measure_is_the_closed_form_of_separate_gaussians():
  """Six standard errors: false alarms at less than 1e-6."""
  s, n = 0.1, 7
  angles = 2 * np.pi * np.arange(n) / n
  means = 2.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  images = np.zeros([n, 1, 1, 1], np.float32)
  measured = seven_digits.measure(
    _Lattice(means, s), images, seed=0, num_samples=2_000
  )
  kl = np.log(s**-2) + 0.5 * (2 * s**2 + 4.0) - 1.0
  for key, expected in (("kl", kl), ("marginal_kl", kl - np.log(n))):
    assert abs(measured[key] - expected) <= 6.0 * measured[f"{key}_error"]
  np.testing.assert_allclose(measured["information"], np.log(n), rtol=1e-4)
  assert np.shape(measured["samples"]) == (n, 100, 2)
  json.dumps(measured)


@pytest.mark.statistical
def test_measure_finds_no_information_in_the_prior():
  """Six standard errors, and rounding: q = π for every example."""
  images = np.zeros([7, 1, 1, 1], np.float32)
  model = _Lattice(np.zeros([7, 2]), 1.0)
  measured = seven_digits.measure(model, images, seed=1, num_samples=500)
  for key in ("kl", "marginal_kl", "information"):
    np.testing.assert_allclose(measured[key], 0.0, atol=1e-5)
  assert measured["holes"] == 0.0
  np.testing.assert_allclose(measured["blurs"], 1.0, rtol=1e-6)
  # g = z_1 + z_2 on images of 0: the RMSE is that of N(0, 2), from 700 draws.
  low, high = np.sqrt(2 * stats.chi2(700).ppf([5e-7, 1 - 5e-7]) / 700)
  assert low <= measured["rmse"] <= high


def test_digits_are_a_function_of_the_seed_and_of_the_training_split():
  source = data.load("digits")
  one, again, other = (seven_digits.draw(source, seed) for seed in (3, 3, 4))
  np.testing.assert_array_equal(one.images, again.images)
  assert not np.array_equal(one.images, other.images)
  train = {image.tobytes() for image in source.train.images}
  assert all(image.tobytes() in train for image in one.images)
  assert len({image.tobytes() for image in one.images}) == 7
  repeated = seven_digits.repeated(one, 10, times=3)
  np.testing.assert_array_equal(
    np.bincount(repeated.train.labels, minlength=10),
    3 * np.bincount(one.labels, minlength=10),
  )


def test_data_without_labels_or_with_six_examples_are_refused():
  source = data.load("digits")
  bare = source._replace(train=source.train._replace(labels=None))
  few = source._replace(train=data.sources.take(source.train, np.arange(6)))
  for bad in (bare, few):
    with pytest.raises(errors.UserError, match="`dataset` must have labels"):
      seven_digits.draw(bad, 0)


def test_broken_tiling_overlaps_and_has_a_hole():
  ideal = figure1.tilings.equiprobable(7, tfd.Normal(0.0, 1.0))
  z = np.random.RandomState(0).normal(size=[20_000, 2])
  tiles = figure1.tilings.is_inside(figure1.broken(ideal), z)
  covered = np.bincount(np.sum(tiles, axis=1), minlength=4) / len(z)
  # Two fields of .45 − 2/7 and .85 − 2/3 of a slab; half of a tile is gone.
  assert covered[0] > 0.05 and covered[2] > 0.05 and covered[3] > 0.0
  np.testing.assert_allclose(covered[0], 1 / 14, rtol=0.1)


def test_figure1_runs_to_the_end(tmp_path, monkeypatch):
  def untrained(config, *, data, workdir):
    assert workdir.startswith(str(tmp_path))
    model = build.build_model(config, data.image_shape)
    return types.SimpleNamespace(model=model)

  monkeypatch.setattr(figure1.training, "train", untrained)
  monkeypatch.setattr(figure1, "_RESOLUTION", 20)
  results = base.reproduce(
    "figure1", experiments.registry["figure1"], base.Settings(), str(tmp_path)
  )
  assert (tmp_path / "figure1_laptop" / "figure1.png").is_file()
  assert (tmp_path / "figure1_laptop" / "figure1.svg").is_file()
  np.testing.assert_allclose(results["ideal tiles"]["kl"], np.log(7), rtol=1e-6)
  assert results["overlaps and a hole"]["marginal_kl"] > 0.1
  assert len(results) == 4


def test_least_kl_of_digits_falls_from_ln_7_to_0(monkeypatch):
  monkeypatch.setattr(figure8, "_NUM_TANGENTS", 6)
  digits = seven_digits.draw(data.load("digits"), 0)
  kappas = {str(k): {"kappa": k} for k in (1e-4, 0.1, 0.2, 0.9)}
  monkeypatch.setattr(figure8, "OBJECTIVES", kappas)
  ideal = figure8._ideal(digits)
  rates = [ideal[key] for key in kappas]
  np.testing.assert_allclose(rates[0], np.log(7), rtol=1e-3)
  assert rates[0] > rates[1] > rates[2] > 0.0 >= rates[3]
  least = figure8._ideal_for_labels(digits.labels, 0.1)
  np.testing.assert_allclose(ideal["cla_0.9"], least)


def test_least_kl_of_labels_is_the_rate_at_that_error():
  """The highest tangent of Blahut and Arimoto's rate-distortion function."""
  labels = np.array([7, 9, 2, 7, 6, 2, 3])
  wrong = np.not_equal.outer(labels, np.unique(labels)).astype(float)
  multipliers = np.linspace(3.0, 4.0, 11)  # It is ln(.9 / .1 · 4) = 3.58.
  rate = max(
    float(equipartition.occupation(m * wrong).free_energy) - 0.1 * m
    for m in multipliers
  )
  found = figure8._ideal_for_labels(labels, 0.1)
  np.testing.assert_allclose(found, rate, atol=1e-3)
  assert figure8._ideal_for_labels([4, 4, 4], 0.1) == 0.0


def test_judge_learns_from_blends_of_digits_and_grey():
  images = np.random.RandomState(0).uniform(size=[4, 8, 8, 1])
  batch = data.Batch(tf.constant(images, tf.float32), tf.constant([0, 1, 2, 3]))
  mixed, targets = figure8._mixed(batch, 10, tf.constant([0, 1]))
  # What is not uniform belongs to the image's label and to its partner's.
  first, second = targets[0].numpy(), targets[1].numpy()
  share = first[0] - first[1]
  np.testing.assert_allclose(first[1:], (1.0 - share) / 10.0, rtol=1e-5)
  expected = share * images[0] + (1.0 - share) * 0.5
  np.testing.assert_allclose(mixed[0], expected, rtol=1e-5)
  assert np.flatnonzero(second).tolist() == [1, 2]
  expected = second[1] * images[1] + second[2] * images[2]
  np.testing.assert_allclose(mixed[1], expected, rtol=1e-5)


def _run_figure8(outdir):
  config = figure8._LAPTOP.replace(
    num_couplings=2, coupling_width=4, channels=2, hidden_size=8, num_steps=4
  )
  scale = figure8.Scale(config, num_seeds=1, judge_steps=4)

  def item(settings, folder):
    return figure8.run_at(scale, settings, folder)

  settings = base.Settings(dataset="digits", seed=2)
  return base.reproduce("figure8", item, settings, str(outdir))


@pytest.mark.slow
def test_figure8_runs_to_the_end_and_is_not_run_twice(tmp_path, monkeypatch):
  judged = {"cla_0.9": figure8.OBJECTIVES["cla_0.9"]}
  monkeypatch.setattr(figure8, "OBJECTIVES", judged)
  monkeypatch.setattr(figure8, "_NUM_TANGENTS", 1)
  results = _run_figure8(tmp_path)
  found = results["cla_0.9"]
  np.testing.assert_allclose(
    found["kl"], found["marginal_kl"] + found["information"], atol=1e-5
  )
  assert found["information"] <= results["ln_7"] + 1e-6
  assert "geco/cla/multiplier" in found["runs"][0]
  assert (tmp_path / "figure8_laptop" / "figure8.png").is_file()
  monkeypatch.setattr(figure8.training, "train", None)
  assert _run_figure8(tmp_path) == results
