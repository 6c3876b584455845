# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors, models
from geco_tf.models import noise
from geco_tf.models.conv_draw import context as context_lib
from geco_tf.models.conv_draw import convolutions, plain

_SEED = tf.constant([1, 2])
_SHAPE = (8, 8, 2)
_SMALL = {"num_steps": 3, "hidden_size": 4, "latent_channels": 2}
_CONTEXT = (2, 8, 8, 1)

# Every path through the code, in few models.
_VARIANTS = {
  "gqn": {},
  "error": {"form": "error_feedback"},
  "separate": {"share_cores": False, "stride": 2, "kernel_size": 3},
  "conditional": {"context_shape": _CONTEXT},
  "conditional_error_separate": {
    "context_shape": _CONTEXT,
    "form": "error_feedback",
    "share_cores": False,
    "num_clusters": 0,
  },
}
_each_variant = pytest.mark.parametrize("variant", _VARIANTS)


def _images(batch_size=3, shape=_SHAPE, seed=3, dtype=tf.float32):
  return tf.random.stateless_uniform(
    (batch_size, *shape), [seed, 5], dtype=dtype
  )


def _context(model, batch_size=3, seed=8, dtype=tf.float32):
  if model.context_shape is None:
    return None
  return _images(batch_size, model.context_shape, seed, dtype)


def _by_keyword(context):
  return {} if context is None else {"context": context}


def _model(variant="gqn", **kwargs):
  return models.ConvDraw(_SHAPE, **{**_SMALL, **_VARIANTS[variant], **kwargs})


def _perturbed(model, scale=0.3):
  """Builds the model and moves every variable, zeros above all."""
  images = _images(1)
  model(images, _context(model, 1), seed=_SEED)
  for index, variable in enumerate(model.trainable_variables):
    variable.assign_add(
      scale
      * tf.random.stateless_normal(
        variable.shape, [index, 7], dtype=variable.dtype
      )
    )
  return model


@functools.cache
def _shared(variant="gqn", **kwargs):
  """A perturbed model that no test changes."""
  return _perturbed(_model(variant, **kwargs))


def _present(outputs):
  """The fields of outputs that this model has."""
  return [value for value in outputs if value is not None]


def _outputs_and_gradients(outputs_fn, variables):
  """Gradients of a scalar that weighs every output differently."""
  with tf.GradientTape() as tape:
    outputs = _present(outputs_fn())
    loss = 0.0
    for value in outputs:
      weights = np.cos(np.arange(math.prod(value.shape))).reshape(value.shape)
      loss += tf.reduce_sum(value * weights)
  return outputs, tape.gradient(loss, variables)


@_each_variant
@pytest.mark.parametrize("algorithm", ["direct", "fourier"])
def test_model_is_its_plain_definition(variant, algorithm, monkeypatch):
  """In float64: every output and the gradient of every variable."""
  algorithms = {
    "direct": lambda side, size, dtype: convolutions.Direct(dtype),
    "fourier": convolutions.Fourier,
  }
  monkeypatch.setattr(models.conv_draw.model, "_fastest", algorithms[algorithm])
  model = _perturbed(_model(variant, precision="float64"))
  images = _images(dtype=tf.float64)
  context = _context(model, dtype=tf.float64)
  epsilon = noise.normal([3, *model.latent_shape], _SEED, tf.float64)
  variables = model.trainable_variables

  actual, gradients = _outputs_and_gradients(
    lambda: model(images, context, seed=_SEED), variables
  )
  expected, expected_gradients = _outputs_and_gradients(
    lambda: plain.outputs_of(model, images, context, epsilon), variables
  )

  for left, right in zip(actual, expected, strict=True):
    assert left.dtype == tf.float64
    np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-12)
  for left, right, variable in zip(
    gradients, expected_gradients, variables, strict=True
  ):
    largest = np.max(np.abs(right))
    assert largest > 0.0, variable.name
    np.testing.assert_allclose(left, right, rtol=1e-6, atol=1e-9 * largest)


@pytest.mark.parametrize("side", [1, 2, 5, 7, 8])
@pytest.mark.parametrize("kernel_size", [1, 2, 3, 5, 7])
def test_fourier_convolution_is_the_direct_one(side, kernel_size):
  rng = np.random.default_rng(side)
  maps = tf.constant(rng.normal(size=[2, side, side, 3]))
  kernel = tf.constant(rng.normal(size=[kernel_size, kernel_size, 3, 4]))
  np.testing.assert_allclose(
    convolutions.Fourier(side, kernel_size, tf.float64)(maps, kernel),
    tf.nn.conv2d(maps, kernel, 1, "SAME"),
    rtol=1e-9,
    atol=1e-11,
  )


