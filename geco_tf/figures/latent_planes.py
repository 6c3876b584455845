# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Latent planes and what the decoder makes of them: tiles, blurs and holes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import axes as mpl_axes
from matplotlib import colors, lines, patches
from matplotlib import figure as mpl_figure

from geco_tf.figures import style
from geco_tf.theory import tilings

# Of the examples; the last is Okabe and Ito's yellow, as black is for holes.
_COLORS = (*style.CYCLE[:6], "#F0E442")
# Beyond it lie .3 % of N(0, I).
_SAMPLES_EXTENT = 3.4
_GREY = 0.75  # Of a point that every example could have.


class Panel(NamedTuple):
  """One latent plane, and what the decoder makes of it."""

  title: str
  plane: tilings.LatentPlane
  decoded: (
    Any  # g(z) at `mosaic_latents`, [M², H, W, C] in [0, 1]; a hole is NaN.
  )
  numbers: Mapping[str, float]  # `kl`, `marginal_kl` in nats; the prior's share
  # in `holes` and `blurs`.


def mosaic_latents(extent: float, side: int = 9) -> np.ndarray:
  """The latents whose images make a panel's data space.

  Row by row from the top left; the first latent grows to the right, the second
  upwards.

  Args:
    extent: of the plane, [−extent, extent]².
    side: M, images along a side.

  Returns:
    [M², 2], float32, the middles of M × M cells.
  """
  half = extent / side
  axis = np.linspace(half - extent, extent - half, side, dtype=np.float32)
  first, second = np.meshgrid(axis, axis[::-1])
  return np.stack([first, second], axis=-1).reshape(-1, 2)


def planes(panels: Sequence[Panel], images: Any) -> mpl_figure.Figure:
  """Latent space above, data space below.

  Args:
    panels: from left to right.
    images: the n ≤ 7 examples, for the legend, [n, H, W, C] in [0, 1].

  Returns:
    The figure; `style.save` writes it.
  """
  images = np.asarray(images)
  with style.context():
    figure = style.new_figure(3.1 * len(panels) + 0.3, 7.4)
    grid = figure.subplots(
      3, len(panels), height_ratios=(1.0, 1.0, 0.16), squeeze=False
    )
    for panel, (top, bottom, _) in zip(panels, grid.T, strict=True):
      _draw_plane(top, panel, len(images))
      _draw_mosaic(bottom, panel)
    grid[0, 0].set_ylabel("latent space\n$z_2$")
    grid[1, 0].set_ylabel("data space: g(z)")
    gap = grid[2, 0].get_gridspec()
    for ax in grid[2]:
      ax.remove()
    _draw_legend(figure.add_subplot(gap[2, :]), images)
  return figure


def samples(panels: Mapping[str, Mapping[str, Any]], images: Any):
  """Posterior samples of each digit, and what became of the digits.

  Args:
    panels: title → `samples` [n, S, 2], `reconstruction` [n, H, W, C], and
      `kl`, `marginal_kl`, `information` in nats.
    images: the n digits, [n, H, W, C] in [0, 1]; n is at most 7.

  Returns:
    The figure; `style.save` writes it.
  """
  images = np.asarray(images)
  n, num_panels = len(images), len(panels)
  with style.context():
    figure = style.new_figure(2.9 * num_panels, 4.0)
    plane_axes = figure.subplots(
      2, num_panels, height_ratios=(6.0, 1.0), squeeze=False
    )
    for (title, panel), (plane, strip) in zip(
      panels.items(), plane_axes.T, strict=True
    ):
      _draw_samples(plane, np.asarray(panel["samples"]))
      plane.set_title(title)
      plane.set_xlabel(
        f"average KL {panel['kl']:.2f} = information "
        f"{panel['information']:.2f}\n+ marginal KL {panel['marginal_kl']:.2f}"
        f"   (ln {n} = {np.log(n):.2f})",
        fontsize=8.0,
      )
      _draw_strip(strip, images, np.asarray(panel["reconstruction"]))
    plane_axes[1, 0].set_ylabel(
      "data,\ng(z)", rotation=0, ha="right", va="center"
    )
  return figure


def rgb(owner: np.ndarray, certainty: np.ndarray, num: int) -> np.ndarray:
  """The owner's colour, fading to grey as its share falls to 1/n: [..., 3]."""
  palette = np.array([colors.to_rgb(c) for c in _COLORS[:num]])
  # Half way at a tie of two.
  strength = np.clip((certainty - 1.0 / num) / (1.0 - 1.0 / num), 0.0, 1.0)
  strength = strength[..., np.newaxis] ** 2
  return strength * palette[owner] + (1.0 - strength) * _GREY


def _draw_plane(ax: mpl_axes.Axes, panel: Panel, num: int) -> None:
  plane = panel.plane
  picture = rgb(np.asarray(plane.owner), np.asarray(plane.certainty), num)
  picture[np.asarray(plane.holes())] = 0.0
  extent = plane.extent
  ax.imshow(
    picture.swapaxes(0, 1),
    extent=(-extent, extent, -extent, extent),
    interpolation="nearest",
    origin="lower",
  )
  ax.grid(visible=False)
  ax.set_title(panel.title)
  ax.set_xlabel("$z_1$")
  _draw_prior(ax, extent, color="white")


