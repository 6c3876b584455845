# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""GECO: generalised ELBO with constrained optimisation (Algorithm 1).

Symbols:
  C    a constraint's violation, C ≤ 0 satisfied (BUILD_NOTES 1 for units);
  Ĉ    its weighted mean over the batch;
  C_ma its moving average, decay α;
  λ    its multiplier, never negative;
  B, K batch size; entries of a vector constraint.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf

from geco_tf import constraints as constraints_lib
from geco_tf import errors, multipliers


class GECO(tf.Module):
  """Constraints, their multipliers, and the Lagrangian that they make.

    geco = GECO([constraints.ReconstructionError(kappa=0.1)])
    with tf.GradientTape() as tape:
      outputs = model(images)
      values = geco.constraint_values(images, outputs.reconstruction)
      loss = geco.lagrangian(outputs.kl, values)
    ...                             # average over replicas, apply
    metrics = geco.update(values)

  The variables are made here, are not trainable, belong in the checkpoint, and
  hold the same value on every replica. Make the object under the strategy's
  scope.

  Source: Rezende & Viola 2018, Algorithm 1.
  """

  def __init__(
    self,
    constraints: (
      constraints_lib.Constraint | Iterable[constraints_lib.Constraint]
    ),
    update_rule: (
      str | multipliers.UpdateRule | Mapping[str, multipliers.UpdateRule]
    ) = "auto",
    decay: float = 0.99,
    dtype: tf.DType = tf.float32,
    name: str | None = None,
  ):
    """Builds the multipliers.

    Args:
      constraints: one, or several with different names.
      update_rule: how every λ moves; a registered name that needs no options
        ("auto"), a rule, or a rule for each constraint's name.
      decay: α, the share of the moving average that a step keeps, in [0, 1).
      dtype: of the multipliers and averages; values are cast to it.
      name: of the module.

    Raises:
      UserError: if there is no constraint, two share a name or one's is no
        identifier, decay is out of range, a constraint has no rule, or a rule
        no constraint.
    """
    super().__init__(name=name)
    constraints = _as_list(constraints)
    for constraint in constraints:
      _check_constraint(constraint)
    self._constraints = {c.name: c for c in constraints}
    if not constraints:
      raise errors.UserError("`constraints` must hold at least one; got none.")
    if len(self._constraints) < len(constraints):
      names = [c.name for c in constraints]
      raise errors.UserError(f"`constraints` must differ in name; got {names}.")
    decay = multipliers.check_share(decay, "decay")
    self._dtype = tf.as_dtype(dtype)
    self._duals = {
      n: _Dual(c, _rule_for(n, update_rule), decay, dtype)
      for n, c in self._constraints.items()
    }
    if isinstance(update_rule, Mapping):
      _check_no_more(update_rule, self._constraints)

  @property
  def constraints(self) -> dict[str, constraints_lib.Constraint]:
    return dict(self._constraints)

  @property
  def multipliers(self) -> dict[str, tf.Tensor]:
    """Name → λ, [] or [K]; 1 until `initialize` or the first `update`."""
    return {n: d.multiplier.read_value() for n, d in self._duals.items()}

  @property
  def moving_averages(self) -> dict[str, tf.Tensor]:
    """Name → C_ma, [] or [K]; 0 before the first update."""
    return {n: d.moving_average.read_value() for n, d in self._duals.items()}

  @property
  def num_skipped(self) -> dict[str, tf.Tensor]:
    """Name → how many updates were skipped for a Ĉ that was not finite."""
    return {n: d.num_skipped.read_value() for n, d in self._duals.items()}

  @property
  def state(self) -> dict[str, tf.Variable]:
    """`<constraint>/<variable>` → all that a later training goes on from.

    For those who keep checkpoints by name; `tf.train.Checkpoint` finds the
    variables by itself.
    """
    return {
      f"{n}/{k}": v for n, d in self._duals.items() for k, v in d.state.items()
    }

  def constraint_values(
    self, targets: tf.Tensor, reconstruction: tf.Tensor, **context: Any
  ) -> dict[str, constraints_lib.ConstraintValue]:
    """Every constraint on this batch.

    Args:
      targets: [B, ...].
      reconstruction: [B, ...], g(z).
      **context: what the constraints name beyond that (`labels`, `decoder`,
        `latents`, `kl`, ...).

    Returns:
      Name → `ConstraintValue`.

    Raises:
      UserError: if a constraint needs context that was not given, or its
        violations are of another shape than it declares.
    """
    return {
      name: constraint.evaluate(targets, reconstruction, context)
      for name, constraint in self._constraints.items()
    }

  def lagrangian(
    self,
    objective_per_example: tf.Tensor,
    values: Mapping[str, constraints_lib.ConstraintValue],
  ) -> tf.Tensor:
    """mean(objective) + Σ λ·(Ĉ + stop_gradient(C_ma − Ĉ)) + penalties.

    C_ma looks ahead: it has this batch's Ĉ in it, of this replica. The gradient
    is that of mean(objective) + λ·Ĉ; the average shows in the value alone. A
    rule that has a penalty P(C) adds P′(C_ma)·Ĉ to that. No state changes.

    Args:
      objective_per_example: [B], what is minimised (the KL, in nats).
      values: as `constraint_values` returned them.

    Returns:
      [], to be minimised.
    """
    loss = tf.reduce_mean(objective_per_example)
    for name, dual in self._duals.items():
      loss += tf.cast(dual.lagrangian(values[name]), loss.dtype)
    return loss

  def initialize(
    self, values: Mapping[str, constraints_lib.ConstraintValue]
  ) -> None:
    """Starts every λ from these values, if it has not started yet.

    Optional on one device, where the first batch is also the global batch: the
    first `lagrangian` and `update` do the same. With several replicas call it
    once before training, outside `strategy.run`, with values of the first
    global batch; otherwise each replica's first step weighs by its own part.
    """
    for name, dual in self._duals.items():
      dual.initialize(values[name])

  def update(
    self, values: Mapping[str, constraints_lib.ConstraintValue]
  ) -> dict[str, tf.Tensor]:
    """After the parameters' step: C_ma moves, then λ.

    All sums are taken over the replicas first, with one all-reduce, so that the
    state stays equal on all of them. A Ĉ that is not finite changes nothing and
    is counted. Works in a replica context and outside one.

    Args:
      values: as `constraint_values` returned them in this step.

    Returns:
      Scalars: `geco/<constraint>/` + `multiplier`, `constraint` (Ĉ),
      `moving_average`, `satisfied` (1 if every entry seen so far is) and
      `skipped` (1 if Ĉ was not finite); for vector constraints the mean over
      entries, and also `multiplier_max` and `moving_average_max`.
    """
    sums = _all_reduce(
      {n: _batch_sums(v, self._dtype) for n, v in values.items()}
    )
    metrics = {}
    for name, dual in self._duals.items():
      scalars = dual.update(sums[name], values[name].bound)
      metrics.update({f"geco/{name}/{k}": v for k, v in scalars.items()})
    return metrics


