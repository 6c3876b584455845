# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Datasets, without the internet."""

import io
import urllib.error
import urllib.request

import numpy as np
import pytest

from geco_tf import data, errors


@pytest.fixture
def no_internet(monkeypatch):
  def refuse(*args, **kwargs):
    raise urllib.error.URLError("no such host")

  monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture
def answering_server(monkeypatch):
  """Servers answer; what is then fetched is the test's affair."""
  monkeypatch.setattr(
    urllib.request, "urlopen", lambda *args, **kwargs: io.BytesIO()
  )


@pytest.mark.parametrize(
  ("name", "shape"),
  [
    ("mnist", (28, 28, 1)),
    ("fashion_mnist", (28, 28, 1)),
    ("cifar10", (32, 32, 3)),
  ],
)
def test_images_and_labels_are_read(answering_server, name, shape):
  import tensorflow_datasets as tfds

  with tfds.testing.mock_data(num_examples=300):
    source = data.load(name)
  assert source.image_shape == shape
  assert source.train.images.shape == (300, *shape)
  assert source.train.images.dtype == np.uint8
  assert source.test.labels.shape == (300,)
  assert source.num_classes == 10


def test_missing_data_without_internet_tell_what_to_run(no_internet, tmp_path):
  with pytest.raises(
    errors.UserError,
    match=(
      r"'mnist' is not in .*was not downloaded \(https://.*: no such host\)\. "
      r".*python -m launch\.prepare_data --dataset=mnist --from_dir=DIR"
    ),
  ):
    data.load("mnist", data_dir=str(tmp_path))
  assert not list(tmp_path.iterdir())


def test_missing_data_without_download_tell_what_to_run(tmp_path):
  with pytest.raises(errors.UserError, match="downloads are switched off"):
    data.load("mnist", data_dir=str(tmp_path), download=False)


def test_failed_download_tells_why(answering_server, monkeypatch, tmp_path):
  import tensorflow_datasets as tfds

  def fail(self, **kwargs):
    raise RuntimeError("the disk is full")

  monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
  with pytest.raises(errors.UserError, match="RuntimeError: the disk is full"):
    data.load("mnist", data_dir=str(tmp_path))