def test_fourier_convolution_takes_the_products_it_says():
  assert convolutions.Fourier(7, 5, tf.float32).rank == 121
  # Length 4: four frequencies are their own conjugates, six pairs are not.
  assert convolutions.Fourier(2, 5, tf.float32).rank == 4 + 3 * 6


def test_fourier_convolution_keeps_float32s_digits():
  rng = np.random.default_rng(0)
  maps = rng.normal(size=[8, 7, 7, 32])
  kernel = rng.normal(size=[5, 5, 32, 16]) / math.sqrt(25 * 32)
  exact = tf.nn.conv2d(maps, kernel, 1, "SAME")
  fast = convolutions.Fourier(7, 5, tf.float32)(
    tf.constant(maps, tf.float32), tf.constant(kernel, tf.float32)
  )
  # The largest result is near 4: ten float32 epsilons of it.
  np.testing.assert_allclose(fast, exact, atol=5e-6)


@pytest.mark.parametrize(
  ("side", "algorithm"),
  [(28, convolutions.Fourier), (64, convolutions.Direct)],
)
def test_small_maps_are_convolved_by_fourier_coefficients(side, algorithm):
  model = models.ConvDraw((side, side, 1), **_SMALL)
  assert type(model._algorithm) is algorithm
  assert model.sample(1, seed=_SEED).shape == [1, side, side, 1]


@_each_variant
def test_outputs_have_shapes_and_types(variant):
  model = _shared(variant)
  side = 8 // model.stride
  context = _context(model)
  result = model(_images(), context, seed=_SEED)

  assert model.latent_shape == (3, side, side, 2)
  assert result.reconstruction.shape == [3, *_SHAPE]
  assert result.latents.shape == [3, *model.latent_shape]
  assert result.kl_per_step.shape == [3, 3]
  for per_example in (result.kl, result.log_q, result.log_prior):
    assert per_example.shape == [3]
  if variant == "conditional":
    assert result.auxiliary_loss.shape == [3]
  else:
    assert result.auxiliary_loss is None
  for value in _present(result):
    assert value.dtype == tf.float32
    assert np.all(np.isfinite(value))
  np.testing.assert_allclose(
    result.kl, np.sum(result.kl_per_step, axis=1), rtol=1e-6
  )
  posterior = model.posterior(_images(), context)
  assert posterior.batch_shape == [3]
  assert posterior.event_shape == model.latent_shape
  assert posterior.sample(2, seed=_SEED).shape == [2, 3, *model.latent_shape]
  assert model.prior.batch_shape == []
  assert model.prior.event_shape == model.latent_shape


@_each_variant
def test_outputs_agree_with_the_models_own_distributions(variant):
  model = _shared(variant)
  images, context = _images(), _context(model)
  result = model(images, context, seed=_SEED)

  np.testing.assert_allclose(
    model.posterior(images, context).log_prob(result.latents),
    result.log_q,
    atol=2e-4,
  )
  np.testing.assert_allclose(
    model.prior.log_prob(result.latents, **_by_keyword(context)),
    result.log_prior,
    atol=2e-4,
  )
  np.testing.assert_allclose(
    model.decode(result.latents, context), result.reconstruction, atol=1e-5
  )


@_each_variant
def test_pairs_are_the_posteriors_of_each_image(variant):
  model = _shared(variant)
  images, context = _images(), _context(model)
  latents = model(_images(2, seed=9), _context(model, 2, 9), seed=_SEED).latents
  features = model.posterior_features(images, context)

  pairs = model.pairwise_log_prob(latents, features)

  assert pairs.shape == [2, 3]
  np.testing.assert_allclose(
    pairs,
    model.posterior(images, context).log_prob(latents[:, tf.newaxis]),
    rtol=1e-5,
    atol=2e-4,
  )
  # And one image by itself.
  one = model.posterior(images[1:2], None if context is None else context[1:2])
  np.testing.assert_allclose(
    pairs[:, 1], one.log_prob(latents), rtol=1e-5, atol=2e-4
  )


