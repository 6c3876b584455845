# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Constraints under `fit`, for any Keras 3 model on TensorFlow."""

import importlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from geco_tf import constraints as constraints_lib
from geco_tf import errors, multipliers
from geco_tf import geco as geco_lib


class _Batch(NamedTuple):
  """What a training step and a test step have in common."""

  inputs: Any
  labels: Any
  sample_weight: tf.Tensor | None
  outputs: Any  # Of the net, as it returned them.
  objective: tf.Tensor  # [B] or [], with the net's own losses in it.
  values: dict[str, constraints_lib.ConstraintValue]

  @property
  def size(self) -> tf.Tensor:
    """B, of this replica: []."""
    return tf.shape(tf.nest.flatten(self.inputs)[0])[0]


@keras.saving.register_keras_serializable("geco_tf")
class Constrained(keras.Model):
  """A Keras model that `fit` trains under constraints.

    model = Constrained(net, [constraint], objective=cross_entropy)
    model.compile("adam")
    model.fit(x, y, epochs=20)

  minimises mean(objective) + the net's own losses (regularisers, `add_loss`)
  subject to E[C] ≤ 0, by `geco_tf.GECO`, which is `model.geco`. Called, it is
  the net. Logs and history hold the Lagrangian as `loss`, and `objective`, and

    geco/<c>/constraint       mean of C over the epoch's examples, Σ w C / Σ w;
                              nan if C was finite in no batch
    geco/<c>/satisfied        1 if that mean is, in every entry seen
    geco/<c>/multiplier       λ after the epoch's last step
    geco/<c>/moving_average   C_ma, likewise
    geco/<c>/skipped          updates skipped so far for a Ĉ that is not finite

  of a vector constraint the mean over entries under these names and each entry
  under `…_0` to `…_{K-1}`. Validation has `val_` and the first two; it moves
  nothing.

  λ, C_ma, the rules' state and the seeds of layers that draw noise are saved
  and restored with the weights, bit for bit. `sample_weight` and `class_weight`
  weigh the objective; a constraint sees every example alike, unless it names
  `sample_weight` among its context.

  Under a `tf.distribute` strategy make the model, and the net, in its scope.
  Every example weighs the same, however a batch is cut; λ starts from the whole
  first global batch. A gradient that is not finite on any replica counts as 0
  on all.
  """

  train_function: Any  # Keras makes it.

  def __init__(
    self,
    net: keras.Model,
    constraints: Any,
    *,
    objective: Callable[[Any, Any, Any], tf.Tensor] | None = None,
    context: Callable[[Any, Any, Any], Mapping[str, Any]] | None = None,
    update_rule: Any = "auto",
    decay: float = 0.99,
    name: str | None = None,
  ):
    """Wraps a net.

    Args:
      net: functional, Sequential or subclassed; any structure of outputs.
      constraints: one, or several with different names.
      objective: (x, y, outputs) → [B], what is minimised. None takes the loss
        given to `compile`, or what the net adds by `add_loss`.
      context: (x, y, outputs) → what the constraints are called with, by name.
        Without it `targets` is y, or x if there is no y; `reconstruction` the
        outputs; `labels` y; `inputs` x; `sample_weight` the weights. What it
        returns replaces these or adds to them.
      update_rule: as of `GECO`.
      decay: as of `GECO`.
      name: of the model.

    Raises:
      UserError: if net is no Keras model or trains in its own way without an
        objective being named, or `GECO` refuses its arguments.
    """
    _check_net(net, objective)
    super().__init__(name=name, dtype=net.dtype_policy)
    self.net = net
    self.geco = geco_lib.GECO(constraints, update_rule, decay)
    self._objective = objective
    self._context = context
    self._update_rule = update_rule
    self._decay = decay
    self._is_evaluating = False
    self._objective_mean = keras.metrics.Mean(name="objective")
    self._constraint_means = [
      _ConstraintMean(c) for c in self.geco.constraints.values()
    ]
    # Callbacks that restore ask for it before the first batch comes.
    self.built = net.built

  def call(self, inputs: Any, training: bool | None = None) -> Any:
    del training  # Keras hands it on to the net.
    return self.net(inputs)

  def train_step(self, data: Any) -> dict[str, Any]:
    with tf.GradientTape() as tape:
      batch = self._evaluate_batch(data, training=True)
      values = _with_shared_weights(batch.values, batch.size)
      loss = self.geco.lagrangian(batch.objective, values)
      scaled_loss = self.optimizer.scale_loss(loss)
    weights = self.trainable_weights
    gradients = self._ready_to_add(
      tape.gradient(scaled_loss, weights), batch.size
    )
    self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
    self.geco.update(batch.values)
    return self._logs(batch, loss)

  def test_step(self, data: Any) -> dict[str, Any]:
    batch = self._evaluate_batch(data, training=False)
    # C_ma is of the training data: here C stands for itself.
    loss = tf.reduce_mean(batch.objective)
    for mean in self._constraint_means:
      multiplier = self.geco.multipliers[mean.constraint.name]
      violation = mean.batch_mean(batch.values[mean.constraint.name])
      loss += tf.cast(tf.reduce_sum(multiplier * violation), loss.dtype)
    return self._logs(batch, loss)

  def fit(self, *args: Any, **kwargs: Any) -> Any:
    """As Keras has it; warns of each constraint that was not finite."""
    before = self._num_skipped()
    history = super().fit(*args, **kwargs)
    for name, count in self._num_skipped().items():
      if count > before[name]:
        warnings.warn(
          f"The constraint {name!r} was not finite in {count - before[name]} "
          f"updates, which moved nothing; geco/{name}/skipped of the history "
          "says in which epochs.",
          stacklevel=2,
        )
    return history

  def evaluate(self, *args: Any, **kwargs: Any) -> Any:
    self._is_evaluating = True
    try:
      return super().evaluate(*args, **kwargs)
    finally:
      self._is_evaluating = False

  def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
    self._is_evaluating = True
    try:
      return super().test_on_batch(*args, **kwargs)
    finally:
      self._is_evaluating = False

  def get_metrics_result(self) -> dict[str, Any]:
    results = super().get_metrics_result()
    if self._is_evaluating:
      return results
    for key, states in (
      ("multiplier", self.geco.multipliers),
      ("moving_average", self.geco.moving_averages),
      ("skipped", self.geco.num_skipped),
    ):
      for name, state in states.items():
        results.update(_entries(f"geco/{name}/{key}", state))
    return results

  def make_train_function(self, force: bool = False) -> None:
    if self.train_function is not None and not force:
      return
    super().make_train_function(force)
    if self.distribute_strategy.num_replicas_in_sync > 1:
      _check_can_replicate(self)
      self.train_function = self._after_initialization(self.train_function)

  def save(self, filepath: Any, *args: Any, **kwargs: Any) -> None:
    if str(filepath).endswith((".h5", ".hdf5")):
      raise errors.UserError(
        "`filepath` must end in .keras, since HDF5 files of whole models have "
        f"no place for the multipliers; got {str(filepath)!r}."
      )
    super().save(filepath, *args, **kwargs)

  def save_own_variables(self, store: Any) -> None:
    for key, variable in self._own_state().items():
      store[key] = variable.numpy()

  def load_own_variables(self, store: Any) -> None:
    state = self._own_state()
    if set(store.keys()) != state.keys():
      raise errors.UserError(
        "The file's multipliers must be those of this model's constraints and "
        f"rules, {sorted(state)}; got {sorted(store.keys())}."
      )
    for key, variable in state.items():
      variable.assign(store[key])

  def get_config(self) -> dict[str, Any]:
    return {
      "net": keras.saving.serialize_keras_object(self.net),
      "constraints": _to_config(list(self.geco.constraints.values())),
      "objective": keras.saving.serialize_keras_object(self._objective),
      "context": keras.saving.serialize_keras_object(self._context),
      "update_rule": _to_config(self._update_rule),
      "decay": self._decay,
      "name": self.name,
    }

  @classmethod
  def from_config(
    cls, config: dict[str, Any], custom_objects: Any = None
  ) -> "Constrained":
    with keras.saving.custom_object_scope(custom_objects or {}):
      return cls(**{key: _from_config(v) for key, v in config.items()})

  def _num_skipped(self) -> dict[str, int]:
    return {n: int(count) for n, count in self.geco.num_skipped.items()}

  def _own_state(self) -> dict[str, Any]:
    """What Keras would not save: the core's, and the net's random seeds."""
    # A slash would make a folder in the file.
    state = {k.replace("/", "."): v for k, v in self.geco.state.items()}
    weights = {id(w) for w in self.weights}
    seeds = [v.value for v in self.variables if id(v) not in weights]
    return state | {f"random_seed.{i}": v for i, v in enumerate(seeds)}

  def _evaluate_batch(self, data: Any, training: bool) -> _Batch:
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    outputs = self(x, training=training)
    exact = tf.nest.map_structure(_in_full_precision, outputs)
    return _Batch(
      inputs=x,
      labels=y,
      sample_weight=sample_weight,
      outputs=outputs,
      objective=self._objective_values(x, y, exact, sample_weight, training),
      values=self._constraint_values(x, y, exact, sample_weight),
    )

  def _objective_values(
    self, x: Any, y: Any, outputs: Any, sample_weight: Any, training: bool
  ) -> tf.Tensor:
    """[B], or [] where Keras makes the mean."""
    if self._objective is None:
      self._check_has_loss()
      loss = self.compute_loss(x, y, outputs, sample_weight, training)
      # Keras has divided it by the number of replicas.
      return loss * tf.cast(_num_replicas(), loss.dtype)
    if self.loss is not None:
      raise errors.UserError(
        "`loss` must not be given to compile where Constrained has an "
        f"`objective`; got {self.loss!r}."
      )
    objective = tf.convert_to_tensor(self._objective(x, y, outputs))
    if objective.shape.rank != 1:
      raise errors.UserError(
        "`objective` must return a number for each example, [B]; got the shape "
        f"{objective.shape}."
      )
    if sample_weight is not None:
      objective *= _per_example(sample_weight, objective.dtype)
    for loss in self.losses:
      objective += tf.cast(tf.reduce_sum(loss), objective.dtype)
    return objective

  def _constraint_values(
    self, x: Any, y: Any, outputs: Any, sample_weight: Any
  ) -> dict[str, constraints_lib.ConstraintValue]:
    arguments = {
      "targets": x if y is None else y,
      "reconstruction": outputs,
      "labels": y,
      "inputs": x,
      "sample_weight": sample_weight,
    }
    if self._context is not None:
      arguments.update(self._context(x, y, outputs))
    return self.geco.constraint_values(**arguments)

  def _ready_to_add(
    self, gradients: list[Any], batch_size: tf.Tensor
  ) -> list[Any]:
    """Gradients whose sum over replicas, which Keras takes, is the batch's.

    Those of a replica's mean weigh by its share of the examples. All are 0
    where any is not finite, as the multipliers stand still then too; an
    optimizer that scales losses has to see those and does the same.
    """
    is_finite = [
      tf.reduce_all(tf.math.is_finite(getattr(g, "values", g)))
      for g in gradients
      if g is not None
    ]
    mine = [tf.cast(batch_size, tf.float32), tf.reduce_all(is_finite)]
    mine[1] = tf.cast(~mine[1], tf.float32)
    total, num_bad = tf.distribute.get_replica_context().all_reduce(
      tf.distribute.ReduceOp.SUM, mine
    )
    share = tf.math.divide_no_nan(mine[0], total)
    if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
      share = tf.where(num_bad > 0, float("nan"), share)
    else:
      share = tf.where(num_bad > 0, 0.0, share)
    return [None if g is None else _times(g, share) for g in gradients]

  def _logs(self, batch: _Batch, loss: tf.Tensor) -> dict[str, Any]:
    objective = tf.reduce_mean(batch.objective)
    trackers = [m for m in self.metrics if m.name == "loss"]
    for tracker, value in (
      (trackers[0], loss),
      (self._objective_mean, objective),
    ):
      # A replica whose part of the last batch is empty has no mean.
      value = tf.where(batch.size > 0, value, 0.0)
      tracker.update_state(value, sample_weight=batch.size)
    for mean in self._constraint_means:
      mean.update_state(batch.values[mean.constraint.name])
    return self.compute_metrics(
      batch.inputs, batch.labels, batch.outputs, batch.sample_weight
    )

  def _after_initialization(
    self, train_function: Callable[[Any], Any]
  ) -> Callable[[Any], Any]:
    """A train function that first starts λ from the whole global batch."""
    is_started = False

    def train_from(iterator: Iterator[Any]) -> Any:
      nonlocal is_started
      if not is_started:
        first = next(iterator)
        self._initialize(first)
        is_started = True
        iterator = itertools.chain([first], iterator)
      return train_function(iterator)

    return train_from

  def _initialize(self, data: Any) -> None:
    """Starts every λ that has not started, outside of replicas."""
    strategy = self.distribute_strategy

    def gathered(part: Any) -> Any:
      if isinstance(part, tf.distribute.DistributedValues):
        return strategy.gather(part, axis=0)
      return part

    with strategy.scope():
      data = tf.nest.map_structure(gathered, data)
      self.geco.initialize(self._evaluate_batch(data, training=False).values)

  def _check_has_loss(self) -> None:
    if self.loss is None and not self.losses:
      raise errors.UserError(
        "`objective` must be given to Constrained, or `loss` to compile, or "
        "the net must add one by `add_loss`; got none."
      )


