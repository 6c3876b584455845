# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""CelebA, on mock data and on a folder laid out as it unpacks."""

import io
import urllib.request

import numpy as np
import pytest
from PIL import Image

from geco_tf import data, errors

_SIZE = (218, 178)


@pytest.fixture
def folder(tmp_path):
  """Twelve images: seven to train on, two to validate, three to test."""
  (tmp_path / "img_align_celeba").mkdir()
  lines = []
  for index in range(12):
    # The crop is this gray; its margins are white.
    array = np.full((*_SIZE, 3), 255, np.uint8)
    array[35:183, 15:163] = 10 * index
    name = f"{index + 1:06}.jpg"
    Image.fromarray(array).save(
      tmp_path / "img_align_celeba" / name, quality=100, subsampling=0
    )
    part = 0 if index < 7 else 1 if index < 9 else 2
    lines.append(f"{name} {part}\n")
  (tmp_path / "list_eval_partition.txt").write_text("".join(lines))
  return tmp_path


@pytest.mark.parametrize(("image_size", "side"), [(None, 64), (32, 32)])
def test_folder_is_cropped_and_parted_as_published(folder, image_size, side):
  source = data.load(f"celeb_a:{folder}", image_size=image_size)
  assert source.image_shape == (side, side, 3)
  assert source.num_classes is None
  # JPEG rings where the margin begins; a pixel inside is exact to one level.
  middle = side // 2
  for split, levels in ((source.train, range(7)), (source.test, range(9, 12))):
    np.testing.assert_allclose(
      split.images[:, middle, middle, 0].astype(int),
      [10 * level for level in levels],
      atol=1,
    )
    # No white margin is left in the crop.
    assert split.images.max() < 160


def test_folder_without_partition_is_split_once(folder):
  (folder / "list_eval_partition.txt").unlink()
  source = data.load(f"celeb_a:{folder}")
  assert (source.train.num_examples, source.test.num_examples) == (11, 1)


def test_mock_data_are_cropped(monkeypatch):
  import tensorflow_datasets as tfds

  monkeypatch.setattr(  # Nobody is asked whether the data could be fetched.
    urllib.request, "urlopen", lambda *args, **kwargs: io.BytesIO()
  )
  with tfds.testing.mock_data(num_examples=5):
    source = data.load("celeb_a", image_size=32)
  assert source.train.images.shape == (5, 32, 32, 3)
  assert source.test.images.shape == (5, 32, 32, 3)
  assert source.train.labels is None


def _remove_images(folder):
  for path in (folder / "img_align_celeba").iterdir():
    path.unlink()


def _remove_folder(folder):
  _remove_images(folder)
  (folder / "img_align_celeba").rmdir()


def _remove_test_images(folder):
  for number in (10, 11, 12):
    (folder / "img_align_celeba" / f"{number:06}.jpg").unlink()


def _partition(text):
  return lambda folder: (folder / "list_eval_partition.txt").write_text(text)


@pytest.mark.parametrize(
  ("damage", "message"),
  [
    (_remove_folder, "must hold img_align_celeba/"),
    (_remove_images, "img_align_celeba holds no images"),
    (_remove_test_images, "has none of the test images"),
    (_partition("000001.jpg 0\n"), "000002.jpg is not in it"),
    (_partition("000001.jpg 3\n"), "0, 1 or 2; got '000001.jpg 3'"),
    (_partition("000001.jpg\n"), "0, 1 or 2; got '000001.jpg'"),
  ],
)
def test_damaged_folder_is_named(folder, damage, message):
  damage(folder)
  with pytest.raises(errors.UserError, match=message):
    data.load(f"celeb_a:{folder}")


def test_image_too_small_to_crop_is_named(folder):
  path = folder / "img_align_celeba" / "000003.jpg"
  Image.fromarray(np.zeros((100, 100, 3), np.uint8)).save(path)
  with pytest.raises(
    errors.UserError, match=r"000003\.jpg: A crop of 148x148 .* got 100x100"
  ):
    data.load(f"celeb_a:{folder}")


def test_padding_is_refused(folder):
  with pytest.raises(errors.UserError, match="must not be 'pad'"):
    data.load(f"celeb_a:{folder}", resize="pad")
