# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The densities of q(z|x), against autodiff, quadrature and each other."""

import math

import numpy as np
import pytest
import sonnet as snt
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import errors
from geco_tf.models import posteriors

_HIDDEN_SIZE = 7
# Sums over latents and couplings, in float32.
_ATOL = 1e-5
# Equations are compared in float64, where no conditioning of the couplings can
# hide a wrong term.
_EXACT = 1e-9


def _noise(shape, seed, dtype=tf.float64):
  return tf.random.stateless_normal(shape, [seed, 17], dtype=dtype)


def _perturbed(posterior, scale=0.3, dtype=tf.float64):
  """Builds posterior and moves every variable, the zero ones above all."""
  features = posterior.features(_noise([2, _HIDDEN_SIZE], 0, dtype))
  posterior.sample_and_log_prob(features, tf.zeros_like(features.loc))
  for index, variable in enumerate(posterior.trainable_variables):
    variable.assign_add(scale * _noise(variable.shape, 100 + index, dtype))
  return posterior


def _nvp(latent_size, scale=0.3, **kwargs):
  kwargs = {"num_couplings": 4, "coupling_width": 16, **kwargs}
  return _perturbed(posteriors.NVP(latent_size, **kwargs), scale)


def _make(name, latent_size, scale=0.3, dtype=tf.float64):
  make = {"mean_field": posteriors.MeanField, "nvp": posteriors.NVP}[name]
  return _perturbed(make(latent_size), scale, dtype)


def _features(posterior, batch_size, dtype=tf.float64):
  return posterior.features(_noise([batch_size, _HIDDEN_SIZE], 1, dtype))


@pytest.mark.parametrize("latent_size", [2, 5, 8])
@pytest.mark.parametrize("num_couplings", [1, 3, 4])
def test_nvp_inverse_undoes_forward(latent_size, num_couplings):
  nvp = _nvp(latent_size, num_couplings=num_couplings)
  context = _features(nvp, 6).context
  base = _noise([6, latent_size], 2)

  latents, log_det = nvp.forward_and_log_det(base, context)
  again, inverse_log_det = nvp.inverse_and_log_det(latents, context)

  assert np.max(np.abs(latents - base)) > 0.1
  np.testing.assert_allclose(again, base, atol=_EXACT)
  np.testing.assert_allclose(inverse_log_det, -log_det, atol=_EXACT)


@pytest.mark.parametrize("latent_size", [2, 3, 6])
def test_nvp_log_det_equals_autodiff_jacobian(latent_size):
  nvp = _nvp(latent_size)
  context = _features(nvp, 4).context
  base = tf.Variable(_noise([4, latent_size], 3))
  with tf.GradientTape(persistent=True) as tape:
    latents, log_det = nvp.forward_and_log_det(base, context)
  jacobian = tape.batch_jacobian(latents, base, experimental_use_pfor=False)

  expected = np.linalg.slogdet(jacobian.numpy())
  np.testing.assert_array_equal(expected.sign, 1.0)
  assert np.max(np.abs(log_det)) > 0.1
  np.testing.assert_allclose(log_det, expected.logabsdet, atol=_EXACT)

  inverse = tf.Variable(latents)
  with tf.GradientTape(persistent=True) as tape:
    again, inverse_log_det = nvp.inverse_and_log_det(inverse, context)
  jacobian = tape.batch_jacobian(again, inverse, experimental_use_pfor=False)
  expected = np.linalg.slogdet(jacobian.numpy())
  np.testing.assert_allclose(inverse_log_det, expected.logabsdet, atol=_EXACT)


