# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Adam and its schedule."""

import math
from typing import Any

import keras
import tensorflow as tf

from geco_tf import errors

# The share of the fall that is left, as a function of the share of time gone.
_DECAYS = {
  "constant": tf.ones_like,
  "linear": lambda gone: 1.0 - gone,
  "cosine": lambda gone: 0.5 * (1.0 + tf.cos(math.pi * gone)),
}


class WarmupThenDecay(keras.optimizers.schedules.LearningRateSchedule):
  """A linear rise, then a constant rate or a fall to a share of it."""

  def __init__(
    self,
    learning_rate: float,
    num_steps: int,
    *,
    decay: str = "constant",
    warmup_steps: int = 0,
    final_learning_rate: float = 0.1,
  ):
    """Builds the schedule.

    Args:
      learning_rate: at its highest.
      num_steps: of the run; the fall ends there.
      decay: "constant", "linear" or "cosine".
      warmup_steps: of the rise from 0.
      final_learning_rate: what the fall ends at, as a share of learning_rate.

    Raises:
      UserError: if the decay is unknown or the rise longer than the run.
    """
    super().__init__()
    if decay not in _DECAYS:
      raise errors.unknown_name("schedule", decay, _DECAYS)
    if not 0 <= warmup_steps < num_steps:
      raise errors.UserError(
        f"`warmup_steps` must be at least 0 and fewer than num_steps="
        f"{num_steps}; got {warmup_steps}."
      )
    self._learning_rate = learning_rate
    self._num_steps = num_steps
    self._decay = decay
    self._warmup_steps = warmup_steps
    self._final = final_learning_rate

  def __call__(self, step: Any) -> tf.Tensor:
    step = tf.cast(step, tf.float32)
    rise = (step + 1.0) / max(1, self._warmup_steps)
    span = self._num_steps - self._warmup_steps
    gone = tf.clip_by_value((step - self._warmup_steps) / span, 0.0, 1.0)
    fall = self._final + (1.0 - self._final) * _DECAYS[self._decay](gone)
    return self._learning_rate * tf.minimum(rise, fall)

  def get_config(self) -> dict[str, Any]:
    return {
      "learning_rate": self._learning_rate,
      "num_steps": self._num_steps,
      "decay": self._decay,
      "warmup_steps": self._warmup_steps,
      "final_learning_rate": self._final,
    }


class Averaged:
  """For optimizers whose gradients the step has averaged over the replicas.

  Keras would sum them over the replicas once more. Adam forgives the factor but
  for its epsilon; the network carries every gradient twice.
  """

  def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
    return grads_and_vars


class OnePassAdam(Averaged, keras.optimizers.Adam):
  """Keras 3's Adam by TensorFlow's kernel, which reads each variable once.

  The same formula; Keras's own passes over memory, an op each, are a large part
  of a small VAE's step on a CPU.
  """

  def update_step(
    self, gradient: tf.Tensor, variable: tf.Variable, learning_rate: tf.Tensor
  ) -> None:
    index = self._get_variable_index(variable)
    dtype = variable.dtype
    step = tf.cast(self.iterations + 1, dtype)
    tf.raw_ops.ResourceApplyAdam(
      var=variable.handle,
      m=self._momentums[index].handle,
      v=self._velocities[index].handle,
      beta1_power=tf.pow(tf.cast(self.beta_1, dtype), step),
      beta2_power=tf.pow(tf.cast(self.beta_2, dtype), step),
      lr=tf.cast(learning_rate, dtype),
      beta1=tf.cast(self.beta_1, dtype),
      beta2=tf.cast(self.beta_2, dtype),
      epsilon=tf.cast(self.epsilon, dtype),
      grad=tf.cast(gradient, dtype),
    )


def adam(
  schedule: keras.optimizers.schedules.LearningRateSchedule,
) -> keras.optimizers.Optimizer:
  """Keras 3's Adam; the gradients it is given must be averaged already."""
  return OnePassAdam(schedule, name="adam")
