# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The pictures of a diagnosis: methods side by side, samples beside data."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import figure as mpl_figure

from geco_tf.figures import style


def methods(
  found: Mapping[str, Any], labels: Mapping[str, str]
) -> mpl_figure.Figure:
  """Likelihood, noise, marginal KL and two-sample accuracy of each method.

  Dots are restarts; the filled one has the best ELBO in training.

  Args:
    found: the numbers of a diagnosis.
    labels: method → what the picture calls it.

  Returns:
    The figure; `style.save` writes it.
  """
  rows = found["methods"]
  with style.context():
    figure = style.new_figure(11.0, 2.9)
    likelihood, noise, marginal, told = figure.subplots(1, 4, sharey=True)
    likelihood.set_yticks(range(len(rows)), [labels[name] for name in rows])
    likelihood.invert_yaxis()
    for place, row in enumerate(rows.values()):
      _dots(likelihood, row["elbo"], row["best"], place + 0.12, style.ORANGE)
      _dots(
        likelihood, row["log_likelihood"], row["best"], place - 0.12, style.BLUE
      )
      _dots(noise, row["variance"], row["best"], place, style.BLUE)
      _dots(
        marginal, row["marginal_kl"]["value"], row["best"], place, style.BLUE
      )
      _interval(told, row["classifier"], place, style.BLUE)
    real = found["data"]["real_data"]["classifier"]
    told.axvspan(real["low"], real["high"], color=style.GREY, alpha=0.25, lw=0)
    told.axvline(0.5, color=style.GREY)
    for colour, label in ((style.BLUE, "ln p(x)"), (style.ORANGE, "ELBO")):
      likelihood.plot([], [], "o", color=colour, label=label, markersize=5)
    likelihood.legend(loc="best")
    likelihood.set_xlabel("held-out rows [nats each]")
    noise.set_xlabel("noise σ²")
    marginal.set_xlabel("KL(q(z) ‖ prior) [nats]")
    told.set_xlabel("told from data (grey: real rows)")
  return figure


def samples(
  points: Mapping[str, np.ndarray], labels: Mapping[str, str]
) -> mpl_figure.Figure:
  """Data and samples on the two principal axes of the data.

  Of a single column there is one axis, and a histogram over it.

  Args:
    points: "held out" and each method's samples, [M, D].
    labels: method → what the picture calls it.

  Returns:
    The figure.
  """
  data = points["held out"]
  center = data.mean(axis=0)
  _, _, axes = np.linalg.svd(data - center, full_matrices=False)
  plane = axes[:2].T
  with style.context():
    figure = style.new_figure(11.0, 2.7)
    panels = figure.subplots(
      1, len(points), sharex=True, sharey=True, squeeze=False
    )[0]
    own = (data - center) @ plane
    for ax, (name, sample) in zip(panels, points.items(), strict=True):
      ax.set_title(labels.get(name, name))
      ax.set_xlabel("1st principal axis")
      if name != "held out":
        _cloud(ax, own, style.GREY)
      colour = style.BLACK if name == "held out" else style.BLUE
      _cloud(ax, (sample - center) @ plane, colour)
    is_plane = plane.shape[1] == 2
    panels[0].set_ylabel("2nd principal axis" if is_plane else "rows")
  return figure


def _cloud(ax: mpl_axes.Axes, points: np.ndarray, colour: str) -> None:
  if points.shape[1] == 1:
    ax.hist(points[:, 0], bins=20, histtype="step", color=colour)
  else:
    first, second = points.T
    ax.scatter(first, second, s=5, color=colour, alpha=0.65, linewidths=0)


def _dots(
  ax: mpl_axes.Axes, values, best: int, place: float, colour: str
) -> None:
  ax.plot(
    values,
    np.full(len(values), place),
    "o",
    color=colour,
    markerfacecolor="none",
    markersize=5,
  )
  ax.plot(values[best], place, "o", color=colour, markersize=5)


def _interval(
  ax: mpl_axes.Axes, test: Mapping[str, float], place: float, colour: str
) -> None:
  ax.plot([test["low"], test["high"]], [place, place], color=colour)
  ax.plot(test["accuracy"], place, "o", color=colour, markersize=5)
