# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets that TensorFlow Datasets prepares."""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from geco_tf import errors
from geco_tf.data import sources

_BATCH_SIZE = 256
_SECONDS_TO_ANSWER = 10.0


def load(
  name: str, *, data_dir: str | None = None, download: bool = True
) -> sources.Source:
  """Reads a data set of images and labels, with splits train and test.

  Args:
    name: its name in TensorFlow Datasets.
    data_dir: where prepared data lie; None is TensorFlow Datasets' own choice.
    download: whether data that are missing may be fetched.

  Returns:
    The source; images are uint8 in the order in which they were prepared.

  Raises:
    UserError: if the data are missing and cannot be fetched.
  """
  builder = prepared_builder(name, data_dir=data_dir, download=download)
  train, test = (_read_split(builder, split) for split in ("train", "test"))
  return sources.Source(
    name=name,
    train=train,
    test=test,
    num_classes=builder.info.features["label"].num_classes,
  )


def _read_split(builder: Any, split: str) -> sources.Split:
  arrays = read(
    builder,
    split,
    {"image": _unchanged, "label": lambda labels: labels.astype(np.int32)},
  )
  return sources.Split(images=arrays["image"], labels=arrays["label"])


def _unchanged(batch: np.ndarray) -> np.ndarray:
  return batch


def read(
  builder: Any,
  split: str,
  features: Mapping[str, Callable[[np.ndarray], np.ndarray]],
) -> dict[str, np.ndarray]:
  """Features of all examples of a split, in the order they were prepared in.

  Args:
    builder: a `tfds.core.DatasetBuilder` with its data on disk.
    split: "train" or "test".
    features: what is done to a batch of each feature before it is kept.

  Returns:
    The features [N, ...] by name.
  """
  import tensorflow_datasets as tfds

  examples = builder.as_dataset(
    split=split,
    # One file after the other: the order is then the same on every machine.
    read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
    shuffle_files=False,
  )
  batches = (
    examples.map(lambda example: {name: example[name] for name in features})
    .batch(_BATCH_SIZE)
    .prefetch(2)
  )
  kept: dict[str, list[np.ndarray]] = {name: [] for name in features}
  for batch in batches.as_numpy_iterator():
    for name, convert in features.items():
      kept[name].append(convert(batch[name]))
  return {name: np.concatenate(parts) for name, parts in kept.items()}


def prepared_builder(name: str, *, data_dir: str | None, download: bool) -> Any:
  """The `tfds.core.DatasetBuilder` of a data set that is on disk.

  Raises:
    UserError: if the data are missing and cannot be fetched.
  """
  import tensorflow_datasets as tfds

  builder = tfds.builder(name, data_dir=data_dir)
  if builder.is_prepared():
    return builder
  if not download:
    raise _missing(builder, "downloads are switched off")
  reason = _unreachable(builder)
  if reason is not None:
    raise _missing(builder, reason)
  try:
    builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
  # TensorFlow Datasets raises whatever its downloader, extractor and writer
  # raise.
  except Exception as error:
    raise _missing(builder, f"{type(error).__name__}: {error}") from error
  return builder


def _unreachable(builder: Any) -> str | None:
  """Why the first of the files cannot be fetched; None if it can.

  TensorFlow Datasets tries again for minutes before it gives up, and leaves
  unfinished folders behind.
  """
  for url in builder.url_infos or {}:
    request = urllib.request.Request(url, method="HEAD")
    try:
      urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER).close()
    except urllib.error.HTTPError:
      return None  # The server answers; it may only refuse this question.
    except OSError as error:
      return f"{url}: {getattr(error, 'reason', error)}"
    return None
  return None


def _missing(builder: Any, reason: str) -> errors.UserError:
  return errors.UserError(
    f"The data set {builder.name!r} is not in {builder.data_dir} and was not "
    f"downloaded ({reason}). With its files in a folder DIR, run: "
    f"python -m launch.prepare_data --dataset={builder.name} --from_dir=DIR"
  )