@pytest.mark.statistical
@pytest.mark.parametrize("variant", ["gqn", "conditional_error_separate"])
def test_kl_is_the_mean_of_log_ratios(variant):
  """Monte Carlo over paths, at a false-fail rate of 1e-6.

  The KL of one path is closed for each step given the steps before; both it
  and the log ratio have the KL of paths as their mean, so that their difference
  has mean 0.
  """
  model = _shared(variant)
  count = 4000
  images = tf.repeat(_images(1), count, axis=0)
  context = _context(model, 1)
  if context is not None:
    context = tf.repeat(context, count, axis=0)
  result = model(images, context, seed=_SEED)

  differences = (result.log_q - result.log_prior - result.kl).numpy()

  assert np.std(result.kl) > 0.1  # Else the steps were independent.
  tolerance = 4.892 * differences.std() / math.sqrt(count) + 1e-4
  assert abs(differences.mean(dtype=np.float64)) < tolerance


@pytest.mark.statistical
@pytest.mark.parametrize("variant", ["gqn", "conditional"])
def test_densities_are_normalised(variant):
  """E_q[p(z)/q(z)] = 1, at a false-fail rate of 1e-6 in the normal limit."""
  model = _model(variant)
  model(_images(1), _context(model, 1), seed=_SEED)
  for seed, head in enumerate((model.posterior_head, model.prior_head)):
    head.bias.assign_add(0.1 * tf.random.stateless_normal([4], [seed, 4]))
  images, context = _images(1), _context(model, 1)
  latents = model.posterior(images, context).sample(4000, seed=_SEED)[:, 0]
  if context is not None:
    context = tf.repeat(context, 4000, axis=0)
  ratios = np.exp(
    model.prior.log_prob(latents, **_by_keyword(context))
    - model.posterior(images, _context(model, 1)).log_prob(latents)
  )
  tolerance = 4.892 * ratios.std() / math.sqrt(4000)
  assert 0.01 < tolerance < 0.1
  assert abs(ratios.mean(dtype=np.float64) - 1.0) < tolerance


def test_kl_starts_close_to_zero():
  model = models.ConvDraw((28, 28, 1), hidden_size=8)
  kl = model(_images(8, (28, 28, 1)), seed=_SEED).kl
  # 784 latents: a thousandth of a nat each.
  assert 0.0 < np.mean(kl) < 0.784


@_each_variant
def test_samples_end_their_drawing(variant):
  model = _shared(variant)
  context = _context(model)
  drawing = model.drawing(3, context, seed=_SEED)
  assert drawing.shape == [3, 3, *_SHAPE]
  np.testing.assert_allclose(
    drawing[-1], model.sample(3, context, seed=_SEED), atol=1e-6
  )
  assert np.max(np.abs(drawing[1] - drawing[0])) > 1e-3
  latents = model.prior.sample(3, seed=_SEED, **_by_keyword(context))
  assert latents.shape == [3, *model.latent_shape]


def test_drawing_is_of_the_steps_taken():
  """The mean after two steps is that of a model which ends there."""
  model, shorter = _shared(), _model(num_steps=2)
  shorter(_images(1), seed=_SEED)
  for ours, theirs in zip(shorter.variables, model.variables, strict=True):
    ours.assign(theirs)
  latents = model(_images(), seed=_SEED).latents
  states = model._generate(model._conditions(3), latents)
  np.testing.assert_allclose(
    model._mean(states[2]), shorter.decode(latents[:, :2]), atol=1e-6
  )


def test_context_matters_to_prior_and_posterior_and_so_does_its_order():
  model = _shared("conditional")
  images, context = _images(), _context(model)
  latents = model(images, context, seed=_SEED).latents
  for log_prob in (
    lambda c: model.prior.log_prob(latents, context=c),
    lambda c: model.posterior(images, c).log_prob(latents),
  ):
    swapped = context[:, ::-1]
    assert np.all(np.abs(log_prob(context) - log_prob(swapped)) > 1e-3)


def test_first_prior_knows_the_context():
  model = _shared("conditional")
  starts = model._conditions(3, _context(model)).start
  assert np.all(np.std(starts, axis=0).max(axis=-1) > 1e-3)