class _BatchSums(NamedTuple):
  """What the replicas add up, each [K]."""

  violation: tf.Tensor  # Σ w C
  weight: tf.Tensor  # Σ w
  initial_multiplier: tf.Tensor  # this replica's natural λ, and
  num_replicas: tf.Tensor  # 1, to divide it by.

  @property
  def mean(self) -> tf.Tensor:
    """Ĉ; 0 where the weights are."""
    return tf.math.divide_no_nan(self.violation, self.weight)


class _Dual(tf.Module):
  """The multiplier of one constraint, its moving average and its rule."""

  def __init__(
    self,
    constraint: constraints_lib.Constraint,
    rule: multipliers.UpdateRule,
    decay: float,
    dtype: tf.DType,
  ):
    super().__init__(name=constraint.name)
    self._constraint = constraint
    self._rule = rule
    self._decay = decay
    self._dtype = dtype
    shape = [] if constraint.size is None else [constraint.size]
    ones, zeros = tf.ones(shape, dtype), tf.zeros(shape, dtype)
    self.multiplier = _state_variable(ones, "multiplier")
    self.moving_average = _state_variable(zeros, "moving_average")
    # Counted for each entry: a class may first appear in the tenth batch.
    self.num_updates = _state_variable(tf.zeros(shape, tf.int64), "num_updates")
    self.num_skipped = _state_variable(tf.zeros([], tf.int64), "num_skipped")
    self.initialized = _state_variable(tf.zeros([], tf.bool), "initialized")
    state = rule.initial_state(ones)
    self.rule_state = tuple(
      _state_variable(v, n) for n, v in state._asdict().items()
    )
    self._state_type = type(state)

  @property
  def state(self) -> dict[str, tf.Variable]:
    own = ("multiplier", "moving_average", "num_updates", "num_skipped")
    named = {n: getattr(self, n) for n in (*own, "initialized")}
    fields = self._state_type._fields
    rule = zip(fields, self.rule_state, strict=True)
    return named | {f"rule/{n}": v for n, v in rule}

  def lagrangian(self, value: constraints_lib.ConstraintValue) -> tf.Tensor:
    """Σ λC + penalty(C), C = Ĉ + stop_gradient(C_ma − Ĉ)."""
    sums = _batch_sums(value, self._dtype)
    if value.shared_weight is not None:
      sums = sums._replace(weight=tf.cast(value.shared_weight, self._dtype))
    mean = sums.mean
    moving_average = tf.stop_gradient(
      tf.where(sums.weight > 0, self._average(mean), mean)
    )
    c = mean + tf.stop_gradient(moving_average - mean)
    multiplier, state = self._started(sums, ~self.initialized.read_value())
    penalty = self._rule.penalty(
      c, state=state, multiplier=multiplier, bound=self._full(value.bound)
    )
    return tf.reduce_sum(multiplier * c) + penalty

  def initialize(self, value: constraints_lib.ConstraintValue) -> None:
    sums = _batch_sums(value, self._dtype)
    initialized = self.initialized.read_value()
    is_finite = _is_finite(sums)
    multiplier, state = self._started(sums, is_finite & ~initialized)
    self._assign(multiplier, state, initialized | is_finite)

  def update(self, sums: _BatchSums, bound: tf.Tensor) -> dict[str, tf.Tensor]:
    mean, bound = sums.mean, self._full(bound)
    is_finite = _is_finite(sums)
    initialized = self.initialized.read_value()
    old_multiplier, old_state = self._started(sums, is_finite & ~initialized)
    active = is_finite & (sums.weight > 0)
    moving_average = tf.where(active, self._average(mean), self.moving_average)
    relative = self._constraint.relative_violation(moving_average, bound)
    # A bound of 0 has no ratio to it; such a constraint stays where it is.
    relative = tf.where(tf.math.is_finite(relative), relative, 0.0)
    new_state, new_multiplier = self._rule.update(
      old_state, moving_average, relative, old_multiplier
    )
    multiplier = tf.where(active, new_multiplier, old_multiplier)
    state = _where(active, new_state, old_state)
    self._assign(multiplier, state, initialized | is_finite)
    self.moving_average.assign(moving_average)
    self.num_updates.assign_add(tf.cast(active, tf.int64))
    self.num_skipped.assign_add(tf.cast(~is_finite, tf.int64))
    satisfied = self._constraint.is_satisfied(moving_average, bound)
    seen = self.num_updates > 0
    all_satisfied = tf.reduce_all(satisfied | ~seen) & tf.reduce_any(seen)
    return _scalars(
      multiplier=multiplier,
      constraint=mean,
      moving_average=moving_average,
      satisfied=tf.cast(all_satisfied, self._dtype),
      skipped=tf.cast(~is_finite, self._dtype),
    )

  def _full(self, bound: tf.Tensor) -> tf.Tensor:
    """The bound of every entry."""
    return tf.broadcast_to(tf.cast(bound, self._dtype), self.multiplier.shape)

  def _average(self, mean: tf.Tensor) -> tf.Tensor:
    """C_ma with Ĉ in it: Ĉ itself the first time."""
    decayed = self._decay * self.moving_average + (1.0 - self._decay) * mean
    return tf.where(self.num_updates > 0, decayed, mean)

  def _started(
    self, sums: _BatchSums, is_first: tf.Tensor
  ) -> tuple[tf.Tensor, Any]:
    """λ and the rule's state; of these sums, if they come first."""
    natural = tf.stop_gradient(sums.initial_multiplier / sums.num_replicas)
    # ln λ has to exist; a NaN stays one, and is not started from.
    natural = tf.where(natural <= 0, tf.ones_like(natural), natural)
    start = self._rule.initial_multiplier(natural)
    multiplier = tf.where(is_first, start, self.multiplier)
    state = self._state_type(*(v.read_value() for v in self.rule_state))
    return multiplier, _where(is_first, self._rule.initial_state(start), state)

  def _assign(
    self, multiplier: tf.Tensor, state: Any, initialized: tf.Tensor
  ) -> None:
    for variable, value in zip(self.rule_state, state, strict=True):
      variable.assign(value)
    self.multiplier.assign(multiplier)
    self.initialized.assign(initialized)


