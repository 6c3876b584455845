# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A step of any model and objective, or constraint, compiles, in its type.

XLA draws other noise, so that what is compared with the step that is not
compiled are the types, and that all is finite and moves.
"""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import constraints, models, objectives
from geco_tf.data import pipeline
from geco_tf.runs import build
from geco_tf.training import optimizers, step, strategies
from tests.conformance import registered, variants
from tests.distribution import two_devices

_VARIANTS = list(variants.SETTINGS)
_OBJECTIVES = registered.names(objectives.registry)
_OTHER_CONSTRAINED = [
  name
  for name in _OBJECTIVES
  if name != "geco"
  and issubclass(objectives.registry[name], objectives.Constrained)
]
_SHARES = tf.random.stateless_normal([64, 10], [1, 2])
# Specs as on the command line; those with a network of their own are made here.
_SPECS = {
  "kl": "kl:4",
  "lipschitz": "lipschitz:2",
  "nll": "nll:5",
  "pncc": "pncc:0.6,patch_size=3",
  "re": "re:0.2",
  "re_per_class": "re:0.2,per=class",
  "re_per_channel": "re:0.2,per=channel",
}
_MADE = {
  "cla": lambda: constraints.registry["cla"](0.8, classifier_fn=_classify),
  "fre": lambda: constraints.registry["fre"](
    0.2, feature_fn=constraints.local_statistics(sides=(2, 3))
  ),
}


def _classify(images):
  flat = tf.reshape(images, [-1, 64])
  return tf.matmul(flat, tf.cast(_SHARES, flat.dtype))


def _objective(config, source, name, constraint):
  if constraint in _MADE:
    dtype = models.networks.weight_dtype(config.precision)
    return objectives.registry[name]([_MADE[constraint]()], dtype=dtype)
  # Both, so that what is minimised is bounded, and the reverse.
  specs = ("re:0.2", "kl:4") if constraint is None else (_SPECS[constraint],)
  config = config.replace(objective=name, kappa=None, constraint=specs)
  return build.build_objective(config, source)


def _after_steps(
  variant,
  objective_name="geco",
  constraint=None,
  strategy=None,
  xla=True,
  **more,
):
  """Metrics of two steps, the objects, and the weights before."""
  strategy = strategy or strategies.make("one")
  config = variants.config(variant, batch_size=8, **more)
  source = build.build_data(config)
  with strategy.scope():
    model = build.build_model(config, source.image_shape, source.context_shape)
    objective = _objective(config, source, objective_name, constraint)
    variables = step.trainable_variables(model, objective)
    optimizer = optimizers.adam(optimizers.WarmupThenDecay(1e-3, 10))
    optimizer.build(variables)
    has_labels = source.train.labels is not None
    first = step.forward(
      model,
      objective,
      next(iter(pipeline.training_batches(source.train, 8, seed=0))),
      seed=tf.zeros([2], tf.int32),
      has_labels=has_labels,
    )
    objective.initialize(first.statistics)
  before = [v.numpy() for v in variables]
  train_step = step.TrainStep(
    strategy,
    model,
    objective,
    optimizer,
    seed=0,
    xla=xla,
    has_labels=has_labels,
  )
  batches = pipeline.distributed_training_batches(
    strategy, source.train, 8, seed=0
  )
  rows = train_step.run(iter(batches), tf.constant(0, tf.int64), 2)
  metrics = dict(zip(train_step.metric_names, rows.numpy().T, strict=True))
  return metrics, (model, objective, optimizer), before


def _check(metrics, objects, before, of_weights=tf.float32):
  for name, values in metrics.items():
    assert np.all(np.isfinite(values)), name
  assert np.all(metrics["skipped_gradients"] == 0.0)
  model, objective, optimizer = objects
  variables = step.trainable_variables(model, objective)
  assert any(
    np.any(v.numpy() != b) for v, b in zip(variables, before, strict=True)
  )
  state = [*model.variables, *objective.variables]
  for variable in [*state, *optimizer.variables]:
    dtype = tf.as_dtype(variable.dtype)
    assert not dtype.is_floating or dtype == of_weights, variable.name
  assert metrics["loss"].dtype == np.float32


def test_every_registered_constraint_is_covered():
  assert not registered.missing(constraints.registry, [*_SPECS, *_MADE])


def test_step_compiles_whole_on_one_device():
  _check(*_after_steps("vae_nvp"))


@pytest.mark.parametrize(
  "make_strategy",
  [
    lambda: strategies.make("one"),
    pytest.param(two_devices.strategy, marks=pytest.mark.slow),
  ],
  ids=["whole", "passes"],
)
def test_host_operation_is_refused_where_all_is_compiled(
  make_strategy, monkeypatch
):
  call = models.call

  def call_with_host_operation(*arguments, **keywords):
    outputs = call(*arguments, **keywords)
    kl = tf.numpy_function(np.array, [outputs.kl], tf.float32)
    return outputs._replace(kl=tf.ensure_shape(kl, outputs.kl.shape))

  monkeypatch.setattr(models, "call", call_with_host_operation)
  with pytest.raises(tf.errors.InvalidArgumentError, match="PyFunc"):
    _after_steps("vae_mean_field", strategy=make_strategy())


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("variant", _VARIANTS)
def test_passes_compile_on_each_of_two_devices(variant, precision):
  strategy = two_devices.strategy()
  _check(*_after_steps(variant, strategy=strategy, precision=precision))


@pytest.mark.slow
@pytest.mark.parametrize("objective", _OBJECTIVES)
@pytest.mark.parametrize("variant", _VARIANTS)
def test_step_of_model_and_objective_compiles(variant, objective):
  _check(*_after_steps(variant, objective))


@pytest.mark.slow
@pytest.mark.parametrize("constraint", [*_SPECS, *_MADE])
@pytest.mark.parametrize("variant", _VARIANTS)
def test_step_of_model_and_constraint_compiles(variant, constraint):
  if "conditional" in variant and constraint == "re_per_class":
    pytest.skip("a sum of two digits has no label of its own")
  _check(*_after_steps(variant, "geco", constraint))


@pytest.mark.slow
@pytest.mark.parametrize("constraint", [*_SPECS, *_MADE])
@pytest.mark.parametrize("objective", _OTHER_CONSTRAINED)
def test_step_of_objective_and_constraint_compiles(objective, constraint):
  _check(*_after_steps("vae_nvp", objective, constraint))


@pytest.mark.slow
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("variant", _VARIANTS)
def test_bfloat16_step_keeps_state_in_float32(variant, xla):
  _check(*_after_steps(variant, precision="bfloat16", xla=xla))


def _check_float64(*arguments, xla=False):
  result = _after_steps(*arguments, precision="float64", xla=xla)
  _check(*result, of_weights=tf.float64)


@pytest.mark.parametrize("objective", _OBJECTIVES)
def test_float64_step_keeps_no_state_in_another_type(objective):
  _check_float64("vae_nvp", objective)


@pytest.mark.slow
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("variant", _VARIANTS)
def test_float64_step_of_every_model(variant, xla):
  _check_float64(variant, xla=xla)


@pytest.mark.slow
@pytest.mark.parametrize("constraint", [*_SPECS, *_MADE])
def test_float64_step_of_every_constraint(constraint):
  _check_float64("vae_nvp", "geco", constraint)


@pytest.mark.slow
@pytest.mark.parametrize("constraint", [*_SPECS, *_MADE])
def test_two_replicas_step_as_one(constraint):
  """In float64, to the float32 that rows of metrics are."""
  one, two = (
    _after_steps(
      "vae_nvp",
      "geco",
      constraint,
      strategy=strategy,
      precision="float64",
      xla=False,
    )[0]
    for strategy in (strategies.make("one"), two_devices.strategy())
  )
  assert one.keys() == two.keys()
  for name, values in one.items():
    np.testing.assert_allclose(two[name], values, rtol=3e-7, err_msg=name)


def test_bfloat16_computes_networks_in_it_and_all_else_in_float32():
  config = variants.config("vae_nvp", precision="bfloat16")
  rough = build.build_model(config, (8, 8, 1))
  exact = build.build_model(config.replace(precision="float32"), (8, 8, 1))
  images = tf.random.stateless_uniform([4, 8, 8, 1], [1, 2])
  call = tf.function(models.call)
  result, expected = (
    call(model, images, None, seed=tf.constant([3, 4]))
    for model in (rough, exact)
  )
  graph = call.get_concrete_function(
    rough, images, None, seed=tf.constant([3, 4])
  ).graph
  products = {}
  for operation in graph.get_operations():
    if operation.type in ("Conv2D", "Conv2DBackpropInput", "MatMul"):
      part = operation.name.split("/")[1]
      products.setdefault(part, set()).add(operation.outputs[0].dtype)
  assert products["encoder"] == products["decoder"] == {tf.bfloat16}
  rest = [products[part] for part in products.keys() - {"encoder", "decoder"}]
  assert rest and set.union(*rest) == {tf.float32}
  for one, other in zip(rough.variables, exact.variables, strict=True):
    assert one.dtype == tf.float32
    np.testing.assert_array_equal(one.numpy(), other.numpy())
  for value in tf.nest.flatten(result):
    assert value is None or value.dtype == tf.float32
  # bfloat16 has 8 bits; a few are lost on the way.
  np.testing.assert_allclose(
    result.reconstruction, expected.reconstruction, atol=0.02
  )
  assert np.any(result.reconstruction != expected.reconstruction)
