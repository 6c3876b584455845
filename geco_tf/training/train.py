# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a config to a trained model and a folder full of results."""

import contextlib
import functools
import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import data as data_lib
from geco_tf import errors, evaluation, models, objectives
from geco_tf.data import pipeline, sources
from geco_tf.evaluation import doctor
from geco_tf.runs import build
from geco_tf.runs.checkpoints import Checkpoints
from geco_tf.runs.config import Config
from geco_tf.runs.workdir import Workdir
from geco_tf.training import (
  loop,
  metrics_log,
  optimizers,
  report,
  step,
  strategies,
)
from geco_tf.training import progress as progress_lib
from geco_tf.training.weight_average import WeightAverage

# Test examples of a measurement during the run; all of them at its end.
_NUM_TEST_EXAMPLES = 2_000


class Trained(NamedTuple):
  """What is left of a run."""

  model: snt.Module
  objective: objectives.Objective
  summary: dict[str, Any]  # As in summary.json.
  metrics: list[dict[str, Any]]  # The rows of metrics.jsonl.


def train(
  config: Config,
  *,
  workdir: str | None = None,
  model: snt.Module | None = None,
  data: data_lib.Source | None = None,
  show_progress: bool = True,
) -> Trained:
  """Trains as the config says; goes on where a run in workdir stopped.

  Args:
    config: of the run.
    workdir: any `tf.io.gfile` path; None leaves no files.
    model: to train instead of the one that config names. Its variables must
      exist, and under a strategy of several devices must have been made there.
    data: to train on instead of the source that config names.
    show_progress: whether to print.

  Returns:
    The model, its objective, the summary and the rows of metrics.

  Raises:
    UserError: for anything that the user can mend, before any training.
  """
  build.check(config)
  strategy = strategies.make(
    config.strategy, virtual_devices=config.virtual_devices
  )
  folder = None if workdir is None else Workdir(workdir)
  if folder is not None:
    folder.create()
  if data is None:
    source = build.build_data(config)
  else:
    sources.check(data)
    source = data
  run = _Run(config, strategy, source, model, folder)
  return run.finish(show_progress)