def test_forecast_learns_by_its_own_loss_alone_and_nothing_else_by_it():
  model = _shared("conditional")
  variables = model.trainable_variables
  with tf.GradientTape(persistent=True) as tape:
    result = model(_images(), _context(model), seed=_SEED)
  trained = {
    name: {
      variable.ref()
      for variable in variables
      if tape.gradient(getattr(result, name), variable) is not None
    }
    for name in ("auxiliary_loss", "kl", "reconstruction")
  }
  forecast = {variable.ref() for variable in model.forecast.trainable_variables}
  assert trained["auxiliary_loss"] == forecast
  assert not forecast & (trained["kl"] | trained["reconstruction"])


@pytest.mark.parametrize("log_sd", [-5.0, -12.0, -60.0])
def test_forecast_of_equal_targets_stays_finite(log_sd):
  """A centre on all of them leaves σ nothing to stop at but its floor."""
  forecast = context_lib.Forecast(
    (1, 8, 8, 1), (8, 8, 1), 4, 4, num_clusters=64, dtype=tf.float32
  )
  forecast.log_sd.assign(log_sd)
  images = tf.repeat(tf.reshape(forecast.centres[:1], [1, 8, 8, 1]), 2, axis=0)
  with tf.GradientTape() as tape:
    log_forecast = forecast(tf.zeros([2, 1, 8, 8, 1]))
    loss = forecast.loss(images, log_forecast)
  gradients = tape.gradient(loss, forecast.trainable_variables)

  for value in (loss, *gradients):
    assert np.all(np.isfinite(tf.convert_to_tensor(value)))
  # At the centre that is theirs, the others are far away.
  least = max(log_sd, -math.log(255.0 * math.sqrt(12.0)))
  np.testing.assert_allclose(loss, least - log_forecast[:, 0], atol=0.05)


@pytest.mark.slow
def test_xla_compiles_the_whole_step():
  """XLA draws other noise, so what is free of noise is compared."""
  model = _shared("conditional", num_steps=2)
  images, context = _images(), _context(model)

  @tf.function(jit_compile=True)
  def step(images, context):
    with tf.GradientTape() as tape:
      result = model(images, context, seed=_SEED)
      error = tf.math.squared_difference(images, result.reconstruction)
      loss = tf.reduce_sum(result.kl) + tf.reduce_sum(error)
      loss += tf.reduce_sum(result.auxiliary_loss)
    return result, tape.gradient(loss, model.trainable_variables)

  result, gradients = step(images, context)

  np.testing.assert_allclose(
    result.log_q,
    model.posterior(images, context).log_prob(result.latents),
    rtol=1e-5,
    atol=2e-4,
  )
  np.testing.assert_allclose(
    result.reconstruction, model.decode(result.latents, context), atol=1e-5
  )
  for gradient, variable in zip(
    gradients, model.trainable_variables, strict=True
  ):
    assert np.any(gradient != 0.0), variable.name


@pytest.fixture(scope="module")
def traced():
  """Every method as a graph, of an unknown number of images."""
  model = _shared("conditional")

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, *_SHAPE]),
      tf.TensorSpec([None, *_CONTEXT]),
    ]
  )
  def everything(images, context):
    return _everything(model, images, context, tf.shape(images)[0])

  return model, everything


def _everything(model, images, context, count):
  result = model(images, context, seed=_SEED)
  features = model.posterior_features(images, context)
  return (
    *_present(result),
    model.posterior(images, context).log_prob(result.latents),
    model.prior.log_prob(result.latents, context=context),
    model.pairwise_log_prob(result.latents, features),
    model.sample(count, context, seed=_SEED),
    model.drawing(count, context, seed=_SEED),
    model.decode(result.latents, context),
  )


@pytest.mark.parametrize("batch_size", [2, 3])
def test_graph_of_any_batch_size_equals_eager(traced, batch_size):
  model, everything = traced
  images, context = _images(batch_size), _context(model, batch_size)
  for actual, expected in zip(
    everything(images, context),
    _everything(model, images, context, batch_size),
    strict=True,
  ):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-4)


