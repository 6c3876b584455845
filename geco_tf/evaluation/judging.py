# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A conditional run before its judge: judgement.json and a picture."""

import os
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import data, errors, figures, runs
from geco_tf.evaluation import classification, conditional_samples

_NUM_ROWS = 8  # Of the picture.
_NUM_COLUMNS = 6  # Samples a row.


def judge_run(
  workdir: str,
  classifier: str,
  *,
  num_samples: int = 2_000,
  seed: int = 0,
  data_dir: str | None = None,
) -> dict[str, Any]:
  """Judges samples given contexts of test digits, and real targets beside them.

  Writes judgement.json and figures/conditional_samples.* into the run's folder.

  Args:
    workdir: of a conditional run (task sum, sum_hard or rotate).
    classifier: folder of a classifier of such digits.
    num_samples: how many contexts; all test digits if there are fewer.
    seed: of the choice of contexts, and of the samples.
    data_dir: where TFDS keeps its data; None is where the run had it.

  Returns:
    What judgement.json holds.

  Raises:
    UserError: if the run is unconditional, or the classifier not one of its
      digits.
  """
  if num_samples < 1:
    raise errors.UserError(
      f"`num_samples` must be positive; got {num_samples}."
    )
  if not 0 <= seed < 2**31:
    raise errors.UserError(f"`seed` must be in [0, 2**31); got {seed}.")
  folder = runs.Workdir(workdir)
  config = folder.read_config()
  if data_dir is not None:
    config = config.replace(data_dir=data_dir)
  if folder.read_context_shape() is None or config.task is None:
    raise errors.UserError(
      f"`workdir` must hold a conditional run, of the task "
      f"{' or '.join(conditional_samples.rules.names())}; the task of "
      f"{workdir!r} is {config.task}."
    )
  judge = runs.load_classifier(classifier)
  # Without the task, whose targets need not have a label.
  digits = runs.build.build_data(config.replace(task=None, task_option=()))
  _check_judge(judge, digits)
  rule = conditional_samples.rules.build(
    config.task,
    judge.num_classes,
    # A rule need not know all of its task's options (seed).
    available=runs.specs.parse_options(config.task_option),
  )
  labeller = classification.Labeller(judge)
  model = runs.load(workdir)
  split = runs.build.build_data(config).test
  draws = conditional_samples.draw(model, split, num_samples, seed=seed)
  judgements = {
    name: conditional_samples.judge(
      images, draws.context_labels, rule, labeller
    ).to_json()
    for name, images in (
      ("samples", draws.samples),
      ("real", draws.targets),
      ("copy", _copies(draws)),
    )
  }
  _draw_picture(model, draws, rule, labeller, folder, seed)
  result = {
    "task": config.task,
    "classifier": os.fspath(classifier),
    "classifier_summary": runs.Workdir(classifier).read_summary(),
    "num_samples": len(draws.samples),
    "seed": seed,
    "interval": f"Wilson, {classification.LEVEL:.0%}",
    "chance": 1.0 / judge.num_classes,
    **judgements,
  }
  runs.workdir.write_json(folder.file("judgement.json"), result)
  return result


def _check_judge(judge: snt.Module, digits: data.Source) -> None:
  shape = tuple(digits.image_shape)
  if tuple(judge.image_shape) != shape:
    raise errors.UserError(
      f"`classifier` must be one of images {list(shape)}, as the run's digits "
      f"are; it is one of {list(judge.image_shape)}."
    )
  if judge.num_classes != digits.num_classes:
    raise errors.UserError(
      f"`classifier` must tell the {digits.num_classes} classes of the run's "
      f"digits; it tells {judge.num_classes}."
    )


def _copies(draws: conditional_samples.Draws) -> np.ndarray:
  """What a model that only repeats its first context image would draw.

  Without it a share cannot be read: a digit that is not turned at all is often
  still known when it is turned back.
  """
  return np.repeat(draws.context[:, 0], draws.targets.shape[-1], axis=-1)


def _draw_picture(
  model: snt.Module,
  draws: conditional_samples.Draws,
  rule: conditional_samples.Rule,
  labeller: classification.Labeller,
  folder: runs.Workdir,
  seed: int,
) -> None:
  """Several samples for each of the first contexts."""
  first = conditional_samples.Draws(*(array[:_NUM_ROWS] for array in draws))
  rows = len(first.context)
  contexts = np.repeat(first.context, _NUM_COLUMNS, axis=0)
  labels = np.repeat(first.context_labels, _NUM_COLUMNS, axis=0)
  # Batches of `draw` are numbered from 0.
  samples = model.sample(
    len(contexts), contexts, seed=tf.constant([seed, -1], tf.int32)
  ).numpy()
  found = rule.found(labeller, samples, labels)
  figure = figures.conditional_samples(
    first.context,
    first.targets,
    samples.reshape(rows, _NUM_COLUMNS, *samples.shape[1:]),
    context_labels=first.context_labels,
    right=rule.right(first.context_labels),
    found=found.reshape(rows, _NUM_COLUMNS),
  )
  figures.save(figure, folder.file("figures", "conditional_samples"))


def describe(result: dict[str, Any]) -> str:
  """A judgement as a table, a line a class."""

  def row(name: str, sample: dict[str, Any], real: dict[str, Any]) -> str:
    return (
      f"{name:>8}  {sample['share']:7.1%}  "
      f"{sample['low']:6.1%} to {sample['high']:6.1%}  {sample['num']:7}  "
      f"{real['share']:12.1%}"
    )

  samples, real = result["samples"], result["real"]
  lines = [
    f"{result['task']}: share with the right label (interval: "
    f"{result['interval']}; chance {result['chance']:.0%})",
    f"{'label':>8}  {'samples':>7}  {'interval':>16}  {'contexts':>7}  "
    f"{'real targets':>12}",
    row("all", samples, real),
    *(
      row(label, share, real["per_class"][label])
      for label, share in samples["per_class"].items()
    ),
    f"A copy of the first context image: {result['copy']['share']:.1%}.",
  ]
  return "\n".join(lines)
