# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered model and posterior keeps to."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import models
from geco_tf.models import noise, posteriors
from geco_tf.runs import build, export
from tests.conformance import registered, variants

_SHAPE = (8, 8, 1)
_CONTEXT = (2, *_SHAPE)
_B = 4
_SEED = np.array([5, 6], np.int32)


_EVERY = pytest.mark.parametrize("variant", list(variants.SETTINGS))


def _build(variant, **changes):
  config = variants.config(variant, **changes)
  context_shape = None if config.task is None else _CONTEXT
  return build.build_model(config, _SHAPE, context_shape)


@functools.cache
def _shared(variant):
  """A model whose weights are nothing special, so that no path is the 0."""
  model = _build(variant)
  random = np.random.RandomState(0)
  for variable in model.trainable_variables:
    variable.assign_add(0.1 * random.normal(size=variable.shape))
  return model


def _images():
  return tf.random.stateless_uniform([_B, *_SHAPE], [1, 2])


def _context(variant):
  if "task" not in variants.SETTINGS[variant]:
    return None
  return tf.random.stateless_uniform([_B, *_CONTEXT], [3, 4])


@functools.cache
def _outputs(variant):
  return models.call(
    _shared(variant), _images(), _context(variant), seed=tf.constant(_SEED)
  )


def _posterior(model, images, context):
  if context is None:
    return model.posterior(images)
  return model.posterior(images, context)


def _close(actual, expected, atol=1e-5):
  for one, other in zip(
    tf.nest.flatten(actual), tf.nest.flatten(expected), strict=True
  ):
    if other is not None:
      np.testing.assert_allclose(one, other, rtol=1e-5, atol=atol)


def test_every_registered_model_and_posterior_is_covered():
  """Those that were registered after this file was read too."""
  settings = variants.SETTINGS.values()
  assert not registered.missing(models.registry, [s["model"] for s in settings])
  assert not registered.missing(
    posteriors.registry, [s.get("posterior") for s in settings]
  )


@_EVERY
def test_outputs_have_the_documented_shapes_in_float32(variant):
  outputs = _outputs(variant)
  assert outputs.reconstruction.shape == (_B, *_SHAPE)
  assert outputs.latents.shape[0] == _B
  for value in (outputs.kl, outputs.log_q, outputs.log_prior):
    assert value.shape == (_B,)
  if outputs.kl_per_step is not None:
    np.testing.assert_allclose(
      tf.reduce_sum(outputs.kl_per_step, axis=1), outputs.kl, rtol=1e-5
    )
  for value in tf.nest.flatten(outputs):
    if value is not None:
      assert value.dtype == tf.float32
      assert np.all(np.isfinite(value))
  assert np.all(outputs.reconstruction >= 0.0)
  assert np.all(outputs.reconstruction <= 1.0)


@_EVERY
def test_float64_is_float32_without_its_rounding(variant):
  """Of what is free of noise, which each type draws on its own."""
  exact, context = _build(variant, precision="float64"), _context(variant)
  variables = _shared(variant).variables
  for variable, rough in zip(exact.variables, variables, strict=True):
    variable.assign(tf.cast(rough, tf.float64))
  outputs = _outputs(variant)
  latents = tf.cast(outputs.latents, tf.float64)
  log_q = _posterior(exact, _images(), context).log_prob(latents)
  decoded = models.decoder(exact, context)(latents)
  _close(log_q, outputs.log_q, atol=1e-3)
  _close(decoded, outputs.reconstruction)
  own = models.call(exact, _images(), context, seed=tf.constant(_SEED))
  for value in tf.nest.flatten([log_q, decoded, *own]):
    assert value is None or value.dtype == tf.float64


@_EVERY
def test_weights_are_float32_and_a_function_of_the_seed(variant):
  first, again, other = (_build(variant, seed=seed) for seed in (1, 1, 2))
  for one, two in zip(first.variables, again.variables, strict=True):
    assert one.dtype == tf.float32
    np.testing.assert_array_equal(one.numpy(), two.numpy())
  assert any(
    np.any(one.numpy() != two.numpy())
    for one, two in zip(first.variables, other.variables, strict=True)
  )


@_EVERY
def test_every_weight_has_a_gradient(variant):
  model = _shared(variant)
  with tf.GradientTape() as tape:
    outputs = models.call(model, _images(), _context(variant), seed=_SEED)
    error = tf.math.squared_difference(_images(), outputs.reconstruction)
    loss = tf.reduce_sum(outputs.kl) + tf.reduce_sum(error)
    if outputs.auxiliary_loss is not None:
      loss += tf.reduce_sum(outputs.auxiliary_loss)
  variables = model.trainable_variables
  for gradient, variable in zip(
    tape.gradient(loss, variables), variables, strict=True
  ):
    assert gradient is not None, variable.name
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0.0)


