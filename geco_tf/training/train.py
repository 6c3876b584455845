# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a config to a trained model and a folder full of results."""

import contextlib
import dataclasses
import functools
import math
import signal
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sonnet as snt
import tensorflow as tf

from geco_tf import data as data_lib
from geco_tf import errors, evaluation, models, objectives
from geco_tf.data import pipeline
from geco_tf.data.batch import Batch
from geco_tf.evaluation import doctor
from geco_tf.runs import build
from geco_tf.runs.checkpoints import Checkpoints, best_step, step_to_resume
from geco_tf.runs.config import Config, validate
from geco_tf.runs.lease import Lease
from geco_tf.runs.workdir import Workdir, explained_writes
from geco_tf.training import (
  loop,
  metrics_log,
  nonfinite,
  optimizers,
  report,
  step,
  strategies,
)
from geco_tf.training import progress as progress_lib
from geco_tf.training.stopping import StopSignals
from geco_tf.training.weight_average import WeightAverage

# What a collective operation fails with when a process is gone.
_OF_LOST_WORKERS = (
  tf.errors.AbortedError,
  tf.errors.CancelledError,
  tf.errors.DeadlineExceededError,
  tf.errors.InternalError,
  tf.errors.UnavailableError,
)
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
    UserError: for anything that the user can mend: before any training; later
      only if the folder cannot be written, or nothing is finite any more.
    Stopped: after SIGTERM or SIGINT.
    LostWorker: if another process of the job is gone.
  """
  # First the strategy: several workers must meet before any operation runs.
  validate(config)
  strategy = strategies.make(
    config.strategy, virtual_devices=config.virtual_devices, tpu=config.tpu
  )
  workers = strategies.Workers(strategy)
  build.check(config)
  folder = None if workdir is None else Workdir(workdir)
  with _told_of_lost_workers(workers), contextlib.ExitStack() as stack:
    host = _Host(folder, workers, stack)
    if folder is not None:
      host.signals = stack.enter_context(
        StopSignals(folder.file("checkpoints"))
      )
    source = build.build_data(config, data)
    run = _Run(config, strategy, source, model, host)
    return run.finish(show_progress)


@dataclasses.dataclass
class _Host:
  """What a run has around it: a folder, other workers, signals."""

  folder: Workdir | None
  workers: strategies.Workers
  stack: contextlib.ExitStack  # Of what ends with the run.
  signals: StopSignals | None = None
  lease: Lease | None = None  # The chief's alone.

  def open(self, folder: Workdir) -> None:
    """Makes the folder, if this is the chief, and takes the right to write."""
    if self.workers.is_chief:
      folder.create()
      self.lease = self.stack.enter_context(Lease(folder))

  @property
  def is_writer(self) -> bool:
    return self.lease is not None


@contextlib.contextmanager
def _told_of_lost_workers(workers: strategies.Workers) -> Iterator[None]:
  """An operation that fails for want of the others, in one line."""
  try:
    yield
  except _OF_LOST_WORKERS as error:
    if workers.count == 1:
      raise
    raise errors.LostWorker(
      "a worker of this job is gone; start all workers again, as many as you "
      "like, by the same command, and the run goes on from its last "
      f"checkpoint. TensorFlow says: {_cause(error)}."
    ) from error


def _cause(error: tf.errors.OpError) -> str:
  """What TensorFlow says of it, without the lines of code that noticed it."""
  lines = [line.strip() for line in error.message.splitlines()]
  code = [i for i, line in enumerate(lines) if line.startswith("File ")]
  said = [line for line in lines[code[-1] + 1 if code else 0 :] if line]
  return said[0].rstrip(".:") if said else type(error).__name__


class _Run:
  """The objects of one run, made under its strategy."""

  def __init__(
    self,
    config: Config,
    strategy: tf.distribute.Strategy,
    source: data_lib.Source,
    model: snt.Module | None,
    host: _Host,
  ):
    self._config = config
    self._strategy = strategy
    self._source = source
    self._host = host
    folder = host.folder
    shapes = source.image_shape, source.context_shape
    # What the data cannot do is said before there is a folder.
    self._batches_from(0)
    with strategy.scope():
      if model is None:
        model = build.build_model(config, *shapes)
      _check_scope(model, strategy)
      _check_dtype(model, config.precision)
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
    # data is said before there is a folder.
    self._initialize_objective()
    if folder is not None:
      host.open(folder)
      self._claim(folder)
      self._checkpoints = Checkpoints(
        folder.file("checkpoints"),
        keep=config.keep_checkpoints,
        best=lambda steps: best_step(steps, self._log.rows),
        **self._state(),
      )
      self._first_step = self._restore(self._checkpoints, folder)
    with strategy.scope():
      self._measure = evaluation.ReconstructionMeasure(self.model)
    self._warned: set[tuple[str, str | None]] = set()
    self._log = metrics_log.MetricsLog(
      folder, self._first_step, is_written=host.is_writer
    )

  def _claim(self, folder: Workdir) -> None:
    """The chief writes config.json, and the others find it there."""
    workers = self._host.workers
    if not workers.is_chief:
      workers.wait()
      if not tf.io.gfile.exists(folder.file("config.json")):
        raise errors.UserError(
          f"`workdir` must be one folder that all workers see; this one finds "
          f"no config.json of the chief's in {folder.path!r}."
        )
    folder.claim(
      self._config,
      self._source.image_shape,
      data_lib.fingerprint(self._source),
      context_shape=self._source.context_shape,
    )
    if workers.is_chief:
      workers.wait()

  def _restore(self, checkpoints: Checkpoints, folder: Workdir) -> int:
    """Restores what the chief finds newest; returns its step."""
    newest = 0
    if self._host.is_writer:
      newest = step_to_resume(folder, self._config.num_steps)
      checkpoints.clean(newest)
    return checkpoints.restore(self._host.workers.from_chief(newest))

  def finish(self, show_progress: bool) -> Trained:
    """Trains to the end, measures, draws and writes the summary."""
    summary, folder, workers = None, self._host.folder, self._host.workers
    if folder is not None and self._first_step == self._config.num_steps:
      summary = folder.read_summary()
    # All train or none: of a shared folder a worker may see an older state.
    if not workers.from_chief(summary is not None):
      self._train(show_progress and workers.is_chief)
    if summary is None:
      summary = self._report()
    workers.wait()
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
    signals = self._host.signals
    held_back = contextlib.nullcontext() if not signals else signals.held_back()
    with progress, held_back:
      step_now = loop.run(
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
        save=self._save if self._host.is_writer else None,
        progress=progress,
        examine=self._examine,
        check=self._check_finite,
        is_stopping=self._stop_asked,
      )
    # Again, for a signal during the last save; and until the chief has saved.
    if self._stop_asked():
      number = (signals and signals.received) or signal.SIGTERM
      raise errors.Stopped.after(step_now, config.num_steps, number)

  def _stop_asked(self) -> bool:
    """Whether some worker was told to stop, which then all do."""
    signals = self._host.signals
    if signals is None:
      return False
    return self._host.workers.any(signals.received is not None)

  def _save(self, at_step: int) -> None:
    assert self._checkpoints is not None
    self._check_lease()
    # First the rows: a checkpoint says that all before it is written.
    self._log.flush()
    self._checkpoints.save(at_step)

  def _check_lease(self) -> None:
    if self._host.lease is not None:
      self._host.lease.check()

  def _check_finite(self, at_step: int, num_skipped: int) -> None:
    """Stops a run that only skips updates.

    Raises:
      UserError: if too many were skipped, and the next one would be too.
    """
    limit = self._config.max_nonfinite_steps
    if num_skipped < limit or at_step == self._config.num_steps:
      return
    batch = self._first_batch(at_step)
    findings = nonfinite.examine(
      self._strategy,
      self.model,
      self.objective,
      batch,
      seed=self._config.seed,
      step=at_step,
      has_labels=self._source.train.labels is not None,
      xla=self._config.xla,
    )
    # On the very edge the step may be finite when it is taken alone.
    is_sick = self._host.workers.any(bool(findings))
    if not is_sick and num_skipped < 2 * limit:
      return
    folder, kept, advice = self._host.folder, "", "choose"
    if folder is not None:
      kept = f" `python -m launch.replay --workdir={folder.path}` tells more."
      advice = "choose another workdir and, say,"
    if folder is not None and self._host.is_writer:
      self._check_lease()
      self._log.flush()  # The doctor reads what led here.
      with explained_writes(folder.path):
        nonfinite.dump(
          folder,
          self.model,
          self.objective,
          batch,
          step=at_step,
          findings=findings,
        )
    self._host.workers.wait()  # Until the chief has kept it.
    first = findings[0] if findings else "nothing when taken alone"
    raise errors.UserError(
      f"The {num_skipped} updates up to step {at_step} were not finite, and "
      f"skipped; in the next one, the first that is not finite is {first}."
      f"{kept} The same command would come here again: {advice} a lower "
      "`learning_rate` or `gradient_clip`."
    )

  def _initialize_objective(self) -> None:
    """Shows the objective the first global batch, which no replica sees."""
    config = self._config
    batch = self._first_batch(0)
    seed = tf.constant([config.seed, 0], tf.int32)
    with self._strategy.scope():
      first = step.forward(
        self.model,
        self.objective,
        batch,
        seed=seed,
        has_labels=self._source.train.labels is not None,
      )
      self.objective.initialize(first.statistics)
      # No sum over replicas ever mends a λ that two machines rounded otherwise.
      self._host.workers.assign_from_chief(self.objective.variables)

  def _first_batch(self, at_step: int) -> Batch:
    """The global batch of the next update after at_step."""
    return next(
      iter(
        pipeline.training_batches(
          self._source.train,
          self._config.batch_size,
          seed=self._config.seed,
          start_step=at_step,
        )
      )
    )

  def _batches_from(self, first_step: int) -> Any:
    return pipeline.distributed_training_batches(
      self._strategy,
      self._source.train,
      self._config.batch_size,
      seed=self._config.seed,
      start_step=first_step,
    )

  def _evaluate(self, at_step: int) -> Mapping[str, float]:
    with self._strategy.scope(), self._evaluated_weights():
      test = report.measure(
        self._measure, self._source.test, _NUM_TEST_EXAMPLES
      )
      if self._host.is_writer:
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
    with self._strategy.scope(), self._evaluated_weights():
      return report.write(
        self._config,
        self.model,
        self.objective,
        self._source,
        self._log.rows,
        self._host.folder if self._host.is_writer else None,
        self._measure,
        before_writing=self._check_lease,
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


def _check_dtype(model: snt.Module, precision: str) -> None:
  wanted = models.networks.weight_dtype(precision)
  found = {v.dtype for v in model.trainable_variables}
  if found != {wanted}:
    names = " and ".join(sorted(dtype.name for dtype in found))
    raise errors.UserError(
      f"`model` must have weights of type {wanted.name} for the precision "
      f"{precision}; they are {names}."
    )


def _schedule(config: Config) -> optimizers.WarmupThenDecay:
  return optimizers.WarmupThenDecay(
    config.learning_rate,
    config.num_steps,
    decay=config.schedule,
    warmup_steps=config.warmup_steps,
    final_learning_rate=config.final_learning_rate,
  )
