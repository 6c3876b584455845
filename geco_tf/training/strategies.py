# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which devices a run uses."""

import functools

import tensorflow as tf

from geco_tf import errors


def make(name: str, *, virtual_devices: int = 1) -> tf.distribute.Strategy:
  """The `tf.distribute` strategy of that name.

  Args:
    name: "one" (TensorFlow's own choice of device) or "mirrored" (all GPUs, or
      all logical CPUs).
    virtual_devices: into how many logical CPUs to split the machine first.

  Raises:
    UserError: if TensorFlow runs already with another number of CPUs.
  """
  split_cpu(virtual_devices)
  if name == "one":
    return tf.distribute.get_strategy()
  gpus = tf.config.list_logical_devices("GPU")
  devices = gpus or tf.config.list_logical_devices("CPU")
  return _mirrored(tuple(d.name for d in devices))


# A second one over the same devices would start its collectives at the keys of
# the first, and fail at the first tensor of another shape.
@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
  return tf.distribute.MirroredStrategy(devices)


def split_cpu(virtual_devices: int) -> None:
  """Makes logical CPUs, so that a laptop can run what many devices will.

  Raises:
    UserError: if TensorFlow runs already with fewer.
  """
  if virtual_devices == 1:
    return
  cpu = tf.config.list_physical_devices("CPU")[0]
  try:
    tf.config.set_logical_device_configuration(
      cpu, [tf.config.LogicalDeviceConfiguration()] * virtual_devices
    )
  except RuntimeError:
    there = len(tf.config.list_logical_devices("CPU"))
    if there != virtual_devices:
      raise errors.UserError(
        f"`virtual_devices` must be set before TensorFlow starts; it runs with "
        f"{there} and {virtual_devices} were asked for."
      ) from None