class _ConstraintMean(keras.metrics.Metric):
  """Σ w C / Σ w over batches, of every entry of a constraint."""

  def __init__(self, constraint: constraints_lib.Constraint):
    super().__init__(name=f"geco_{constraint.name}", dtype="float32")
    self.constraint = constraint
    shape = () if constraint.size is None else (constraint.size,)

    def sum_over(name: str, shape: tuple[int, ...] = shape) -> Any:
      return self.add_variable(shape, initializer="zeros", name=name)

    self._violation = sum_over("violation")
    self._weight = sum_over("weight")
    self._bound = sum_over("bound")
    self._num_batches = sum_over("num_batches", ())

  def batch_mean(self, value: constraints_lib.ConstraintValue) -> tf.Tensor:
    """Ĉ, [] or [K]; 0 without weight."""
    return tf.math.divide_no_nan(*_weighted_sums(value))

  def update_state(self, value: constraints_lib.ConstraintValue) -> None:
    violation, weight = _weighted_sums(value)
    bound = tf.broadcast_to(tf.cast(value.bound, tf.float32), violation.shape)
    # A batch that the multipliers skip is not in the mean either.
    usable = tf.reduce_all(tf.math.is_finite([violation, weight, bound]))
    for variable, part in (
      (self._violation, violation),
      (self._weight, weight),
      (self._bound, bound),
      (self._num_batches, tf.ones([])),
    ):
      variable.assign_add(tf.where(usable, part, 0.0))

  def result(self) -> dict[str, tf.Tensor]:
    weight = tf.convert_to_tensor(self._weight)
    mean = tf.math.divide_no_nan(tf.convert_to_tensor(self._violation), weight)
    # Without a batch that is finite there is nothing to say of C.
    mean = tf.where(self._num_batches > 0, mean, float("nan"))
    bound = tf.math.divide_no_nan(
      tf.convert_to_tensor(self._bound), tf.convert_to_tensor(self._num_batches)
    )
    seen = weight > 0
    satisfied = self.constraint.is_satisfied(mean, bound) | ~seen
    all_satisfied = tf.reduce_all(satisfied) & tf.reduce_any(seen)
    prefix = f"geco/{self.constraint.name}"
    return {
      **_entries(f"{prefix}/constraint", mean),
      f"{prefix}/satisfied": tf.cast(all_satisfied, tf.float32),
    }


