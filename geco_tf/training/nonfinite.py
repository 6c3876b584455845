# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds what is not finite in one step, keeps the step, and takes it again."""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import constraints, errors
from geco_tf import data as data_lib
from geco_tf.data.batch import Batch
from geco_tf.models import noise
from geco_tf.objectives import base as objectives_base
from geco_tf.runs import build, checkpoints
from geco_tf.runs import workdir as workdir_lib
from geco_tf.runs.workdir import Workdir
from geco_tf.training import step as step_lib

_FOLDER = "nonfinite"
# In the order in which a model makes them.
_OUTPUTS = (
  "log_q", "latents", "log_prior", "kl", "kl_per_step", "reconstruction",
  "auxiliary_loss",
)  # fmt: skip


class Finding(NamedTuple):
  """Something that is not finite."""

  name: str
  num_entries: int  # That are not finite,
  size: int  # out of these.
  example: int | None  # The first one's, where examples have entries.

  def __str__(self) -> str:
    where = "" if self.example is None else f", first in example {self.example}"
    return f"{self.name} ({self.num_entries} of {self.size} entries{where})"


class Replay(NamedTuple):
  """A step taken again."""

  step: int  # Updates taken before it.
  findings: list[Finding]  # In the order of the computation.

  def __str__(self) -> str:
    if not self.findings:
      return f"step {self.step}: all is finite."
    first, *others = (str(found) for found in self.findings)
    lines = [f"step {self.step}: the first that is not finite: {first}"]
    return "\n".join([*lines, *(f"  then {text}" for text in others)])


def examine(
  strategy: tf.distribute.Strategy,
  model: snt.Module,
  objective: objectives_base.Objective,
  batch: Batch,
  *,
  seed: int,
  step: int,
  has_labels: bool,
  xla: bool = False,
) -> list[Finding]:
  """What is not finite in forward and backward pass; no state changes.

  Args:
    strategy: that the variables were made under.
    model: before the step.
    objective: before the step.
    batch: the whole global batch of the step.
    seed: of the run.
    step: updates taken before.
    has_labels: whether the batch's labels mean anything.
    xla: whether the run compiles; other noise is drawn where it does.

  Returns:
    In the order of the computation: weights, images, outputs, constraints,
    loss, gradients.
  """
  names: list[str] = []

  def replica_fn() -> list[tf.Tensor]:
    names.clear()
    found = []
    for name, tensor in _quantities(
      model, objective, batch, seed, step, has_labels
    ):
      names.append(name)
      is_bad = tf.reshape(~tf.math.is_finite(tensor), [-1])
      is_bad = tf.cast(is_bad, tf.int64)
      size = tf.size(is_bad, tf.int64)
      found.append(tf.stack([tf.reduce_sum(is_bad), size, tf.argmax(is_bad)]))
    return found

  # A TPU's `strategy.run` compiles whatever it is given.
  xla = xla and not isinstance(strategy, tf.distribute.TPUStrategy)
  compiled_fn = tf.function(replica_fn, jit_compile=xla or None)

  @tf.function
  def run() -> list[tf.Tensor]:
    # A compiled function itself it would compile for all devices as one.
    results = strategy.run(lambda: compiled_fn())
    return [strategy.experimental_local_results(r)[0] for r in results]

  results = run()  # From here on there are names.
  findings = []
  for name, result in zip(names, results, strict=True):
    count, size, first = result.numpy().tolist()
    if count:
      findings.append(_finding(name, count, size, first, len(batch.images)))
  return findings


def dump(
  folder: Workdir,
  model: snt.Module,
  objective: objectives_base.Objective,
  batch: Batch,
  *,
  step: int,
  findings: list[Finding],
) -> None:
  """Keeps all that the step needs in the folder's nonfinite/."""
  tf.io.gfile.makedirs(folder.file(_FOLDER))
  # Of an older step: what is half written must not be read as that one.
  if workdir_lib.exists(folder.file(_FOLDER, "step.json")):
    tf.io.gfile.remove(folder.file(_FOLDER, "step.json"))
  _state(model, objective).write(folder.file(_FOLDER, "state"))
  buffer = io.BytesIO()
  arrays = {k: v.numpy() for k, v in batch._asdict().items() if v is not None}
  np.savez_compressed(buffer, **arrays)
  with tf.io.gfile.GFile(folder.file(_FOLDER, "batch.npz"), "wb") as f:
    f.write(buffer.getvalue())
  content = {"step": step, "found": [str(found) for found in findings]}
  workdir_lib.write_json(folder.file(_FOLDER, "step.json"), content)


