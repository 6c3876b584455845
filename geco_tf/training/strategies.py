# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Which devices a run uses, and what its workers must agree on."""

import functools
import json
import os
import re
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from geco_tf import errors

_EXAMPLE = (
  '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
  '"task": {"type": "worker", "index": 0}}'
)
_KINDS = ("chief", "worker")
_ADDRESS = re.compile(r".+:([0-9]{1,5})")


def make(
  name: str, *, virtual_devices: int = 1, tpu: str | None = None
) -> tf.distribute.Strategy:
  """The `tf.distribute` strategy of that name.

  Args:
    name: "one" (TensorFlow's own choice of device), "mirrored" (all GPUs, or
      all logical CPUs), "multi_worker" (the same of each machine in the
      environment's TF_CONFIG) or "tpu".
    virtual_devices: into how many logical CPUs to split the machine first.
    tpu: name or address of the TPU; "local" for a TPU VM.

  Raises:
    UserError: if TensorFlow runs already with another number of CPUs, TF_CONFIG
      is not what it must be, or there is no TPU.
    LostWorker: if this worker does not meet those of its job.
  """
  if name == "tpu":
    return _tpu(tpu or "local")
  if name == "multi_worker":
    task = check_tf_config(os.environ.get("TF_CONFIG"))
    return _multi_worker(task, virtual_devices)
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


@functools.cache  # Another TF_CONFIG is another strategy.
def _multi_worker(task: str, virtual_devices: int) -> tf.distribute.Strategy:
  split_cpu(virtual_devices)
  try:
    return tf.distribute.MultiWorkerMirroredStrategy()
  except tf.errors.OpError as error:
    raise errors.LostWorker(
      f"this worker, {_own_address(task)} in TF_CONFIG, does not meet the "
      "others: its port is taken, or they are of a job that has not ended. "
      "Start all workers again when that has ended. TensorFlow says: "
      f"{_line(error)}."
    ) from error
  except RuntimeError as error:
    raise errors.UserError(
      "`strategy` multi_worker must be made before TensorFlow runs anything "
      f"else in the process: {_line(error)}"
    ) from error


@functools.cache
def _tpu(name: str) -> tf.distribute.Strategy:
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name)
    if name != "local":
      tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)
  # Whatever it is, from a missing client library to a host that is not there.
  except Exception as error:
    raise errors.UserError(
      f"`strategy` tpu needs a TPU; {name!r} is none that this machine reaches "
      f"({_line(error)}). `tpu` is its name or address, or local on a TPU VM."
    ) from error


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


def check_tf_config(text: str | None) -> str:
  """Returns TF_CONFIG if a worker can find its job in it.

  TensorFlow waits for minutes for a job that a slip describes.

  Raises:
    UserError: names what is wrong.
  """
  if not text:
    raise errors.UserError(
      "`strategy` multi_worker needs the environment variable TF_CONFIG on "
      f"every worker, as {_EXAMPLE}; it is not set."
    )
  try:
    content = json.loads(text)
  except ValueError as error:
    need = f"be JSON, as {_EXAMPLE} ({error})"
    raise _tf_config_error(need, text) from error
  if not isinstance(content, dict):
    raise _tf_config_error("be a record", content)
  cluster, task = (content.get(name) for name in ("cluster", "task"))
  if not isinstance(cluster, dict) or not cluster:
    raise _tf_config_error('have "cluster", addresses by kind of task', cluster)
  for kind, addresses in cluster.items():
    if kind not in _KINDS:
      raise _tf_config_error(
        "have tasks of the kinds chief and worker alone", kind
      )
    if not _are_addresses(addresses):
      raise _tf_config_error(
        f"have a list of HOST:PORT for {kind!r}", addresses
      )
  everywhere = [address for kind in cluster.values() for address in kind]
  for address in everywhere:
    if everywhere.count(address) > 1:
      raise _tf_config_error("have every address once", address)
  if len(cluster.get("chief", [])) > 1:
    raise _tf_config_error("have one chief", cluster["chief"])
  task = task if isinstance(task, dict) else {}
  kind = task.get("type")
  if not isinstance(kind, str) or kind not in cluster:
    raise _tf_config_error(
      f'have "task", with a "type" out of {sorted(cluster)}',
      content.get("task"),
    )
  index, count = task.get("index"), len(cluster[kind])
  if isinstance(index, bool) or not isinstance(index, int):
    raise _tf_config_error('have "task" with a whole number "index"', index)
  if not 0 <= index < count:
    raise _tf_config_error(
      f'have a task "index" below the {count} of {kind!r}', index
    )
  return text


def _are_addresses(addresses: Any) -> bool:
  return (
    isinstance(addresses, list)
    and bool(addresses)
    and all(isinstance(a, str) and _is_address(a) for a in addresses)
  )


def _is_address(text: str) -> bool:
  found = _ADDRESS.fullmatch(text)
  return found is not None and 0 < int(found[1]) < 2**16


def _own_address(text: str) -> str:
  """Of a TF_CONFIG that was checked."""
  content = json.loads(text)
  task = content["task"]
  return content["cluster"][task["type"]][task["index"]]


def _tf_config_error(need: str, got: Any) -> errors.UserError:
  return errors.UserError(f"`TF_CONFIG` must {need}; got {got!r}.")


class Workers:
  """The processes that share a run; one, but for multi_worker."""

  def __init__(self, strategy: tf.distribute.Strategy):
    """Args: strategy: of the run."""
    self._strategy = strategy
    resolver = strategy.cluster_resolver
    spec = None if resolver is None else resolver.cluster_spec().as_dict()
    is_job = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
    self.count = sum(map(len, spec.values())) if is_job and spec else 1
    self.is_chief = self.count == 1 or bool(strategy.extended.should_checkpoint)

  def any(self, value: bool) -> bool:
    """Whether some worker's value is true. All workers must call it."""
    if self.count == 1:
      return value
    return bool(self._sum(tf.constant(value, tf.int64)) > 0)

  def from_chief(self, value: int) -> int:
    """The chief's value. All workers must call it."""
    if self.count == 1:
      return value
    return int(self._sum(tf.constant(value if self.is_chief else 0, tf.int64)))

  def assign_from_chief(self, variables: Iterable[tf.Variable]) -> None:
    """Gives them the chief's values, bit for bit. All workers must call it."""
    if self.count == 1:
      return
    for variable in variables:
      # All that state is made of fits: floats, counts, truths.
      value = tf.cast(variable.read_value(), tf.float64)
      value = self._sum(value if self.is_chief else tf.zeros_like(value))
      variable.assign(tf.cast(value, variable.dtype))

  def wait(self) -> None:
    """Returns once all workers have come here."""
    self.any(False)

  @tf.function
  def _sum(self, value: tf.Tensor) -> tf.Tensor:
    """Over the workers, of each the value of its first replica."""
    num_local = self._strategy.num_replicas_in_sync // self.count

    def replica_fn(value: tf.Tensor) -> tf.Tensor:
      replicas = tf.distribute.get_replica_context()
      number = tf.convert_to_tensor(replicas.replica_id_in_sync_group)
      local = tf.where(number % num_local == 0, value, tf.zeros_like(value))
      return replicas.all_reduce(tf.distribute.ReduceOp.SUM, local)

    results = self._strategy.run(replica_fn, args=(value,))
    return self._strategy.experimental_local_results(results)[0]


def _line(error: BaseException) -> str:
  return errors.in_short(str(error))
