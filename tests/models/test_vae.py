# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors, models
from geco_tf.models import noise

_SEED = tf.constant([1, 2])
_NUM_FIELDS = (
  5  # Of its outputs; those of models with steps or contexts are None.
)
_SMALL = {
  "num_couplings": 2,
  "coupling_width": 8,
  "channels": 4,
  "hidden_size": 12,
}


def _images(shape, batch_size=4, seed=3):
  return tf.random.stateless_uniform((batch_size, *shape), [seed, 5])


def _vae(shape=(9, 9, 1), latent_size=5, **kwargs):
  return models.VAE(shape, latent_size, **{**_SMALL, **kwargs})


def _perturbed(vae, scale=0.1):
  """Builds vae and moves every variable, the zero ones above all."""
  vae(_images(vae.image_shape), seed=_SEED)
  for index, variable in enumerate(vae.trainable_variables):
    variable.assign_add(
      scale * tf.random.stateless_normal(variable.shape, [index, 7])
    )
  return vae


@pytest.mark.parametrize("side", [8, 9, 28, 32, 63, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_outputs_have_shapes_and_types(side, channels):
  shape = (side, side, channels)
  vae = _vae(shape)
  result = vae(_images(shape, 2), seed=_SEED)

  assert vae.image_shape == shape
  assert vae.latent_size == 5
  assert result.reconstruction.shape == [2, *shape]
  assert result.latents.shape == [2, 5]
  assert result.kl_per_step is None
  assert result.auxiliary_loss is None
  for per_example in (result.kl, result.log_q, result.log_prior):
    assert per_example.shape == [2]
  for value in result[:_NUM_FIELDS]:
    assert value.dtype == tf.float32
    assert np.all(np.isfinite(value))
  assert vae.sample(3, seed=_SEED).shape == [3, *shape]


@pytest.mark.parametrize("posterior", ["mean_field", "nvp"])
def test_outputs_agree_with_the_models_own_distributions(posterior):
  vae = _perturbed(_vae(posterior=posterior))
  images = _images(vae.image_shape)
  result = vae(images, seed=_SEED)
  distribution = vae.posterior(images)

  np.testing.assert_allclose(
    result.log_q, distribution.log_prob(result.latents), atol=5e-5
  )
  np.testing.assert_allclose(
    result.log_prior,
    -0.5 * np.sum(result.latents**2 + math.log(2 * math.pi), axis=-1),
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    result.reconstruction, vae.decode(result.latents), atol=1e-6
  )
  np.testing.assert_allclose(
    np.diag(
      vae.pairwise_log_prob(result.latents, vae.posterior_features(images))
    ),
    result.log_q,
    atol=5e-5,
  )
  if posterior == "nvp":
    np.testing.assert_array_equal(result.kl, result.log_q - result.log_prior)


@pytest.mark.statistical
def test_mean_field_kl_is_the_mean_of_log_ratios():
  """Monte Carlo over 200,000 draws, tolerance at a false-fail rate of 1e-6."""
  vae = _perturbed(_vae(posterior="mean_field"))
  image = _images(vae.image_shape, 1)
  count = 200_000
  kl = vae(image, seed=_SEED).kl[0]

  distribution = vae.posterior(image)
  latents = distribution.sample(count, seed=[3, 4])
  ratios = (
    distribution.log_prob(latents) - vae.prior.log_prob(latents)
  ).numpy()

  # 4.892: the normal's two-sided quantile at 1e-6. 1e-5: float32's own error.
  tolerance = 4.892 * ratios.std() / math.sqrt(count) + 1e-5
  assert abs(ratios.mean(dtype=np.float64) - kl) < tolerance


def test_kl_starts_close_to_zero():
  for posterior in ("mean_field", "nvp"):
    vae = models.VAE((28, 28, 1), 64, posterior=posterior, channels=8)
    kl = vae(_images((28, 28, 1), 16), seed=_SEED).kl
    # .1 of a nat for 64 latents where the heads read unit features.
    assert abs(np.mean(kl)) < 1.0


@pytest.mark.parametrize("posterior", ["mean_field", "nvp"])
def test_graph_equals_eager(posterior):
  vae = _perturbed(_vae(posterior=posterior))
  images = _images(vae.image_shape)
  expected = vae(images, seed=_SEED)

  actual = tf.function(vae)(images, seed=_SEED)

  for left, right in zip(
    actual[:_NUM_FIELDS], expected[:_NUM_FIELDS], strict=True
  ):
    np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_xla_equals_eager_given_the_latents():
  """XLA draws other noise, so what is free of noise is compared."""
  vae = _perturbed(_vae())
  images = _images(vae.image_shape)
  result = vae(images, seed=_SEED)

  @tf.function(jit_compile=True)
  def densities_and_images(images, latents):
    return (
      vae.posterior(images).log_prob(latents),
      vae.pairwise_log_prob(latents, vae.posterior_features(images)),
      vae.decode(latents),
    )

  log_prob, pairs, decoded = densities_and_images(images, result.latents)
  np.testing.assert_allclose(log_prob, result.log_q, atol=1e-4)
  np.testing.assert_allclose(np.diag(pairs), result.log_q, atol=1e-4)
  np.testing.assert_allclose(decoded, result.reconstruction, atol=1e-5)


def test_xla_compiles_the_whole_model():
  vae = _perturbed(_vae())
  images = _images(vae.image_shape)
  result = tf.function(vae, jit_compile=True)(images, seed=_SEED)
  np.testing.assert_allclose(
    result.log_q, vae.posterior(images).log_prob(result.latents), atol=1e-4
  )


@pytest.mark.parametrize("posterior", ["mean_field", "nvp"])
def test_batch_size_may_be_unknown(posterior):
  vae = _perturbed(_vae(posterior=posterior))

  @tf.function(input_signature=[tf.TensorSpec([None, *vae.image_shape])])
  def call(images):
    return vae(images, seed=_SEED)

  for batch_size in (2, 3):
    images = _images(vae.image_shape, batch_size)
    expected = vae(images, seed=_SEED)
    for left, right in zip(
      call(images)[:_NUM_FIELDS], expected[:_NUM_FIELDS], strict=True
    ):
      np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_number_of_samples_may_be_a_tensor():
  vae = _vae()
  sample = tf.function(lambda n: vae.sample(n, seed=_SEED))
  np.testing.assert_allclose(
    sample(tf.constant(3)), vae.sample(3, seed=_SEED), atol=1e-6
  )


def test_variables_are_created_once():
  vae = _vae()
  images = _images(vae.image_shape)
  vae(images, seed=_SEED)
  before = vae.variables
  vae(images, seed=_SEED)
  vae.sample(2, seed=_SEED)
  vae.posterior(images).log_prob(tf.zeros([4, 5]))

  assert len({v.ref() for v in before}) == len(before)
  assert [v.ref() for v in vae.variables] == [v.ref() for v in before]
  assert len(vae.trainable_variables) == len(before)


@pytest.mark.parametrize("posterior", ["mean_field", "nvp"])
def test_every_variable_is_trained(posterior):
  vae = _vae(posterior=posterior)
  images = _images(vae.image_shape)
  vae(images, seed=_SEED)
  variables = vae.trainable_variables
  before = [variable.numpy() for variable in variables]
  optimizer = keras.optimizers.Adam(1e-3)

  for step in range(4):
    with tf.GradientTape() as tape:
      result = vae(images, seed=[step, 2])
      error = tf.reduce_sum(
        tf.square(images - result.reconstruction), axis=[1, 2, 3]
      )
      loss = tf.reduce_mean(10.0 * error + result.kl)
    gradients = tape.gradient(loss, variables)
    assert all(gradient is not None for gradient in gradients)
    optimizer.apply(gradients, variables)

  for variable, start in zip(variables, before, strict=True):
    assert np.any(variable.numpy() != start), variable.name


@pytest.mark.parametrize("posterior", ["mean_field", "nvp"])
def test_two_replicas_give_the_rows_of_one(posterior):
  vae = _perturbed(_vae(posterior=posterior))
  images = _images(vae.image_shape)
  expected = vae(images, seed=_SEED)

  halves = [
    vae(
      images[2 * replica : 2 * replica + 2],
      seed=noise.ReplicaSeed(_SEED, tf.constant(replica), 2),
    )
    for replica in range(2)
  ]

  for field in ("reconstruction", "kl", "latents", "log_q", "log_prior"):
    np.testing.assert_allclose(
      tf.concat([getattr(half, field) for half in halves], axis=0),
      getattr(expected, field),
      rtol=1e-5,
      atol=1e-5,
    )


def test_two_replicas_sample_the_rows_of_one():
  vae = _vae()
  halves = [
    vae.sample(2, seed=noise.ReplicaSeed(_SEED, tf.constant(replica), 2))
    for replica in range(2)
  ]
  np.testing.assert_allclose(
    tf.concat(halves, axis=0), vae.sample(4, seed=_SEED), atol=1e-6
  )


def test_same_seed_gives_same_noise_and_another_another():
  vae = _perturbed(_vae())
  images = _images(vae.image_shape)
  first = vae(images, seed=_SEED).latents
  np.testing.assert_array_equal(vae(images, seed=_SEED).latents, first)
  other = vae(images, seed=noise.fold_in(_SEED, 1)).latents
  assert np.all(np.any(other != first, axis=-1))


def test_fold_in_keeps_a_replica_seed_one():
  seed = noise.ReplicaSeed(_SEED, tf.constant(1), 2)
  folded = noise.fold_in(seed, 3)
  assert isinstance(folded, noise.ReplicaSeed)
  assert folded.num_replicas == 2
  np.testing.assert_array_equal(folded.seed, noise.fold_in(_SEED, 3))


def test_images_may_be_numpy_of_any_float():
  vae = _perturbed(_vae())
  images = _images(vae.image_shape)
  expected = vae(images, seed=_SEED)
  actual = vae(images.numpy().astype(np.float64), seed=_SEED)
  assert actual.kl.dtype == tf.float32
  np.testing.assert_allclose(actual.kl, expected.kl, atol=1e-5)


def test_model_is_registered():
  vae = models.registry.build(
    "vae",
    (8, 8, 1),
    available={"latent_size": 3, "posterior": "mean_field", "unknown": 1},
  )
  assert isinstance(vae, models.VAE)
  assert vae.latent_size == 3


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (
      lambda: _vae(posterior="nvpp"),
      "Unknown posterior 'nvpp'; did you mean 'nvp'",
    ),
    (
      lambda: _vae((7, 7, 1)),
      "`image_shape` must have a side from 8 to 64; got 7",
    ),
    (
      lambda: _vae(latent_size=1),
      "`latent_size` must be at least 2 for the posterior 'nvp'.*got 1",
    ),
    (
      lambda: _vae(latent_size=0, posterior="mean_field"),
      "`latent_size` must be at least 1; got 0",
    ),
    (lambda: _vae(channels=0), "`channels` must be at least 1; got 0"),
  ],
)
def test_bad_argument_is_named_at_construction(make, message):
  with pytest.raises(errors.UserError, match=message):
    make()


