# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The marginal KL against quadrature, arithmetic and the linear VAE's key."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from tensorflow_probability import distributions as tfd

from geco_tf import data, errors
from geco_tf.evaluation import marginal_kl
from geco_tf.runs import build
from geco_tf.theory import linear_vae
from tests.evaluation import linear_gaussian
from tests.training import tiny

# Two-sided quantile of the normal distribution at 1e-6. Samples are spread
# evenly over the examples, which makes the true errors smaller.
_DEVIATIONS = stats.norm.isf(0.5e-6)


def _quadrature(means, variance):
  """KL(mixture of N(m_i, diag v) ‖ N(0, I)) on a grid, d = 1 or 2."""
  means = np.asarray(means)
  axes = [np.linspace(-8.0, 8.0, 401)] * means.shape[1]
  grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, means.shape[1])
  scale = np.sqrt(variance)
  density = np.mean(
    [np.prod(stats.norm.pdf(grid, mean, scale), axis=-1) for mean in means],
    axis=0,
  )
  log_prior = stats.norm.logpdf(grid).sum(axis=-1)
  integrand = np.where(
    density > 0, density * (np.log(np.maximum(density, 1e-300)) - log_prior), 0
  )
  return integrand.sum() * (16.0 / 400) ** means.shape[1]


def _model(size, variance):
  return linear_gaussian.LinearGaussian(
    np.ones(size), np.ones(size), np.full(size, variance)
  )


@pytest.mark.statistical
@pytest.mark.parametrize("size", [1, 2])
def test_value_is_the_integral_and_the_rest_information_below_ln_n(size):
  means = np.random.RandomState(0).normal(size=[30, size]) * 1.5
  found = marginal_kl.estimate(
    _model(size, 0.1), linear_gaussian.split(means), num_samples=3_000
  )
  value, error = found.marginal_kl
  assert 0 < error < 0.05
  assert abs(value - _quadrature(means, 0.1)) < _DEVIATIONS * error
  # With all of the data, there is nothing to bound.
  np.testing.assert_allclose(found.lower_bound.value, value, atol=1e-12)
  assert found.bias_bound == 0.0
  information = found.mutual_information.value
  np.testing.assert_allclose(
    found.average_kl.value - value, information, atol=1e-9
  )
  assert 0 < information <= math.log(30)


@pytest.mark.parametrize("count", [2, 4, 6])
def test_unbiased_mixture_is_that_of_all_on_average_over_all_subsets(count):
  """A sample of example 0, in every subset of six that has it."""
  densities = np.array([3.0, 0.1, 0.7, 0.0, 2.0, 0.4])
  log_sums = [
    _log(densities[list(others)].sum())
    for others in itertools.combinations(range(1, 6), count - 1)
  ]
  own = np.full(len(log_sums), math.log(densities[0]))
  biased, unbiased = marginal_kl._log_mixtures(
    own, np.array(log_sums), count, len(densities)
  )
  np.testing.assert_allclose(np.exp(unbiased).mean(), densities.mean())
  # One's own density is the highest, and weighs 1/M there.
  assert np.exp(biased).mean() >= densities.mean() - 1e-12
  assert np.all(biased - unbiased <= math.log(6 / count) + 1e-12)


def _log(value):
  return math.log(value) if value > 0 else -math.inf


def test_subsets_bracket_the_value_of_all():
  means = np.random.RandomState(1).normal(size=[40, 1]) * 1.5
  model, split = _model(1, 0.05), linear_gaussian.split(means)
  truth = _quadrature(means, 0.05)
  found = [
    marginal_kl.estimate(
      model, split, num_components=8, num_samples=1_000, seed=seed
    )
    for seed in range(4)
  ]
  upper, lower = (
    np.array([getattr(f, name).value for f in found])
    for name in ("marginal_kl", "lower_bound")
  )
  assert lower.mean() < truth < upper.mean()
  assert found[0].bias_bound == pytest.approx(math.log(5.0))


