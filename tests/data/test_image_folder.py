# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The user's own images."""

import numpy as np
import pytest
from PIL import Image

from geco_tf import data, errors


def _write(path, value=0, *, size=(4, 4), mode="RGB", **options):
  path.parent.mkdir(parents=True, exist_ok=True)
  shape = (*size, 3) if mode == "RGB" else size
  array = np.full(shape, value, np.uint8)
  Image.fromarray(array, "L" if mode == "L" else "RGB").save(path, **options)
  return array


def _load(folder, **kwargs):
  return data.load(f"image_folder:{folder}", **kwargs)


def test_class_folders_become_labels_in_sorted_order(tmp_path):
  for number, name in enumerate(["dog", "cat", "eel"]):
    for index in range(2):
      _write(tmp_path / "train" / name / f"{index}.png", 10 * number + index)
  _write(tmp_path / "test" / "dog" / "0.png", 99)
  source = _load(tmp_path)
  np.testing.assert_array_equal(source.train.labels, [0, 0, 1, 1, 2, 2])
  np.testing.assert_array_equal(
    source.train.images[:, 0, 0, 0], [10, 11, 0, 1, 20, 21]
  )
  np.testing.assert_array_equal(source.test.labels, [1])
  np.testing.assert_array_equal(source.test.images[0, 0, 0], [99] * 3)
  assert source.num_classes == 3


def test_flat_folder_is_split_once(tmp_path):
  for index in range(20):
    _write(tmp_path / f"{index:02}.png", index)
  source = _load(tmp_path)
  assert source.train.labels is None
  assert source.num_classes is None
  train, test = (
    set(split.images[:, 0, 0, 0]) for split in (source.train, source.test)
  )
  assert len(test) == 2
  assert train | test == set(range(20))
  again = _load(tmp_path)
  np.testing.assert_array_equal(again.test.images, source.test.images)


def test_train_without_test_is_split(tmp_path):
  for index in range(10):
    _write(tmp_path / "train" / "a" / f"{index}.png", index)
    _write(tmp_path / "train" / "b" / f"{index}.png", index)
  source = _load(tmp_path)
  assert (source.train.num_examples, source.test.num_examples) == (18, 2)


@pytest.mark.parametrize("extension", ["png", "bmp", "webp", "jpg", "JPEG"])
def test_formats_are_decoded(tmp_path, extension):
  options = {"lossless": True} if extension == "webp" else {}
  for split in ("train", "test"):
    _write(tmp_path / split / f"a.{extension}", 128, **options)
  np.testing.assert_array_equal(
    _load(tmp_path).train.images, np.full((1, 4, 4, 3), 128)
  )


def test_gray_images_keep_one_channel(tmp_path):
  for split in ("train", "test"):
    _write(tmp_path / split / "a.png", 50, mode="L")
  assert _load(tmp_path).image_shape == (4, 4, 1)


def test_gray_image_among_colours_gets_three_channels(tmp_path):
  _write(tmp_path / "train" / "a.png", 50, mode="L")
  _write(tmp_path / "test" / "a.png", 60)
  source = _load(tmp_path)
  np.testing.assert_array_equal(source.train.images, np.full((1, 4, 4, 3), 50))


def test_camera_rotation_is_applied(tmp_path):
  exif = Image.Exif()
  exif[0x0112] = 6  # To be turned by 90 degrees.
  for split in ("train", "test"):
    _write(tmp_path / split / "a.png", 50, size=(2, 6), exif=exif)
  assert _load(tmp_path).image_shape == (6, 2, 3)


def test_hidden_and_other_files_are_left_out(tmp_path):
  for split in ("train", "test"):
    _write(tmp_path / split / "a.png", 50)
    (tmp_path / split / ".hidden.png").write_bytes(b"no image")
    (tmp_path / split / "notes.txt").write_text("none")
  assert _load(tmp_path).train.num_examples == 1


@pytest.mark.parametrize("resize", ["area", "crop"])
def test_image_size_unites_sizes(tmp_path, resize):
  _write(tmp_path / "train" / "a.png", 50, size=(8, 12))
  _write(tmp_path / "train" / "b.png", 60, size=(4, 4))
  _write(tmp_path / "test" / "a.png", 70, size=(20, 9))
  source = _load(tmp_path, image_size=4, resize=resize)
  np.testing.assert_array_equal(source.train.images[0], np.full((4, 4, 3), 50))
  np.testing.assert_array_equal(source.train.images[1], np.full((4, 4, 3), 60))
  np.testing.assert_array_equal(source.test.images[0], np.full((4, 4, 3), 70))