@_EVERY
def test_noise_is_a_function_of_the_seed(variant):
  model, context = _shared(variant), _context(variant)
  outputs = _outputs(variant)
  again, other = (
    models.call(model, _images(), context, seed=tf.constant(seed))
    for seed in (_SEED, _SEED + 1)
  )
  np.testing.assert_array_equal(again.latents, outputs.latents)
  assert np.any(other.latents != outputs.latents)


@_EVERY
def test_densities_are_those_of_the_parts(variant):
  model, context = _shared(variant), _context(variant)
  outputs = _outputs(variant)
  posterior = _posterior(model, _images(), context)
  _close(posterior.log_prob(outputs.latents), outputs.log_q, atol=1e-3)
  features = (
    model.posterior_features(_images())
    if context is None
    else model.posterior_features(_images(), context)
  )
  pairs = model.pairwise_log_prob(outputs.latents, features)
  assert pairs.shape == (_B, _B)
  _close(np.diag(pairs), outputs.log_q, atol=1e-3)
  decoded = models.decoder(model, context)(outputs.latents)
  _close(decoded, outputs.reconstruction)


@_EVERY
def test_graph_for_any_number_of_examples_equals_eager(variant):
  model, context = _shared(variant), _context(variant)
  specs = [tf.TensorSpec([None, *_SHAPE])]
  if context is not None:
    specs.append(tf.TensorSpec([None, *_CONTEXT]))

  @tf.function(input_signature=specs, autograph=False)
  def graph(images, context=None):
    count = tf.shape(images)[0]
    return (
      models.call(model, images, context, seed=tf.constant(_SEED)),
      model.sample(count, context, seed=tf.constant(_SEED)),
    )

  outputs, samples = graph(_images(), *([] if context is None else [context]))
  _close(outputs, _outputs(variant), atol=1e-4)
  _close(samples, model.sample(_B, context, seed=tf.constant(_SEED)))


@pytest.mark.slow
@_EVERY
def test_xla_equals_eager_given_the_latents(variant):
  """XLA draws other noise, so what is free of noise is compared."""
  model, context = _shared(variant), _context(variant)
  outputs = _outputs(variant)

  @tf.function(jit_compile=True, autograph=False)
  def compiled(images, latents):
    return (
      _posterior(model, images, context).log_prob(latents),
      models.decoder(model, context)(latents),
      models.call(model, images, context, seed=tf.constant(_SEED)).kl,
    )

  log_q, decoded, kl = compiled(_images(), outputs.latents)
  _close(log_q, outputs.log_q, atol=1e-3)
  _close(decoded, outputs.reconstruction)
  assert np.all(np.isfinite(kl))


@pytest.mark.slow
@_EVERY
def test_exported_graphs_equal_the_model(variant, tmp_path):
  model, context = _shared(variant), _context(variant)
  context_shape = None if context is None else _CONTEXT
  export.save(export.Servable(model, _SHAPE, context_shape), str(tmp_path))
  loaded = tf.saved_model.load(str(tmp_path))
  more = {} if context is None else {"context": context}
  outputs, seed = _outputs(variant), tf.constant(_SEED)
  encoded = loaded.encode(_images(), seed, **more)
  _close([encoded["latents"], encoded["kl"]], [outputs.latents, outputs.kl])
  decoded = loaded.decode(outputs.latents, **more)["decoded"]
  _close(decoded, outputs.reconstruction)
  more = more or {"count": tf.constant(_B)}
  samples = loaded.sample(seed=seed, **more)["samples"]
  _close(samples, model.sample(_B, context, seed=seed))


@_EVERY
def test_replicas_parts_are_those_of_the_whole(variant):
  model, context = _shared(variant), _context(variant)
  whole = _outputs(variant)
  samples = model.sample(_B, context, seed=tf.constant(_SEED))
  half = _B // 2
  for replica in range(2):
    rows = slice(replica * half, (replica + 1) * half)
    part = None if context is None else context[rows]
    seed = noise.ReplicaSeed(tf.constant(_SEED), tf.constant(replica), 2)
    outputs = models.call(model, _images()[rows], part, seed=seed)
    _close(
      outputs,
      tf.nest.map_structure(
        lambda t, r=rows: None if t is None else t[r], whole
      ),
      atol=1e-4,
    )
    _close(model.sample(half, part, seed=seed), samples[rows])


@_EVERY
def test_checkpoint_carries_the_whole_model(variant, tmp_path):
  model, fresh = _shared(variant), _build(variant, seed=3)
  path = tf.train.Checkpoint(model=model).write(str(tmp_path / "model"))
  tf.train.Checkpoint(model=fresh).read(path).assert_consumed()
  outputs = models.call(fresh, _images(), _context(variant), seed=_SEED)
  np.testing.assert_array_equal(outputs.latents, _outputs(variant).latents)
  np.testing.assert_array_equal(
    outputs.reconstruction, _outputs(variant).reconstruction
  )