def test_subset_of_separate_posteriors_is_off_by_the_whole_bound():
  """Each sample is explained by its own component alone: ln(1000/100)."""
  values = np.linspace(-3.0, 3.0, 1_000)[:, np.newaxis]
  model, split = _model(1, 1e-8), linear_gaussian.split(values)
  some = marginal_kl.estimate(model, split, num_components=100, num_samples=150)
  every = marginal_kl.estimate(model, split, num_samples=150)
  gap = some.marginal_kl.value - some.lower_bound.value
  np.testing.assert_allclose(gap, 2.3026, atol=5e-5)
  np.testing.assert_allclose(some.bias_bound, gap, atol=1e-9)
  np.testing.assert_allclose(
    every.mutual_information.value, math.log(1_000), atol=1e-5
  )


@pytest.mark.statistical
def test_linear_vae_at_its_key_has_no_marginal_kl():
  """Data at the quantiles of N(0, diag s²): q(z) is the prior, but for them."""
  variances = np.array([4.0, 1.0])
  key = linear_vae.water_filling(variances, 1.2)
  quantiles = stats.norm.ppf((np.arange(50) + 0.5) / 50)
  grid = np.stack(np.meshgrid(quantiles, quantiles), -1).reshape(-1, 2)
  model = linear_gaussian.LinearGaussian(
    *(field.numpy() for field in key.model)
  )
  found = marginal_kl.estimate(
    model, linear_gaussian.split(grid * np.sqrt(variances)), num_samples=1_000
  )
  # Fifty quantiles have 2 % less variance than the normal distribution.
  value, error = found.marginal_kl
  assert abs(value) < 2e-3 + _DEVIATIONS * error
  assert error < 5e-3
  value, error = found.average_kl
  assert abs(value - key.kl.numpy()) < 0.02 + _DEVIATIONS * error


def test_how_the_pairs_are_cut_changes_no_digit_that_counts():
  means = np.random.RandomState(3).normal(size=[23, 2])
  model, split = _model(2, 0.1), linear_gaussian.split(means)
  whole = marginal_kl.estimate(model, split, num_samples=17)
  # Room for a few pairs at a time.
  cut = marginal_kl.estimate(model, split, num_samples=17, memory_gib=3e-6)
  np.testing.assert_allclose(
    whole.marginal_kl, cut.marginal_kl, rtol=1e-5, atol=1e-5
  )