def _with_shared_weights(
  values: dict[str, constraints_lib.ConstraintValue], batch_size: tf.Tensor
) -> dict[str, constraints_lib.ConstraintValue]:
  """In a replica: the values, with Σ w as a share of all replicas' Σ w."""
  replicas = tf.distribute.get_replica_context()
  weights = {
    name: tf.stop_gradient(_weighted_sums(value)[1])
    for name, value in values.items()
    if value.weight is not None
  }
  if not weights or replicas.num_replicas_in_sync == 1:
    return values
  size = tf.cast(batch_size, tf.float32)
  totals, total_size = replicas.all_reduce(
    tf.distribute.ReduceOp.SUM, (weights, size)
  )
  share = tf.math.divide_no_nan(size, total_size)
  shared = {name: share * total for name, total in totals.items()}
  return {
    name: value._replace(shared_weight=shared.get(name))
    for name, value in values.items()
  }


def _weighted_sums(
  value: constraints_lib.ConstraintValue,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Σ w C and Σ w over this replica's batch, each [] or [K]."""
  violation = tf.cast(value.violation, tf.float32)
  weight = tf.ones_like(violation)
  if value.weight is not None:
    weight = tf.cast(value.weight, tf.float32)
  weighted = tf.math.multiply_no_nan(violation, weight)
  return tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weight, axis=0)


