# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Prepares a data set of TensorFlow Datasets from files the user has."""

import pathlib
from typing import Any

from geco_tf import errors


def prepare(name: str, *, from_dir: str, data_dir: str | None = None) -> str:
  """Prepares a data set without the internet.

  Every file is compared with the checksum that TensorFlow Datasets knows before
  anything is written. The files are read where they lie, and stay there.

  Args:
    name: its name in TensorFlow Datasets, such as "mnist".
    from_dir: a folder with the files of the data set, as they are downloaded.
    data_dir: where prepared data go; None is TensorFlow Datasets' own choice,
      the environment's TFDS_DATA_DIR or ~/tensorflow_datasets.

  Returns:
    One line that tells what was done, and where the data are.

  Raises:
    UserError: if the name is unknown, a file is missing or is not the one that
      was published, or the data cannot be written.
  """
  import tensorflow_datasets as tfds

  builder = _builder(name, data_dir)
  if builder.is_prepared():
    return f"The data set {name!r} is prepared already, in {builder.data_dir}."
  folder = pathlib.Path(from_dir).expanduser()
  _check_files(builder, folder)
  config = tfds.download.DownloadConfig(
    # Where TensorFlow Datasets looks before it downloads.
    manual_dir=folder,
    try_download_gcs=False,
    force_checksums_validation=True,
  )
  try:
    builder.download_and_prepare(download_config=config)
  # TensorFlow Datasets raises whatever its extractor and writer raise.
  except Exception as error:
    raise errors.UserError(
      f"The data set {name!r} cannot be prepared in {builder.data_dir}: "
      f"{type(error).__name__}: {error}"
    ) from error
  sizes = ", ".join(
    f"{split.num_examples:,} {split_name}"
    for split_name, split in builder.info.splits.items()
  )
  return f"Prepared {name!r} ({sizes}) in {builder.data_dir}."


def _builder(name: str, data_dir: str | None) -> Any:
  import tensorflow_datasets as tfds

  try:
    return tfds.builder(name, data_dir=data_dir)
  except tfds.core.DatasetNotFoundError as error:
    raise errors.unknown_name(
      "TensorFlow Datasets data set", name, tfds.list_builders()
    ) from error


def _check_files(builder: Any, folder: pathlib.Path) -> None:
  """Raises a UserError unless every file is there and as published."""
  from tensorflow_datasets.core.download import checksums

  published = list((builder.url_infos or {}).values())
  if not published or any(info.filename is None for info in published):
    raise errors.UserError(
      f"TensorFlow Datasets does not tell which files {builder.name!r} is made "
      f"of; it cannot be prepared from a folder."
    )
  names = sorted(info.filename for info in published)
  missing = [name for name in names if not (folder / name).is_file()]
  if missing:
    raise errors.UserError(
      f"`from_dir` must hold {', '.join(names)}; {folder} "
      + (
        f"lacks {', '.join(missing)}."
        if folder.is_dir()
        else "is not a folder."
      )
    )
  for info in published:
    path = folder / info.filename
    found = checksums.compute_url_info(path)
    if found.checksum != info.checksum:
      raise errors.UserError(
        f"{path} is not the published file: its SHA-256 must be "
        f"{info.checksum} ({int(info.size):,} bytes); got {found.checksum} "
        f"({int(found.size):,} bytes)."
      )
