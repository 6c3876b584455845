# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The contract of the core."""

import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import errors
from geco_tf.theory import linear_vae
from tests import geco_test_problems as problems


class Given(geco_tf.constraints.Constraint):
  """A constraint whose violation is what it is handed."""

  def __init__(self, size=None, name="given"):
    self.size = size
    self.name = name

  def __call__(self, targets, reconstruction, *, violation, weight=None, **_):
    shape = [] if self.size is None else [self.size]
    return geco_tf.constraints.ConstraintValue(
      violation=violation,
      weight=weight,
      bound=tf.ones(shape),
      initial_multiplier=3.0 * tf.ones(shape),
    )


def _values(geco, violation, weight=None):
  violation = tf.constant(violation, tf.float32)
  if weight is not None:
    weight = tf.constant(weight, tf.float32)
  return geco.constraint_values(None, None, violation=violation, weight=weight)


def _algorithm_1(x, kappa, rate, decay, learning_rate):
  """Algorithm 1 by hand for a constant g = θ and objective ½‖θ‖².

  Returns [T, 3 + D]: loss, C_ma, λ after the step, θ after the step.
  """
  num_dims = x.shape[2]
  theta, log_multiplier, average = np.zeros(num_dims), 0.0, 0.0
  rows = []
  for t, batch in enumerate(x):
    errors = np.sum((batch - theta) ** 2, axis=1)
    c_hat = np.mean(errors) - num_dims * kappa**2
    average = c_hat if t == 0 else decay * average + (1 - decay) * c_hat
    multiplier = np.exp(log_multiplier)
    loss = 0.5 * np.sum(theta**2) + multiplier * average
    # Of Ĉ, not of C_ma: the average is behind a stop_gradient.
    gradient = theta + multiplier * 2.0 * np.mean(theta - batch, axis=0)
    theta = theta - learning_rate * gradient
    log_multiplier = log_multiplier + rate * average
    rows.append([loss, average, np.exp(log_multiplier), *theta])
  return np.array(rows)


def test_exponential_follows_algorithm_1_in_both_phases():
  x = np.random.RandomState(0).normal(0.8, 0.1, [50, 8, 3])
  expected = _algorithm_1(x, 0.5, rate=0.4, decay=0.8, learning_rate=0.05)
  averages = expected[:, 1]
  assert averages[0] > 0 > averages.min(), "must see both phases"
  assert np.argmin(averages) < 49, "must come back from the satisfied phase"

  geco = geco_tf.GECO(
    [geco_tf.constraints.ReconstructionError(kappa=0.5)],
    update_rule=geco_tf.multipliers.Exponential(rate=0.4),
    decay=0.8,
    dtype=tf.float64,
  )
  theta = tf.Variable(tf.zeros(3, tf.float64))
  rows = []
  for batch in tf.constant(x):
    with tf.GradientTape() as tape:
      reconstruction = tf.broadcast_to(theta, batch.shape)
      values = geco.constraint_values(batch, reconstruction)
      objective = 0.5 * tf.reduce_sum(reconstruction**2, axis=1)
      loss = geco.lagrangian(objective, values)
    theta.assign_sub(0.05 * tape.gradient(loss, theta))
    geco.update(values)
    state = (loss, geco.moving_averages["re"], geco.multipliers["re"])
    rows.append([float(v) for v in state] + theta.numpy().tolist())
  np.testing.assert_allclose(rows, expected, rtol=1e-6)


@pytest.mark.parametrize(
  ("variances", "total", "update_rule", "num_steps"),
  [
    ((4.0, 1.0, 0.25, 0.04), 0.5, "auto", 25_000),
    (
      (4.0, 1.0, 0.25, 0.04),
      0.5,
      geco_tf.multipliers.LogRatio(rate=2e-3),
      20_000,
    ),
    pytest.param(
      (2.0, 0.9, 0.5, 0.3, 0.1, 0.02),
      0.8,
      "auto",
      15_000,
      marks=pytest.mark.slow,
    ),
  ],
  ids=["key-auto", "key-log_ratio", "second-spectrum"],
)
def test_water_filling_is_reached_through_public_api(
  variances, total, update_rule, num_steps
):
  key = linear_vae.water_filling(np.array(variances), total)
  problem = problems.LinearGaussian(variances, total)
  optimizer = problems.cosine_adam(num_steps)
  traces = problems.train(problem, update_rule, optimizer, num_steps)
  found = problem.exact()
  np.testing.assert_allclose(traces.multipliers[-1], key.multiplier, rtol=0.02)
  np.testing.assert_allclose(found.kl, key.kl, rtol=0.01)
  np.testing.assert_allclose(found.distortions, key.distortions, rtol=0.03)