def _as_list(constraints: Any) -> list[Any]:
  """One, or what is none, as a list too."""
  is_one = isinstance(constraints, str | constraints_lib.Constraint)
  if is_one or not isinstance(constraints, Iterable):
    return [constraints]
  return list(constraints)


def _check_constraint(constraint: Any) -> None:
  if not isinstance(constraint, constraints_lib.Constraint):
    raise errors.UserError(
      "`constraints` must be of the class `geco_tf.constraints.Constraint`; "
      f"got {constraint!r}."
    )
  if not hasattr(constraint, "name"):
    raise errors.UserError(
      f"A constraint must have a `name`; {type(constraint).__name__} has none."
    )
  constraints_lib.check_name(constraint.name)


def _check_no_more(
  update_rule: Mapping[str, Any], constraints: Mapping[str, Any]
) -> None:
  for name in update_rule:
    if name not in constraints:
      raise errors.UserError(
        "`update_rule` must be for constraints that there are, "
        f"{sorted(constraints)}; got one for {name!r}."
      )


def _rule_for(
  name: str,
  update_rule: str | multipliers.UpdateRule | Mapping[str, Any],
) -> multipliers.UpdateRule:
  if isinstance(update_rule, str):
    return multipliers.registry.build(update_rule, available={})
  if isinstance(update_rule, multipliers.UpdateRule):
    return update_rule
  if not isinstance(update_rule, Mapping):
    raise errors.UserError(
      "`update_rule` must be a name, a rule such as multipliers.Auto(), or one "
      f"for each constraint; got {update_rule!r}."
    )
  if name not in update_rule:
    raise errors.UserError(
      f"`update_rule` must have a rule for each constraint; {name!r} has none."
    )
  return _rule_for(name, update_rule[name])


