# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets in memory, and the batches that training and evaluation read."""

import functools
import inspect
from collections.abc import Callable

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.data import (
  celeb_a,
  digits,
  image_folder,
  npz,
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
from geco_tf.data.sources import Source, Split

__all__ = [
  "Batch",
  "Evaluation",
  "Source",
  "Split",
  "distributed_training_batches",
  "evaluation_batches",
  "load",
  "register",
  "registry",
  "training_batches",
]

registry = registry_lib.Registry("data set")
register = registry.register

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
) -> Source:
  """Reads a data set into memory.

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

  Returns:
    The source, checked; its name is `spec`.

  Raises:
    UserError: if the name is unknown, or the data are missing, unreadable or
      not what a model can learn from.
  """
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
  return source


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
