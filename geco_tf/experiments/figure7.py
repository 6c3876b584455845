# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 7 of "Taming VAEs": β-VAEs with Lipschitz constraints.

Without a constraint neighbouring tiles may have anything; a local penalty draws
thin manifolds between the regions of high density; a global bound makes a sheet
that covers them. A global Ω that is the same for all pairs would not: nothing
in it knows where tiles are, and it draws all towards the mean. So the global
constraint is the bound K, by dual ascent on Ω.
"""

from typing import Any, NamedTuple

import numpy as np

from geco_tf.experiments import base
from geco_tf.figures import fixed_points as pictures
from geco_tf.theory import fixed_points, lipschitz, mixtures

_SIZES = {"laptop": (300, 16), "paper": (300, 32)}  # Examples, tiles a side.
_BETAS = (0.01, 0.05, 0.2)
_MIXTURES = {"lines": mixtures.lines, "circles": mixtures.circles}
# Of the neighbours along sides and diagonals.
_RADIUS_IN_TILES = 1.5


class _Constraint(NamedTuple):
  name: str
  label: str
  kind: str  # "none", "local" (a given Ω) or "global" (a bound K).
  strength: float = 0.0  # Ω in units of the number of tiles, or K.


_CONSTRAINTS = (
  _Constraint("none", "no constraint", "none"),
  _Constraint("local_weak", "local, weak", "local", 0.3),
  _Constraint("local_strong", "local, strong", "local", 3.0),
  _Constraint("global_weak", "global, K = 1", "global", 1.0),
  _Constraint("global_strong", "global, K = 0.6", "global", 0.6),
)


def run(settings: base.Settings, folder: base.Folder) -> dict[str, Any]:
  """Mixtures of lines and of circles; no, local, global constraints; three β.

  Cost: two minutes on two cores.
  """
  num_examples, tiles_per_side = _SIZES[settings.scale]
  latents = fixed_points.tile_centres(tiles_per_side)
  neighbours = lipschitz.pairs(latents, 2.0 / tiles_per_side)
  results: dict[str, Any] = {}
  rows = []
  for constraint in _CONSTRAINTS:
    operator = _operator(constraint, latents, tiles_per_side)
    panels = []
    for name, mixture in _MIXTURES.items():
      data = mixture(num_examples, seed=settings.seed)
      found = fixed_points.find(
        data,
        _BETAS,
        initial=fixed_points.initial_reconstructions(
          data, tiles_per_side=tiles_per_side, seed=settings.seed
        ),
        operator=operator,
        keep_trajectory=True,
      )
      panels += _panels(data, found, neighbours, operator is not None)
      results[f"{name}/{constraint.name}"] = _numbers(
        found, operator, neighbours
      )
    rows.append((constraint.label, panels))
  folder.save_figure("figure7", pictures.lipschitz(rows))
  return results


def _operator(
  constraint: _Constraint, latents: np.ndarray, tiles_per_side: int
) -> lipschitz.FixedPenalty | lipschitz.Bound | None:
  if constraint.kind == "none":
    return None
  if constraint.kind == "global":
    return lipschitz.Bound(latents, constraint.strength, max_steps=5)
  return lipschitz.FixedPenalty(
    latents,
    constraint.strength * len(latents),
    radius=_RADIUS_IN_TILES * 2.0 / tiles_per_side,
  )


def _panels(
  data: np.ndarray,
  found: fixed_points.FixedPoints,
  neighbours: lipschitz.Pairs,
  draws_edges: bool,
) -> list[pictures.Panel]:
  panels = []
  for i, beta in enumerate(_BETAS):
    v = found.reconstructions[i].numpy()
    panels.append(
      pictures.Panel(
        f"β = {beta:g}",
        data,
        fixed_points.merged(v).points,
        found.trajectory[:, i].numpy(),
        np.stack([v[neighbours.first], v[neighbours.second]], axis=1)
        if draws_edges
        else None,
      )
    )
  return panels


def _numbers(
  found: fixed_points.FixedPoints, operator: Any, neighbours: lipschitz.Pairs
) -> dict[str, Any]:
  """At each β, in the order of `betas`."""
  of = neighbours if operator is None else operator.pairs
  distinct = [len(fixed_points.merged(v).points) for v in found.reconstructions]
  return {
    "betas": list(_BETAS),
    "order_parameter": found.order_parameter.numpy().tolist(),
    "num_fixed_points": distinct,
    "largest_slope": of.slopes(found.reconstructions).numpy().max(1).tolist(),
    "num_iterations": found.num_iterations.numpy().tolist(),
  }
