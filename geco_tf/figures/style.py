# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""How every picture looks, and how it becomes files."""

import io
import os
from collections.abc import Sequence
from typing import Any

import cycler
import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure
from matplotlib import layout_engine, ticker

# Okabe and Ito's colours: told apart by the colour-blind too.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#999999"

# For what has no order: one colour after the other.
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# For what is passed through in time.
ITERATION_COLORMAP = "viridis"
THRESHOLD: dict[str, Any] = {
  "color": VERMILLION,
  "linestyle": "--",
  "linewidth": 1.4,
}

# Ways of training, told apart by colour and by marker.
OBJECTIVES: dict[str, dict[str, Any]] = {
  "GECO": {"color": BLUE, "marker": "o"},
  "β-ELBO": {"color": GREY, "marker": "D"},
  "ELBO, learned σ": {"color": VERMILLION, "marker": "s"},
  "ELBO, annealed σ": {"color": ORANGE, "marker": "^"},
  "ELBO, pixel noise": {"color": GREEN, "marker": "v"},
  "ELBO, fewer bits": {"color": PURPLE, "marker": "P"},
}

SUFFIXES = ("png", "svg")

_RC: dict[Any, Any] = {
  "axes.axisbelow": True,
  "axes.grid": True,
  "axes.labelsize": 9.0,
  "axes.prop_cycle": cycler.cycler(color=CYCLE),
  "axes.spines.right": False,
  "axes.spines.top": False,
  "axes.titlesize": 10.0,
  "figure.dpi": 100.0,
  "figure.facecolor": "white",
  "font.family": "DejaVu Sans",  # comes with matplotlib and has Greek letters
  "font.size": 9.0,
  "grid.color": "#E5E5E5",
  "grid.linewidth": 0.6,
  "image.cmap": ITERATION_COLORMAP,
  "legend.fontsize": 8.0,
  "legend.frameon": False,
  "lines.linewidth": 1.4,
  "savefig.dpi": 150.0,
  "svg.hashsalt": "geco_tf",  # the same picture, the same bytes
  "xtick.labelsize": 8.0,
  "ytick.labelsize": 8.0,
}


def context():
  """A context manager in which matplotlib draws in this style.

  Nothing global is left changed.
  """
  return matplotlib.rc_context(_RC)


def new_figure(
  width: float, height: float, *, column_gap: float = 0.02
) -> mpl_figure.Figure:
  """An empty figure, outside pyplot's global state.

  Nobody has to close it, and no display is needed.

  Args:
    width: in inches.
    height: in inches.
    column_gap: the room between panels, as a share of their mean width.

  Returns:
    The figure.
  """
  layout = layout_engine.ConstrainedLayoutEngine(wspace=column_gap)
  return mpl_figure.Figure(figsize=(width, height), layout=layout)


def explain_empty(ax: mpl_axes.Axes, reason: str) -> None:
  """Writes into the middle of a panel why it has nothing to show."""
  ax.grid(visible=False)
  ax.set_yticks([])
  if len(ax.get_shared_x_axes().get_siblings(ax)) == 1:
    ax.set_xticks([])
  ax.text(
    0.5,
    0.5,
    reason,
    color="#555555",
    ha="center",
    va="center",
    transform=ax.transAxes,
  )


def count_iterations(axis: Any) -> None:
  """Few, whole numbers on an axis, with a comma at the thousands."""
  axis.set_major_locator(ticker.MaxNLocator(5, integer=True))
  axis.set_major_formatter(ticker.StrMethodFormatter("{x:,.0f}"))


def log_y(ax: mpl_axes.Axes, bottom: float, top: float) -> None:
  """A logarithmic y axis with plain numbers at 1, 2 and 5.

  Args:
    ax: the panel.
    bottom: the positive value at its lower edge.
    top: the one at its upper edge; the axis may run downwards.
  """
  ax.set_ylim(bottom, top)  # first: margins of a huge λ would overflow
  ax.set_yscale("log")
  _plain_numbers(ax.yaxis, bottom, top)


def log_x(ax: mpl_axes.Axes, left: float, right: float) -> None:
  """The same for the x axis."""
  ax.set_xlim(left, right)
  ax.set_xscale("log")
  _plain_numbers(ax.xaxis, left, right)


def _plain_numbers(axis: Any, low: float, high: float) -> None:
  decades = abs(np.log10(high / low))
  subs: tuple[float, ...] = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
  if decades < 0.8:  # One number alone says nothing of a scale.
    subs = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
  axis.set_major_locator(ticker.LogLocator(subs=subs))
  axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
  axis.set_minor_formatter(ticker.NullFormatter())


def save(
  figure: mpl_figure.Figure,
  path_without_suffix: str | os.PathLike[str],
  *,
  suffixes: Sequence[str] = SUFFIXES,
) -> tuple[str, ...]:
  """Writes a figure as PNG and as SVG.

  The bytes depend on the figure and the version of matplotlib only; no date is
  in them.

  Args:
    figure: the figure.
    path_without_suffix: any path that `tf.io.gfile` takes; its folder is made.
    suffixes: which of the two; thousands of pixels are no drawing.

  Returns:
    The paths of the files, in the order of `suffixes`.
  """
  stem = os.fspath(path_without_suffix)
  folder = os.path.dirname(stem)
  if folder:
    tf.io.gfile.makedirs(folder)
  paths = []
  for suffix in suffixes:
    # Drawn into memory first, so that a failure leaves no half of a file.
    content = io.BytesIO()
    with context():
      figure.savefig(
        content,
        format=suffix,
        metadata={"Date": None} if suffix == "svg" else None,
      )
    path = f"{stem}.{suffix}"
    with tf.io.gfile.GFile(path, "wb") as file:
      file.write(content.getvalue())
    paths.append(path)
  return tuple(paths)
