# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of the downstream tasks of VAEs that went wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import figure as mpl_figure

from geco_tf.figures import style

_COLOURS = {
  "none": style.GREY,
  "truth": style.BLACK,
  "vae": style.VERMILLION,
  "vae_learned": style.ORANGE,
  "iwae_10": style.PURPLE,
  "nvp": style.GREEN,
  "geco": style.BLUE,
}


def compression(
  examples: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]],
) -> mpl_figure.Figure:
  """ELBO and ln p(x) against the number of latents, a panel an example.

  Args:
    examples: ground truth → method → rows with "latent_size", "elbo" and
      "log_likelihood" over restarts.

  Returns:
    The figure; `style.save` writes it.
  """
  with style.context():
    figure = style.new_figure(4.0 * len(examples), 3.2, column_gap=0.06)
    panels = figure.subplots(1, len(examples), squeeze=False)[0]
    for ax, (name, by_method) in zip(panels, examples.items(), strict=True):
      ax.set_title(f"{name.replace('_', ' ')}, truth: 1 latent")
      ax.set_xlabel("latents of the model")
      for method, rows in by_method.items():
        sizes = [row["latent_size"] for row in rows]
        for key, line, word in (
          ("elbo", "-", "ELBO"),
          ("log_likelihood", ":", "ln p(x)"),
        ):
          ax.errorbar(
            sizes,
            [np.mean(row[key]) for row in rows],
            [np.std(row[key]) for row in rows],
            color=_COLOURS[method],
            linestyle=line,
            marker="o",
            markersize=4,
            label=f"{'VAE' if method == 'vae' else 'NVP'}, {word}",
          )
      ax.set_xticks(sizes)
    panels[0].set_ylabel("held-out rows [nats each]")
    panels[-1].legend(loc="best")
  return figure


def disentanglement(
  found: Mapping[str, Any], titles: Mapping[str, str]
) -> mpl_figure.Figure:
  """Where each method ends between the true axes and the entangled ones."""
  rows = {k: v for k, v in found.items() if isinstance(v, Mapping)}
  with style.context():
    figure = style.new_figure(7.0, 2.8)
    ax = figure.subplots()
    for place, (name, row) in enumerate(rows.items()):
      method = name.partition(" ")[0]
      ax.plot(
        row["score"],
        np.full(len(row["score"]), place),
        "o",
        color=_COLOURS[method],
        markerfacecolor="none",
      )
    names = [_title(name, titles) for name in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.invert_yaxis()
    for key, label in (("truth", "true axes"), ("alternative", "entangled")):
      ax.axvline(found[key], color=style.GREY, linestyle="--")
      ax.text(
        found[key],
        1.01,
        label,
        ha="center",
        va="bottom",
        fontsize=8.0,
        transform=ax.get_xaxis_transform(),
      )
    ax.set_xlabel("matched rank correlation of latents with true factors")
  return figure


def defence(
  found: Mapping[str, Any], titles: Mapping[str, str]
) -> mpl_figure.Figure:
  """Accuracy against the attack's strength, a line for each manifold."""
  with style.context():
    figure = style.new_figure(5.5, 3.4)
    ax = figure.subplots()
    for name, accuracy in found["accuracy"].items():
      ax.plot(
        found["strengths"],
        accuracy,
        color=_COLOURS[name],
        label=titles[name],
        linestyle="--" if name == "none" else "-",
        marker="o",
        markersize=4,
      )
    ax.set_xlabel("length of the attack [σ of the noise]")
    ax.set_ylabel("accuracy after projection")
    figure.legend(loc="outside right center")
  return figure


def collapse(
  examples: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]
) -> mpl_figure.Figure:
  """How far apart p(x|y) are, against the error of p(x): a panel an example.

  Args:
    examples: ground truth → "truth" and methods → "distance", "kl_given" over
      restarts.
    titles: method → what the picture calls it.

  Returns:
    The figure.
  """
  with style.context():
    figure = style.new_figure(9.0, 2.9)
    panels = figure.subplots(1, len(examples), sharey=True, squeeze=False)[0]
    for ax, (name, found) in zip(panels, examples.items(), strict=True):
      rows = {
        k: v
        for k, v in found.items()
        if isinstance(v, Mapping) and k != "truth"
      }
      ax.set_title(name.replace("_", " "))
      for place, row in enumerate(rows.values()):
        ax.plot(
          row["distance"],
          np.full(len(row["distance"]), place),
          "o",
          color=style.BLUE,
          markerfacecolor="none",
        )
      ax.axvline(0.0, color=style.VERMILLION, linestyle="--")
      ax.axvline(found["truth"]["distance"], color=style.BLACK, linestyle="--")
      ax.set_xlabel("distance of p(x|y) between two labels")
      ax.set_yticks(range(len(rows)), [titles[n] for n in rows])
    # Room for the words below the last row.
    panels[0].set_ylim(len(rows) - 0.3, -0.6)
    for x, word in ((0.0, "collapse"), (found["truth"]["distance"], "truth")):
      panels[-1].annotate(
        word,
        (x, 0.02),
        xycoords=panels[-1].get_xaxis_transform(),
        xytext=(3, 0),
        textcoords="offset points",
        fontsize=8.0,
      )
  return figure


def _title(name: str, titles: Mapping[str, str]) -> str:
  method, _, start = name.partition(" ")
  return f"{titles[method]}, {start}"
