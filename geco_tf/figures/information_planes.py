# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Error against rate: where ways of training end, and how they get there."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import cm, colors, patheffects, transforms
from matplotlib import figure as mpl_figure
from matplotlib import lines as mpl_lines

from geco_tf.figures import style

_KL = "KL(q(z|x) ‖ prior) [nats]"
_RMSE = "RMSE per dimension"
_NLL = "NLL at σ_opt [nats per dimension]"
_HOLLOW = {**style.OBJECTIVES["GECO"], "markerfacecolor": "white"}
# NLL at σ = RMSE is ln RMSE + this, but for bin² / 24σ².
_NLL_OFFSET = 0.5 * np.log(2.0 * np.pi) + 0.5 + np.log(255.0)


class Ends(NamedTuple):
  """Where the runs of one way of training ended."""

  rmse: Sequence[float]
  kl: Sequence[float]  # Nats.
  notes: Sequence[str] = ()  # A word at each point; none if empty.
  is_met: Sequence[bool] = ()  # Whether κ is; all are, if empty.


class Path(NamedTuple):
  """The course of one run, by columns."""

  step: Sequence[float]
  rmse: Sequence[float]
  kl: Sequence[float]  # Nats.
  # Weight of the summed squared error: λ, or 1/2σ² of an ELBO.
  multiplier: Sequence[float]