def test_nvp_density_integrates_to_one():
  nvp = _nvp(2, scale=0.05)
  side, edge = 401, 20.0
  axis = np.linspace(-edge, edge, side, dtype=np.float64)
  grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)

  log_prob = nvp.pairwise_log_prob(grid, _features(nvp, 3)).numpy()

  # Not a Gaussian: its log density's third differences do not vanish.
  third = np.diff(log_prob[:, 0].reshape(side, side)[side // 2], n=3)
  assert np.max(np.abs(third)) > 1e-4
  cell = float(axis[1] - axis[0]) ** 2
  mass = np.exp(log_prob.astype(np.float64)).sum(axis=0) * cell
  # The rectangle rule is exact to far below this for a smooth density; what is
  # left is the mass outside of the grid.
  np.testing.assert_allclose(mass, 1.0, atol=1e-5)


@pytest.mark.parametrize("name", ["mean_field", "nvp"])
@pytest.mark.parametrize("latent_size", [2, 5])
def test_sample_and_log_prob_agree(name, latent_size):
  posterior = _make(name, latent_size)
  features = _features(posterior, 6)

  latents, log_q = posterior.sample_and_log_prob(
    features, _noise([6, latent_size], 4)
  )
  distribution = posterior.distribution(features)

  assert latents.shape == [6, latent_size]
  assert distribution.batch_shape == [6]
  assert distribution.event_shape == [latent_size]
  np.testing.assert_allclose(distribution.log_prob(latents), log_q, atol=_EXACT)
  drawn = distribution.sample(3, seed=[1, 2])
  assert drawn.shape == [3, 6, latent_size]
  # Computed through the inverse: the bijector's cache knows only `drawn`.
  np.testing.assert_allclose(
    distribution.log_prob(drawn),
    posterior.distribution(features).log_prob(tf.identity(drawn)),
    atol=_EXACT,
  )


def test_mean_field_log_prob_equals_normal_density():
  posterior = _make("mean_field", 3)
  loc, scale = features = _features(posterior, 5)
  latents = _noise([4, 3], 5).numpy()
  loc, scale = loc.numpy()[np.newaxis], scale.numpy()[np.newaxis]
  standard = (latents[:, np.newaxis] - loc) / scale
  expected = -np.sum(
    0.5 * standard**2 + np.log(scale) + 0.5 * math.log(2 * math.pi), axis=-1
  )

  actual = posterior.pairwise_log_prob(latents, features)

  np.testing.assert_allclose(actual, expected, rtol=_EXACT, atol=_EXACT)


@pytest.mark.parametrize("num_couplings", [1, 4])
def test_nvp_log_prob_of_other_latents_equals_change_of_variables(
  num_couplings,
):
  nvp = _nvp(4, num_couplings=num_couplings)
  features = _features(nvp, 5)
  latents = 2.0 * _noise([5, 4], 6)
  base, _ = nvp.inverse_and_log_det(latents, features.context)
  variable = tf.Variable(latents)
  with tf.GradientTape(persistent=True) as tape:
    again, _ = nvp.inverse_and_log_det(variable, features.context)
  jacobian = tape.batch_jacobian(again, variable, experimental_use_pfor=False)
  expected = (
    tfd.MultivariateNormalDiag(features.loc, features.scale).log_prob(base)
    + np.linalg.slogdet(jacobian.numpy()).logabsdet
  )

  actual = nvp.distribution(features).log_prob(latents)

  np.testing.assert_allclose(actual, expected, rtol=_EXACT, atol=_EXACT)


@pytest.mark.parametrize("name", ["mean_field", "nvp"])
@pytest.mark.parametrize("latent_size", [2, 5])
def test_pairwise_log_prob_equals_broadcast_and_loop(name, latent_size):
  posterior = _make(name, latent_size)
  features = _features(posterior, 4)
  latents = _noise([3, latent_size], 7)

  pairs = posterior.pairwise_log_prob(latents, features)
  broadcast = posterior.distribution(features).log_prob(latents[:, tf.newaxis])

  assert pairs.shape == [3, 4]
  np.testing.assert_allclose(broadcast, pairs, rtol=_EXACT, atol=_EXACT)
  for n in range(4):
    one = posterior.distribution(
      type(features)(*(f[n : n + 1] for f in features))
    )
    for s in range(3):
      np.testing.assert_allclose(
        one.log_prob(latents[s : s + 1])[0],
        pairs[s, n],
        rtol=_EXACT,
        atol=_EXACT,
      )


@pytest.mark.parametrize("num_couplings", [1, 3, 4])
@pytest.mark.parametrize("xla", [False, True])
def test_fast_pairs_equal_a_plain_tiled_inverse(num_couplings, xla):
  """In float32, each pair an example of its own; sums of some tens of terms."""
  nvp = _perturbed(
    posteriors.NVP(6, num_couplings=num_couplings, coupling_width=16),
    scale=0.1,
    dtype=tf.float32,
  )
  features = _features(nvp, 4, tf.float32)
  latents = _noise([3, 6], 7, tf.float32)
  tiled = type(features)(
    *(tf.tile(f, [3] + [1] * (f.shape.rank - 1)) for f in features)
  )
  base, log_det = nvp.inverse_and_log_det(
    tf.repeat(latents, 4, axis=0), tiled.context
  )
  plain = (
    tfd.MultivariateNormalDiag(tiled.loc, tiled.scale).log_prob(base) + log_det
  )

  fast = tf.function(nvp.pairwise_log_prob, jit_compile=xla)(latents, features)

  np.testing.assert_allclose(
    fast, tf.reshape(plain, [3, 4]), rtol=_ATOL, atol=_ATOL
  )


@pytest.mark.parametrize("num_couplings", [1, 2])
def test_pairwise_log_prob_equals_broadcast_with_few_couplings(num_couplings):
  nvp = _nvp(5, num_couplings=num_couplings)
  features = _features(nvp, 4)
  latents = _noise([3, 5], 7)
  np.testing.assert_allclose(
    nvp.distribution(features).log_prob(latents[:, tf.newaxis]),
    nvp.pairwise_log_prob(latents, features),
    rtol=_EXACT,
    atol=_EXACT,
  )


@pytest.mark.parametrize("name", ["mean_field", "nvp"])
def test_densities_are_same_in_eager_graph_and_xla(name):
  posterior = _make(name, 5, scale=0.1, dtype=tf.float32)
  hidden, latents = (
    _noise([4, _HIDDEN_SIZE], 1, tf.float32),
    _noise([3, 5], 8, tf.float32),
  )
  noise = _noise([4, 5], 9, tf.float32)

  def densities(hidden):
    features = posterior.features(hidden)
    _, log_q = posterior.sample_and_log_prob(features, noise)
    distribution = posterior.distribution(features)
    return (
      log_q,
      posterior.pairwise_log_prob(latents, features),
      distribution.log_prob(latents[:, tf.newaxis]),
    )

  expected = densities(hidden)
  for compiled in (
    tf.function(densities),
    tf.function(densities, jit_compile=True),
  ):
    for left, right in zip(compiled(hidden), expected, strict=True):
      np.testing.assert_allclose(left, right, rtol=_ATOL, atol=_ATOL)


@pytest.mark.parametrize("name", ["mean_field", "nvp"])
def test_densities_take_an_unknown_batch_size(name):
  posterior = _make(name, 5, scale=0.1, dtype=tf.float32)

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, _HIDDEN_SIZE]),
      tf.TensorSpec([None, 5]),
    ]
  )
  def densities(hidden, latents):
    features = posterior.features(hidden)
    distribution = posterior.distribution(features)
    return (
      posterior.pairwise_log_prob(latents, features),
      distribution.log_prob(latents[:, tf.newaxis]),
    )

  hidden, latents = (
    _noise([4, _HIDDEN_SIZE], 1, tf.float32),
    _noise([3, 5], 8, tf.float32),
  )
  expected = posterior.pairwise_log_prob(latents, posterior.features(hidden))
  for actual in densities(hidden, latents):
    np.testing.assert_allclose(actual, expected, rtol=_ATOL, atol=_ATOL)