@pytest.mark.parametrize("other", ["train/b.png", "test/b.png"])
def test_mixed_sizes_name_both_paths(tmp_path, other):
  _write(tmp_path / "train" / "a.png", size=(4, 4))
  _write(tmp_path / "test" / "a.png", size=(4, 4))
  _write(tmp_path / other, size=(6, 5))
  with pytest.raises(
    errors.UserError, match=rf"train/a\.png is 4x4 and .*{other} is 6x5"
  ):
    _load(tmp_path)


def test_image_too_large_to_pad_is_named(tmp_path):
  _write(tmp_path / "train" / "a.png", size=(4, 4))
  _write(tmp_path / "test" / "b.png", size=(9, 9))
  with pytest.raises(errors.UserError, match=r"b\.png: Padding to 8x8"):
    _load(tmp_path, image_size=8, resize="pad")


@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "webp"])
@pytest.mark.parametrize("kept", [0, 20, 0.5])
def test_unreadable_image_is_named(tmp_path, extension, kept):
  good, bad = tmp_path / "train/a.png", tmp_path / f"train/b.{extension}"
  noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
  good.parent.mkdir()
  Image.fromarray(noise).save(good)
  Image.fromarray(noise).save(bad)
  content = bad.read_bytes()
  bad.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
  with pytest.raises(
    errors.UserError, match=rf"Cannot read the image .*b\.{extension}: "
  ):
    _load(tmp_path)


def test_sixteen_bits_are_refused(tmp_path):
  for name in ("a.png", "b.png"):
    Image.fromarray(np.full((4, 4), 60_000, np.uint16)).save(tmp_path / name)
  with pytest.raises(errors.UserError, match=r"8 bits a channel; .*a\.png has"):
    _load(tmp_path)


@pytest.mark.parametrize(("alpha", "is_refused"), [(255, False), (254, True)])
def test_transparent_pixels_are_refused(tmp_path, alpha, is_refused):
  array = np.full((4, 4, 4), 9, np.uint8)
  array[..., 3] = alpha
  for name in ("a.png", "b.png"):
    Image.fromarray(array).save(tmp_path / name)
  if is_refused:
    with pytest.raises(errors.UserError, match=r"opaque; .*a\.png has"):
      _load(tmp_path)
  else:
    assert _load(tmp_path).image_shape == (4, 4, 3)


@pytest.mark.parametrize(
  ("files", "message"),
  [
    ([], "holds no images"),
    (["train/notes.txt"], "/train holds no images"),
    (["train/a.png", "test/notes.txt"], "/test holds no images"),
    (["test/a.png"], "has test/ but no train/"),
    (["train/a.png", "train/x/a.png"], "it holds both"),
    (["train/x/a.png", "test/a.png"], "one folder a class, or neither"),
    (["train/x/a.png", "test/y/a.png"], "must be in .*/train; y is not"),
  ],
)
def test_other_layouts_are_refused(tmp_path, files, message):
  for name in files:
    if name.endswith(".png"):
      _write(tmp_path / name)
    else:
      (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
      (tmp_path / name).write_text("none")
  with pytest.raises(errors.UserError, match=message):
    _load(tmp_path)


def test_missing_folder_is_named(tmp_path):
  with pytest.raises(errors.UserError, match="none does not exist"):
    _load(tmp_path / "none")


def test_cifar10_as_jpeg_is_an_image_folder(real_data_dir, tmp_path):
  import zipfile

  path = real_data_dir / "cifar10_jpeg.zip"
  if not path.is_file():
    pytest.skip(f"real data: {path} is missing")
  with zipfile.ZipFile(path) as archive:
    # The first hundred of each class and split.
    names = [n for n in archive.namelist() if n.split("/")[-1] < "0100"]
    archive.extractall(tmp_path, names)
  source = _load(tmp_path)
  assert source.image_shape == (32, 32, 3)
  np.testing.assert_array_equal(np.bincount(source.train.labels), [100] * 10)
  np.testing.assert_array_equal(np.bincount(source.test.labels), [100] * 10)
