# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered objective keeps to."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import objectives
from geco_tf.models import VAEOutputs
from geco_tf.runs import build
from tests.conformance import registered
from tests.distribution import two_devices
from tests.training import tiny

_NAMES = registered.names(objectives.registry)
_BATCH = 8
_SHAPE = (_BATCH, 4, 4, 1)


def _build(name):
  """As a run does, from the config alone: no table to forget a line in."""
  # Both, so that what is minimised is bounded, and what is bounded minimised.
  config = tiny.config(
    objective=name, kappa=None, constraint=("re:0.2", "kl:1")
  )
  return build.build_objective(config)


def _batch(step):
  seed = [7, step]
  images = tf.random.stateless_uniform(_SHAPE, seed)
  noise = tf.random.stateless_normal(_SHAPE, [8, step])
  kl = tf.random.stateless_uniform([_BATCH], [9, step], 1.0, 5.0)
  # Errors that shrink, as a run's do.
  return images, images + noise / (2.0 + step), kl


def _outputs(reconstruction, kl):
  return VAEOutputs(
    reconstruction=reconstruction,
    kl=kl,
    latents=tf.zeros([tf.shape(kl)[0], 2]),
    log_q=kl,
    log_prior=tf.zeros_like(kl),
  )


def _loss(objective, images, reconstruction, kl):
  return objective.loss(
    images,
    _outputs(reconstruction, kl),
    labels=tf.zeros([tf.shape(kl)[0]], tf.int32),
    decoder=None,
  )


def _step(objective, *batch):
  loss, statistics = _loss(objective, *batch)
  return loss, objective.update(statistics)


def _run(objective, steps, step_fn=_step):
  return [step_fn(objective, *_batch(i)) for i in steps]


@pytest.mark.parametrize("name", _NAMES)
def test_loss_is_a_finite_scalar_with_gradients(name):
  objective = _build(name)
  images, reconstruction, kl = _batch(0)
  with tf.GradientTape() as tape:
    tape.watch([reconstruction, kl])
    loss = _loss(objective, images, reconstruction, kl).loss
  assert loss.shape == ()
  assert loss.dtype == tf.float32
  assert np.isfinite(loss)
  sources = [reconstruction, kl, *objective.trainable_variables]
  for gradient in tape.gradient(loss, sources):
    assert gradient is not None
    assert np.all(np.isfinite(gradient)) and np.any(gradient != 0.0)


@pytest.mark.parametrize("name", _NAMES)
def test_loss_grows_with_kl_and_with_error(name):
  objective = _build(name)
  images, reconstruction, kl = _batch(0)
  loss = _loss(objective, images, reconstruction, kl).loss
  more_kl = _loss(objective, images, reconstruction, kl + 1.0).loss
  worse = images + 2.0 * (reconstruction - images)
  more_error = _loss(objective, images, worse, kl).loss
  assert more_kl > loss and more_error > loss


@pytest.mark.parametrize("name", _NAMES)
def test_loss_changes_no_state(name):
  objective = _build(name)
  _run(objective, range(2))
  before = [v.numpy() for v in objective.variables]
  losses = [float(_loss(objective, *_batch(5)).loss) for _ in range(2)]
  assert losses[0] == losses[1]
  for variable, value in zip(objective.variables, before, strict=True):
    np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize("name", _NAMES)
def test_update_returns_finite_scalars_by_name(name):
  ((_, metrics),) = _run(_build(name), range(1))
  assert metrics
  for key, value in metrics.items():
    assert isinstance(key, str)
    assert value.shape == () and np.isfinite(value)


@pytest.mark.parametrize("name", _NAMES)
def test_graph_equals_eager(name):
  eager = _run(_build(name), range(5))
  objective = _build(name)
  graph = _run(objective, range(5), tf.function(_step))
  for one, other in zip(
    tf.nest.flatten(eager), tf.nest.flatten(graph), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", _NAMES)
def test_loss_and_gradient_under_xla_equal_eager(name):
  """The part of a step that --xla compiles; `update` is outside of it."""
  objective = _build(name)
  _run(objective, range(2))
  images, reconstruction, kl = _batch(2)

  def loss_and_gradients(reconstruction, kl):
    sources = [reconstruction, kl, *objective.trainable_variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(sources)
      loss, statistics = _loss(objective, images, reconstruction, kl)
    return loss, statistics, tape.gradient(loss, sources)

  compiled = tf.function(loss_and_gradients, jit_compile=True)
  for one, other in zip(
    tf.nest.flatten(compiled(reconstruction, kl)),
    tf.nest.flatten(loss_and_gradients(reconstruction, kl)),
    strict=True,
  ):
    if other is not None:
      np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", _NAMES)
def test_checkpoint_carries_the_whole_state(name, tmp_path):
  straight, saved, resumed = (_build(name) for _ in range(3))
  for objective in (straight, saved):
    _run(objective, range(4))
    for variable in objective.trainable_variables:
      variable.assign_add(tf.ones_like(variable))
  path = tf.train.Checkpoint(objective=saved).write(str(tmp_path / "state"))
  tf.train.Checkpoint(objective=resumed).read(path).assert_consumed()
  there, here = _run(straight, range(4, 8)), _run(resumed, range(4, 8))
  np.testing.assert_array_equal(tf.nest.flatten(there), tf.nest.flatten(here))
  for a, b in zip(straight.variables, resumed.variables, strict=True):
    np.testing.assert_array_equal(a.numpy(), b.numpy())


def _under(strategy, name, num_steps=6):
  """Losses, metrics and state after updates that replicas shared."""
  with strategy.scope():
    objective = _build(name)
    objective.initialize(_loss(objective, *_batch(0)).statistics)
  num_replicas = strategy.num_replicas_in_sync

  def replica_step(*batch):
    replicas = tf.distribute.get_replica_context()
    rows = _BATCH // num_replicas
    start = tf.convert_to_tensor(replicas.replica_id_in_sync_group) * rows
    loss, metrics = _step(
      objective, *(tf.gather(b, start + tf.range(rows)) for b in batch)
    )
    loss = replicas.all_reduce(tf.distribute.ReduceOp.MEAN, loss)
    return loss, metrics

  @tf.function
  def step(*batch):
    return tf.nest.map_structure(
      lambda v: tf.stack(strategy.experimental_local_results(v)),
      strategy.run(replica_step, args=batch),
    )

  results = [step(*_batch(i)) for i in range(num_steps)]
  state = [
    np.stack([v.numpy() for v in strategy.experimental_local_results(variable)])
    for variable in objective.variables
  ]
  return tf.nest.map_structure(np.asarray, results), state


@pytest.mark.parametrize("name", _NAMES)
def test_two_replicas_equal_one(name):
  one_device = tf.distribute.OneDeviceStrategy("/cpu:0")
  one, one_state = _under(one_device, name)
  two, two_state = _under(two_devices.strategy(), name)
  values = zip(tf.nest.flatten(two), tf.nest.flatten(one), strict=True)
  for pair, single in (*values, *zip(two_state, one_state, strict=True)):
    assert len(pair) == 2 and len(single) == 1
    np.testing.assert_array_equal(pair[0], pair[1])
    np.testing.assert_allclose(pair[:1], single, rtol=1e-5, atol=1e-6)
