# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder of the user's own images."""

import functools
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.data import image_files, resizing, sources


class _Files(NamedTuple):
  """Images that are yet to be read."""

  paths: list[str]
  classes: list[str] | None  # The class of each; None if there are none.


def load(
  path: str, *, image_size: int | None = None, resize: str = "area"
) -> sources.Source:
  """Reads PATH/train and PATH/test, or PATH alone.

  Each of them holds either images, or one folder of images a class; labels
  count the sorted names of the classes. Where there is no PATH/test, a tenth of
  the images is set aside for testing, always the same.

  Args:
    path: the folder, in any file system that `tf.io.gfile` reads.
    image_size: the side that each image is brought to while it is read; None
      asks for images of one size.
    resize: how, as in `resizing.fit`.

  Returns:
    The source; images are uint8, with one channel if all of them are gray.

  Raises:
    UserError: if a folder is missing, empty or laid out in another way, or an
      image cannot be read or has another size than the rest.
  """
  if not tf.io.gfile.isdir(path):
    raise errors.UserError(f"The image folder {path} does not exist.")
  fit: Callable[[np.ndarray], np.ndarray] | None = None
  if image_size is not None:
    fit = functools.partial(resizing.fit, image_size=image_size, method=resize)
  train, test = _find(path)
  # Together, so that sizes and channels agree across the splits.
  all_paths = train.paths + (test.paths if test is not None else [])
  images = image_files.read(all_paths, fit=fit)
  names = sorted(set(train.classes)) if train.classes is not None else None
  num_train = len(train.paths)
  train_split = sources.Split(images[:num_train], _labels(train, names))
  if test is None:
    train_split, test_split = sources.train_test_split(train_split)
  else:
    test_split = sources.Split(images[num_train:], _labels(test, names))
  return sources.Source(
    name=f"image_folder:{path}",
    train=train_split,
    test=test_split,
    num_classes=None if names is None else len(names),
  )


def _find(path: str) -> tuple[_Files, _Files | None]:
  """The files of the two splits; None if there are no test files."""
  train_dir, test_dir = (os.path.join(path, name) for name in ("train", "test"))
  has_train, has_test = map(tf.io.gfile.isdir, (train_dir, test_dir))
  if has_test and not has_train:
    raise errors.UserError(f"The image folder {path} has test/ but no train/.")
  if not has_train:
    return _scan(path), None
  train = _scan(train_dir)
  if not has_test:
    return train, None
  test = _scan(test_dir)
  if (train.classes is None) != (test.classes is None):
    raise errors.UserError(
      f"Both {train_dir} and {test_dir} must have one folder a class, or "
      f"neither."
    )
  unknown = set(test.classes or ()) - set(train.classes or ())
  if unknown:
    raise errors.UserError(
      f"Each class of {test_dir} must be in {train_dir}; "
      f"{', '.join(sorted(unknown))} is not."
    )
  return train, test


def _scan(folder: str) -> _Files:
  """The images in a folder, or in the folders right inside it."""
  paths = image_files.list_images(folder)
  by_class = {
    name: image_files.list_images(os.path.join(folder, name))
    for name in _subfolders(folder)
  }
  by_class = {name: found for name, found in by_class.items() if found}
  if paths and by_class:
    raise errors.UserError(
      f"The image folder {folder} must hold images or folders of images; it "
      f"holds both."
    )
  if not paths and not by_class:
    raise errors.UserError(
      f"The image folder {folder} holds no images "
      f"({', '.join(image_files.EXTENSIONS)})."
    )
  if paths:
    return _Files(paths, None)
  return _Files(
    paths=[p for found in by_class.values() for p in found],
    classes=[name for name, found in by_class.items() for _ in found],
  )


def _subfolders(folder: str) -> list[str]:
  # Names of folders end in a slash where files lie in a bucket.
  names = sorted(name.rstrip("/") for name in tf.io.gfile.listdir(folder))
  return [
    name
    for name in names
    if not name.startswith(".")
    and not name.lower().endswith(image_files.EXTENSIONS)
    and tf.io.gfile.isdir(os.path.join(folder, name))
  ]


def _labels(files: _Files, names: list[str] | None) -> np.ndarray | None:
  if files.classes is None or names is None:
    return None
  numbers = {name: number for number, name in enumerate(names)}
  return np.array([numbers[name] for name in files.classes], np.int32)