def test_lagrangian_gradient_is_of_the_batch_and_value_of_the_average():
  geco = geco_tf.GECO([Given()], decay=0.5)
  geco.update(_values(geco, [4.0, 8.0]))
  violation = tf.Variable([1.0, 3.0])
  with tf.GradientTape() as tape:
    values = geco.constraint_values(None, None, violation=violation)
    loss = geco.lagrangian(tf.constant([1.0, 2.0]), values)
  multiplier = float(geco.multipliers["given"])
  # C_ma looks ahead: .5·6 + .5·2.
  np.testing.assert_allclose(loss, 1.5 + multiplier * 4.0, rtol=1e-6)
  np.testing.assert_allclose(
    tape.gradient(loss, violation), [0.5 * multiplier] * 2, rtol=1e-6
  )


def test_lagrangian_changes_no_state():
  geco = geco_tf.GECO([Given()])
  before = [v.numpy() for v in geco.variables]
  geco.lagrangian(tf.ones([2]), _values(geco, [4.0, 8.0]))
  for variable, value in zip(geco.variables, before, strict=True):
    np.testing.assert_array_equal(variable.numpy(), value)


def test_variables_are_made_at_construction_and_none_is_trainable():
  geco = geco_tf.GECO([Given(size=3)])
  names = [v.name for v in geco.variables]
  geco.lagrangian(tf.ones([2]), _values(geco, tf.ones([2, 3])))
  geco.update(_values(geco, tf.ones([2, 3])))
  assert [v.name for v in geco.variables] == names
  assert geco.trainable_variables == ()


def test_initial_multiplier_is_the_constraints_until_first_update():
  geco = geco_tf.GECO([Given()], geco_tf.multipliers.LogRatio(rate=1e-3))
  loss = geco.lagrangian(tf.zeros([2]), _values(geco, [1.0, 1.0]))
  np.testing.assert_allclose(loss, 3.0)
  geco.update(_values(geco, [1.0, 1.0]))
  expected = 3.0 * np.exp(1e-3)
  np.testing.assert_allclose(geco.multipliers["given"], expected, rtol=1e-6)


def test_exponential_starts_at_one_whatever_the_constraint_says():
  geco = geco_tf.GECO([Given()], geco_tf.multipliers.Exponential(rate=1e-3))
  loss = geco.lagrangian(tf.zeros([2]), _values(geco, [2.0, 2.0]))
  np.testing.assert_allclose(loss, 2.0)


def test_initialize_counts_once():
  geco = geco_tf.GECO([Given()])
  geco.initialize(_values(geco, [1.0]))
  np.testing.assert_allclose(geco.multipliers["given"], 3.0)
  geco.update(_values(geco, [1.0]))
  moved = float(geco.multipliers["given"])
  geco.initialize(_values(geco, [1.0]))
  assert float(geco.multipliers["given"]) == moved


def test_weighted_mean_leaves_absent_entries_alone():
  geco = geco_tf.GECO([Given(size=3)], decay=0.9)
  violation = [[1.0, 2.0, np.nan], [3.0, 4.0, np.nan]]
  weight = [[1.0, 0.0, 0.0], [1.0, 2.0, 0.0]]
  geco.update(_values(geco, violation, weight))
  averages = geco.moving_averages["given"].numpy()
  np.testing.assert_allclose(averages, [2.0, 4.0, 0.0])
  multipliers = geco.multipliers["given"].numpy()
  assert multipliers[0] > 3.0 and multipliers[1] > 3.0
  assert multipliers[2] == 3.0
  # The third entry's first batch starts its average afresh.
  geco.update(_values(geco, [[0.0, 0.0, 7.0]], [[0.0, 0.0, 1.0]]))
  averages = geco.moving_averages["given"].numpy()
  np.testing.assert_allclose(averages, [2.0, 4.0, 7.0])


