# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The core under `fit`: against loops by hand and known answers; resumed."""

import json

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import geco_tf
from geco_tf import constraints, errors, multipliers
from geco_tf.integrations import keras as geco_keras
from tests.integrations import problems

# Keras copies variables the old way when it saves.
pytestmark = pytest.mark.filterwarnings(
  "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)


@pytest.fixture(scope="module")
def fitted():
  """A model after two epochs with validation, and its history.

  It is trained no further, so that all may look at it.
  """
  x, y = problems.data()
  model = problems.model()
  history = problems.fit(model, validation_data=(x[:20], y[:20]))
  return model, history.history


def _by_hand(optimizer, num_epochs):
  """What `fit` should do, with the core and a tape."""
  net = problems.net()
  geco = geco_tf.GECO(
    problems.both_constraints(),
    multipliers.LogRatio(0.05),
    decay=0.8,
  )
  batches = tf.data.Dataset.from_tensor_slices(problems.data())

  def step(x, y):
    with tf.GradientTape() as tape:
      outputs = net(x, training=True)
      values = geco.constraint_values(y, outputs)
      objective = problems.squared_norm(x, y, outputs)
      loss = geco.lagrangian(objective, values) + sum(net.losses)
    gradients = tape.gradient(loss, net.trainable_variables)
    optimizer.apply(gradients, net.trainable_variables)
    geco.update(values)

  for x, y in batches.batch(problems.BATCH_SIZE).repeat(num_epochs):
    step(x, y)
  return net, geco


def test_fit_takes_the_steps_of_a_loop_by_hand(fitted):
  model, _ = fitted
  net, geco = _by_hand(keras.optimizers.Adam(0.01), 2)
  for here, there in zip(model.variables, net.variables, strict=True):
    np.testing.assert_allclose(here, there, rtol=1e-5, atol=1e-6)
  for name, variable in geco.state.items():
    np.testing.assert_allclose(
      model.geco.state[name], variable, rtol=1e-5, atol=1e-6, err_msg=name
    )


@pytest.mark.parametrize(
  "options",
  [
    {"run_eagerly": True},
    {"steps_per_execution": 3},
    pytest.param({"jit_compile": True}, marks=pytest.mark.slow),
  ],
  ids=str,
)
def test_fit_is_the_same_however_steps_are_run(fitted, options):
  model = problems.model(compile_options=options)
  problems.fit(model)
  there = problems.state(fitted[0]).values()
  for (name, here), other in zip(
    problems.state(model).items(), there, strict=True
  ):
    np.testing.assert_allclose(here, other, rtol=1e-4, atol=1e-5, err_msg=name)


def test_history_has_every_multiplier_and_constraint(fitted):
  model, history = fitted
  of_training = ("multiplier", "moving_average", "skipped")
  expected = {"loss", "objective"}
  for name, indices in (("re", [""]), ("first", ["", "_0", "_1"])):
    expected |= {f"geco/{name}/constraint{i}" for i in indices}
    expected |= {f"geco/{name}/satisfied"}
  expected |= {f"val_{name}" for name in expected}
  for name, indices in (("re", [""]), ("first", ["", "_0", "_1"])):
    expected |= {
      f"geco/{name}/{k}{i}" for k in of_training[:2] for i in indices
    }
    expected |= {f"geco/{name}/skipped"}
  assert history.keys() == expected
  assert {len(values) for values in history.values()} == {2}
  for i in range(2):
    entry = history[f"geco/first/multiplier_{i}"][-1]
    assert entry == model.geco.multipliers["first"][i]
  assert history["geco/re/multiplier"][-1] == model.geco.multipliers["re"]
  assert history["geco/re/multiplier"][0] != history["geco/re/multiplier"][1]
  assert history["geco/re/satisfied"] == [0.0, 0.0]
  assert history["geco/re/skipped"] == [0.0, 0.0]


def test_validation_is_the_mean_over_its_examples(fitted):
  model, history = fitted
  x, y = (part[:20] for part in problems.data())
  outputs = model.predict(x, verbose=0)
  error = np.sum((outputs - y) ** 2, axis=1) - 2 * 0.4**2
  first = outputs[:, :1] * [1.0, -1.0] - 0.1
  last = {k: v[-1] for k, v in history.items()}
  near = {"rtol": 1e-5, "atol": 1e-6}
  np.testing.assert_allclose(
    last["val_geco/re/constraint"], np.mean(error), **near
  )
  np.testing.assert_allclose(
    [last[f"val_geco/first/constraint_{i}"] for i in range(2)],
    np.mean(first, axis=0),
    **near,
  )
  objective = np.mean(np.sum(outputs**2, axis=1)) + float(sum(model.losses))
  np.testing.assert_allclose(last["val_objective"], objective, **near)
  loss = objective + np.mean(error) * float(model.geco.multipliers["re"])
  loss += np.sum(np.mean(first, axis=0) * model.geco.multipliers["first"])
  np.testing.assert_allclose(last["val_loss"], loss, **near)


def test_validation_moves_nothing(fitted):
  model, _ = fitted
  before = problems.state(model)
  logs = model.evaluate(*problems.data(), verbose=0, return_dict=True)
  model.test_on_batch(*problems.data())
  problems.assert_same_state(before, problems.state(model))
  assert "geco/re/constraint" in logs
  assert "geco/re/multiplier" not in logs


class _Interrupt(keras.callbacks.Callback):
  def on_epoch_begin(self, epoch, logs=None):
    del logs
    if epoch == 2:
      raise KeyboardInterrupt


def test_training_interrupted_and_resumed_is_that_left_alone(tmp_path):
  backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
  eagerly = {"run_eagerly": True}
  alone = problems.model(dropout=0.5, compile_options=eagerly)
  with pytest.raises(KeyboardInterrupt):
    problems.fit(alone, 4, callbacks=[backup, _Interrupt()])
  # Of the one that was interrupted, the object lives on; of the other, a file.
  expected = problems.fit(alone, 4, initial_epoch=2).history
  resumed = problems.model(dropout=0.5, compile_options=eagerly)
  history = problems.fit(resumed, 4, callbacks=[backup]).history
  problems.assert_same_state(problems.state(resumed), problems.state(alone))
  assert history == expected
  assert len(history["geco/re/multiplier"]) == 2


def test_model_loaded_from_a_file_trains_on_as_if_it_had_stayed(tmp_path):
  model = problems.model(compile_options={"run_eagerly": True})
  whole = tmp_path / "whole.keras"
  weights = tmp_path / "of.weights.h5"
  checkpoints = [
    keras.callbacks.ModelCheckpoint(whole),
    keras.callbacks.ModelCheckpoint(weights, save_weights_only=True),
  ]
  problems.fit(model, callbacks=checkpoints)
  loaded = keras.models.load_model(whole)
  weighed = problems.model()
  weighed.optimizer.build(weighed.trainable_variables)
  weighed.load_weights(weights)
  expected = problems.state(model)
  problems.assert_same_state(problems.state(loaded), expected)
  problems.assert_same_state(problems.state(weighed), expected)
  for trained in (model, loaded):
    problems.fit(trained, 1)
  problems.assert_same_state(problems.state(loaded), problems.state(model))
  x, _ = problems.data()
  np.testing.assert_array_equal(
    loaded.predict(x, verbose=0), model.predict(x, verbose=0)
  )


_CONSTRAINTS = [
  constraints.ReconstructionError(0.1, per="region", grid=3),
  constraints.ReconstructionError(0.1, per="channel", num_channels=3, name="c"),
  constraints.FeatureReconstructionError(
    0.2, feature_fn=keras.activations.relu
  ),
  constraints.ClassificationAccuracy(
    0.9, classifier_fn=keras.activations.linear
  ),
  constraints.PatchNormalizedCrossCorrelation(0.7, patch_size=4, stride=2),
  constraints.NegLogLikelihood(1.0),
  constraints.KLBudget(10.0),
  constraints.LipschitzConstraint(2.0),
  constraints.PerClass(
    constraints.ReconstructionError(0.3), num_classes=4, name="by_class"
  ),
]
_RULES = [
  multipliers.Auto(),
  multipliers.AugmentedLagrangian(0.01, penalty=2.0),
  multipliers.Exponential(0.1),
  multipliers.LogRatio(0.1),
  multipliers.NuPI(0.1, proportional=3.0),
  multipliers.SoftplusGradient(0.1),
  multipliers.Restrained(multipliers.NuPI(0.1), highest=9.0, update_every=2),
]


def _parts(value):
  """An object's class and attributes, to compare with another's."""
  if isinstance(value, constraints.Constraint | multipliers.UpdateRule):
    attributes = vars(value).items()
    kept = {k: _parts(v) for k, v in attributes if not isinstance(v, type)}
    return type(value), kept
  return value


def test_every_constraint_survives_a_config():
  model = geco_keras.Constrained(problems.net(), _CONSTRAINTS)
  config = json.loads(json.dumps(model.get_config()))
  rebuilt = geco_keras.Constrained.from_config(config)
  expected = {c.name: _parts(c) for c in _CONSTRAINTS}
  assert {n: _parts(c) for n, c in rebuilt.geco.constraints.items()} == expected
  covered = {type(c) for c in _CONSTRAINTS}
  registry = constraints.registry
  assert {registry[name] for name in registry.names()} <= covered


@pytest.mark.parametrize("rule", _RULES, ids=lambda rule: type(rule).__name__)
def test_every_rule_survives_a_config(rule):
  constraint = constraints.ReconstructionError(0.1)
  model = geco_keras.Constrained(
    problems.net(), constraint, update_rule={"re": rule}
  )
  config = json.loads(json.dumps(model.get_config()))
  rebuilt = geco_keras.Constrained.from_config(config)
  assert rebuilt.get_config()["update_rule"] == config["update_rule"]
  assert rebuilt.geco.state.keys() == model.geco.state.keys()
  assert {type(r) for r in _RULES} >= _registered_rules()


def _registered_rules():
  return {
    getattr(multipliers, name)
    for name in multipliers.__all__
    if isinstance(getattr(multipliers, name), type)
    and issubclass(getattr(multipliers, name), multipliers.UpdateRule)
  } - {multipliers.UpdateRule}


class Ridge(keras.Model):
  """y ≈ xᵀw; ½ |w|² is added as a loss."""

  def __init__(self):
    super().__init__()
    self.w = self.add_weight(shape=(3, 1), initializer="zeros")

  def call(self, x):
    self.add_loss(0.5 * tf.reduce_sum(tf.square(self.w)))
    return tf.matmul(x, self.w)


def _ridge_key(x, y, kappa):
  """The least |w| whose squared error is κ², and λ: by root finding."""
  n = len(x)

  def solve(multiplier):
    curvature = np.eye(3) + 2.0 * multiplier * x.T @ x / n
    return np.linalg.solve(curvature, 2.0 * multiplier * x.T @ y / n)

  multiplier = scipy.optimize.brentq(
    lambda m: np.mean((x @ solve(m) - y) ** 2) - kappa**2, 1e-3, 1e3
  )
  return solve(multiplier), multiplier


def test_fit_reaches_the_known_optimum_of_a_regression():
  random = np.random.RandomState(2)
  x = random.normal(size=(20, 3))
  y = x @ [[1.0], [-0.5], [0.2]] + 0.1 * random.normal(size=(20, 1))
  solution, multiplier = _ridge_key(x, y, kappa=0.3)
  model = geco_keras.Constrained(
    Ridge(),
    constraints.ReconstructionError(kappa=0.3),
    update_rule=multipliers.NuPI(0.02, proportional=1.0),
    decay=0.9,
  )
  model.compile(keras.optimizers.SGD(0.05), steps_per_execution=500)
  batches = tf.data.Dataset.from_tensors(
    (x.astype(np.float32), y.astype(np.float32))
  )
  history = model.fit(batches.repeat(2000), shuffle=False, verbose=0).history
  found = float(model.geco.multipliers["re"])
  np.testing.assert_allclose(found, multiplier, rtol=1e-3)
  np.testing.assert_allclose(model.net.w, solution, rtol=1e-3, atol=1e-4)
  assert abs(history["geco/re/moving_average"][-1]) < 1e-3 * 0.3**2


class VAE(keras.Model):
  """Returns its reconstruction and its KL, as VAEs do."""

  def __init__(self):
    super().__init__()
    self.encoder = keras.layers.Dense(4)
    self.decoder = keras.layers.Dense(5)
    self.seeds = keras.random.SeedGenerator(4)

  def call(self, x):
    mean, log_scale = tf.split(self.encoder(x), 2, axis=1)
    noise = keras.random.normal(tf.shape(mean), seed=self.seeds)
    kl = 0.5 * (mean**2 + tf.exp(2.0 * log_scale) - 1.0) - log_scale
    reconstruction = self.decoder(mean + tf.exp(log_scale) * noise)
    return reconstruction, tf.reduce_sum(kl, axis=1)


def test_vae_that_returns_reconstruction_and_kl_meets_its_constraint():
  x, _ = problems.data()
  x -= np.mean(x, axis=0)
  model = geco_keras.Constrained(
    VAE(),
    constraints.ReconstructionError(0.85),
    objective=lambda x, y, outputs: outputs[1],
    context=lambda x, y, outputs: {"reconstruction": outputs[0]},
    update_rule=multipliers.LogRatio(0.02),
    decay=0.9,
  )
  model.compile(keras.optimizers.Adam(0.02), steps_per_execution=50)
  batches = tf.data.Dataset.from_tensors(x).repeat(500)
  # The second epoch's mean has nothing of the way there.
  history = model.fit(batches, epochs=2, shuffle=False, verbose=0).history
  mse = history["geco/re/moving_average"][-1] / 5 + 0.85**2
  assert abs(mse**0.5 / 0.85 - 1.0) < 0.03
  assert history["geco/re/satisfied"][-1] == 1.0
  assert history["objective"][-1] > 0.0


def test_classifier_reads_groups_beside_its_labels():
  """Cross-entropy from compile; the constraint sees labels, group and x."""
  x, y = problems.data()
  group = (x[:, 0] > 0).astype(np.float32)
  seen = []

  def same_rate(targets, reconstruction, *, inputs, group, sample_weight):
    seen.append((targets.shape, inputs.shape, sample_weight.shape))
    return (2.0 * group - 1.0) * tf.nn.softmax(reconstruction)[:, 1]

  model = geco_keras.Constrained(
    problems.net(),
    constraints.from_callable(same_rate, name="rate"),
    context=lambda x, y, outputs: {"group": tf.cast(x[:, 0] > 0, tf.float32)},
  )
  cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
  model.compile(
    "sgd", loss=cross_entropy, metrics=["accuracy"], run_eagerly=True
  )
  labels = (y[:, 0] > 0).astype(np.int32)
  logs = model.fit(
    x, labels, batch_size=51, verbose=0, class_weight={0: 2.0, 1: 0.5}
  ).history
  probability = tf.nn.softmax(problems.net()(x))[:, 1].numpy()
  np.testing.assert_allclose(
    logs["geco/rate/constraint"][0],
    np.mean((2.0 * group - 1.0) * probability),
    rtol=1e-5,
    atol=1e-6,
  )
  assert seen[0] == ([51], [51, 5], [51])
  assert 0.0 <= logs["accuracy"][0] <= 1.0
  net = problems.net()
  weights = np.where(labels == 1, 0.5, 2.0)
  by_example = cross_entropy.call(labels, net(x)).numpy()
  np.testing.assert_allclose(
    logs["objective"][0],
    np.sum(weights * by_example) / len(x) + float(sum(net.losses)),
    rtol=1e-5,
  )


def test_sample_weight_weighs_the_objective_alone(fitted):
  model, _ = fitted
  x, y = problems.data()
  weights = np.linspace(0.0, 2.0, len(x)).astype(np.float32)
  logs = model.evaluate(
    x, y, sample_weight=weights, verbose=0, return_dict=True
  )
  outputs = model.predict(x, verbose=0)
  objective = np.mean(weights * np.sum(outputs**2, axis=1))
  np.testing.assert_allclose(
    logs["objective"], objective + float(sum(model.losses)), rtol=1e-5
  )
  error = np.mean(np.sum((outputs - y) ** 2, axis=1)) - 2 * 0.4**2
  np.testing.assert_allclose(logs["geco/re/constraint"], error, rtol=1e-5)


def test_batch_that_is_not_finite_moves_nothing_and_is_counted():
  x, y = problems.data()
  model = problems.model(keras.optimizers.SGD(0.01), {"run_eagerly": True})
  model.train_on_batch(x, y)
  before = problems.state(model)
  y[3, 0] = np.nan
  logs = model.train_on_batch(x, y, return_dict=True)
  after = problems.state(model)
  changed = {n for n in before if not np.array_equal(before[n], after[n])}
  # The other constraint is finite, and moves.
  assert {n for n in changed if n.startswith("re")} == {"re/num_skipped"}
  assert not [n for n in changed if "kernel" in n or "bias" in n]
  assert logs["geco/re/skipped"] == 1.0
  assert logs["geco/first/skipped"] == 0.0
  assert np.isnan(logs["loss"])


def test_epoch_without_a_finite_batch_says_nothing_of_the_constraint():
  x, y = problems.data()
  y[:] = np.nan
  model = problems.model(keras.optimizers.SGD(0.01))
  with pytest.warns(UserWarning, match="'re' was not finite in 4 updates"):
    logs = model.fit(x, y, batch_size=problems.BATCH_SIZE, verbose=0).history
  assert np.isnan(logs["geco/re/constraint"])
  assert logs["geco/re/satisfied"] == [0.0]
  assert logs["geco/re/skipped"] == [4.0]
  assert np.isfinite(logs["geco/first/constraint"])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_constraints_are_float32_in_mixed_precision(policy):
  x, y = problems.data()
  dtypes = []

  def record(targets, reconstruction):
    del targets
    dtypes.append(reconstruction.dtype)
    return reconstruction[:, 0]

  before = keras.config.dtype_policy()
  keras.config.set_dtype_policy(policy)
  try:
    net = problems.net()
  finally:
    keras.config.set_dtype_policy(before)
  model = geco_keras.Constrained(
    net,
    constraints.from_callable(record, name="first"),
    objective=problems.squared_norm,
  )
  model.compile("sgd", run_eagerly=True)
  logs = model.train_on_batch(x, y, return_dict=True)
  assert net(x).dtype == policy.removeprefix("mixed_")
  assert set(dtypes) == {tf.float32}
  assert np.isfinite(logs["loss"])
  if policy == "mixed_float16":
    scale = float(model.optimizer.dynamic_scale)
    weights = model.net.get_weights()
    model.train_on_batch(np.full_like(x, np.nan), y)
    assert float(model.optimizer.dynamic_scale) == scale / 2.0
    for here, there in zip(model.net.get_weights(), weights, strict=True):
      np.testing.assert_array_equal(here, there)


def _train(model, **options):
  model.compile("sgd", run_eagerly=True, **options)
  model.train_on_batch(*problems.data())


class _OwnStep(keras.Model):
  def train_step(self, data):
    raise AssertionError("not called")


def _without_loss():
  net = keras.Sequential([keras.Input([5]), keras.layers.Dense(2)])
  return geco_keras.Constrained(net, constraints.ReconstructionError(0.1))


class _Mine(constraints.Constraint):
  name = "mine"

  def __call__(self, targets, reconstruction):
    raise AssertionError("not called")


def _save(tmp_path, constraint, filename="m.keras"):
  model = geco_keras.Constrained(problems.net(), constraint)
  model.save(tmp_path / filename)


@pytest.mark.parametrize(
  ("mistake", "message"),
  [
    (
      lambda _: geco_keras.Constrained(len, problems.both_constraints()),
      r"`net` must be a keras\.Model; got <built-in",
    ),
    (
      lambda _: geco_keras.Constrained(_OwnStep(), problems.both_constraints()),
      "`objective` must be given, since the train_step of _OwnStep is not",
    ),
    (
      lambda _: _train(_without_loss()),
      "`objective` must be given to Constrained, or `loss` to compile",
    ),
    (
      lambda _: _train(problems.model(), loss="mse"),
      "`loss` must not be given to compile where Constrained has an",
    ),
    (
      lambda _: _train(problems.model(objective=lambda x, y, o: o)),
      r"`objective` must return a number for each example, \[B\]; got the",
    ),
    (
      lambda _: _train(problems.model(constraints=constraints.KLBudget(1.0))),
      "The constraint 'kl' needs `kl`",
    ),
    (
      lambda _: problems.model().train_on_batch(
        *problems.data(), sample_weight=np.ones([51, 2])
      ),
      r"`sample_weight` must be a number for each example, \[B\]; got",
    ),
    (
      lambda path: _save(path, constraints.KLBudget(1.0), "m.h5"),
      r"`filepath` must end in \.keras, since HDF5 files",
    ),
    (
      lambda path: _save(path, _Mine()),
      "_Mine must have `get_config` and be registered by",
    ),
    (
      lambda path: _save(
        path,
        constraints.ClassificationAccuracy(0.9, classifier_fn=problems.net()),
      ),
      "which would lose its weights; save_weights keeps the multipliers",
    ),
  ],
)
def test_mistake_is_told_in_one_line(mistake, message, tmp_path):
  with pytest.raises(errors.UserError, match=message):
    mistake(tmp_path)


def test_weights_of_other_constraints_are_refused(fitted, tmp_path):
  path = tmp_path / "of.weights.h5"
  fitted[0].save_weights(path)
  other = problems.model(constraints=constraints.ReconstructionError(0.4))
  with pytest.raises(ValueError, match="must be those of this model's constr"):
    other.load_weights(path)


def test_file_that_names_other_code_is_refused():
  config = problems.model().get_config()
  config["constraints"][0]["geco_tf"] = ["os", "system"]
  with pytest.raises(errors.UserError, match=r"must name a constraint or rule"):
    geco_keras.Constrained.from_config(config)