def _entries(key: str, state: tf.Tensor) -> dict[str, tf.Tensor]:
  """A scalar under its key; of a vector the mean, and every entry."""
  if not state.shape.rank:
    return {key: state}
  entries = {f"{key}_{i}": e for i, e in enumerate(tf.unstack(state))}
  return {key: tf.reduce_mean(state), **entries}


def _in_full_precision(output: Any) -> Any:
  """Constraints and λ are in float32 where the net computes in less."""
  output = tf.convert_to_tensor(output)
  is_half = output.dtype in (tf.float16, tf.bfloat16)
  return tf.cast(output, tf.float32) if is_half else output


def _times(gradient: Any, factor: tf.Tensor) -> Any:
  """The product, 0 where the factor is, also of what is not finite."""
  if isinstance(gradient, tf.IndexedSlices):
    values = _times(gradient.values, factor)
    return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
  return tf.math.multiply_no_nan(gradient, tf.cast(factor, gradient.dtype))


def _num_replicas() -> int:
  return tf.distribute.get_strategy().num_replicas_in_sync


def _per_example(sample_weight: Any, dtype: tf.DType) -> tf.Tensor:
  if tf.nest.is_nested(sample_weight) or sample_weight.shape.rank != 1:
    raise errors.UserError(
      "`sample_weight` must be a number for each example, [B]; got "
      f"{sample_weight!r}."
    )
  return tf.cast(sample_weight, dtype)