class _Run:
  """The objects of one run, made under its strategy."""

  def __init__(
    self,
    config: Config,
    strategy: tf.distribute.Strategy,
    source: data_lib.Source,
    model: snt.Module | None,
    folder: Workdir | None,
  ):
    self._config = config
    self._strategy = strategy
    self._source = source
    self._folder = folder
    shapes = source.image_shape, source.context_shape
    # What the data cannot do is said before the folder is claimed.
    self._batches_from(0)
    with strategy.scope():
      if model is None:
        model = build.build_model(config, *shapes)
      _check_scope(model, strategy)
      self.model = model
      self.objective = build.build_objective(config, source)
      variables = step.trainable_variables(self.model, self.objective)
      self._optimizer = optimizers.adam(_schedule(config))
      self._optimizer.build(variables)
      self._average = None
      if config.weight_average is not None:
        self._average = WeightAverage(
          self.model.trainable_variables, config.weight_average
        )
    self._window = metrics_log.Window()
    self._checkpoints = None
    self._first_step = 0
    # A checkpoint's state goes over it; what a constraint cannot do with these
    # data is said before the folder is claimed.
    self._initialize_objective()
    if folder is not None:
      folder.claim(
        config,
        source.image_shape,
        fingerprint(source),
        context_shape=source.context_shape,
      )
      self._checkpoints = Checkpoints(
        folder.file("checkpoints"),
        keep=config.keep_checkpoints,
        **self._state(),
      )
      self._first_step = self._checkpoints.restore()
    self._measure = evaluation.ReconstructionMeasure(self.model)
    self._warned: set[tuple[str, str | None]] = set()
    self._log = metrics_log.MetricsLog(folder, self._first_step)

  def finish(self, show_progress: bool) -> Trained:
    """Trains to the end, measures, draws and writes the summary."""
    config = self._config
    summary = None
    if self._folder is not None and self._first_step == config.num_steps:
      summary = self._folder.read_summary()
    if summary is None:
      self._train(show_progress)
      summary = self._report()
    return Trained(self.model, self.objective, summary, self._log.rows)

  def _train(self, show_progress: bool) -> None:
    config = self._config
    train_step = step.TrainStep(
      self._strategy,
      self.model,
      self.objective,
      self._optimizer,
      seed=config.seed,
      gradient_clip=config.gradient_clip,
      weight_average=self._average,
      has_labels=self._source.train.labels is not None,
      xla=config.xla,
    )
    intervals = loop.Intervals(
      total=config.num_steps,
      call=config.steps_per_call,
      log=config.log_every,
      evaluate=config.evaluate_every,
      checkpoint=config.checkpoint_every,
    )
    progress = progress_lib.Progress(
      config.num_steps,
      self._first_step,
      describe=functools.partial(
        progress_lib.describe, kappa=report.kappa(self.objective)
      ),
      is_shown=show_progress,
    )
    with progress:
      loop.run(
        train_step,
        iter(self._batches_from(self._first_step)),
        self._first_step,
        intervals,
        make_row=functools.partial(
          metrics_log.row, num_dims=math.prod(self._source.image_shape)
        ),
        window=self._window,
        log=self._log,
        evaluate=self._evaluate,
        checkpoints=self._checkpoints,
        progress=progress,
        examine=self._examine,
      )

  def _initialize_objective(self) -> None:
    """Shows the objective the first global batch, which no replica sees."""
    config = self._config
    batch = next(
      iter(
        pipeline.training_batches(
          self._source.train, config.batch_size, seed=config.seed
        )
      )
    )
    seed = tf.constant([config.seed, 0], tf.int32)
    with self._strategy.scope():
      outputs = models.call(self.model, batch.images, batch.context, seed=seed)
      first = self.objective.loss(
        batch.images,
        outputs,
        **objectives.constraint_context(
          self.model,
          batch,
          seed,
          has_labels=self._source.train.labels is not None,
        ),
      )
      self.objective.initialize(first.statistics)

  def _batches_from(self, first_step: int) -> Any:
    return pipeline.distributed_training_batches(
      self._strategy,
      self._source.train,
      self._config.batch_size,
      seed=self._config.seed,
      start_step=first_step,
    )

  def _evaluate(self, at_step: int) -> Mapping[str, float]:
    with self._evaluated_weights():
      test = report.measure(
        self._measure, self._source.test, _NUM_TEST_EXAMPLES
      )
      if self._folder is not None:
        self._log.add_images(
          at_step, **report.pictures(self.model, self._source)
        )
    return {"test_rmse": test.rmse, "test_kl": test.kl}

  def _examine(self) -> list[str]:
    """What the rows so far warn of and was not said before."""
    new = [
      found
      for found in doctor.warnings(self._log.rows, self._config)
      if (found.kind, found.constraint) not in self._warned
    ]
    self._warned |= {(found.kind, found.constraint) for found in new}
    return [doctor.in_one_line(found) for found in new]

  def _report(self) -> dict[str, Any]:
    with self._evaluated_weights():
      return report.write(
        self._config,
        self.model,
        self.objective,
        self._source,
        self._log.rows,
        self._folder,
        self._measure,
      )

  def _evaluated_weights(self) -> contextlib.AbstractContextManager[None]:
    if self._average is None:
      return contextlib.nullcontext()
    return self._average.applied()

  def _state(self) -> dict[str, Any]:
    """Everything that a resumed run needs to go on bit for bit."""
    state = {
      "model": self.model,
      "objective": self.objective,
      "optimizer": self._optimizer,
      "window": self._window,
    }
    if self._average is not None:
      state["weight_average"] = self._average
    return state


def _check_scope(model: snt.Module, strategy: tf.distribute.Strategy) -> None:
  try:
    has_variables = bool(model.trainable_variables)
  except ValueError:  # Sonnet's, for a module without any.
    has_variables = False
  if not has_variables:
    raise errors.UserError(
      "`model` must have its variables; call it once before training."
    )
  if not all(
    strategy.extended.variable_created_in_scope(v) for v in model.variables
  ):
    raise errors.UserError(
      "`model` must be made, and called once, under the scope of the strategy "
      "that `training.strategies.make` returns."
    )


def fingerprint(source: data_lib.Source) -> dict[str, Any]:
  """Tells one data set from another of the same shape."""
  images = source.train.images
  some = images[:: max(1, len(images) // 1000)]
  return {
    "num_examples": len(images),
    "crc32": zlib.crc32(np.ascontiguousarray(some).tobytes()),
  }


def _schedule(config: Config) -> optimizers.WarmupThenDecay:
  return optimizers.WarmupThenDecay(
    config.learning_rate,
    config.num_steps,
    decay=config.schedule,
    warmup_steps=config.warmup_steps,
    final_learning_rate=config.final_learning_rate,
  )
