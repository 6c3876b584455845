# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Blocks of data, reconstructions and samples: figures 6 and 9 to 11."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import models, runs
from geco_tf.data import pipeline
from geco_tf.evaluation import sample_quality
from geco_tf.experiments import families
from geco_tf.experiments.base import Folder, Settings
from geco_tf.experiments.trained_runs import Run, TrainedRuns
from geco_tf.figures import image_blocks
from geco_tf.runs import workdir as workdir_lib

_NUM_SHOWN = 8  # A row.
_NUM_JUDGED = 10_000  # Images of each side of a classifier's distances.
FRE = "fre:0.05"  # Means and deviations of windows; about RMSE .1 of noise.
PNCC = "pncc:0.8"


class Block(NamedTuple):
  """One training, and what stands above its images."""

  title: str
  training: Run
  data: str  # And the model.


def elbos(family: families.Family) -> list[Block]:
  """The ELBO with a learned σ, and the one annealed by hand."""
  return [
    Block("ELBO, learned σ", family.learned_sigma(), family.label),
    Block("ELBO, annealed σ", family.annealed(), family.label),
  ]


def geco(family: families.Family, kappas: Sequence[float]) -> list[Block]:
  """GECO with RE at some κ."""
  return [
    Block(f"GECO+RE, κ = {k:g}", family.geco(k), family.label) for k in kappas
  ]


def constrained(family: families.Family, spec: str) -> Block:
  """GECO with another constraint, as fre:0.05."""
  name, _, kappa = spec.partition(":")
  title = f"GECO+{ {'fre': 'FRE', 'pncc': 'pNCC'}[name] }, κ = {kappa}"
  return Block(title, family.constrained(name, spec), family.label)


def draw(
  name: str, blocks: Sequence[Block], settings: Settings, folder: Folder
) -> dict[str, Any]:
  """Draws the blocks that there are, and tells what their runs reached.

  Args:
    name: of the picture.
    blocks: in the picture's order.
    settings: of the user; with a classifier, its distances are measured too.
    folder: of the item.

  Returns:
    The numbers of every block.
  """
  store = families.store(settings, folder)
  pictures, rows = {}, []
  labels = {block.data for block in blocks}
  for block in blocks:
    pixels = store.drawn(
      block.training, "images", functools.partial(_pixels, block.training)
    )
    judged = _judged(block.training, store, settings)
    kept = store.result(block.training)
    if pixels is None or kept is None:
      continue
    numbers = _numbers(kept["summary"])
    title = (
      f"{block.title}   RMSE {numbers['RMSE']:.3f}, KL {numbers['KL']:.1f}"
    )
    if len(labels) > 1:
      title = f"{block.data}\n{title}"
    pictures[title] = _cut(pixels)
    rows.append(
      {
        "training": block.title,
        "model and data": block.data,
        **numbers,
        **judged,
      }
    )
  families.check_any(rows, store)
  of_all = labels.pop() if len(labels) == 1 else None
  folder.save_figure(name, image_blocks.image_blocks(pictures, title=of_all))
  folder.save_tables({"Runs": rows})
  return {"blocks": rows, "missing": store.missing}


def needed(blocks: Sequence[Block]) -> list[str]:
  """The files of kept results that the blocks read."""
  names = [block.training.name for block in blocks]
  return [f"{n}{end}" for n in names for end in (".json", "_images.png")]


def _numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
  level = summary.get("level") or {}
  return {
    "RMSE": summary["rmse"],
    "KL": summary["kl"],
    "test RMSE": summary["test_rmse"],
    "test KL": summary["test_kl"],
    "reached": ", ".join(f"{n} {v:.4g}" for n, v in level.items()),
    "κ is met": {True: "yes", False: "no", None: ""}[summary["satisfied"]],
  }


def _pixels(training: Run, workdir: str) -> np.ndarray:
  """Rows of `image_blocks.ROWS`, without gaps: uint8 [3 H, N W, C]."""
  source = runs.build.build_data(training.config())
  model = runs.load(workdir)
  count = min(_NUM_SHOWN, source.test.num_examples)
  fixed = pipeline.evaluation_batches(source.test, count, num_examples=count)
  batch = next(iter(fixed.batches))
  seeds = tf.constant([[0, 0], [0, 1]], tf.int32)
  outputs = models.call(model, batch.images, batch.context, seed=seeds[0])
  rows = (
    batch.images,
    outputs.reconstruction,
    model.sample(count, seed=seeds[1]),
  )
  lines = [np.concatenate(list(images.numpy()), axis=1) for images in rows]
  pixels = np.clip(np.concatenate(lines, axis=0), 0.0, 1.0)
  return np.round(255.0 * pixels).astype(np.uint8)


def _cut(pixels: np.ndarray) -> np.ndarray:
  """The inverse: [3, N, H, W, C] in [0, 1]; images are square."""
  num_rows = len(image_blocks.ROWS)
  side = pixels.shape[0] // num_rows
  images = pixels.reshape(num_rows, side, -1, side, pixels.shape[-1])
  return np.moveaxis(images, 2, 1) / 255.0


def _judged(
  training: Run, store: TrainedRuns, settings: Settings
) -> dict[str, Any]:
  """Distances of samples from test data, where there is a classifier."""
  if settings.classifier is None:
    return {}
  judge = settings.classifier

  def measure(workdir: str) -> dict[str, Any]:
    source = runs.build.build_data(training.config())
    return sample_quality.measure(
      runs.load(workdir), source.test, judge, num_images=_NUM_JUDGED
    )

  found = store.measured(
    training,
    f"sample_quality_{workdir_lib.last_name(judge)}",
    measure,
    settings=sample_quality.identity(judge)["weights_crc32"],
  )
  if found is None:
    return {}
  return {name: found[name] for name in sample_quality.NUMBERS if name in found}