def _draw_prior(ax: mpl_axes.Axes, extent: float, color: str) -> None:
  """Circles that hold 50 and 95 % of N(0, I), and equal axes."""
  for mass in (0.5, 0.95):
    radius = np.sqrt(-2.0 * np.log(1.0 - mass))
    ax.add_patch(
      patches.Circle((0, 0), radius, fill=False, edgecolor=color, linewidth=0.9)
    )
  ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
  ax.set_xticks([-2, 0, 2])
  ax.set_yticks([-2, 0, 2])


def _draw_mosaic(ax: mpl_axes.Axes, panel: Panel) -> None:
  decoded = np.asarray(panel.decoded)
  side = round(len(decoded) ** 0.5)
  _, height, width, _ = decoded.shape
  cells = np.broadcast_to(decoded, (*decoded.shape[:3], 3))
  is_hole = np.isnan(cells).any(axis=(1, 2, 3))
  cells = 1.0 - np.clip(np.nan_to_num(cells), 0.0, 1.0)
  cells[is_hole] = 0.0
  gap = max(1, round(width / 8))
  canvas = np.ones((side, side, height + gap, width + gap, 3))
  canvas[:, :, gap // 2 : gap // 2 + height, gap // 2 : gap // 2 + width] = (
    cells.reshape(side, side, height, width, 3)
  )
  canvas = canvas.transpose(0, 2, 1, 3, 4).reshape(
    side * (height + gap), side * (width + gap), 3
  )
  extent = panel.plane.extent
  ax.imshow(
    canvas, extent=(-extent, extent, -extent, extent), interpolation="nearest"
  )
  _remove_frame(ax)
  numbers = panel.numbers
  ax.set_xlabel(
    f"average KL {numbers['kl']:.2f}, marginal KL "
    f"{abs(numbers['marginal_kl']):.2f} nats\nprior mass: "
    f"{numbers['holes']:.0%} in holes, {numbers['blurs']:.0%} in blurs"
  )


def _draw_legend(ax: mpl_axes.Axes, images: np.ndarray) -> None:
  """The examples in their colours, and what grey and black mean."""
  ax.set_axis_off()
  num = len(images)
  ax.set(xlim=(0.0, 2.2 * num), ylim=(0.0, 1.0), aspect="equal")
  for i, image in enumerate(images):
    picture = np.broadcast_to(1.0 - image, (*image.shape[:2], 3))
    ax.imshow(
      picture, extent=(i + 0.1, i + 0.9, 0.1, 0.9), interpolation="nearest"
    )
    ax.add_patch(
      patches.Rectangle(
        (i + 0.07, 0.07), 0.86, 0.86, fill=False, linewidth=3.0,
        edgecolor=_COLORS[i],
      )
    )  # fmt: skip
  ax.set(xlim=(0.0, 2.2 * num), ylim=(0.0, 1.0))
  handles = [
    patches.Patch(color=(_GREY,) * 3, label="blur: several examples"),
    patches.Patch(color="black", label="hole: q(z) < 0.1 π(z)"),
    lines.Line2D(
      [], [], color=style.GREY, linewidth=0.9,
      label="50 % and 95 % of the prior",
    ),
  ]  # fmt: skip
  ax.legend(handles=handles, loc="center right", ncols=1)


def _draw_samples(ax: mpl_axes.Axes, samples: np.ndarray) -> None:
  for points, color in zip(samples, _COLORS, strict=False):
    ax.scatter(
      points[:, 0],
      points[:, 1],
      alpha=0.85,
      color=color,
      edgecolors="none",
      s=9,
    )
  _draw_prior(ax, _SAMPLES_EXTENT, color=style.GREY)


def _draw_strip(
  ax: mpl_axes.Axes, images: np.ndarray, reconstruction: np.ndarray
) -> None:
  """Two rows of digits, framed in their colours."""
  side = images.shape[1]
  frame = max(1, side // 12)
  cell = side + 4 * frame
  canvas = np.ones((2 * cell, len(images) * cell, 3))
  for row, block in enumerate((images, reconstruction)):
    for column, image in enumerate(block):
      color = colors.to_rgb(_COLORS[column])
      top, left = row * cell + frame, column * cell + frame
      canvas[top : top + side + 2 * frame, left : left + side + 2 * frame] = (
        color
      )
      top, left = top + frame, left + frame
      canvas[top : top + side, left : left + side] = np.clip(image, 0.0, 1.0)
  ax.imshow(canvas, interpolation="nearest")
  _remove_frame(ax)


def _remove_frame(ax: mpl_axes.Axes) -> None:
  """Leaves labels, but no ticks, lines or grid."""
  ax.grid(visible=False)
  ax.set_xticks([])
  ax.set_yticks([])
  for spine in ax.spines.values():
    spine.set_visible(False)