@_each_variant
def test_every_variable_is_trained_and_created_once(variant):
  model = _model(variant)
  images, context = _images(), _context(model)
  model(images, context, seed=_SEED)
  variables = model.trainable_variables
  before = [variable.numpy() for variable in variables]
  optimizer = keras.optimizers.Adam(1e-3)

  # Twice, because the context comes in through a gate that starts at 0.
  for step in range(2):
    with tf.GradientTape() as tape:
      result = model(images, context, seed=[step, 2])
      error = tf.math.squared_difference(images, result.reconstruction)
      loss = tf.reduce_sum(result.kl) + 10.0 * tf.reduce_sum(error)
      if result.auxiliary_loss is not None:
        loss += tf.reduce_sum(result.auxiliary_loss)
    gradients = tape.gradient(loss, variables)
    assert all(gradient is not None for gradient in gradients)
    optimizer.apply(gradients, variables)

  model.sample(3, context, seed=_SEED)
  model.posterior(images, context)
  assert {v.ref() for v in model.variables} == {v.ref() for v in variables}
  for variable, start in zip(variables, before, strict=True):
    assert np.any(variable.numpy() != start), variable.name


def test_one_step_has_no_weights_that_it_cannot_use():
  model = _model(num_steps=1)
  images = _images()
  with tf.GradientTape() as tape:
    result = model(images, seed=_SEED)
    loss = tf.reduce_sum(result.kl) + tf.reduce_sum(result.reconstruction)
  gradients = tape.gradient(loss, model.trainable_variables)
  assert all(gradient is not None for gradient in gradients)


def test_training_descends_and_stays_finite():
  model = _model()
  images = _images(16, (8, 8, 2))
  optimizer = keras.optimizers.Adam(1e-2)

  @tf.function
  def step(index):
    with tf.GradientTape() as tape:
      result = model(images, seed=[index, 0])
      error = tf.math.squared_difference(images, result.reconstruction)
      error = tf.reduce_sum(error, axis=[1, 2, 3])
      loss = tf.reduce_mean(result.kl + 50.0 * error)
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)
    return loss

  model(images, seed=_SEED)
  optimizer.build(model.trainable_variables)
  losses = [step(tf.constant(i)).numpy() for i in range(40)]
  assert np.all(np.isfinite(losses))
  assert np.mean(losses[-5:]) < 0.95 * losses[0]


@pytest.mark.parametrize("variant", ["gqn", "conditional"])
def test_two_replicas_give_the_rows_of_one(variant):
  model = _shared(variant)
  images, context = _images(4), _context(model, 4)
  expected = model(images, context, seed=_SEED)
  samples = model.sample(4, context, seed=_SEED)

  for replica in range(2):
    rows = slice(2 * replica, 2 * replica + 2)
    part = None if context is None else context[rows]
    seed = noise.ReplicaSeed(_SEED, tf.constant(replica), 2)
    half = model(images[rows], part, seed=seed)
    for actual, whole in zip(_present(half), _present(expected), strict=True):
      np.testing.assert_allclose(actual, whole[rows], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
      model.sample(2, part, seed=seed), samples[rows], atol=1e-5
    )


@pytest.mark.parametrize("variant", ["gqn", "conditional_error_separate"])
def test_bfloat16_is_near_float32_and_keeps_its_sums_in_it(variant):
  exact = _shared(variant)
  rough = _model(variant, precision="bfloat16")
  images, context = _images(), _context(exact)
  rough(images, context, seed=_SEED)
  for ours, theirs in zip(rough.variables, exact.variables, strict=True):
    assert ours.dtype == tf.float32
    ours.assign(theirs)
  result = rough(images, context, seed=_SEED)
  expected = exact(images, context, seed=_SEED)

  for value in _present(result):
    assert value.dtype == tf.float32
  assert np.any(result.kl != expected.kl)
  # bfloat16 has 8 bits; a few of them are lost on the way through the steps.
  np.testing.assert_allclose(
    result.reconstruction, expected.reconstruction, atol=0.05
  )
  np.testing.assert_allclose(result.kl, expected.kl, rtol=0.05)
  # Densities are of the float32 latents, to float32's digits.
  np.testing.assert_allclose(
    rough.posterior(images, context).log_prob(result.latents),
    result.log_q,
    rtol=0.01,
    atol=0.5,
  )


def test_model_is_registered():
  model = models.registry.build(
    "conv_draw",
    _SHAPE,
    available={"context_shape": None, "unknown": 1, **_SMALL},
  )
  assert isinstance(model, models.ConvDraw)
  assert model.num_steps == 3


