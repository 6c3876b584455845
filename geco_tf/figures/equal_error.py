# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two ways of training to the same error: KL over steps, and marginal KL."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import figure as mpl_figure
from matplotlib import lines as mpl_lines

from geco_tf.figures import style
from geco_tf.figures.information_planes import Path

_LINES: dict[str, dict[str, Any]] = {
  name: {
    "color": style.OBJECTIVES[name]["color"],
    "linestyle": linestyle,
    "linewidth": 1.2,
  }
  for name, linestyle in (("ELBO, learned σ", "--"), ("GECO", "-"))
}


def kl_over_steps(
  rows: Mapping[str, Mapping[str, Sequence[Path]]],
) -> mpl_figure.Figure:
  """A row for each data set: KL and RMSE against the step, all seeds.

  Args:
    rows: title → name of `style.OBJECTIVES` → the courses of its seeds.

  Returns:
    The figure; `style.save` writes it.

  Source: Rezende and Viola (2018), figure 5.
  """
  with style.context():
    figure = style.new_figure(9.0, 3.0 * len(rows) + 0.3, column_gap=0.06)
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for (kl, error), (title, runs) in zip(axes, rows.items(), strict=True):
      for name, paths in runs.items():
        for path in paths:
          kl.plot(path.step, path.kl, **_LINES[name])
          error.plot(path.step, path.rmse, **_LINES[name])
      everything = [p for paths in runs.values() for p in paths]
      if not everything:
        style.explain_empty(kl, "no pair of runs yet")
        style.explain_empty(error, "no pair of runs yet")
      else:
        for ax, field in ((kl, "kl"), (error, "rmse")):
          values = np.concatenate([getattr(p, field) for p in everything])
          style.log_y(ax, values.min() / 1.15, values.max() * 1.15)
      kl.set_title(title, loc="left")
      kl.set_ylabel("KL(q(z|x) ‖ prior) [nats]")
      error.set_ylabel("RMSE per dimension")
      for ax in (kl, error):
        ax.set_xlabel("step")
        style.count_iterations(ax.xaxis)
      kl.legend(
        handles=[
          mpl_lines.Line2D([], [], label=label, **_LINES[name])
          for name, label in (
            ("ELBO, learned σ", "ELBO, learned σ"),
            ("GECO", "GECO, κ = the ELBO's final RMSE"),
          )
        ],
        loc="best",
      )
  return figure


def marginal_kl(
  rows: Mapping[str, Mapping[str, tuple[float, float | None]]],
) -> mpl_figure.Figure:
  """A line for each training: its marginal KL, ours and the paper's.

  Args:
    rows: data set → label → (nats, standard error; None where it is not said).
      A label starts with the name of `style.OBJECTIVES`; "(paper)" is hollow.

  Returns:
    The figure; `style.save` writes it.

  Source: Rezende and Viola (2018), table 2.
  """
  with style.context():
    lines = sum(len(values) + 0.7 for values in rows.values())
    figure = style.new_figure(7.0, 0.32 * lines + 0.9)
    ax = figure.subplots()
    y, ticks, names, seen = 0.0, [], [], []
    for data, values in rows.items():
      ax.text(
        0.01, y, data, fontweight="bold", va="center",
        transform=ax.get_yaxis_transform(),
      )  # fmt: skip
      for label, (value, error) in values.items():
        y -= 1.0
        name = "GECO" if label.startswith("GECO") else "ELBO, learned σ"
        is_ours = "(paper)" not in label
        ax.errorbar(
          value,
          y,
          xerr=error,
          capsize=3,
          markerfacecolor=None if is_ours else "white",
          **style.OBJECTIVES[name],
        )
        text = f"{value:.1f}" if error is None else f"{value:.2f} ± {error:.2f}"
        ax.annotate(
          text, (value, y), textcoords="offset points", xytext=(9, 0),
          va="center", fontsize=8.0,
        )  # fmt: skip
        ticks.append(y)
        names.append(label)
        seen.append(max(value, 1e-2))
      y -= 1.2
    ax.set_yticks(ticks, names)
    ax.set_ylim(y + 0.6, 0.8)
    ax.grid(visible=False, axis="y")
    style.log_x(ax, min(seen) / 1.6, max(seen) * 3.0)
    ax.set_xlabel("marginal KL, KL(q(z) ‖ prior) [nats]")
  return figure