def replay(
  workdir: str,
  *,
  model: snt.Module | None = None,
  data: data_lib.Source | None = None,
) -> Replay:
  """Takes the step again that a run was stopped at.

  Args:
    workdir: the run's folder.
    model: what the run was given instead of the model that its config names.
    data: what the run was given instead of its config's data.

  Raises:
    UserError: if the run was not stopped for a step that was not finite.
  """
  folder = Workdir(workdir)
  config = folder.read_config()
  content = workdir_lib.read_json(folder.file(_FOLDER, "step.json"))
  if content is None:
    raise errors.UserError(
      f"`workdir` must hold a run that stopped at steps that were not finite; "
      f"{folder.path!r} has none."
    )
  source = build.build_data(config, data)
  if model is None:
    model = build.build_model(config, source.image_shape, source.context_shape)
  objective = build.build_objective(config, source)
  path = folder.file(_FOLDER, "state")
  checkpoints.restore_or_explain(_state(model, objective), path)
  findings = examine(
    tf.distribute.get_strategy(),
    model,
    objective,
    _read_batch(folder.file(_FOLDER, "batch.npz")),
    seed=config.seed,
    step=content["step"],
    has_labels=source.train.labels is not None,
    xla=config.xla,
  )
  return Replay(content["step"], findings)


def _quantities(
  model: snt.Module,
  objective: objectives_base.Objective,
  batch: Batch,
  seed: int,
  step: int,
  has_labels: bool,
) -> Iterator[tuple[str, tf.Tensor]]:
  """Every number of a step, by name, in the order of the computation."""
  variables = step_lib.trainable_variables(model, objective)
  for variable in variables:
    yield f"the weight {variable.name}", variable
  yield "the images", batch.images
  if batch.context is not None:
    yield "the context", batch.context
  replica_seed = noise.ReplicaSeed(
    tf.constant([seed, step], tf.int32), tf.constant(0), 1
  )
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(variables)
    outputs, loss, statistics, total = step_lib.forward(
      model, objective, batch, seed=replica_seed, has_labels=has_labels
    )
  for name in _OUTPUTS:
    if (tensor := getattr(outputs, name, None)) is not None:
      for part in tf.nest.flatten(tensor):
        yield name, part
  if isinstance(statistics, Mapping):
    for name, value in statistics.items():
      if isinstance(value, constraints.ConstraintValue):
        yield f"the violation of {name}", value.violation
  yield "the loss", loss
  gradients = tape.gradient(
    total, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
  )
  for variable, gradient in zip(variables, gradients, strict=True):
    yield f"the gradient of {variable.name}", gradient


def _finding(
  name: str, count: int, size: int, first: int, num_examples: int
) -> Finding:
  of_weights = name.startswith(("the weight", "the gradient", "the loss"))
  if of_weights or size % num_examples:
    return Finding(name, count, size, None)
  return Finding(name, count, size, first // (size // num_examples))


def _state(
  model: snt.Module, objective: objectives_base.Objective
) -> tf.train.Checkpoint:
  checkpoint = tf.train.Checkpoint(model=model, objective=objective)
  _ = checkpoint.save_counter  # `restore` looks for it.
  return checkpoint


def _read_batch(path: str) -> Batch:
  try:
    with tf.io.gfile.GFile(path, "rb") as f:
      arrays = dict(np.load(io.BytesIO(f.read())))
  # Missing, cut off at any place, or changed at any.
  except (
    tf.errors.OpError, OSError, EOFError, RuntimeError, ValueError,
    zipfile.BadZipFile, zlib.error,
  ) as error:  # fmt: skip
    raise errors.UserError(
      f"{path!r} cannot be read: {workdir_lib.reason(error)}. The command that "
      "trains comes to this step again, and writes it again."
    ) from error
  return Batch(
    *(
      tf.constant(arrays[name]) if name in arrays else None
      for name in Batch._fields
    )
  )