@pytest.mark.parametrize(
  ("kwargs", "message"),
  [
    ({"stride": 3}, "`stride` must divide the side of the images, 8; got 3"),
    ({"form": "gqm"}, "`form` must be gqn or error_feedback; got 'gqm'"),
    ({"precision": "float16"}, "`precision` must be .*; got 'float16'"),
    ({"num_steps": 0}, "`num_steps` must be at least 1; got 0"),
    ({"latent_channels": 0}, "`latent_channels` must be at least 1; got 0"),
    ({"kernel_size": 2.5}, "`kernel_size` must be a whole number; got 2.5"),
    ({"stride": "x"}, "`stride` must be a whole number; got 'x'"),
    ({"num_clusters": -1}, "`num_clusters` must be .*0 or more; got -1"),
    ({"share_cores": "false"}, "`share_cores` must be True or .*; got 'false'"),
    (
      {"context_shape": (2, 7, 7, 1)},
      r"`context_shape` must be \(images, 8, 8, channels\).*\(2, 7, 7, 1\)",
    ),
    (
      {"context_shape": (8, 8, 1)},
      r"`context_shape` must be \(images, 8, 8, channels\).*\(8, 8, 1\)",
    ),
  ],
)
def test_bad_argument_is_named_at_construction(kwargs, message):
  with pytest.raises(errors.UserError, match=message):
    _model(**kwargs)


_CALLS = {
  "call": lambda m, c: m(_images(), c, seed=_SEED),
  "sample": lambda m, c: m.sample(3, c, seed=_SEED),
  "drawing": lambda m, c: m.drawing(3, c, seed=_SEED),
  "decode": lambda m, c: m.decode(tf.zeros([3, *m.latent_shape]), c),
  "posterior": lambda m, c: m.posterior(_images(), c),
  "features": lambda m, c: m.posterior_features(_images(), c),
  "prior": lambda m, c: m.prior.log_prob(
    tf.zeros([3, *m.latent_shape]), context=c
  ),
}


@pytest.mark.parametrize("call", _CALLS)
@pytest.mark.parametrize(
  ("variant", "context", "message"),
  [
    ("gqn", (3, 2, 8, 8, 1), r"must be None.*got .*\(3, 2, 8, 8, 1\)"),
    ("conditional", None, r"\[B, 2, 8, 8, 1\], the model's.*; got None"),
    ("conditional", (3, 1, 8, 8, 1), r"\[B, 2, 8, 8, 1\].*\(3, 1, 8, 8, 1\)"),
    ("conditional", (3, 2, 9, 9, 1), r"\[B, 2, 8, 8, 1\].*\(3, 2, 9, 9, 1\)"),
  ],
)
def test_context_that_does_not_fit_is_named(call, variant, context, message):
  context = None if context is None else tf.zeros(context)
  with pytest.raises(errors.UserError, match=message):
    _CALLS[call](_shared(variant), context)


@pytest.mark.parametrize("call", ["call", "sample", "posterior"])
def test_context_of_another_count_is_named(call):
  with pytest.raises(
    errors.UserError, match="one entry for each of 3 images; got 2"
  ):
    _CALLS[call](_shared("conditional"), tf.zeros([2, *_CONTEXT]))


@pytest.mark.parametrize(
  ("call", "message"),
  [
    (
      lambda m: m(_images(shape=(9, 9, 2)), seed=_SEED),
      r"`images` must have the shape \[B, 8, 8, 2\].*got \(3, 9, 9, 2\)",
    ),
    (
      lambda m: m(tf.zeros([3, *_SHAPE], tf.uint8), seed=_SEED),
      r"`images` must be floats in \[0, 1\]; got the type uint8",
    ),
    (
      lambda m: m.decode(tf.zeros([3, 2, 2, 2])),
      r"`latents` must have the shape \[B, 3, 2, 2, 2\]; got \(3, 2, 2, 2\)",
    ),
    (
      lambda m: m.pairwise_log_prob(tf.zeros([3, 3, 2, 2, 1]), None),
      r"`latents` must have the shape \[B, 3, 2, 2, 2\]",
    ),
  ],
)
def test_bad_tensor_is_named_at_call(call, message):
  with pytest.raises(errors.UserError, match=message):
    call(_shared())


def test_latents_of_another_precision_are_taken():
  model = _shared()
  latents = np.random.default_rng(0).normal(size=[2, *model.latent_shape])
  expected = model.decode(latents.astype(np.float32))
  np.testing.assert_array_equal(model.decode(latents), expected)


def test_context_of_integers_is_refused():
  with pytest.raises(
    errors.UserError, match=r"`context` must be floats.*uint8"
  ):
    _CALLS["sample"](_shared("conditional"), tf.zeros([3, *_CONTEXT], tf.uint8))
