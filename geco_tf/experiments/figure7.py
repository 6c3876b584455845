# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 7 of "Taming VAEs": β-VAEs with Lipschitz constraints.

Without a constraint neighbouring tiles may have anything; a local penalty draws
thin manifolds between the regions of high density; a global bound makes a sheet
that covers them. Two kinds of constraint are shown, and each row says which:

- a penalty: Ω is given, between neighbours. A global Ω that is the same for all
  pairs knows nothing of where tiles are, and draws all towards the mean.
- a bound: K is given, and Ω found by dual ascent. Between neighbours it is
  nearly the global one: a way from neighbour to neighbour is at most 8 % longer
  than the straight one, so that no pair exceeds 1.08 K.
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
  penalty: float | None = None  # Ω, in units of the number of tiles.
  bound: float | None = None  # K.
  is_local: bool = True


_CONSTRAINTS = (
  _Constraint("none", "no constraint"),
  _Constraint("local_penalty_weak", "local penalty, Ω = 0.1 A", penalty=0.1),
  _Constraint("local_penalty_strong", "local penalty, Ω = 3 A", penalty=3.0),
  _Constraint("local_bound_strong", "local bound, K = 0.6", bound=0.6),
  _Constraint(
    "global_bound_weak", "global bound, K = 1", bound=1.0, is_local=False
  ),
  _Constraint(
    "global_bound_strong", "global bound, K = 0.6", bound=0.6, is_local=False
  ),
)


def run(settings: base.Settings, folder: base.Folder) -> dict[str, Any]:
  """Mixtures of lines and circles; penalties and bounds on slopes; three β.

  Cost: three minutes on one core.
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
        data, found, operator, neighbours
      )
    rows.append((constraint.label, panels))
  folder.save_figure("figure7", pictures.lipschitz(rows))
  return results


def _operator(
  constraint: _Constraint, latents: np.ndarray, tiles_per_side: int
) -> fixed_points.Operator | None:
  radius = None
  if constraint.is_local:
    radius = _RADIUS_IN_TILES * 2.0 / tiles_per_side
  if constraint.penalty is not None:
    omega = constraint.penalty * len(latents)
    return lipschitz.FixedPenalty(latents, omega, radius=radius)
  if constraint.bound is not None:
    return lipschitz.Bound(
      latents, constraint.bound, radius=radius, tolerance=5e-4, max_steps=5
    )
  return None


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
        fixed_points.merged(v, data).points,
        found.trajectory[:, i].numpy(),
        np.stack([v[neighbours.first], v[neighbours.second]], axis=1)
        if draws_edges
        else None,
      )
    )
  return panels


def _numbers(
  data: np.ndarray,
  found: fixed_points.FixedPoints,
  operator: Any,
  neighbours: lipschitz.Pairs,
) -> dict[str, Any]:
  """At each β, in the order of `betas`."""
  of = neighbours if operator is None else operator.pairs
  distinct = [
    len(fixed_points.merged(v, data).points) for v in found.reconstructions
  ]
  return {
    "betas": list(_BETAS),
    "order_parameter": found.order_parameter.numpy().tolist(),
    "num_fixed_points": distinct,
    "largest_slope": of.slopes(found.reconstructions).numpy().max(1).tolist(),
    "excess": found.excess.numpy().tolist(),
    "num_iterations": found.num_iterations.numpy().tolist(),
  }
