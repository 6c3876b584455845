# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets in memory, and the batches that training and evaluation read."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.data import (
  celeb_a,
  digits,
  image_folder,
  npz,
  paper_tasks,
  pixels,
  resizing,
  sources,
  tfds_source,
)
from geco_tf.data.batch import Batch
from geco_tf.data.pipeline import (
  Evaluation,
  distributed_training_batches,
  evaluation_batches,
  training_batches,
)
from geco_tf.data.pixels import as_dtype
from geco_tf.data.sources import Source, Split, fingerprint

__all__ = [
  "Batch",
  "Evaluation",
  "Source",
  "Split",
  "as_dtype",
  "check_options",
  "distributed_training_batches",
  "evaluation_batches",
  "fingerprint",
  "load",
  "register",
  "register_task",
  "registry",
  "task_registry",
  "training_batches",
]

registry = registry_lib.Registry("data set")
register = registry.register
register_task = paper_tasks.register
task_registry = paper_tasks.registry

register("celeb_a", celeb_a.load)
register("cifar10", functools.partial(tfds_source.load, "cifar10"))
register("digits", digits.load)
register("fashion_mnist", functools.partial(tfds_source.load, "fashion_mnist"))
register("image_folder", image_folder.load)
register("mnist", functools.partial(tfds_source.load, "mnist"))
register("npz", npz.load)


def load(
  spec: str,
  *,
  image_size: int | None = None,
  resize: str = "area",
  data_dir: str | None = None,
  download: bool = True,
  task: str | None = None,
  task_options: Mapping[str, Any] | None = None,
  pixel_noise: float = 0.0,
  bit_depth: int | None = None,
  seed: int = 0,
) -> Source:
  """Reads a data set into memory.

  What a model sees of it is made from what is read: first by the task, then by
  fewer bits and noise.

  Args:
    spec: a registered name ("digits"), or the name of a source that reads the
      user's own files, a colon and their path ("npz:/data/faces.npz").
    image_size: the side that images are brought to; None leaves them as they
      are (CelebA: 64).
    resize: how: "area" (mean over what a pixel covers), "crop" (the square in
      the centre, then area) or "pad" (zeros around).
    data_dir: where TensorFlow Datasets keeps its data; None is its own choice,
      the environment's TFDS_DATA_DIR or ~/tensorflow_datasets.
    download: whether TensorFlow Datasets may fetch what is missing.
    task: a registered task ("sum", see `paper_tasks`); None is none.
    task_options: arguments of the task by name.
    pixel_noise: the width, in [0, 1], of uniform noise on every image.
    bit_depth: how many bits, 1 to 8, a pixel keeps; None is all of them.
    seed: of what the task and the noise draw; a whole number from 0 on.

  Returns:
    The source, checked; its name is `spec`.

  Raises:
    UserError: if a name is unknown or an option is out of its range, the data
      are missing, unreadable or not what a model can learn from, or not what
      the task is made of.
  """
  check_options(
    task=task,
    task_options=task_options,
    pixel_noise=pixel_noise,
    bit_depth=bit_depth,
    seed=seed,
  )
  resizing.check_options(image_size, resize)
  name, colon, path = spec.partition(":")
  builder = registry[name]
  _check_path(name, path, has_path=bool(colon), builder=builder)
  source = registry.build(
    name,
    available={
      "image_size": image_size,
      "resize": resize,
      "data_dir": data_dir,
      "download": download,
    },
    options={"path": path} if colon else None,
  )
  if not isinstance(source, Source):
    raise errors.UserError(
      f"The builder of the data set {name!r} must return a "
      f"`geco_tf.data.Source`; got {type(source).__name__}."
    )
  source = source._replace(name=spec)
  if image_size is not None:
    # Also checked before, so that resizing meets arrays that it understands.
    for split in (source.train, source.test):
      sources.check_split(split, what=f"The data set {spec!r}")
    source = resizing.fit_source(source, image_size, method=resize)
  sources.check(source)
  if task is not None:
    source = task_registry.build(
      task, source, available={"seed": seed}, options=task_options
    )
  return pixels.degrade(
    source, pixel_noise=pixel_noise, bit_depth=bit_depth, seed=seed
  )


def check_options(
  *,
  task: str | None = None,
  task_options: Mapping[str, Any] | None = None,
  pixel_noise: float = 0.0,
  bit_depth: int | None = None,
  seed: int = 0,
) -> None:
  """Raises a UserError if `load` would refuse these, whatever the data."""
  for given in (seed, (task_options or {}).get("seed", seed)):
    if not isinstance(given, (int, np.integer)) or not 0 <= given < 2**63:
      raise errors.UserError(
        f"`seed` must be a whole number in [0, 2**63); got {given!r}."
      )
  pixels.check_options(pixel_noise, bit_depth)
  if task is None:
    if task_options:
      raise errors.UserError(
        f"`task_options` need a task; got {', '.join(task_options)} without "
        f"one."
      )
    return
  # The first argument is the source.
  _, *known = inspect.signature(task_registry[task]).parameters
  for option in task_options or {}:
    if option not in known:
      raise errors.unknown_name(f"option of the task {task!r}", option, known)


def _check_path(
  name: str, path: str, *, has_path: bool, builder: Callable[..., Source]
) -> None:
  argument = inspect.signature(builder).parameters.get("path")
  if argument is None and has_path:
    raise errors.UserError(
      f"The data set {name!r} takes no path; got {name + ':' + path!r}."
    )
  needed = argument is not None and argument.default is argument.empty
  if (needed or has_path) and not path:
    raise errors.UserError(
      f"The data set {name!r} needs a path; write {name}:PATH."
    )
