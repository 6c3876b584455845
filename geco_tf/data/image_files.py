# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Image files to one array."""

import concurrent.futures
import io
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from geco_tf import errors
from geco_tf.data import sources

EXTENSIONS = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
_GRAY_MODES = {"1", "L", "LA"}
_COLOR_MODES = {"RGB", "RGBA", "P", "PA", "CMYK", "YCbCr"}
_ALPHA_MODES = {"RGBA", "LA", "PA"}
_MAX_THREADS = 16
_CHUNK = 128
_SECONDS_BEFORE_PROGRESS = 3


def list_images(folder: str) -> list[str]:
  """Paths of the images right inside a folder, sorted; not hidden files."""
  return [
    os.path.join(folder, name)
    for name in sorted(tf.io.gfile.listdir(folder))
    if name.lower().endswith(EXTENSIONS) and not name.startswith(".")
  ]


def read(
  paths: Sequence[str],
  *,
  fit: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
  """Decodes images with several threads; a long load shows its progress.

  Args:
    paths: of N files in any file system that `tf.io.gfile` reads.
    fit: brings images [B, H, W, C] to one size; None if they all have it.

  Returns:
    [N, H, W, C], uint8; C is 1 if every image is gray, else 3.

  Raises:
    UserError: if a file cannot be read as an image of 8 bits a channel, or two
      images differ in size after `fit`.
  """
  images = np.empty([0], np.uint8)
  any_color = False
  for index, image in enumerate(_decoded(paths, fit)):
    if index == 0:
      images = np.empty((len(paths), *image.shape[:2], 3), np.uint8)
    if image.shape[:2] != images.shape[1:3]:
      raise errors.UserError(
        f"Images must have one size, or `image_size` must say to which to "
        f"bring them; {paths[0]} is {_size_text(images.shape[1:3])} and "
        f"{paths[index]} is {_size_text(image.shape)}."
      )
    any_color = any_color or image.shape[-1] == 3
    images[index] = image  # A gray one fills all three channels.
  return images if any_color else images[..., :1].copy()


def _decoded(
  paths: Sequence[str], fit: Callable[[np.ndarray], np.ndarray] | None
) -> Iterator[np.ndarray]:
  """Images [H, W, C] in the order of their paths."""
  import tqdm

  num_threads = min(_MAX_THREADS, os.cpu_count() or 1)
  chunks = [
    paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)
  ]
  progress = tqdm.tqdm(
    total=len(paths),
    desc="Reading images",
    delay=_SECONDS_BEFORE_PROGRESS,
    disable=None,  # Shown on terminals only.
    unit="",
  )
  with progress, concurrent.futures.ThreadPoolExecutor(num_threads) as pool:
    # Not all at once: a bad file stops the work soon, and decoded images do
    # not pile up.
    for start in range(0, len(chunks), num_threads):
      wave = chunks[start : start + num_threads]
      for images in pool.map(lambda chunk: _decode_chunk(chunk, fit), wave):
        yield from images
        progress.update(len(images))


def _decode_chunk(
  paths: Sequence[str], fit: Callable[[np.ndarray], np.ndarray] | None
) -> list[np.ndarray]:
  images = [_decode(path) for path in paths]
  if fit is None:
    return images
  by_shape: dict[tuple[int, ...], list[int]] = {}
  for index, image in enumerate(images):
    by_shape.setdefault(image.shape, []).append(index)
  for indices in by_shape.values():
    try:
      fitted = fit(np.stack([images[index] for index in indices]))
    except errors.UserError as error:
      raise errors.UserError(f"{paths[indices[0]]}: {error}") from error
    for index, image in zip(indices, fitted, strict=True):
      images[index] = image
  return images


def _decode(path: str) -> np.ndarray:
  """[H, W, 1 or 3], uint8."""
  from PIL import Image, ImageOps

  try:
    with tf.io.gfile.GFile(path, "rb") as file:
      content = file.read()
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    image.load()
  # Decoders raise what they like: OSError, SyntaxError, ValueError, ...
  except Exception as error:
    raise errors.UserError(f"Cannot read the image {path}: {error}") from error
  return _to_array(image, path)


def _to_array(image, path: str) -> np.ndarray:
  """[H, W, 1 or 3], uint8."""
  if image.mode not in _GRAY_MODES | _COLOR_MODES:
    raise errors.UserError(
      f"Images must have 8 bits a channel; {path} has the mode {image.mode!r}."
    )
  if image.mode in _ALPHA_MODES or "transparency" in image.info:
    alpha = np.asarray(image.convert("RGBA"))[..., 3]
    if alpha.min() < 255:
      raise errors.UserError(
        f"Images must be opaque; {path} has transparent pixels."
      )
  mode = "L" if image.mode in _GRAY_MODES else "RGB"
  array = np.asarray(image.convert(mode))
  return array[..., np.newaxis] if array.ndim == 2 else array


def _size_text(shape: tuple[int, ...]) -> str:
  return sources.shape_text(shape[:2])
