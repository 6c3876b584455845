# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a config to a classifier and a folder that keeps it; on one device."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import keras
import sonnet as snt
import tensorflow as tf

from geco_tf import data as data_lib
from geco_tf import errors
from geco_tf.data import pipeline
from geco_tf.data.batch import Batch
from geco_tf.evaluation import classification
from geco_tf.runs import classifiers
from geco_tf.runs.checkpoints import Checkpoints, step_to_resume
from geco_tf.runs.lease import Lease
from geco_tf.runs.workdir import Workdir, explained_writes
from geco_tf.training import augmentation, loop, metrics_log, optimizers
from geco_tf.training.progress import Progress
from geco_tf.training.stopping import StopSignals

_STEPS_PER_CALL = 50
_BATCH_SIZE = 250  # Of measurements.


class TrainedClassifier(NamedTuple):
  """What is left of a classifier's training."""

  classifier: snt.Module
  summary: dict[str, Any]  # As in summary.json.
  metrics: list[dict[str, Any]]  # The rows of metrics.jsonl.


def train_classifier(
  config: classifiers.ClassifierConfig,
  *,
  workdir: str | None = None,
  data: data_lib.Source | None = None,
  show_progress: bool = True,
) -> TrainedClassifier:
  """Trains by cross-entropy; goes on where a run in workdir stopped.

  Args:
    config: of the training.
    workdir: any `tf.io.gfile` path; None leaves no files.
    data: to train on instead of the source that config names.
    show_progress: whether to print.

  Returns:
    The classifier, the summary and the rows of metrics.

  Raises:
    UserError: for anything that the user can mend, before any training.
  """
  classifiers.validate_classifier(config)
  if data is None:
    data = classifiers.load_data(config)
  folder = None if workdir is None else Workdir(workdir)
  with contextlib.ExitStack() as stack:
    return _Run(config, data, folder, stack).finish(show_progress)


