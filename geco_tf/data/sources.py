# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a data set is once it is in memory, and what every one must satisfy."""

import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geco_tf import errors
from geco_tf.data import views


class Split(NamedTuple):
  """Examples in memory, so that any of them is reached by its index."""

  images: np.ndarray  # [N, H, W, C], uint8 in 0..255 or float32 in [0, 1].
  labels: np.ndarray | None  # [N], int32 from 0 on; None if batches have none.
  view: views.View | None = None  # What a model sees, if not just these.
  repeats: bool = False  # Whether a batch may hold an example twice.

  @property
  def num_examples(self) -> int:
    return len(self.images)


class Source(NamedTuple):
  """A data set: what to learn from, and what never to learn from."""

  name: str
  train: Split
  test: Split
  num_classes: int | None  # None if there are no labels.

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """(H, W, C) of what a model sees, the same in both splits."""
    return view_of(self.train).image_shape

  @property
  def context_shape(self) -> tuple[int, int, int, int] | None:
    """(K, H, W, C) of what images are conditioned on; None if they are not."""
    return view_of(self.train).context_shape

  @property
  def channels_are_images(self) -> bool:
    """Whether a channel is a picture of its own, rather than a colour."""
    return view_of(self.train).channels_are_images


def view_of(split: Split) -> views.View:
  """What a model is shown of a split: its view, or the examples as they are."""
  if split.view is not None:
    return split.view
  return views.stored(split.images.shape[1:], split.labels)


def fingerprint(source: Source) -> dict[str, Any]:
  """Tells one data set from another of the same shape; as JSON has it."""
  images = source.train.images
  some = images[:: max(1, len(images) // 1000)]
  return {
    "num_examples": len(images),
    "crc32": zlib.crc32(np.ascontiguousarray(some).tobytes()),
  }


def map_splits(source: Source, change: Callable[[Split, int], Split]) -> Source:
  """Changes both splits; the training split is number 0, the test split 1."""
  return source._replace(
    train=change(source.train, 0), test=change(source.test, 1)
  )


def train_test_split(
  split: Split, *, test_fraction: float = 0.1, seed: int = 0
) -> tuple[Split, Split]:
  """Parts examples into train and test, the same way on every machine.

  Args:
    split: N examples.
    test_fraction: the share of N, rounded, that becomes the test split; it
      gets at least one example and leaves at least one.
    seed: of the permutation whose first part is the test split.

  Returns:
    The training split and the test split, each in the order of `split`.

  Raises:
    UserError: if there are fewer than two examples.
  """
  n = split.num_examples
  if n < 2:
    raise errors.UserError(
      f"A data set without test examples of its own is split into train and "
      f"test, which needs at least two examples; got {n}."
    )
  num_test = min(max(round(n * test_fraction), 1), n - 1)
  # RandomState's stream never changes between versions of NumPy; that of
  # default_rng may.
  permutation = np.random.RandomState(seed).permutation(n)
  return (
    take(split, np.sort(permutation[num_test:])),
    take(split, np.sort(permutation[:num_test])),
  )


def take(split: Split, indices: np.ndarray) -> Split:
  """The examples at the given indices, in their order.

  Raises:
    ValueError: if the split has a view, which knows examples by their indices.
  """
  if split.view is not None:
    raise ValueError("Examples of a split with a view cannot be taken.")
  return split._replace(
    images=split.images[indices],
    labels=None if split.labels is None else split.labels[indices],
  )


def count_classes(*labels: np.ndarray | None) -> int | None:
  """One more than the largest label; None if there are no labels."""
  present = [array for array in labels if array is not None and len(array)]
  return 1 + max(int(np.max(array)) for array in present) if present else None


def check(source: Source) -> None:
  """Raises a UserError unless the source is what the pipeline expects.

  Raises:
    UserError: if a split is empty, images are not uint8 or float32 of shape
      [N, H, W, 1 or 3] with floats in [0, 1], labels are not int32 of shape [N]
      in [0, num_classes), or train and test differ in shape.
  """
  if not isinstance(source, Source):
    raise errors.UserError(
      f"`data` must be a `geco_tf.data.Source`; got {type(source).__name__}."
    )
  for split_name, split in (("train", source.train), ("test", source.test)):
    check_split(split, what=f"The {split_name} split of {source.name!r}")
    if split.labels is not None and source.num_classes is None:
      raise errors.UserError(
        f"`num_classes` of {source.name!r} must be given with labels."
      )
    if split.labels is not None and split.labels.max() >= source.num_classes:
      raise errors.UserError(
        f"The {split_name} labels of {source.name!r} must be below "
        f"{source.num_classes} classes; the largest is {split.labels.max()}."
      )
  train_shape, test_shape = (
    split.images.shape[1:] for split in (source.train, source.test)
  )
  if train_shape != test_shape:
    raise errors.UserError(
      f"Train and test images of {source.name!r} must have one shape; got "
      f"{shape_text(train_shape)} and {shape_text(test_shape)}. An image size "
      f"makes them equal."
    )
  if (source.train.labels is None) != (source.test.labels is None):
    raise errors.UserError(
      f"Both splits of {source.name!r} must have labels, or neither."
    )


def check_split(split: Split, *, what: str) -> None:
  """Raises a UserError unless the arrays have the types that Split names.

  Args:
    split: the arrays.
    what: how an error names them.
  """
  check_images(split.images, what=what)
  if split.labels is None:
    return
  if split.labels.shape != (split.num_examples,):
    raise errors.UserError(
      f"{what} must have one label an image, {split.num_examples}; its labels "
      f"have shape {split.labels.shape}."
    )
  if split.labels.dtype != np.int32:
    raise errors.UserError(
      f"{what} must have int32 labels; got {split.labels.dtype}."
    )
  if split.labels.min() < 0:
    raise errors.UserError(
      f"{what} must have labels from 0 on; got {split.labels.min()}."
    )


def check_images(images: np.ndarray, *, what: str) -> None:
  """Raises a UserError unless images are as Split describes them."""
  if images.ndim != 4 or images.shape[-1] not in (1, 3):
    raise errors.UserError(
      f"{what} must have images of shape [N, H, W, 1 or 3]; got "
      f"{list(images.shape)}."
    )
  if 0 in images.shape:
    raise errors.UserError(
      f"{what} holds no images; its shape is {list(images.shape)}."
    )
  if images.dtype == np.uint8:
    return
  if images.dtype != np.float32:
    raise errors.UserError(
      f"{what} must have uint8 or float32 images; got {images.dtype}."
    )
  low, high = images.min(), images.max()
  if np.isnan(low) or np.isnan(high):
    first = int(np.argmax(np.isnan(images).any(axis=(1, 2, 3))))
    raise errors.UserError(
      f"{what} must have finite images; image {first} has a NaN."
    )
  if low < 0.0 or high > 1.0:
    raise errors.UserError(
      f"{what} must have float images in [0, 1]; its values lie in "
      f"[{low:g}, {high:g}]. Values of 0..255 are stored as uint8."
    )


def shape_text(shape: tuple[int, ...]) -> str:
  """A shape as people write it: 28x28x1 for (28, 28, 1)."""
  return "x".join(str(size) for size in shape)
