# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every registered data set and task keeps to."""

import contextlib
import functools
import io
import urllib.request

import numpy as np
import pytest
from PIL import Image

from geco_tf import data
from geco_tf.data import sources
from tests.conformance import registered

_TFDS = ("mnist", "fashion_mnist", "cifar10")
_TASKS = registered.names(data.task_registry)
_SPLITS = ("train", "test")
_B = 6


def _images(folder, count, shape):
  folder.mkdir(parents=True, exist_ok=True)
  for index in range(count):
    pixels = np.full(shape, 9 * index, np.uint8)
    Image.fromarray(pixels).save(folder / f"{index:06}.png")


def _image_folder(path):
  for split in _SPLITS:
    for label in ("a", "b"):
      _images(path / split / label, 5, (8, 8, 3))
  return f"image_folder:{path}"


def _celeb_a(path):
  _images(path / "img_align_celeba", 12, (218, 178, 3))
  for image in (path / "img_align_celeba").iterdir():
    image.rename(image.with_suffix(".jpg"))
  lines = [f"{i:06}.jpg {2 * (i % 2)}" for i in range(12)]
  (path / "list_eval_partition.txt").write_text("\n".join(lines))
  return f"celeb_a:{path}"


def _npz(path):
  random = np.random.RandomState(0)
  arrays = {}
  for split in _SPLITS:
    arrays[f"x_{split}"] = random.randint(0, 256, (10, 8, 8), np.uint8)
    arrays[f"y_{split}"] = np.arange(10) % 3
  np.savez(path / "data.npz", **arrays)
  return f"npz:{path / 'data.npz'}"


# Files that a source reads; those that need none are not here.
_FILES = {"celeb_a": _celeb_a, "image_folder": _image_folder, "npz": _npz}
_NAMES = ["digits", *_TFDS, *_FILES, *(f"digits {task}" for task in _TASKS)]
_EVERY = pytest.mark.parametrize("name", _NAMES)


@pytest.fixture(scope="module")
def load(tmp_path_factory):
  """Loads by name; what TensorFlow Datasets would download is mocked."""
  specs = {}
  for name, write in _FILES.items():
    specs[name] = write(tmp_path_factory.mktemp(name))
  kept = {}

  def load_(name, *, again=False):
    if name not in kept or again:
      with _mocked(name in _TFDS):
        dataset, _, task = name.partition(" ")
        spec = specs.get(dataset, dataset)
        kept[name] = data.load(spec, task=task or None)
    return kept[name]

  return load_


@contextlib.contextmanager
def _mocked(is_of_tfds):
  if not is_of_tfds:
    yield
    return
  import tensorflow_datasets as tfds

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(urllib.request, "urlopen", lambda *a, **k: io.BytesIO())
    with tfds.testing.mock_data(num_examples=20):
      yield


def _batches(split, count=3, **options):
  stream = data.training_batches(split, _B, **{"seed": 1, **options})
  return list(stream.take(count).as_numpy_iterator())


@functools.cache
def _whole(load, name):
  """Four batches of the training split."""
  return _batches(load(name).train, 4)


def _assert_equal(one, other):
  for a, b in zip(one, other, strict=True):
    for x, y in zip(a, b, strict=True):
      np.testing.assert_array_equal(x, y)


def test_every_registered_data_set_and_task_is_covered():
  covered = [name.split(" ")[0] for name in _NAMES]
  assert not registered.missing(data.registry, covered)
  assert not registered.missing(data.task_registry, _TASKS)


@_EVERY
def test_batches_have_the_documented_shapes_and_types(load, name):
  source = load(name)
  for split in (source.train, source.test):
    fixed = data.evaluation_batches(split, _B, num_examples=_B)
    (evaluated,) = fixed.batches
    streamed = _whole(load, name)[:1] if split is source.train else []
    for batch in (*streamed, evaluated):
      assert batch.images.shape == (_B, *source.image_shape)
      assert batch.labels.shape == (_B,)
      assert batch.labels.dtype == np.int32
      pixels = [batch.images]
      if source.context_shape is None:
        assert batch.context is None
      else:
        assert batch.context.shape == (_B, *source.context_shape)
        pixels.append(batch.context)
      for values in pixels:
        assert values.dtype == np.float32
        assert np.min(values) >= 0.0 and np.max(values) <= 1.0
  if source.num_classes is None:
    assert source.train.labels is None
  else:
    assert evaluated.labels.numpy().max() < source.num_classes


@pytest.mark.parametrize("name", ["digits", *_FILES])
def test_loading_again_gives_the_same(load, name):
  one, other = load(name), load(name, again=True)
  for split in _SPLITS:
    np.testing.assert_array_equal(
      getattr(one, split).images, getattr(other, split).images
    )
  _assert_equal(_batches(other.train, 1), _whole(load, name)[:1])


@_EVERY
def test_stream_is_a_function_of_seed_and_position(load, name):
  split, whole = load(name).train, _whole(load, name)
  _assert_equal(_batches(split, 2, start_step=2), whole[2:])
  (other,) = _batches(split, 1, seed=2)
  assert np.any(other.images != whole[0].images)


@_EVERY
def test_replicas_parts_are_those_of_the_whole(load, name):
  split, whole = load(name).train, _whole(load, name)[:2]
  parts = [_batches(split, 2, shard_index=i, num_shards=2) for i in range(2)]
  for step, batch in enumerate(whole):
    for field, values in enumerate(batch):
      if values is not None:
        joined = np.concatenate([part[step][field] for part in parts])
        np.testing.assert_array_equal(joined, values)


@_EVERY
def test_evaluation_takes_every_example_once(load, name):
  source = load(name)
  sources.check_split(source.test, what=name)
  fixed = data.evaluation_batches(source.test, 7)
  counts = [len(batch.images) for batch in fixed.batches]
  assert sum(counts) == fixed.num_examples == source.test.num_examples
