# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fixed points of the reconstructions: figures 2 and 7 of "Taming VAEs"."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import collections as mpl_collections
from matplotlib import figure as mpl_figure
from matplotlib import lines as mpl_lines
from matplotlib import ticker

from geco_tf.figures import style

_PANEL_INCHES = 2.1
# Room for the tiles' first places, [−1, 1]², and a little more.
_LIMIT = 1.04


class Panel(NamedTuple):
  """One simulation in the plane."""

  title: str
  data: Any  # [n, 2]
  fixed_points: Any  # [K, 2]
  trajectory: Any = None  # [T + 1, A, 2]
  edges: Any = None  # [E, 2, 2], ends of lines between neighbouring tiles.


class Marked(NamedTuple):
  """A β that is marked in the curves."""

  beta: float
  label: str


def phase_transitions(
  panels: Sequence[Panel],
  *,
  betas: Any,
  order_parameter: Any,
  curvature: Any,
  critical: Sequence[float],
  predicted: Sequence[float],
) -> mpl_figure.Figure:
  """Trajectories at several β above u(β) and its curvature: figure 2.

  Args:
    panels: simulations, from small to large β.
    betas: of the sweep, [B].
    order_parameter: u(β), [B], units of x².
    curvature: d²u/d(ln β)², [B − 2], at betas[1:-1].
    critical: the β of the highest spikes.
    predicted: those of the theory.

  Returns:
    The figure; `style.save` writes it.
  """
  with style.context():
    num = len(panels)
    figure = style.new_figure(_PANEL_INCHES * num + 0.3, _PANEL_INCHES + 3.0)
    parts = figure.subfigures(
      2, 1, squeeze=False, height_ratios=[_PANEL_INCHES + 0.5, 2.6]
    )
    top, bottom = parts[:, 0]
    for ax, panel in zip(
      np.atleast_1d(top.subplots(1, num)), panels, strict=True
    ):
      _draw_plane(ax, panel)
    _add_legend(top, panels)
    left, right = bottom.subplots(1, 2)
    left.plot(betas, order_parameter, color=style.BLUE)
    left.set_ylabel("u(β) = E ‖x − g(z)‖²")
    left.set_yscale("log")
    right.plot(betas[1:-1], np.abs(curvature), color=style.BLUE)
    right.set_ylabel("|d²u / d(ln β)²|")
    right.set_yscale("symlog", linthresh=1e-2)
    right.set_ylim(bottom=0.0)
    for ax in (left, right):
      ax.set_xscale("log")
      ax.set_xlim(betas[0], betas[-1])
      ax.set_xlabel("β")
      _draw_critical(ax, critical, predicted)
    left.legend(loc="lower right")
  return figure


def lipschitz(
  rows: Sequence[tuple[str, Sequence[Panel]]],
) -> mpl_figure.Figure:
  """Rows of simulations, as many panels in each: figure 7.

  Args:
    rows: what is constrained, and its panels.

  Returns:
    The figure; `style.save` writes it.
  """
  with style.context():
    num_columns = len(rows[0][1])
    figure = style.new_figure(
      _PANEL_INCHES * num_columns + 0.4, (_PANEL_INCHES + 0.1) * len(rows) + 0.6
    )
    axes = figure.subplots(len(rows), num_columns, squeeze=False)
    for i, (label, panels) in enumerate(rows):
      for ax, panel in zip(axes[i], panels, strict=True):
        _draw_plane(ax, panel, show_title=not i)
      axes[i, 0].set_ylabel(label)
    _add_legend(figure, [panel for _, panels in rows for panel in panels])
  return figure


def _draw_plane(
  ax: mpl_axes.Axes, panel: Panel, *, show_title: bool = True
) -> None:
  """Data blue, trajectories grey, fixed points vermillion."""
  if show_title:
    ax.set_title(panel.title)
  if panel.trajectory is not None:
    paths = np.swapaxes(np.asarray(panel.trajectory), 0, 1)
    ax.add_collection(
      mpl_collections.LineCollection(
        list(paths),
        colors="#B8B8B8",
        linewidths=0.35,
        rasterized=True,
        zorder=1,
      )
    )
  data = np.asarray(panel.data)
  ax.scatter(
    data[:, 0], data[:, 1], s=3.0, color=style.SKY, linewidths=0, zorder=2
  )
  if panel.edges is not None:
    ax.add_collection(
      mpl_collections.LineCollection(
        list(panel.edges),
        colors=style.VERMILLION,
        linewidths=0.4,
        rasterized=True,
        zorder=3,
      )
    )
  points = np.asarray(panel.fixed_points)
  ax.scatter(
    points[:, 0],
    points[:, 1],
    s=5.0,
    color=style.VERMILLION,
    linewidths=0,
    zorder=4,
  )
  ax.set(xlim=(-_LIMIT, _LIMIT), ylim=(-_LIMIT, _LIMIT), aspect="equal")
  ax.set(xticks=[], yticks=[])
  ax.spines[:].set_visible(False)


def _add_legend(figure: Any, panels: Sequence[Panel]) -> None:
  """What colours mean, above everything."""

  def dot(color, label):
    return mpl_lines.Line2D(
      [], [], color=color, marker="o", linestyle="", markersize=4, label=label
    )

  handles = [dot(style.SKY, "data"), dot(style.VERMILLION, "fixed points")]
  if any(panel.edges is not None for panel in panels):
    handles.append(
      mpl_lines.Line2D(
        [],
        [],
        color=style.VERMILLION,
        linewidth=0.8,
        label="neighbouring tiles",
      )
    )
  if any(panel.trajectory is not None for panel in panels):
    handles.append(
      mpl_lines.Line2D([], [], color="#B8B8B8", label="trajectories of v")
    )
  figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def _draw_critical(
  ax: mpl_axes.Axes, critical: Sequence[float], predicted: Sequence[float]
) -> None:
  for i, beta in enumerate(critical):
    ax.axvline(
      beta,
      color=style.GREY,
      linewidth=1.0,
      label="highest spikes" if not i else None,
    )
  for i, beta in enumerate(predicted):
    ax.axvline(
      beta,
      label="predicted, 2 λ_max(Cov)" if not i else None,
      **dict(style.THRESHOLD, linewidth=1.0),
    )
  for axis in (ax.xaxis, ax.yaxis):
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