def test_nvp_starts_as_its_base_close_to_the_prior():
  nvp = posteriors.NVP(8, num_couplings=4, coupling_width=16)
  features = _features(nvp, 6)
  noise = _noise([6, 8], 10)

  latents, log_q = nvp.sample_and_log_prob(features, noise)

  base = tfd.MultivariateNormalDiag(features.loc, features.scale)
  np.testing.assert_array_equal(latents, features.loc + features.scale * noise)
  np.testing.assert_allclose(log_q, base.log_prob(latents), atol=_ATOL)
  kl = tfd.kl_divergence(
    base, tfd.MultivariateNormalDiag(tf.zeros(8, tf.float64))
  )
  # Each of the 16 outputs is a sum of 7 terms of spread .1/√7 · N(0, 1): .1 in
  # all. KL is about d · (.1²/2 + .1²·(1 − 1/e)²) = .07.
  assert np.all(kl < 0.5)


def test_nvp_log_scale_is_bounded_whatever_the_input():
  bound = 1.5
  nvp = _nvp(6, scale=30.0, num_couplings=2, log_scale_bound=bound)
  features = _features(nvp, 5)
  _, log_det = nvp.forward_and_log_det(
    100.0 * _noise([5, 6], 3), features.context
  )
  # Two couplings change three dimensions each.
  assert np.all(np.abs(log_det) <= 6 * bound + _ATOL)
  assert np.max(np.abs(log_det)) > bound


