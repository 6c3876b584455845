# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""CelebA: aligned faces, from TensorFlow Datasets or as it unpacks."""

import os

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.data import image_files, resizing, sources, tfds_source

_CROP_SIZE = 148  # The usual one: the face without most of the background.
_DEFAULT_SIZE = 64
_TRAIN, _VALIDATION, _TEST = 0, 1, 2  # In list_eval_partition.txt.


def load(
  path: str | None = None,
  *,
  image_size: int | None = None,
  resize: str = "area",
  data_dir: str | None = None,
  download: bool = True,
) -> sources.Source:
  """Reads faces; the validation split is left out.

  Each image is cut to 148x148 pixels in its centre, then averaged down.

  Args:
    path: a folder that holds img_align_celeba/ and list_eval_partition.txt;
      without the latter a tenth of the images is set aside for testing, always
      the same. None reads what TensorFlow Datasets prepared.
    image_size: the side of the result; None is 64.
    resize: not "pad", since these images are larger than that.
    data_dir: where TensorFlow Datasets keeps its data.
    download: whether data that are missing may be fetched.

  Returns:
    The source; images are uint8 with three channels, without labels.

  Raises:
    UserError: if data are missing or an image cannot be read.
  """
  size = _DEFAULT_SIZE if image_size is None else image_size
  if resize == "pad":
    raise errors.UserError(
      "CelebA's images are cropped and averaged; `resize` must not be 'pad'."
    )

  def fit(images: np.ndarray) -> np.ndarray:
    crops = resizing.center_crop(images, _CROP_SIZE)
    return resizing.fit(crops, size, method="area")

  if path is not None:
    train, test = _read_folder(path, fit)
  else:
    builder = tfds_source.prepared_builder(
      "celeb_a", data_dir=data_dir, download=download
    )
    train, test = (
      sources.Split(
        tfds_source.read(builder, split, {"image": fit})["image"], None
      )
      for split in ("train", "test")
    )
  return sources.Source("celeb_a", train, test, num_classes=None)


def _read_folder(path: str, fit) -> tuple[sources.Split, sources.Split]:
  images_dir = os.path.join(path, "img_align_celeba")
  if not tf.io.gfile.isdir(images_dir):
    raise errors.UserError(
      f"CelebA's folder must hold img_align_celeba/; {path} does not."
    )
  paths = image_files.list_images(images_dir)
  if not paths:
    raise errors.UserError(f"The folder {images_dir} holds no images.")
  partition_path = os.path.join(path, "list_eval_partition.txt")
  if not tf.io.gfile.exists(partition_path):
    images = image_files.read(paths, fit=fit)
    return sources.train_test_split(sources.Split(images, None))
  partition = _read_partition(partition_path)
  by_name = {os.path.basename(p): p for p in paths}
  chosen = {
    part: [
      by_name[n] for n, p in partition.items() if p == part and n in by_name
    ]
    for part in (_TRAIN, _TEST)
  }
  unknown = sorted(set(by_name) - set(partition))
  if unknown:
    raise errors.UserError(
      f"{partition_path} must list every image; {unknown[0]} is not in it."
    )
  for part, name in ((_TRAIN, "training"), (_TEST, "test")):
    if not chosen[part]:
      raise errors.UserError(
        f"{images_dir} has none of the {name} images that {partition_path} "
        f"lists."
      )
  images = image_files.read(chosen[_TRAIN] + chosen[_TEST], fit=fit)
  num_train = len(chosen[_TRAIN])
  return (
    sources.Split(images[:num_train], None),
    sources.Split(images[num_train:], None),
  )


def _read_partition(path: str) -> dict[str, int]:
  """The part that each file name belongs to."""
  with tf.io.gfile.GFile(path) as file:
    rows = [line.split() for line in file.read().splitlines() if line.strip()]
  parts = {str(part) for part in (_TRAIN, _VALIDATION, _TEST)}
  for row in rows:
    if len(row) != 2 or row[1] not in parts:
      raise errors.UserError(
        f"Each line of {path} must be a file name and 0, 1 or 2; got "
        f"{' '.join(row)!r}."
      )
  return {name: int(part) for name, part in rows}
