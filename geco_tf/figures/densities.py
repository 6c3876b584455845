# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Densities of the plane, side by side."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import figure as mpl_figure

from geco_tf.figures import style

_PANEL_INCHES = 1.3
_TITLE_INCHES = 0.42
_LABEL_INCHES = 0.3
# Darkest at the highest density; the root shows what is thin as well.
_COLORMAP = "Blues"

# A title and an image [rows from the lowest x₂, columns from the lowest x₁].
Panel = tuple[str, Sequence[Sequence[float]]]


def pixels(
  box: tuple[float, float, float, float], num_pixels: int
) -> np.ndarray:
  """The middles of the pixels of a square image.

  Args:
    box: left, right, bottom, top.
    num_pixels: of a side, P.

  Returns:
    [P², 2], x₁ running fastest, from the lower left corner.
  """
  left, right, bottom, top = box
  middles = (np.arange(num_pixels) + 0.5) / num_pixels
  x1, x2 = np.meshgrid(
    left + (right - left) * middles, bottom + (top - bottom) * middles
  )
  return np.stack([x1.ravel(), x2.ravel()], axis=1)


def panels(rows: Mapping[str, Sequence[Panel]]) -> mpl_figure.Figure:
  """Rows of densities; colours go by the root of p(x), row by row.

  In a row, all panels share one scale: its first panel's highest density is
  the darkest colour.

  Args:
    rows: panels by the row's label; the first row is the longest.

  Returns:
    The figure; `style.save` writes it.
  """
  num_columns = len(next(iter(rows.values())))
  with style.context():
    figure = style.new_figure(
      num_columns * _PANEL_INCHES + _LABEL_INCHES,
      len(rows) * (_PANEL_INCHES + _TITLE_INCHES),
    )
    grid = figure.subplots(len(rows), num_columns, squeeze=False)
    for axes, (label, row) in zip(grid, rows.items(), strict=True):
      highest = np.sqrt(np.max(row[0][1]))
      for ax in axes[len(row) :]:
        ax.set_axis_off()
      for ax, (title, image) in zip(axes, row, strict=False):
        ax.imshow(
          np.sqrt(image),
          cmap=_COLORMAP,
          interpolation="bilinear",
          origin="lower",
          vmax=highest,
          vmin=0.0,
        )
        ax.set_title(title, fontsize=8.0)
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
          spine.set_visible(False)
      axes[0].set_ylabel(label)
  return figure
