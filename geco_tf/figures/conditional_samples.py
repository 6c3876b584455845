# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Contexts beside what was there and what the model makes of them."""

from typing import Any

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure

from geco_tf.figures import image_grid, style

_CELL_INCHES = 0.75
_TITLE_INCHES = 0.3


def conditional_samples(
  context: Any,
  targets: Any,
  samples: Any,
  *,
  context_labels: Any,
  right: Any,
  found: Any,
) -> mpl_figure.Figure:
  """A row for each context: the context, its target, samples.

  The number in an image's corner is its label; a sample's is what a classifier
  calls it, green where it is the one asked for, else vermillion.

  Args:
    context: [R, K, H, W, 1], in [0, 1].
    targets: [R, H, W, C]; two channels are shown side by side, as greys.
    samples: [R, S, H, W, C].
    context_labels: [R, K].
    right: [R], the labels that are asked for.
    found: [R, S], the samples' labels.

  Returns:
    The figure; `style.save` writes it.
  """
  context, targets, samples = map(np.asarray, (context, targets, samples))
  context_labels, right, found = map(np.asarray, (context_labels, right, found))
  is_right = found == right[:, np.newaxis]
  blocks = {
    "context": (context, context_labels, None),
    "target": (targets[:, np.newaxis], right[:, np.newaxis], None),
    "samples": (samples, found, is_right),
  }
  shown = {t: (_greys(i), *rest) for t, (i, *rest) in blocks.items()}
  widths = [i.shape[1] * i.shape[3] for i, *_ in shown.values()]
  rows, _, height = shown["context"][0].shape[:3]
  with style.context():
    figure = style.new_figure(
      _CELL_INCHES * sum(widths) / height + 0.4,
      _CELL_INCHES * rows + _TITLE_INCHES,
      column_gap=0.05,
    )
    axes = figure.subplots(1, len(shown), width_ratios=widths)
    for ax, (title, block) in zip(axes, shown.items(), strict=True):
      _draw_block(ax, *block)
      ax.set_title(title, loc="left", pad=3.0)
  return figure


def _greys(images: np.ndarray) -> np.ndarray:
  """[R, S, H, W, 2] → [R, S, H, 2 W, 1]; other channels stay."""
  if images.shape[-1] != 2:
    return images
  return np.concatenate([images[..., :1], images[..., 1:]], axis=-2)


def _draw_block(
  ax: mpl_axes.Axes,
  images: np.ndarray,
  labels: np.ndarray,
  is_right: np.ndarray | None,
) -> None:
  """Images [R, S, H, W, C] as a table of R rows, labels [R, S] in corners."""
  rows, columns, height, width, _ = images.shape
  tile = image_grid.tiled(images.reshape(-1, *images.shape[2:]), columns)
  ax.imshow(tile, interpolation="nearest")
  ax.set_axis_off()
  # Images and the gaps between them, in pixels of the tile.
  step_y = (tile.shape[0] - height) / max(1, rows - 1)
  step_x = (tile.shape[1] - width) / max(1, columns - 1)
  for row, column in np.ndindex(rows, columns):
    color = "white"
    if is_right is not None:
      color = style.GREEN if is_right[row, column] else style.VERMILLION
    ax.text(
      column * step_x + 0.03 * height,
      row * step_y + 0.03 * height,
      str(labels[row, column]),
      color=color,
      fontweight="bold",
      va="top",
    )