class _Run:
  """The objects of one training."""

  def __init__(
    self,
    config: classifiers.ClassifierConfig,
    source: data_lib.Source,
    folder: Workdir | None,
    stack: contextlib.ExitStack,
  ):
    self._config = config
    self._signals: StopSignals | None = None
    self._lease: Lease | None = None
    self._source = source
    self._folder = folder
    network = classifiers.network_for(source)
    # What the data cannot do is said before there is a folder.
    self._batches_from(0)
    self._classifier = classifiers.build_classifier(config, network)
    self._labeller = classification.Labeller(self._classifier)
    schedule = optimizers.WarmupThenDecay(
      config.learning_rate,
      config.num_steps,
      decay="cosine",
      warmup_steps=config.warmup_steps,
      final_learning_rate=0.0,
    )
    optimizer = optimizers.adam(schedule)
    optimizer.build(self._classifier.trainable_variables)
    self._step = _Step(self._classifier, optimizer)
    self._window = metrics_log.Window()
    self._first_step = 0
    self._checkpoints = None
    if folder is not None:
      self._signals = stack.enter_context(
        StopSignals(folder.file("checkpoints"))
      )
      folder.create()
      self._lease = stack.enter_context(Lease(folder))
      classifiers.claim_for_classifier(
        folder, config, network, data_lib.fingerprint(source)
      )
      self._checkpoints = Checkpoints(
        folder.file("checkpoints"),
        keep=2,
        model=self._classifier,
        optimizer=optimizer,
        window=self._window,
      )
      newest = step_to_resume(folder, config.num_steps)
      self._checkpoints.clean(newest)
      self._first_step = self._checkpoints.restore(newest)
    self._log = metrics_log.MetricsLog(folder, self._first_step)

  def finish(self, show_progress: bool) -> TrainedClassifier:
    """Trains to the end, measures and writes the summary."""
    summary = None
    if self._folder is not None and self._first_step == self._config.num_steps:
      summary = self._folder.read_summary()
    if summary is None:
      seconds = self._train(show_progress)
      summary = self._summary(seconds)
      if self._folder is not None:
        with explained_writes(
          self._folder.path, "The same command measures again and writes it."
        ):
          self._folder.write_summary(summary)
    return TrainedClassifier(self._classifier, summary, self._log.rows)

  def _train(self, show_progress: bool) -> float:
    """Trains, and returns the seconds since the last start."""
    config, start = self._config, time.monotonic()
    progress = Progress(
      config.num_steps,
      self._first_step,
      describe=_describe,
      is_shown=show_progress,
    )
    intervals = loop.Intervals(
      total=config.num_steps,
      call=_STEPS_PER_CALL,
      log=config.log_every,
      evaluate=config.evaluate_every,
      checkpoint=config.checkpoint_every,
    )
    signals = self._signals
    held_back = contextlib.nullcontext() if not signals else signals.held_back()
    with progress, held_back:
      step = loop.run(
        self._step,
        iter(self._batches_from(self._first_step)),
        self._first_step,
        intervals,
        make_row=lambda step, means: {"step": step, **means},
        window=self._window,
        log=self._log,
        evaluate=self._evaluate,
        save=None if self._checkpoints is None else self._save,
        progress=progress,
        is_stopping=lambda: bool(signals and signals.received),
      )
    if signals is not None and signals.received is not None:
      raise errors.Stopped.after(step, config.num_steps, signals.received)
    return time.monotonic() - start

  def _save(self, step: int) -> None:
    assert self._checkpoints is not None and self._lease is not None
    self._lease.check()
    self._log.flush()
    self._checkpoints.save(step)

  def _batches_from(self, first_step: int) -> tf.data.Dataset:
    config = self._config
    batches = pipeline.training_batches(
      self._source.train,
      config.batch_size,
      seed=config.seed,
      start_step=first_step,
    )
    return augmentation.augment(
      batches,
      seed=config.seed,
      start_step=first_step,
      max_shift=round(config.max_shift * self._source.image_shape[0]),
      flip=config.flip,
    )

  def _test_accuracy(self) -> classification.Share:
    fixed = pipeline.evaluation_batches(self._source.test, _BATCH_SIZE)
    return classification.accuracy(self._labeller, fixed.batches)

  def _evaluate(self, step: int) -> Mapping[str, float]:
    del step
    return {"test_accuracy": self._test_accuracy().share}

  def _summary(self, seconds: float) -> dict[str, Any]:
    test = self._test_accuracy()
    return {
      "dataset": self._source.name,
      "model": self._config.model,
      "num_steps": self._config.num_steps,
      "seconds": round(seconds, 1),
      "test_accuracy": test.share,
      "test_accuracy_interval": [test.low, test.high],
      "num_test_examples": test.num,
    }


class _Step:
  """Takes steps on the device; see `loop.Step`."""

  metric_names = ("loss", "accuracy")

  def __init__(
    self, classifier: snt.Module, optimizer: keras.optimizers.Optimizer
  ):
    self._classifier = classifier
    self._optimizer = optimizer
    self._variables = classifier.trainable_variables

  @tf.function
  def run(
    self, batches: Iterator[Batch], first_step: tf.Tensor, count: tf.Tensor
  ) -> tf.Tensor:
    """Takes `count` steps; [count, 2]: their cross-entropy and accuracy."""
    del first_step  # Nothing is random here.
    rows = tf.TensorArray(tf.float32, size=count)
    for i in tf.range(count):
      rows = rows.write(i, self._update(next(batches)))
    return rows.stack()

  def _update(self, batch: Batch) -> tf.Tensor:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(self._variables)
      logits = self._classifier(batch.images, is_training=True)
      loss = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(batch.labels, logits)
      )
    gradients = tape.gradient(loss, self._variables)
    self._optimizer.apply_gradients(
      zip(gradients, self._variables, strict=True)
    )
    is_right = tf.argmax(logits, -1, batch.labels.dtype) == batch.labels
    return tf.stack([loss, tf.reduce_mean(tf.cast(is_right, tf.float32))])


def _describe(row: Mapping[str, Any]) -> str:
  """A row of metrics in one line."""
  text = f"loss {row['loss']:.4f}  accuracy {row['accuracy']:.2%}"
  if "test_accuracy" in row:
    text += f"  test accuracy {row['test_accuracy']:.2%}"
  return text
