# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a run leaves behind when it ends: measurements and pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import constraints, evaluation, figures, models, objectives
from geco_tf import data as data_lib
from geco_tf.data import pipeline
from geco_tf.evaluation import doctor
from geco_tf.runs.config import Config
from geco_tf.runs.workdir import Workdir, explained_writes

_NUM_EXAMPLES = 10_000
_NUM_PICTURES = 10
_SAMPLE_ROWS = 3
_BATCH_SIZE = 250


def write(
  config: Config,
  model: snt.Module,
  objective: objectives.Objective,
  source: data_lib.Source,
  rows: Sequence[Mapping[str, Any]],
  folder: Workdir | None,
  measurer: evaluation.ReconstructionMeasure,
  *,
  before_writing: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
  """Measures, draws the figures, and writes summary.json.

  Args:
    config: of the run.
    model: with the weights to measure.
    objective: for the multipliers.
    source: of the data.
    rows: of metrics.jsonl.
    folder: where to write; None writes nothing.
    measurer: of this model.
    before_writing: is called after the measurements, which take long; may
      raise.

  Returns:
    The summary.
  """
  summary = summarize(config, objective, source, rows, measurer)
  summary["doctor"] = doctor.examine(rows, config, summary).line
  if folder is not None:
    drawn = _draw(model, source, rows, kappa(objective))
    before_writing()
    with explained_writes(
      folder.path, "The same command measures again and writes it."
    ):
      tf.io.gfile.makedirs(folder.file("figures"))
      for name, figure in drawn.items():
        figures.save(figure, folder.file("figures", name))
      folder.write_summary(summary)
  return summary


def summarize(
  config: Config,
  objective: objectives.Objective,
  source: data_lib.Source,
  rows: Sequence[Mapping[str, Any]],
  measurer: evaluation.ReconstructionMeasure,
) -> dict[str, Any]:
  """RMSE, KL and likelihood on fixed examples, and what was asked."""
  train = measure(measurer, source.train, _NUM_EXAMPLES)
  test = measure(measurer, source.test, _NUM_EXAMPLES)
  # σ at its optimum on training data, for both (appendix D). A model that
  # reconstructs perfectly has none.
  sigma = max(train.rmse, 1e-8)
  summary: dict[str, Any] = {
    "dataset": source.name,
    "objective": config.objective,
    "num_steps": config.num_steps,
    "kappa": kappa(objective),
    "rmse": train.rmse,
    "kl": train.kl,
    "neg_log_likelihood_per_dim": evaluation.quantized_normal_per_dim(
      train.rmse**2, sigma
    ),
    "satisfied": None,
    "test_rmse": test.rmse,
    "test_kl": test.kl,
    "test_neg_log_likelihood_per_dim": evaluation.quantized_normal_per_dim(
      test.rmse**2, sigma
    ),
    "num_examples": train.num_examples,
    "num_test_examples": test.num_examples,
  }
  if isinstance(objective, objectives.Constrained):
    levels = _levels(objective, measurer.model, source, train.rmse)
    summary["satisfied"] = all(level.satisfied for level in levels.values())
    summary["level"] = {n: _entries(lv.value) for n, lv in levels.items()}
    summary["multiplier"] = {
      name: value.numpy().tolist()
      for name, value in objective.geco.multipliers.items()
    }
  elif isinstance(objective, objectives.ELBO):
    summary["sigma"] = float(tf.sqrt(objective.variance()))
  return summary


def measure(
  measurer: evaluation.ReconstructionMeasure,
  split: data_lib.Split,
  num_examples: int,
) -> evaluation.Measurement:
  """Measures on fixed examples of a split, or on all if there are fewer."""
  fixed = pipeline.evaluation_batches(
    split, _BATCH_SIZE, num_examples=num_examples
  )
  return measurer(fixed.batches)


def pictures(
  model: snt.Module, source: data_lib.Source, seed: int = 0
) -> dict[str, np.ndarray]:
  """Test data, their reconstructions, and samples: [rows · N, H, W, 1 or 3].

  Where there is a context it comes first, a row for each image of it, and
  every column of samples has the context above it.
  """
  batch = _first_batch(source)
  count = len(batch.images)
  seed_tensor = tf.constant([seed, 0], tf.int32)
  outputs = models.call(model, batch.images, batch.context, seed=seed_tensor)
  blocks = {"data": batch.images, "reconstruction": outputs.reconstruction}
  if batch.context is None:
    blocks["samples"] = model.sample(_SAMPLE_ROWS * count, seed=seed_tensor)
  else:
    rows = tf.unstack(batch.context, axis=1)
    contexts = tf.concat([batch.context] * _SAMPLE_ROWS, axis=0)
    blocks = {"context": tf.concat(rows, axis=0), **blocks}
    blocks["samples"] = model.sample(
      _SAMPLE_ROWS * count, contexts, seed=seed_tensor
    )
  return {name: _shown(source, block, count) for name, block in blocks.items()}


def _drawing(
  model: snt.Module, source: data_lib.Source, seed: int = 0
) -> list[np.ndarray]:
  """Samples after every step, for contexts of test data where there are."""
  batch = _first_batch(source)
  count = len(batch.images)
  steps = model.drawing(
    count, batch.context, seed=tf.constant([seed, 0], tf.int32)
  )
  return [_shown(source, images, count) for images in steps]


def _first_batch(source: data_lib.Source) -> data_lib.Batch:
  count = min(_NUM_PICTURES, source.test.num_examples)
  fixed = pipeline.evaluation_batches(source.test, count, num_examples=count)
  return next(iter(fixed.batches))


def _shown(
  source: data_lib.Source, images: tf.Tensor, num_columns: int
) -> np.ndarray:
  if source.channels_are_images:
    return figures.channels_as_rows(images.numpy(), num_columns)
  return images.numpy()


def kappa(objective: objectives.Objective) -> float | None:
  """The tolerance of the reconstruction error, where one is held.

  Also where it is held in every class, channel or region: then it is for whole
  images too.
  """
  if isinstance(objective, objectives.Constrained):
    for constraint in objective.geco.constraints.values():
      if isinstance(constraint, constraints.PerClass):
        constraint = constraint.constraint
      if isinstance(constraint, constraints.ReconstructionError):
        return constraint.kappa
  return None


def _levels(
  objective: objectives.Constrained,
  model: snt.Module,
  source: data_lib.Source,
  rmse: float,
) -> dict[str, evaluation.Level]:
  """What every constraint has come to, on the examples of the summary."""
  geco = objective.geco
  plain = {
    name: constraint.kappa
    for name, constraint in geco.constraints.items()
    if isinstance(constraint, constraints.ReconstructionError)
    and constraint.size is None
  }
  if len(plain) == len(geco.constraints):
    # Measured already, and a second pass over the examples costs as much.
    return {
      name: evaluation.Level(
        np.asarray(rmse), rmse <= (1.0 + constraints.SLACK) * kappa
      )
      for name, kappa in plain.items()
    }
  fixed = pipeline.evaluation_batches(
    source.train, _BATCH_SIZE, num_examples=_NUM_EXAMPLES
  )
  return evaluation.constraint_levels(
    model, geco, fixed.batches, has_labels=source.train.labels is not None
  )


def _entries(values: np.ndarray) -> Any:
  """A number or a list of them, as JSON has them: nan is null."""
  entries = values.astype(object)
  entries[np.isnan(values)] = None
  return entries.tolist()


def _draw(
  model: snt.Module,
  source: data_lib.Source,
  rows: Sequence[Mapping[str, Any]],
  tolerance: float | None,
) -> dict[str, Any]:
  blocks = pictures(model, source)
  drawn = {
    "trajectory": figures.trajectory(rows, kappa=tolerance),
    "reconstructions": figures.reconstructions(**blocks),
    "training_curves": figures.training_curves(rows, kappa=tolerance),
  }
  if hasattr(model, "drawing"):
    drawn["drawing"] = figures.drawing(_drawing(model, source))
  return drawn
