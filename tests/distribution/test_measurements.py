# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is measured on two devices is what one measures."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import constraints, data, evaluation
from geco_tf.evaluation import likelihood, marginal_kl, replicas
from geco_tf.models import noise as noise_lib
from geco_tf.runs import build
from tests.distribution import two_devices
from tests.training import tiny

_CONFIGS = {
  "vae_nvp": {"posterior": "nvp"},
  "conv_draw": {
    "model": "conv_draw",
    "draw_steps": 2,
    "draw_hidden_size": 4,
    "latent_channels": 1,
    "model_option": ("kernel_size=3",),
  },
}
# An even one, an odd one, and one that leaves a replica without any.
_SIZES = (4, 3, 1)


@pytest.fixture(scope="module")
def images():
  source = build.build_data(tiny.config())
  return np.asarray(source.train.images[: sum(_SIZES)], np.float32)


def _batches(images):
  ends = np.cumsum(_SIZES)
  return [
    data.Batch(tf.constant(images[a:b]), tf.range(b - a) % 3)
    for a, b in zip(ends - _SIZES, ends, strict=True)
  ]


@pytest.fixture(
  scope="module",
  params=["vae_nvp", pytest.param("conv_draw", marks=pytest.mark.slow)],
)
def models(request):
  """One model twice: on one device, and on both."""
  config = tiny.config(**_CONFIGS[request.param])
  one = build.build_model(config, (8, 8, 1))
  with two_devices.strategy().scope():
    two = build.build_model(config, (8, 8, 1))
  random = np.random.RandomState(0)
  for there, here in zip(one.variables, two.variables, strict=True):
    value = there.numpy() + 0.05 * random.normal(size=there.shape)
    there.assign(value)
    here.assign(value)
  return one, two


def _on_both(models, measure):
  """What measure says of the model of one device, and of that of two."""
  there = measure(models[0])
  with two_devices.strategy().scope():
    return there, measure(models[1])


def _assert_close(there, here, atol=0.0):
  there, here = there._asdict(), here._asdict()
  for name, value in there.items():
    np.testing.assert_allclose(
      here[name], value, rtol=1e-6, atol=atol, err_msg=name
    )


def test_parts_are_the_batch_once_through_and_share_its_noise():
  def keep(part):
    seed = part.seed(tf.constant([1, 2]))
    noise = noise_lib.normal([tf.shape(part.examples)[0]], seed)
    return part.examples, part.is_real, noise, part.real(part.examples)

  whole = tf.random.stateless_normal([5], [1, 2]).numpy()
  with two_devices.strategy().scope():
    cut = replicas.OverReplicas(keep)
  examples, is_real, noise, real = (
    np.concatenate(arrays)
    for arrays in zip(*cut(tf.range(1.0, 6.0)), strict=True)
  )
  np.testing.assert_array_equal(examples, [1, 2, 3, 4, 5, 5])
  np.testing.assert_array_equal(is_real, [True] * 5 + [False])
  np.testing.assert_array_equal(real, [1, 2, 3, 4, 5, 0])
  np.testing.assert_array_equal(noise[:5], whole)


def test_reconstruction_is_measured_alike(models, images):
  there, here = _on_both(
    models,
    lambda model: evaluation.ReconstructionMeasure(model)(
      _batches(images), seed=3
    ),
  )
  _assert_close(there, here)
  assert here.num_examples == sum(_SIZES)


@pytest.mark.slow
def test_likelihood_is_measured_alike(models, images):
  there, here = _on_both(
    models,
    lambda model: likelihood.measure(model, _batches(images), 0.2, seed=3),
  )
  _assert_close(there, here)


@pytest.mark.slow
def test_constraints_stand_alike(models, images):
  """One with noise of its own, and one of classes, which batches lack."""
  geco = geco_tf.GECO(
    [
      constraints.LipschitzConstraint(1.0),
      constraints.PerClass(constraints.ReconstructionError(0.2), num_classes=4),
    ]
  )
  there, here = _on_both(
    models,
    lambda model: evaluation.constraint_levels(
      model, geco, _batches(images), has_labels=True, seed=3
    ),
  )
  # The slope is that of a small difference, which loses a digit.
  for (name, level), rtol in zip(there.items(), (1e-5, 1e-6), strict=True):
    np.testing.assert_allclose(here[name].value, level.value, rtol=rtol)
    assert here[name].satisfied == level.satisfied
  assert np.isnan(here["re"].value[3])


@pytest.mark.slow
def test_weighted_bound_is_measured_alike(models, images):
  there, here = _on_both(
    models,
    lambda model: likelihood.importance_weighted_bound(
      model,
      data.Split(images, None),
      0.2,
      num_importance_samples=3,
      num_examples=5,
    ),
  )
  _assert_close(there, here)


@pytest.mark.slow
def test_marginal_kl_is_measured_alike(models, images):
  """Of seven components: the second replica's block has one to fill up."""
  there, here = _on_both(
    models,
    lambda model: marginal_kl.estimate(
      model, data.Split(images, None), num_components=7, num_samples=10
    ),
  )
  # Small differences of log densities of several nats.
  _assert_close(there, here, atol=1e-6)