@pytest.mark.parametrize(
  "call",
  [
    lambda vae, context: vae(_images((9, 9, 1)), context, seed=_SEED),
    lambda vae, context: vae.sample(2, context, seed=_SEED),
    lambda vae, context: vae.decode(tf.zeros([2, 5]), context),
    lambda vae, context: vae.posterior(_images((9, 9, 1)), context),
    lambda vae, context: vae.posterior_features(_images((9, 9, 1)), context),
  ],
)
def test_context_is_refused(call):
  with pytest.raises(
    errors.UserError, match=r"`context` must be None.*got .*\(4, 2\)"
  ):
    call(_vae(), tf.zeros([4, 2]))


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (
      lambda vae: vae(_images((8, 8, 1)), seed=_SEED),
      r"`images` must have the shape \[B, 9, 9, 1\].*`image_shape`; "
      r"got \(4, 8, 8, 1\)",
    ),
    (
      lambda vae: vae(tf.zeros([4, 9, 9, 1], tf.uint8), seed=_SEED),
      r"`images` must be floats in \[0, 1\]; got the type uint8",
    ),
    (
      lambda vae: vae.posterior(_images((9, 9, 3))),
      r"`images` must have the shape \[B, 9, 9, 1\]",
    ),
    (
      lambda vae: vae.decode(tf.zeros([4, 3])),
      r"`latents` must have the shape \[B, 5\]; got \(4, 3\)",
    ),
  ],
)
def test_bad_tensor_is_named_at_call(call, message):
  with pytest.raises(errors.UserError, match=message):
    call(_vae())
