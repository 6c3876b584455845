# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of images: what went in, what came out, what the prior gives."""

from typing import Any

import numpy as np
from matplotlib import colors
from matplotlib import figure as mpl_figure

from geco_tf.figures import style

_CELL_INCHES = 0.75  # the side of one image
_TITLE_INCHES = 0.28
_MAX_COLUMNS = 10
_GAP_SHARE = 1 / 14  # the white between images, of an image's side


def reconstructions(
  data: Any, reconstruction: Any, samples: Any, context: Any | None = None
) -> mpl_figure.Figure:
  """A block of labelled rows: data, reconstruction, samples from the prior.

  Values outside [0, 1] are clipped; a pixel that is not finite is vermillion.

  Args:
    data: images [N, H, W, C] in [0, 1], C = 1 (grey) or 3; ten columns are
      drawn, or N if that is fewer.
    reconstruction: the decoder's means for them, of the same shape.
    samples: the decoder's means for latents from the prior, [M, H, W, C]; they
      fill as many rows as they need.
    context: what the images are conditioned on, [K, H, W, C]; drawn first.

  Returns:
    The figure; `style.save` writes it.

  Raises:
    ValueError: if a shape is not as above.
  """
  data = _checked("data", data)
  reconstruction = _checked("reconstruction", reconstruction)
  samples = _checked("samples", samples)
  if reconstruction.shape != data.shape:
    raise ValueError(
      f"`reconstruction` must have the shape of `data`, {data.shape}; "
      f"got {reconstruction.shape}."
    )
  if samples.shape[1:] != data.shape[1:]:
    raise ValueError(
      f"`samples` must be images {data.shape[1:]} as `data` are; "
      f"got {samples.shape[1:]}."
    )
  blocks = {
    "data": data,
    "reconstruction": reconstruction,
    "samples from the prior": samples,
  }
  if context is not None:
    blocks = {"context": context, **blocks}
  return labelled_rows(blocks, num_columns=min(_MAX_COLUMNS, len(data)))


def drawing(steps: Any) -> mpl_figure.Figure:
  """Samples being drawn: a row for each step, a column for each sample.

  Args:
    steps: the means after each step, [L, N, H, W, C] in [0, 1].

  Returns:
    The figure; `style.save` writes it.
  """
  blocks = {f"after step {i + 1}": images for i, images in enumerate(steps)}
  return labelled_rows(blocks, num_columns=len(steps[0]))


def channels_as_rows(images: np.ndarray, num_columns: int) -> np.ndarray:
  """Images whose channels are images of their own, one below the other.

  Args:
    images: [rows · num_columns, H, W, C].
    num_columns: of the picture.

  Returns:
    [rows · C · num_columns, H, W, 1]: every row has become C rows.
  """
  _, height, width, channels = images.shape
  rows = images.reshape(-1, num_columns, height, width, channels)
  return np.moveaxis(rows, -1, 1).reshape(-1, height, width, 1)


def labelled_rows(
  blocks: dict[str, Any], *, num_columns: int
) -> mpl_figure.Figure:
  """Blocks of images below each other, each with its label above it.

  Args:
    blocks: label → images [N, H, W, C] in [0, 1]; H and W equal in all.
    num_columns: images a row; the last row of a block may be shorter.

  Returns:
    The figure; `style.save` writes it.
  """
  checked = {label: _checked(label, images) for label, images in blocks.items()}
  tiles = {
    label: tiled(images, num_columns) for label, images in checked.items()
  }
  rows = [-(-len(images) // num_columns) for images in checked.values()]
  height, width = next(iter(checked.values())).shape[1:3]
  cell_height = _CELL_INCHES * height / width
  with style.context():
    figure = style.new_figure(
      _CELL_INCHES * num_columns + 0.2,
      sum(rows) * cell_height + len(rows) * _TITLE_INCHES,
    )
    axes = figure.subplots(
      len(blocks), 1, height_ratios=rows, squeeze=False
    ).ravel()
    for ax, (label, tile) in zip(axes, tiles.items(), strict=True):
      ax.imshow(tile, interpolation="nearest")
      ax.set_axis_off()
      ax.set_title(label, loc="left", pad=3.0)
  return figure


def _checked(name: str, images: Any) -> np.ndarray:
  images = np.asarray(images, dtype=np.float64)
  if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images):
    raise ValueError(
      f"`{name}` must be at least one image, [N, H, W, 1 or 3]; "
      f"got {images.shape}."
    )
  return images


def tiled(images: np.ndarray, num_columns: int) -> np.ndarray:
  """One picture of all images: uint8 [rows (H + gap), columns (W + gap), 3]."""
  finite = np.isfinite(images).all(axis=-1, keepdims=True)
  pixels = np.clip(np.where(finite, images, 0.0), 0.0, 1.0)
  pixels = np.where(finite, pixels, colors.to_rgb(style.VERMILLION))
  num, height, width, _ = pixels.shape
  rows, gap = -(-num // num_columns), max(1, round(width * _GAP_SHARE))
  cells = np.ones((rows * num_columns, height + gap, width + gap, 3))
  cells[:num, :height, :width] = pixels
  cells = cells.reshape(rows, num_columns, height + gap, width + gap, 3)
  picture = cells.transpose(0, 2, 1, 3, 4).reshape(
    rows * (height + gap), num_columns * (width + gap), 3
  )
  return np.round(255 * picture[:-gap, :-gap]).astype(np.uint8)
