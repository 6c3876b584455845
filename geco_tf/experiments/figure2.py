# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 2 of "Taming VAEs": β merges the fixed points, with transitions.

Nested clusters, so that transitions are known: two clusters, each of two, each
of two. The trajectories are appendix A's; u(β) is iterated longer, to a smaller
step, because near a transition iterations converge slowly.
"""

from typing import Any

import numpy as np

from geco_tf.experiments import base
from geco_tf.figures import fixed_points as pictures
from geco_tf.theory import fixed_points, mixtures, phase_transitions

_SIZES = {  # Examples, tiles a side, and values of β in the sweep.
  "laptop": (480, 16, 64),
  "paper": (480, 32, 128),
}
_NUM_TRANSITIONS = 3
# One β in each of the phases, from eight fixed points to one.
_SHOWN_BETAS = (0.005, 0.05, 0.3, 1.2)


def run(settings: base.Settings, folder: base.Folder) -> dict[str, Any]:
  """Trajectories at four β; u(β), its curvature, critical and predicted β.

  Cost: half a minute on two cores.
  """
  num_examples, tiles_per_side, num_betas = _SIZES[settings.scale]
  data = mixtures.nested_clusters(num_examples, seed=settings.seed)
  initial = fixed_points.initial_reconstructions(
    data, tiles_per_side=tiles_per_side, seed=settings.seed
  )
  shown = fixed_points.find(
    data, _SHOWN_BETAS, initial=initial, keep_trajectory=True
  )
  betas = np.geomspace(2e-3, 2.0, num_betas)
  sweep = fixed_points.find(
    data, betas, initial=initial, max_iterations=4000, tolerance=1e-4
  )
  found = phase_transitions.transitions(data, sweep, num=_NUM_TRANSITIONS)
  curvature = phase_transitions.curvature(betas, sweep.order_parameter)
  panels = _panels(data, shown)
  folder.save_figure(
    "figure2",
    pictures.phase_transitions(
      panels,
      betas=betas,
      order_parameter=sweep.order_parameter.numpy(),
      curvature=curvature,
      critical=[transition.beta for transition in found],
      predicted=[transition.predicted for transition in found],
    ),
  )
  return {
    "transitions": [transition._asdict() for transition in found],
    "collapse_beta": phase_transitions.collapse_beta(data),
    "curvature": "d²u/d(ln β)²",
    "betas": betas.tolist(),
    "order_parameter": sweep.order_parameter.numpy().tolist(),
    "num_iterations": sweep.num_iterations.numpy().tolist(),
    "num_fixed_points": {
      f"{beta:g}": len(panel.fixed_points)
      for beta, panel in zip(_SHOWN_BETAS, panels, strict=True)
    },
  }


def _panels(
  data: np.ndarray, shown: fixed_points.FixedPoints
) -> list[pictures.Panel]:
  panels = []
  for i, beta in enumerate(_SHOWN_BETAS):
    points = fixed_points.merged(shown.reconstructions[i], data).points
    title = f"β = {beta:g}: {len(points)} fixed point{'s'[: len(points) > 1]}"
    panels.append(
      pictures.Panel(title, data, points, shown.trajectory[:, i].numpy())
    )
  return panels