def test_killed_and_started_again_is_the_same_bit_for_bit(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(marginal_kl, "_BLOCK_SIZE", 5)
  means = np.random.RandomState(4).normal(size=[18, 2])
  model, split = _model(2, 0.1), linear_gaussian.split(means)

  def run(folder, **kwargs):
    return marginal_kl.estimate(
      model, split, num_samples=30, folder=str(folder), **kwargs
    )

  def stop(done, total):
    assert total == 4
    if done == 2:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    run(tmp_path / "killed", progress=stop)
  piece = tmp_path / "killed" / "block_00001.npz"
  made = piece.stat().st_mtime_ns
  assert not (tmp_path / "killed" / "block_00002.npz").exists()
  assert run(tmp_path / "killed") == run(tmp_path / "whole")
  assert piece.stat().st_mtime_ns == made
  run(tmp_path / "killed", settings={"weights": "others"})
  assert piece.stat().st_mtime_ns != made


def test_samples_are_spread_over_examples_sorted_by_class():
  """The first ones alone would say that q(z) is narrow."""
  values = np.repeat([[-2.0], [2.0]], 50, axis=0)
  found = marginal_kl.estimate(
    _model(1, 0.01), linear_gaussian.split(values), num_samples=10
  )
  np.testing.assert_allclose(
    found.mutual_information.value, math.log(2), atol=1e-4
  )


@pytest.mark.statistical
def test_every_example_weighs_the_same_on_average():
  """Three examples and four samples, over many seeds."""
  split = linear_gaussian.split(np.zeros([3, 1]))
  counts = [
    np.bincount(
      marginal_kl._Sampler(None, split, 3, 4, seed).owners, minlength=3
    )
    for seed in range(2_000)
  ]
  # At most two strata reach into an example by 2/3 each: variance 2 · 2/9.
  tolerance = stats.norm.isf(1e-6 / 6) * math.sqrt(4 / 9 / 2_000)
  np.testing.assert_allclose(np.mean(counts, axis=0), 4 / 3, atol=tolerance)


class _Slow:
  """A model that has no fast path."""

  def __init__(self, model):
    self._model = model

  def __call__(self, images, *, seed):
    return self._model(images, seed=seed)

  def posterior(self, images):
    return self._model.posterior(images)


def test_posterior_serves_where_there_is_no_fast_path():
  means = np.random.RandomState(5).normal(size=[7, 2])
  model, split = _model(2, 0.1), linear_gaussian.split(means)
  fast, slow = (
    marginal_kl.estimate(m, split, num_samples=9) for m in (model, _Slow(model))
  )
  np.testing.assert_allclose(fast.marginal_kl, slow.marginal_kl, rtol=1e-5)


def test_value_of_a_flow_is_that_of_its_distribution():
  """Each pair by the inverse that TFP takes, in place of the fast path."""
  model = build.build_model(tiny.config(posterior="nvp"), (8, 8, 1))
  random = np.random.RandomState(6)
  for variable in model.trainable_variables:
    variable.assign_add(0.3 * random.normal(size=variable.shape))
  split = data.load("digits").test
  fast, slow = (
    marginal_kl.estimate(m, split, num_components=12, num_samples=20)
    for m in (model, _Slow(model))
  )
  for field in ("marginal_kl", "average_kl", "mutual_information"):
    np.testing.assert_allclose(
      getattr(fast, field), getattr(slow, field), rtol=1e-4, atol=1e-4
    )
  assert fast.mutual_information.value > 0.1


class _NoDensity:
  def __call__(self, images, *, seed):
    raise AssertionError


class _NoLogProb(linear_gaussian.LinearGaussian):
  pairwise_log_prob = property()  # Not there.

  def posterior(self, images, context=None):
    return tfd.Distribution(
      tf.float32, tfd.NOT_REPARAMETERIZED, False, False, name="implicit"
    )


class _Diverged(linear_gaussian.LinearGaussian):
  def pairwise_log_prob(self, latents, features):
    return math.nan * super().pairwise_log_prob(latents, features)


def test_conditional_model_is_named():
  split = data.load("digits", task="sum").train
  with pytest.raises(errors.UserError, match="is one of unconditional models"):
    marginal_kl.estimate(_model(1, 0.1), split, num_samples=5)


@pytest.mark.parametrize(
  ("model", "settings", "message"),
  [
    (None, {"num_components": 8}, "num_components. must be from 1 to the 7"),
    (None, {"num_components": 0}, "num_components. must be .* got 0"),
    (None, {"num_samples": 1}, "num_samples. must be at least 2; got 1"),
    (None, {"memory_gib": 0.0}, "memory_gib. must be positive; got 0"),
    (
      None,
      {"num_samples": 10**6, "memory_gib": 1e-3},
      "num_samples. = 1000000 needs .* GiB of memory; got memory_gib = 0.001"
      ". Raise `memory_gib` or lower `num_samples`",
    ),
    (
      _NoLogProb([1.0], [1.0], [1.0]),
      {},
      "posterior of the model _NoLogProb has no density",
    ),
    (_NoDensity(), {}, "posterior of the model _NoDensity has no density"),
    (
      _Diverged([1.0], [1.0], [1.0]),
      {},
      r"ln q\(z\|x\) must be a number; it is not for 5 of",
    ),
  ],
)
def test_mistake_is_named(model, settings, message):
  split = linear_gaussian.split(np.zeros([7, 1]))
  with pytest.raises(errors.UserError, match=message):
    marginal_kl.estimate(
      model or _model(1, 0.1), split, **{"num_samples": 5, **settings}
    )
