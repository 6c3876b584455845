# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""An exponential moving average of the weights."""

import contextlib
from collections.abc import Iterator, Sequence

import tensorflow as tf


class WeightAverage(tf.Module):
  """Follows variables: average ← d·average + (1 − d)·variable."""

  # They are the model's, not this module's.
  _TF_MODULE_IGNORED_PROPERTIES = frozenset(
    (*tf.Module._TF_MODULE_IGNORED_PROPERTIES, "_variables")
  )

  def __init__(
    self,
    variables: Sequence[tf.Variable],
    decay: float,
    name: str | None = None,
  ):
    """Args: variables: to follow; decay: d, in [0, 1); name: of the module."""
    super().__init__(name=name)
    self._decay = decay
    self._variables = list(variables)
    self.averages = [
      tf.Variable(
        v,
        trainable=False,
        name="average",
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
      )
      for v in self._variables
    ]

  def update(self) -> None:
    """After the parameters' step."""
    for average, variable in zip(self.averages, self._variables, strict=True):
      average.assign(
        self._decay * average + (1.0 - self._decay) * variable.read_value()
      )

  @contextlib.contextmanager
  def applied(self) -> Iterator[None]:
    """The variables hold their averages inside, and themselves afterwards."""
    kept = [v.numpy() for v in self._variables]
    try:
      for variable, average in zip(self._variables, self.averages, strict=True):
        variable.assign(average.numpy())
      yield
    finally:
      for variable, value in zip(self._variables, kept, strict=True):
        variable.assign(value)