def test_weights_of_another_shape_than_the_violations_are_refused():
  geco = geco_tf.GECO([Given(size=2)])
  with pytest.raises(
    errors.UserError, match=r"must have weights of .*\(2, 1\)"
  ):
    _values(geco, [[1.0, 2.0], [3.0, 6.0]], [[1.0], [3.0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_constraint_changes_nothing_and_is_counted(bad):
  geco = geco_tf.GECO([Given()])
  geco.update(_values(geco, [1.0, 2.0]))
  before = geco.multipliers["given"], geco.moving_averages["given"]
  geco.update(_values(geco, [1.0, bad]))
  after = geco.multipliers["given"], geco.moving_averages["given"]
  np.testing.assert_array_equal(before, after)
  assert int(geco.num_skipped["given"]) == 1
  geco.update(_values(geco, [1.0, 2.0]))
  assert float(geco.multipliers["given"]) > float(before[0])


def test_non_finite_first_batch_does_not_start_the_multiplier():
  geco = geco_tf.GECO([Given()], geco_tf.multipliers.LogRatio(rate=1e-3))
  geco.update(_values(geco, [np.nan]))
  geco.update(_values(geco, [1.0]))
  expected = 3.0 * np.exp(1e-3)
  np.testing.assert_allclose(geco.multipliers["given"], expected, rtol=1e-6)


def test_several_constraints_have_their_own_rules():
  rules = {
    "a": geco_tf.multipliers.LogRatio(rate=1e-2),
    "b": geco_tf.multipliers.Exponential(rate=1e-3),
  }
  geco = geco_tf.GECO([Given(name="a"), Given(name="b")], rules)
  values = _values(geco, [0.5])
  np.testing.assert_allclose(
    geco.lagrangian(tf.ones([1]), values), 1.0 + 3.0 * 0.5 + 1.0 * 0.5
  )
  metrics = geco.update(values)
  np.testing.assert_allclose(
    metrics["geco/a/multiplier"], 3.0 * np.exp(0.5e-2), rtol=1e-6
  )
  np.testing.assert_allclose(
    metrics["geco/b/multiplier"], np.exp(0.5e-3), rtol=1e-6
  )


def test_metrics_are_the_documented_scalars():
  geco = geco_tf.GECO([Given()])
  metrics = geco.update(_values(geco, [0.02]))
  assert sorted(metrics) == [
    "geco/given/constraint",
    "geco/given/moving_average",
    "geco/given/multiplier",
    "geco/given/satisfied",
    "geco/given/skipped",
  ]
  assert all(v.shape == [] for v in metrics.values())
  assert float(metrics["geco/given/satisfied"]) == 1.0
  metrics = geco.update(_values(geco, [40.0]))
  assert float(metrics["geco/given/satisfied"]) == 0.0


def test_reduction_changes_the_units_of_the_multiplier_alone():
  states = {}
  for reduction in ("sum", "mean"):
    constraint = geco_tf.constraints.ReconstructionError(
      0.3, reduction=reduction
    )
    geco = geco_tf.GECO([constraint], dtype=tf.float64)
    theta = tf.Variable(tf.zeros([4], tf.float64))
    x = tf.constant(np.random.RandomState(1).uniform(size=[30, 5, 4]))
    for batch in x:
      with tf.GradientTape() as tape:
        reconstruction = tf.broadcast_to(theta, batch.shape)
        values = geco.constraint_values(batch, reconstruction)
        loss = geco.lagrangian(tf.reduce_sum(reconstruction**2, 1), values)
      theta.assign_sub(0.02 * tape.gradient(loss, theta))
      geco.update(values)
    states[reduction] = (theta.numpy(), geco.multipliers["re"].numpy())
  np.testing.assert_allclose(states["mean"][0], states["sum"][0], rtol=1e-10)
  np.testing.assert_allclose(states["mean"][1], 4 * states["sum"][1], rtol=1e-9)


def test_graph_equals_eager():
  results = []
  for wrap in (lambda f: f, tf.function):
    geco = geco_tf.GECO([Given(size=2)])
    update = wrap(
      lambda v, geco=geco: (
        geco.lagrangian(
          tf.ones([3]), geco.constraint_values(None, None, violation=v)
        ),
        geco.update(geco.constraint_values(None, None, violation=v)),
      )
    )
    for i in range(5):
      loss, metrics = update(
        tf.cast(tf.reshape(tf.range(6), [3, 2]), tf.float32) - i
      )
    results.append([loss, *tf.nest.flatten(metrics)])
  for eager, graph in zip(*results, strict=True):
    np.testing.assert_allclose(eager, graph, rtol=1e-6)


def test_checkpoint_keeps_everything(tmp_path):
  def make():
    return geco_tf.GECO([Given(size=2, name="a"), Given(name="b")])

  def feed(geco, i):
    geco.update(
      {
        "a": geco.constraints["a"](None, None, violation=tf.fill([3, 2], i)),
        "b": geco.constraints["b"](None, None, violation=tf.fill([3], -i)),
      }
    )

  straight, saved, resumed = make(), make(), make()
  for i in range(20):
    feed(straight, float(i))
  for i in range(10):
    feed(saved, float(i))
  path = tf.train.Checkpoint(geco=saved).write(str(tmp_path / "geco"))
  tf.train.Checkpoint(geco=resumed).read(path).assert_consumed()
  for i in range(10, 20):
    feed(resumed, float(i))
  assert len(straight.variables) > 0
  for a, b in zip(straight.variables, resumed.variables, strict=True):
    np.testing.assert_array_equal(a.numpy(), b.numpy())


@pytest.mark.parametrize(
  ("make", "message"),
  [
    (lambda: geco_tf.GECO([]), "must hold at least one"),
    (lambda: geco_tf.GECO([Given(), Given()]), "must differ in name"),
    (lambda: geco_tf.GECO([Given()], decay=1.0), r"`decay` must be in"),
    (lambda: geco_tf.GECO([Given()], decay="a"), r"`decay` .* got 'a'"),
    (lambda: geco_tf.GECO([Given()], "autto"), "did you mean 'auto'"),
    (lambda: geco_tf.GECO([Given()], "log_ratio"), "needs `rate`"),
    (lambda: geco_tf.GECO([Given()], {"other": "auto"}), "'given' has none"),
    (
      lambda: geco_tf.GECO([Given()], {"given": "auto", "other": "auto"}),
      "got one for 'other'",
    ),
    (lambda: geco_tf.GECO([Given()], 1e-3), "must be a name, a rule .* 0.001"),
    (lambda: geco_tf.GECO([Given(name="a b")]), "letters, digits .* got 'a b'"),
    (
      lambda: geco_tf.GECO([Given()]).constraint_values(None, None),
      "'given' needs `violation`",
    ),
  ],
)
def test_mistakes_are_named(make, message):
  with pytest.raises(geco_tf.errors.UserError, match=message):
    make()


def test_satisfied_of_a_vector_needs_every_entry():
  geco = geco_tf.GECO([Given(size=4)])
  metrics = geco.update(_values(geco, [[-1.0, -1.0, -1.0, 0.5]]))
  assert float(metrics["geco/given/satisfied"]) == 0.0
  # An entry that no batch has had yet speaks neither way.
  geco = geco_tf.GECO([Given(size=2)])
  metrics = geco.update(_values(geco, [[-1.0, 9.0]], [[1.0, 0.0]]))
  assert float(metrics["geco/given/satisfied"]) == 1.0


def test_nothing_measured_is_not_satisfied():
  geco = geco_tf.GECO([Given()])
  metrics = geco.update(_values(geco, [np.nan]))
  assert float(metrics["geco/given/satisfied"]) == 0.0
  assert float(metrics["geco/given/skipped"]) == 1.0


def test_initialize_with_a_non_finite_batch_starts_nothing():
  constraint = geco_tf.constraints.ReconstructionError(0.1)
  geco = geco_tf.GECO([constraint])
  good = tf.constant([[0.0, 1.0]])
  bad = tf.constant([[0.0, np.nan]])
  geco.initialize(geco.constraint_values(bad, good))
  geco.initialize(geco.constraint_values(good, good))
  np.testing.assert_allclose(geco.multipliers["re"], 5.0, rtol=1e-6)


class NoContext(geco_tf.constraints.Constraint):
  """Names no context at all."""

  name = "no_context"

  def __call__(self, targets, reconstruction):
    error = targets - reconstruction
    return geco_tf.constraints.ConstraintValue(
      error, None, tf.ones([]), tf.ones([])
    )


def test_constraint_is_given_the_context_that_it_names():
  geco = geco_tf.GECO([NoContext()])
  values = geco.constraint_values(tf.ones([2]), tf.zeros([2]), kl=tf.ones([2]))
  np.testing.assert_array_equal(values["no_context"].violation, [1.0, 1.0])


def test_violation_of_another_shape_is_named():
  geco = geco_tf.GECO([NoContext()])
  with pytest.raises(geco_tf.errors.UserError, match="'no_context' of size"):
    geco.constraint_values(tf.ones([2, 3]), tf.zeros([2, 3]))


@pytest.mark.parametrize(
  ("given", "shown"), [([0.1], "0.1"), (0.1, "0.1"), ("re:0.1", "'re:0.1'")]
)
def test_what_is_no_constraint_is_named(given, shown):
  with pytest.raises(
    geco_tf.errors.UserError, match=f"must be of the class .* got {shown}"
  ):
    geco_tf.GECO(given)