def _check_net(net: Any, objective: Any) -> None:
  if not isinstance(net, keras.Model):
    raise errors.UserError(f"`net` must be a keras.Model; got {net!r}.")
  has_own = [
    n
    for n in ("train_step", "compute_loss")
    if getattr(type(net), n) is not getattr(keras.Model, n)
  ]
  if has_own and objective is None:
    raise errors.UserError(
      f"`objective` must be given, since the {has_own[0]} of "
      f"{type(net).__name__} is not called; got none."
    )


def _check_can_replicate(model: keras.Model) -> None:
  """Refuses what Keras and TensorFlow fail at with several replicas."""
  if model.jit_compile:
    raise errors.UserError(
      "`jit_compile` must be False under a strategy of several replicas; got "
      "True."
    )
  is_mirrored = isinstance(
    model.distribute_strategy, tf.distribute.MirroredStrategy
  )
  if is_mirrored and model.steps_per_execution > 1:
    raise errors.UserError(
      "`steps_per_execution` must be 1 under MirroredStrategy; got "
      f"{model.steps_per_execution}."
    )


def _to_config(value: Any) -> Any:
  """What a constraint or a rule of the package is made of, as plain data.

  One of a user's own has `get_config` and is registered with Keras.

  Raises:
    UserError: if a constraint holds a layer, whose weights a config would lose,
      or is of a class that Keras can't rebuild.
  """
  if isinstance(value, list | tuple):
    return [_to_config(v) for v in value]
  if isinstance(value, Mapping):
    return {k: _to_config(v) for k, v in value.items()}
  kinds = constraints_lib.Constraint | multipliers.UpdateRule
  if not isinstance(value, kinds) or hasattr(value, "get_config"):
    return _keras_config(value)
  cls = type(value)
  if not cls.__module__.startswith("geco_tf."):
    raise errors.UserError(
      f"{cls.__name__} must have `get_config` and be registered by "
      "keras.saving.register_keras_serializable to be saved with the model; "
      "save_weights keeps the multipliers without."
    )
  return {
    "geco_tf": [cls.__module__, cls.__name__],
    "state": {k: _to_config(v) for k, v in _attributes(value).items()},
  }


def _keras_config(value: Any) -> Any:
  if isinstance(value, keras.Layer):
    raise errors.UserError(
      f"A constraint that holds the layer {value.name!r} can't be saved with "
      "the model, which would lose its weights; save_weights keeps the "
      "multipliers, or let a registered function call the layer."
    )
  return keras.saving.serialize_keras_object(value)


def _attributes(value: Any) -> dict[str, Any]:
  if isinstance(value, multipliers.Restrained):
    # It also holds classes that it makes itself from its arguments.
    return {k: v for k, v in vars(value).items() if not k.endswith("_type")}
  return vars(value)


def _from_config(value: Any) -> Any:
  if isinstance(value, list):
    return [_from_config(v) for v in value]
  if isinstance(value, dict) and "geco_tf" in value:
    state = {k: _from_config(v) for k, v in value["state"].items()}
    return _rebuilt(_package_class(*value["geco_tf"]), state)
  if isinstance(value, dict) and "class_name" not in value:
    return {k: _from_config(v) for k, v in value.items()}
  return keras.saving.deserialize_keras_object(value)


def _rebuilt(cls: type, state: dict[str, Any]) -> Any:
  if issubclass(cls, multipliers.Restrained):
    return cls(**{k.removeprefix("_"): v for k, v in state.items()})
  value = cls.__new__(cls)
  vars(value).update(state)
  return value


def _package_class(module: str, name: str) -> type:
  """A constraint or rule of this package; a file can name nothing else."""
  cls = None
  if module.startswith("geco_tf."):
    cls = getattr(importlib.import_module(module), name, None)
  kinds = (constraints_lib.Constraint, multipliers.UpdateRule)
  if not (isinstance(cls, type) and issubclass(cls, kinds)):
    raise errors.UserError(
      f"The file must name a constraint or rule of geco_tf; got "
      f"{module}.{name}."
    )
  return cls
