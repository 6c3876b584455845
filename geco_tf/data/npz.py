# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Arrays that the user saved: an .npz file with Keras's keys."""

import io
import zipfile

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.data import sources


def load(path: str) -> sources.Source:
  """Reads `x_train`, `y_train`, `x_test` and `y_test`.

  Images are [N, H, W] or [N, H, W, C], uint8 or floats in [0, 1]. Labels, whole
  numbers from 0 on, are optional. Without `x_test` a tenth of the examples is
  set aside for testing, always the same.

  Args:
    path: of the file, in any file system that `tf.io.gfile` reads.

  Returns:
    The source; images are uint8 or float32.

  Raises:
    UserError: if the file cannot be read, a key is missing, or an array is not
      as described.
  """
  arrays = _read(path)
  if "x_train" not in arrays:
    raise errors.UserError(
      f"{path} must hold `x_train`; it holds {', '.join(arrays) or 'nothing'}."
    )
  train = _split(arrays, "train", path)
  if "x_test" in arrays:
    test = _split(arrays, "test", path)
    if (train.labels is None) != (test.labels is None):
      raise errors.UserError(
        f"{path} must hold both `y_train` and `y_test`, or neither."
      )
  else:
    if "y_test" in arrays:
      raise errors.UserError(f"{path} holds `y_test` without `x_test`.")
    train, test = sources.train_test_split(train)
  return sources.Source(
    name=f"npz:{path}",
    train=train,
    test=test,
    num_classes=sources.count_classes(train.labels, test.labels),
  )


def _read(path: str) -> dict[str, np.ndarray]:
  try:
    with tf.io.gfile.GFile(path, "rb") as file:
      content = file.read()
  except tf.errors.OpError as error:
    raise errors.UserError(f"Cannot read {path}: {error.message}") from error
  try:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
      return {key: archive[key] for key in archive.files}
  # A file that is one array, or no archive, or holds Python objects.
  except (
    AttributeError,
    EOFError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
  ) as error:
    raise errors.UserError(
      f"{path} must be an .npz archive of arrays: {error}"
    ) from error


def _split(
  arrays: dict[str, np.ndarray], name: str, path: str
) -> sources.Split:
  images = arrays[f"x_{name}"]
  if images.ndim == 3:
    images = images[..., np.newaxis]
  if np.issubdtype(images.dtype, np.floating):
    images = images.astype(np.float32)
  what = f"`x_{name}` of {path}"
  sources.check_images(images, what=what)
  if images.dtype == np.uint8 and images.max() == 1:
    raise errors.UserError(
      f"{what} must use all of 0..255, as uint8 images do, but its largest "
      f"value is 1; store images of zeros and ones as floats."
    )
  labels = None
  if f"y_{name}" in arrays:
    labels = _labels(arrays[f"y_{name}"], f"`y_{name}` of {path}")
  split = sources.Split(images=images, labels=labels)
  sources.check_split(split, what=what)
  return split


def _labels(labels: np.ndarray, what: str) -> np.ndarray:
  if not np.issubdtype(labels.dtype, np.integer):
    raise errors.UserError(f"{what} must be whole numbers; got {labels.dtype}.")
  if labels.ndim == 2 and labels.shape[1] == 1:
    labels = labels[:, 0]  # As Keras stores CIFAR's.
  return labels.astype(np.int32)