def _state_variable(value: tf.Tensor, name: str) -> tf.Variable:
  """A variable that every replica assigns the same value to."""
  return tf.Variable(
    value,
    trainable=False,
    name=name,
    synchronization=tf.VariableSynchronization.ON_READ,
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
  )


def _where(condition: tf.Tensor, one: Any, other: Any) -> Any:
  """tf.where of each field of a rule's state."""
  pairs = zip(one, other, strict=True)
  return type(other)(*(tf.where(condition, a, b) for a, b in pairs))


def _is_finite(sums: _BatchSums) -> tf.Tensor:
  """Whether a batch may move anything: bool []."""
  return tf.reduce_all(tf.math.is_finite(tf.stack(sums)))


def _batch_sums(
  value: constraints_lib.ConstraintValue, dtype: tf.DType
) -> _BatchSums:
  """Sums over this replica's part of the batch."""
  violation = tf.cast(value.violation, dtype)
  if value.weight is None:
    weight = tf.ones_like(violation)
    total = tf.reduce_sum(violation, axis=0)
  else:
    weight = tf.cast(value.weight, dtype)
    # An entry without weight stays out even where its C is not finite.
    total = tf.reduce_sum(tf.math.multiply_no_nan(violation, weight), axis=0)
  start = tf.cast(value.initial_multiplier, dtype)
  return _BatchSums(
    violation=total,
    weight=tf.reduce_sum(weight, axis=0),
    initial_multiplier=tf.broadcast_to(start, tf.shape(total)),
    num_replicas=tf.ones_like(total),
  )


def _all_reduce(sums: dict[str, _BatchSums]) -> dict[str, _BatchSums]:
  """The sums over all replicas, in one reduction."""
  if tf.distribute.in_cross_replica_context():
    return sums
  if tf.distribute.get_strategy().num_replicas_in_sync == 1:
    return sums
  leaves = tf.nest.flatten(sums)
  flat = tf.concat([tf.reshape(leaf, [-1]) for leaf in leaves], axis=0)
  replicas = tf.distribute.get_replica_context()
  flat = replicas.all_reduce(tf.distribute.ReduceOp.SUM, flat)
  parts = tf.split(flat, [leaf.shape.num_elements() for leaf in leaves])
  parts = [
    tf.reshape(p, leaf.shape) for p, leaf in zip(parts, leaves, strict=True)
  ]
  return tf.nest.pack_sequence_as(sums, parts)


def _scalars(**entries: tf.Tensor) -> dict[str, tf.Tensor]:
  """Scalars as they are; of vectors the mean, and the largest that matter."""
  scalars = {k: _mean(v) for k, v in entries.items()}
  for key in ("multiplier", "moving_average"):
    if entries[key].shape.rank:
      scalars[f"{key}_max"] = tf.reduce_max(entries[key])
  return scalars


def _mean(entry: tf.Tensor) -> tf.Tensor:
  return entry if entry.shape.rank == 0 else tf.reduce_mean(entry)
