# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The user's own arrays."""

import numpy as np
import pytest

from geco_tf import data, errors


def _images(n, shape=(4, 4), dtype=np.uint8):
  images = np.arange(n * np.prod(shape)).reshape(n, *shape) % 256
  return (images if dtype == np.uint8 else images / 255).astype(dtype)


@pytest.fixture
def save(tmp_path):
  def save_arrays(**arrays):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"

  return save_arrays


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_images_are_read_as_saved(save, shape, dtype):
  x_train, x_test = _images(6, shape, dtype), _images(3, shape, dtype)
  source = data.load(save(x_train=x_train, x_test=x_test))
  assert source.train.images.dtype == (
    np.uint8 if dtype == np.uint8 else np.float32
  )
  full_shape = (6, 4, 4, 3 if shape[-1] == 3 else 1)
  np.testing.assert_array_equal(
    source.train.images,
    x_train.reshape(full_shape).astype(source.train.images.dtype),
  )
  assert source.test.num_examples == 3
  assert source.train.labels is None
  assert source.num_classes is None


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_labels_are_read_as_keras_stores_them(save, shape):
  y_train = np.array([0, 1, 2, 3, 0, 1]).reshape(shape)
  source = data.load(
    save(
      x_train=_images(6),
      y_train=y_train,
      x_test=_images(2),
      y_test=np.array([4, 0]),
    )
  )
  np.testing.assert_array_equal(source.train.labels, y_train.ravel())
  assert source.train.labels.dtype == np.int32
  assert source.num_classes == 5


def test_missing_test_examples_are_set_aside(save):
  source = data.load(save(x_train=_images(20, (1, 1)), y_train=np.arange(20)))
  assert (source.train.num_examples, source.test.num_examples) == (18, 2)
  assert not set(source.train.labels) & set(source.test.labels)


_GOOD = {"x_train": _images(4), "x_test": _images(2)}


@pytest.mark.parametrize(
  ("arrays", "message"),
  [
    ({"x": _images(4)}, "must hold `x_train`; it holds x"),
    ({"x_train": _images(4), "y_test": np.zeros(2, int)}, "without `x_test`"),
    (
      {**_GOOD, "y_train": np.zeros(4, int)},
      "both `y_train` and `y_test`, or neither",
    ),
    (
      {**_GOOD, "x_train": _images(4).astype(np.int64)},
      "`x_train` of .*mine.npz must have uint8 or float32 images; got int64",
    ),
    (
      {**_GOOD, "x_test": _images(2).astype(np.float32)},
      r"`x_test` of .* in \[0, 1\]; its values lie in \[0, 31\]",
    ),
    ({**_GOOD, "x_train": np.full((4, 4, 4), np.nan)}, "image 0 has a NaN"),
    ({**_GOOD, "x_train": _images(4, (4, 4, 2))}, r"got \[4, 4, 4, 2\]"),
    ({**_GOOD, "x_train": _images(0)}, "holds no images"),
    (
      {**_GOOD, "x_train": np.eye(4, dtype=np.uint8)[np.newaxis]},
      "store images of zeros and ones as floats",
    ),
    ({**_GOOD, "x_test": _images(2, (5, 5))}, "one shape; got 4x4x1 and 5x5x1"),
    (
      {**_GOOD, "y_train": np.zeros(4), "y_test": np.zeros(2)},
      "`y_train` of .* must be whole numbers; got float64",
    ),
    (
      {**_GOOD, "y_train": np.zeros(3, int), "y_test": np.zeros(2, int)},
      "one label an image, 4",
    ),
  ],
)
def test_bad_array_is_named(save, arrays, message):
  with pytest.raises(errors.UserError, match=message):
    data.load(save(**arrays))


def test_missing_file_is_named(tmp_path):
  with pytest.raises(errors.UserError, match=r"Cannot read .*none\.npz"):
    data.load(f"npz:{tmp_path}/none.npz")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04"])
def test_file_that_is_no_archive_is_named(tmp_path, content):
  path = tmp_path / "mine.npz"
  path.write_bytes(content)
  with pytest.raises(errors.UserError, match=r"mine\.npz must be an \.npz"):
    data.load(f"npz:{path}")


def test_single_array_is_refused(tmp_path):
  path = tmp_path / "mine.npz"
  with path.open("wb") as file:
    np.save(file, _images(4))
  with pytest.raises(errors.UserError, match=r"must be an \.npz archive"):
    data.load(f"npz:{path}")


def test_archive_of_objects_is_refused(save):
  with pytest.raises(errors.UserError, match=r"must be an \.npz archive"):
    data.load(save(x_train=np.array([{}, []], dtype=object)))