def information_planes(
  planes: Mapping[str, Mapping[str, Ends]],
) -> mpl_figure.Figure:
  """A plane for each model and data set: KL across, RMSE and NLL upwards.

  Args:
    planes: title → name of `style.OBJECTIVES` → its ends, which a line joins
      in their order.

  Returns:
    The figure; `style.save` writes it.

  Source: Rezende and Viola (2018), figure 4.
  """
  with style.context():
    columns = min(2, len(planes))
    rows = -(-len(planes) // columns)
    figure = style.new_figure(
      max(5.2, 4.3 * columns), 3.9 * rows + 0.5, column_gap=0.06
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for i, (title, ends) in enumerate(planes.items()):
      is_last = (i + 1) % columns == 0 or i + 1 == len(planes)
      _draw_ends(axes[i], title, ends, is_last)
    for ax in axes[::columns]:
      ax.set_ylabel(_RMSE)
    for ax in axes[len(planes) :]:
      ax.set_axis_off()
    present = {name for ends in planes.values() for name in ends}
    handles = [
      mpl_lines.Line2D([], [], label=name, **_line(name))
      for name in style.OBJECTIVES
      if name in present
    ]
    if any(False in end.is_met for e in planes.values() for end in e.values()):
      handles.append(
        mpl_lines.Line2D([], [], label="κ not met", linestyle="", **_HOLLOW)
      )
    if len(axes) > len(planes):
      axes[-1].legend(handles=handles, loc="center")
    else:
      figure.legend(
        handles=handles, loc="outside lower center", ncols=2 * columns + 1
      )
    figure.draw_without_rendering()
    for ax, ends in zip(axes, planes.values(), strict=False):
      _write_notes(ax, ends)
  return figure


def _line(name: str) -> dict[str, Any]:
  is_reference = name == "β-ELBO"
  return {
    **style.OBJECTIVES[name],
    "linestyle": "--" if is_reference else "-",
    "linewidth": 1.1,
    "markersize": 5.0 if is_reference else 6.0,
    "zorder": 2 if is_reference else 3,
  }


def _draw_ends(
  ax: mpl_axes.Axes, title: str, ends: Mapping[str, Ends], is_last: bool
) -> None:
  ax.set_title(title)
  ax.set_xlabel(_KL)
  known = [e for e in ends.values() if len(e.rmse)]
  if not known:
    style.explain_empty(ax, "no run yet")
    return
  for name, end in ends.items():
    ax.plot(end.kl, end.rmse, **_line(name))
    for at, is_met in zip(_places(end), end.is_met, strict=False):
      if not is_met:
        ax.plot(*at, **_HOLLOW, zorder=4)
  _set_limits(
    ax,
    np.concatenate([e.kl for e in known]),
    np.concatenate([e.rmse for e in known]),
    is_last,
  )


def _places(end: Ends) -> list[tuple[float, float]]:
  return list(zip(end.kl, end.rmse, strict=True))


# Where a word may stand beside its point: offset in points, alignment.
_SIDES = {
  "right": (6, 0, "left", "center"),
  "above right": (4, 4, "left", "bottom"),
  "below right": (4, -4, "left", "top"),
  "left": (-6, 0, "right", "center"),
  "below left": (-4, -4, "right", "top"),
  "above left": (-4, 4, "right", "bottom"),
  "below": (0, -7, "center", "top"),
  "above": (0, 7, "center", "bottom"),
}
# Below GECO's line, above the sweep's, and at the side of the others'.
_FIRST_SIDE = {"GECO": "below left", "β-ELBO": "above right"}
_DISTANCES = (1.0, 2.5, 4.0)  # In offsets of _SIDES.
_MARKER_RADIUS = 3.0  # Points.


def _write_notes(ax: mpl_axes.Axes, ends: Mapping[str, Ends]) -> None:
  """Words at the points, each at the first side where it covers nothing.

  The figure must have been laid out.
  """
  pixels = _MARKER_RADIUS * ax.figure.get_dpi() / 72.0
  points = [place for end in ends.values() for place in _places(end)]
  covered = [
    transforms.Bbox.from_extents(x - pixels, y - pixels, x + pixels, y + pixels)
    for x, y in (ax.transData.transform(points) if points else ())
  ]
  for name, end in ends.items():
    side = _FIRST_SIDE.get(name, "right")
    met = end.is_met or [True] * len(end.kl)
    for at, note, is_met in zip(_places(end), end.notes, met, strict=False):
      if note:
        # A κ that was not met ends near one that was, on its right.
        first = side if is_met else "below right"
        covered.append(_write(ax, note, at, name, first, covered))


def _write(
  ax: mpl_axes.Axes,
  note: str,
  at: tuple[float, float],
  name: str,
  first: str,
  covered: Sequence[transforms.Bbox],
) -> transforms.Bbox:
  """Writes the word, rather at its first side; the pixels that it takes."""
  text = ax.annotate(
    note,
    at,
    color=_dark(style.OBJECTIVES[name]["color"]),
    fontsize=7.0,
    path_effects=[patheffects.withStroke(linewidth=2.0, foreground="white")],
    textcoords="offset points",
    xytext=(0, 0),
    zorder=4,
  )
  sides = (first, *_SIDES)
  tries = [(side, d) for d in _DISTANCES for side in sides]
  for side, distance in (*tries, (first, 1.0)):  # There, if all are covered.
    dx, dy, ha, va = _SIDES[side]
    text.set(position=(distance * dx, distance * dy), ha=ha, va=va)
    box = text.get_window_extent()
    is_inside = all(ax.bbox.contains(*corner) for corner in box.corners())
    if is_inside and not any(box.overlaps(other) for other in covered):
      break
  return box


def _dark(color: str) -> tuple[float, ...]:
  """The same colour, dark enough to be read as text."""
  return tuple(0.7 * np.array(colors.to_rgb(color)))


def _set_limits(
  ax: mpl_axes.Axes, kl: np.ndarray, rmse: np.ndarray, is_last: bool
) -> None:
  """Logarithmic axes with room for words; NLL on the right, by the same ln."""
  positive = kl[kl > 0]
  style.log_x(ax, max(positive.min() / 2.6, 1e-2), positive.max() * 2.8)
  low, high = rmse.min() / 1.25, rmse.max() * 1.25
  style.log_y(ax, low, high)
  nll = ax.twinx()
  nll.set_ylim(np.log(low) + _NLL_OFFSET, np.log(high) + _NLL_OFFSET)
  nll.set_ylabel(_NLL if is_last else "")
  nll.grid(visible=False)
  nll.spines["right"].set_visible(True)


def trajectories(
  rows: Mapping[str, Mapping[str, Path]], kappas: Mapping[str, float | None]
) -> mpl_figure.Figure:
  """Runs on their way: plane, multiplier and error, coloured by the iteration.

  Args:
    rows: title of a row → name of `style.OBJECTIVES` → the course of its run.
    kappas: title of a row → GECO's tolerance.

  Returns:
    The figure; `style.save` writes it.

  Source: Rezende and Viola (2018), figure 3.
  """
  with style.context():
    figure = style.new_figure(11.5, 3.1 * len(rows) + 0.4, column_gap=0.06)
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for line, (title, paths) in zip(axes, rows.items(), strict=True):
      steps = np.concatenate([path.step for path in paths.values()])
      iterations = cm.ScalarMappable(
        colors.Normalize(0, steps.max()),
        mpl.colormaps[style.ITERATION_COLORMAP],
      )
      _draw_row(line, title, paths, kappas[title], iterations)
      bar = figure.colorbar(
        iterations, ax=list(line), label="iteration", aspect=22, pad=0.015
      )
      style.count_iterations(bar.ax.yaxis)
  return figure


def _draw_row(line, title, paths, kappa, iterations) -> None:
  plane, multiplier, error = line
  for name, path in paths.items():
    for ax, x, y in (
      (plane, path.kl, path.rmse),
      (multiplier, path.step, path.multiplier),
      (error, path.step, path.rmse),
    ):
      ax.plot(
        x, y, color=style.OBJECTIVES[name]["color"], linewidth=1.0, zorder=1
      )
      ax.scatter(
        x,
        y,
        c=iterations.to_rgba(path.step),
        edgecolors=style.OBJECTIVES[name]["color"],
        linewidths=0.5,
        marker=style.OBJECTIVES[name]["marker"],
        s=17,
        zorder=2,
      )
  plane.set_title(title, loc="left")
  plane.set_xlabel(_KL)
  plane.set_ylabel(_RMSE)
  kl, rmse, weight = (
    np.concatenate([np.asarray(getattr(p, field)) for p in paths.values()])
    for field in ("kl", "rmse", "multiplier")
  )
  style.log_x(plane, max(np.nanmin(kl) / 1.3, 0.1), np.nanmax(kl) * 1.3)
  for ax in (plane, error):
    style.log_y(ax, np.nanmin(rmse) / 1.15, np.nanmax(rmse) * 1.15)
  known = weight[np.isfinite(weight) & (weight > 0)]
  style.log_y(multiplier, known.min() / 1.5, known.max() * 1.5)
  multiplier.set_ylabel("λ" if len(paths) == 1 else "λ, or 1/2σ² of the ELBO")
  error.set_ylabel(_RMSE)
  for ax in (multiplier, error):
    ax.set_xlabel("iteration")
    style.count_iterations(ax.xaxis)
  handles = [
    mpl_lines.Line2D([], [], label=name, **style.OBJECTIVES[name])
    for name in paths
  ]
  if kappa is not None:
    for ax in (plane, error):
      drawn = ax.axhline(
        kappa,
        label=f"κ = {kappa:g}",
        **style.THRESHOLD | {"color": style.BLACK},
      )
    handles.append(drawn)
  error.legend(handles=handles, loc="upper right")
