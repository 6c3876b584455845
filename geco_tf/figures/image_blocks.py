# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Blocks of data, reconstructions and samples, side by side."""

from collections.abc import Mapping
from typing import Any

from matplotlib import figure as mpl_figure

from geco_tf.figures import image_grid, style

ROWS = ("data", "reconstructions", "samples")
_CELL_INCHES = 0.47
_MARGIN_INCHES = 0.2
_NAMES_INCHES = 1.0  # Of the rows, at the left.
_TITLE_INCHES = 0.42


def image_blocks(
  blocks: Mapping[str, Any], *, title: str | None = None
) -> mpl_figure.Figure:
  """A block for each training: `ROWS`, one below the other.

  Args:
    blocks: title, of one line or two → images [3, N, H, W, C] in [0, 1], in the
      order of `ROWS`.
    title: of all blocks.

  Returns:
    The figure; `style.save` writes it.

  Source: Rezende and Viola (2018), figures 6 and 9 to 11.
  """
  num = max(images.shape[1] for images in blocks.values())
  columns = 2 if len(blocks) > 1 else 1
  lines = -(-len(blocks) // columns)
  with style.context():
    figure = style.new_figure(
      columns * (_CELL_INCHES * num + _MARGIN_INCHES) + _NAMES_INCHES,
      lines * (_CELL_INCHES * len(ROWS) + _TITLE_INCHES) + 0.3,
      column_gap=0.04,
    )
    axes = figure.subplots(lines, columns, squeeze=False)
    for ax in axes.ravel():
      ax.set_axis_off()
    if title is not None:
      figure.suptitle(title, fontsize=10.0)
    for i, (label, images) in enumerate(blocks.items()):
      ax = axes[divmod(i, columns)]
      flat = images.reshape(-1, *images.shape[2:])
      tile = image_grid.tiled(flat, images.shape[1])
      ax.imshow(tile, interpolation="nearest")
      ax.set_title(label, loc="left", fontsize=8.5, pad=3.0)
      if i % columns == 0:
        _name_rows(ax, tile.shape[0])
  return figure


def _name_rows(ax: Any, height: int) -> None:
  for row, name in enumerate(ROWS):
    ax.annotate(
      name,
      (0, (row + 0.5) * height / len(ROWS)),
      fontsize=7.5,
      ha="right",
      textcoords="offset points",
      va="center",
      xytext=(-5, 0),
    )