@pytest.mark.parametrize("name", ["mean_field", "nvp"])
def test_every_variable_is_trained(name):
  posterior = posteriors.registry.build(name, 5, available={})
  hidden, noise = _noise([6, _HIDDEN_SIZE], 1), _noise([6, 5], 2)
  target = tf.sin(tf.range(30, dtype=tf.float64))

  def gradients():
    with tf.GradientTape() as tape:
      features = posterior.features(hidden)
      latents, log_q = posterior.sample_and_log_prob(features, noise)
      loss = tf.reduce_mean(log_q) + tf.reduce_mean(
        tf.square(latents - tf.reshape(target, [6, 5]))
      )
    return tape.gradient(loss, posterior.trainable_variables)

  first = gradients()
  variables = posterior.trainable_variables
  assert all(gradient is not None for gradient in first)
  before = [variable.numpy() for variable in variables]
  optimizer = snt.optimizers.Adam(1e-2)
  for _ in range(4):
    optimizer.apply(gradients(), variables)

  assert posterior.trainable_variables == variables
  for variable, start in zip(variables, before, strict=True):
    assert np.any(variable.numpy() != start), variable.name


def test_mean_field_kl_equals_quadrature():
  posterior = _make("mean_field", 3)
  features = _features(posterior, 4)
  prior = tfd.MultivariateNormalDiag(tf.zeros(3, tf.float64))
  nodes, weights = np.polynomial.hermite_e.hermegauss(20)
  weights = weights / weights.sum()
  loc = features.loc.numpy()[..., np.newaxis]
  scale = features.scale.numpy()[..., np.newaxis]
  # ln q − ln π at μ + σ ε is quadratic in ε, for which the rule is exact.
  log_ratio = 0.5 * (loc + scale * nodes) ** 2 - 0.5 * nodes**2 - np.log(scale)
  expected = np.sum(log_ratio @ weights, axis=-1)

  kl = posterior.kl_divergence(features, prior)

  np.testing.assert_allclose(kl, expected, rtol=_ATOL)


@pytest.mark.statistical
def test_nvp_samples_have_the_moments_of_its_density():
  """Importance sampling under q against its own samples; fails 1e-6 of times.

  E_q[f] from 40,000 draws of q against ∫ f q on a grid, two f, so each is given
  half the rate.
  """
  nvp = _nvp(2, scale=0.05)
  one = _features(nvp, 1)
  count = 40_000
  features = type(one)(*(tf.repeat(f, count, axis=0) for f in one))
  latents, _ = nvp.sample_and_log_prob(features, _noise([count, 2], 11))
  axis = np.linspace(-20.0, 20.0, 401)
  grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
  density = np.exp(nvp.pairwise_log_prob(grid, one)[:, 0].numpy())
  cell = float(axis[1] - axis[0]) ** 2

  # Bounded statistics, so that the normal approximation holds at this quantile.
  for statistic in (np.tanh, np.cos):
    expected = np.sum(statistic(grid[:, 0] + grid[:, 1]) * density) * cell
    drawn = statistic(np.sum(latents, axis=-1))
    tolerance = 5.026 * drawn.std() / math.sqrt(count)
    assert abs(drawn.mean() - expected) < tolerance


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (
      lambda: posteriors.NVP(1),
      "`latent_size` must be at least 2 for the posterior 'nvp'.*got 1",
    ),
    (
      lambda: posteriors.MeanField(0),
      "`latent_size` must be at least 1; got 0",
    ),
    (
      lambda: posteriors.NVP(4, num_couplings=0),
      "`num_couplings` must be at least 1; got 0",
    ),
    (
      lambda: posteriors.NVP(4, coupling_width=0),
      "`coupling_width` must be at least 1; got 0",
    ),
    (
      lambda: posteriors.NVP(4, log_scale_bound=0.0),
      "`log_scale_bound` must be positive; got 0.0",
    ),
    (
      lambda: posteriors.registry["mean-field"],
      "Unknown posterior 'mean-field'; did you mean 'mean_field'",
    ),
  ],
)
def test_bad_argument_is_named(make, message):
  with pytest.raises(errors.UserError, match=message):
    make()
