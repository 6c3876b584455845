# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The course of training, one quantity a panel."""

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure

from geco_tf.figures import series, style


def training_curves(
  rows: series.Rows, *, kappa: float | None = None
) -> mpl_figure.Figure:
  """Loss, KL, RMSE and λ against the step, on train and on test data.

  Args:
    rows: the lines of `metrics.jsonl`: `step`, `loss`, `kl`, `rmse` and
      `geco/<constraint>/multiplier`; `test_kl` and `test_rmse` in those rows
      where test data was measured.
    kappa: the tolerance of the reconstruction error, for its line.

  Returns:
    The figure; `style.save` writes it.

  Raises:
    ValueError: if there are no rows, or one has no step.
  """
  series.check(rows)
  with style.context():
    figure = style.new_figure(9.0, 5.6)
    (loss, kl), (rmse, multiplier) = figure.subplots(2, 2, sharex=True)
    _draw_quantity(loss, rows, "loss", "loss")
    _draw_quantity(kl, rows, "kl", "KL [nats]")
    _draw_quantity(rmse, rows, "rmse", "RMSE per dimension", kappa)
    _draw_multipliers(multiplier, rows)
    for ax in (rmse, multiplier):
      ax.set_xlabel("step")
      style.count_iterations(ax.xaxis)
  return figure


def _draw_quantity(
  ax: mpl_axes.Axes,
  rows: series.Rows,
  key: str,
  label: str,
  threshold: float | None = None,
) -> None:
  """One quantity: a line on training data, points on test data."""
  ax.set_ylabel(label)
  steps, values = series.columns(rows, key)
  if not np.isfinite(values).any():
    style.explain_empty(ax, "not measured")
    return
  ax.plot(steps, values, color=style.BLUE, label="train", marker=_dot(values))
  steps, values = series.columns(rows, f"test_{key}")
  if np.isfinite(values).any():
    ax.plot(
      steps,
      values,
      color=style.ORANGE,
      label="test",
      linewidth=0.8,
      marker="o",
      markersize=3.5,
    )
  if threshold is not None:
    ax.axhline(threshold, label=f"κ = {threshold:g}", **style.THRESHOLD)
  if len(ax.get_lines()) > 1:
    ax.legend()


def _draw_multipliers(ax: mpl_axes.Axes, rows: series.Rows) -> None:
  ax.set_ylabel("multiplier λ")
  names = series.constraint_names(rows)
  drawn = []
  for name in names:
    steps, values = series.columns(rows, f"geco/{name}/multiplier")
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    if not np.isnan(values).all():
      ax.plot(steps, values, label=name, marker=_dot(values))
      drawn.append(values)
  if drawn:
    values = np.concatenate(drawn)
    style.log_y(ax, np.nanmin(values) / 1.5, np.nanmax(values) * 1.5)
    ax.legend()
  else:
    style.explain_empty(ax, "no multiplier was learned")


def _dot(values: np.ndarray) -> str:
  """A marker where a line would not show: with no two points side by side."""
  known = np.isfinite(values)
  return "" if (known[1:] & known[:-1]).any() else "."
