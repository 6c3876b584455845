# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A training run as a path: figure 3 of "Taming VAEs"."""

import matplotlib as mpl
import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import cm, colors, patheffects
from matplotlib import figure as mpl_figure

from geco_tf.figures import series, style

# Markers tell constraints apart, since colour is taken by the iteration.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# More points than these are drawn as pixels in the SVG too.
_MAX_VECTOR_POINTS = 2_000


def trajectory(
  rows: series.Rows,
  *,
  kappa: float | None = None,
  constraint: str | None = None,
) -> mpl_figure.Figure:
  """Information plane, multiplier and RMSE, coloured by the iteration.

  The three panels share one colour bar:

  1. the information plane: KL in nats (x) against the negative log-likelihood
     in nats per dimension (y);
  2. the multiplier λ, and on the right β = 1/λ, the weight of the KL in an
     equivalent β-VAE with 2σ² = 1; both axes logarithmic;
  3. RMSE on [0, 1] data, with the threshold κ.

  What a run has not measured (λ, where nothing was constrained) is said in its
  panel.

  Args:
    rows: the lines of `metrics.jsonl`: `step`, `kl`, `rmse`,
      `neg_log_likelihood_per_dim` and `geco/<constraint>/multiplier`.
    kappa: the tolerance of the reconstruction error, for its line in panel 3.
    constraint: the one whose λ is shown; None shows all.

  Returns:
    The figure; `style.save` writes it.

  Raises:
    ValueError: if there are no rows, one has no step, or the constraint has no
      multiplier in any row.

  Source: Rezende and Viola (2018), figure 3.
  """
  series.check(rows)
  names = series.constraint_names(rows)
  if constraint is not None:
    if constraint not in names:
      raise ValueError(
        f"`constraint` must have a multiplier in some row; got {constraint!r},"
        f" and the rows have {', '.join(map(repr, names)) or 'none'}."
      )
    names = (constraint,)
  (steps,) = series.columns(rows)
  iterations = cm.ScalarMappable(
    colors.Normalize(steps.min(), max(steps.max(), steps.min() + 1)),
    mpl.colormaps[style.ITERATION_COLORMAP],
  )
  with style.context():
    figure = style.new_figure(12.0, 3.6, column_gap=0.06)
    plane, multiplier, error = figure.subplots(1, 3)
    _draw_plane(plane, rows, iterations)
    _draw_multipliers(multiplier, rows, names, iterations)
    _draw_error(error, rows, kappa, iterations)
    bar = figure.colorbar(
      iterations,
      ax=(plane, multiplier, error),
      label="iteration",
      aspect=30,
      pad=0.015,
    )
    style.count_iterations(bar.ax.yaxis)
  return figure


def _draw_path(
  ax: mpl_axes.Axes,
  x: np.ndarray,
  y: np.ndarray,
  steps: np.ndarray,
  iterations: cm.ScalarMappable,
  marker: str = "o",
  label: str | None = None,
) -> None:
  """A thin line, and points in the colour of their iteration."""
  ax.plot(x, y, color=style.GREY, linewidth=0.7, zorder=1)
  ax.scatter(
    x,
    y,
    c=iterations.to_rgba(steps),
    edgecolors="none",
    label=label,
    marker=marker,
    rasterized=len(steps) > _MAX_VECTOR_POINTS,
    s=16,
    zorder=2,
  )


def _draw_plane(ax, rows, iterations) -> None:
  steps, kl, nll = series.columns(rows, "kl", "neg_log_likelihood_per_dim")
  ax.set_title("information plane")
  ax.set_xlabel("KL(q ‖ prior) [nats]")
  ax.set_ylabel("negative log-likelihood\n[nats per dimension]")
  known = np.flatnonzero(np.isfinite(kl) & np.isfinite(nll))
  if not known.size:
    style.explain_empty(ax, "not measured")
    return
  _draw_path(ax, kl, nll, steps, iterations)
  for word, i in (("start", known[0]), ("end", known[-1]))[: known.size]:
    ax.annotate(
      word,
      (kl[i], nll[i]),
      fontsize=8.0,
      path_effects=[patheffects.withStroke(linewidth=2.5, foreground="white")],
      textcoords="offset points",
      xytext=(5, 5),
    )
  ax.margins(x=0.1, y=0.08)


def _draw_multipliers(ax, rows, names, iterations) -> None:
  ax.set_title("multiplier")
  ax.set_xlabel("iteration")
  drawn = []
  for i, name in enumerate(names):
    steps, value = series.columns(rows, f"geco/{name}/multiplier")
    # A logarithm has no place for λ = 0, which some rules reach.
    value = np.where(np.isfinite(value) & (value > 0), value, np.nan)
    if np.isnan(value).all():
      continue
    marker = _MARKERS[i % len(_MARKERS)]
    _draw_path(ax, steps, value, steps, iterations, marker, name)
    drawn.append(value)
  if not drawn:
    style.explain_empty(ax, "no multiplier was learned")
    return
  values = np.concatenate(drawn)
  low, high = np.nanmin(values) / 1.5, np.nanmax(values) * 1.5
  ax.set_ylabel("λ")
  style.log_y(ax, low, high)
  style.count_iterations(ax.xaxis)
  # ln β = −ln λ: the same points, read on an axis that runs downwards.
  beta = ax.twinx()
  beta.set_ylabel("equivalent β = 1/λ")
  style.log_y(beta, 1 / low, 1 / high)
  beta.grid(visible=False)
  beta.spines["right"].set_visible(True)
  if len(drawn) > 1:
    legend = ax.legend()
    for handle in legend.legend_handles:
      handle.set_facecolor(style.GREY)


def _draw_error(ax, rows, kappa, iterations) -> None:
  steps, rmse = series.columns(rows, "rmse")
  ax.set_title("reconstruction error")
  ax.set_xlabel("iteration")
  ax.set_ylabel("RMSE per dimension")
  if not np.isfinite(rmse).any():
    style.explain_empty(ax, "not measured")
    return
  _draw_path(ax, steps, rmse, steps, iterations)
  if kappa is not None:
    ax.axhline(kappa, label=f"threshold κ = {kappa:g}", **style.THRESHOLD)
    ax.legend(loc="upper right")
  style.count_iterations(ax.xaxis)
