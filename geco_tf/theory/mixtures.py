# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Mixtures in the plane, on which the theory is shown.

All lie within [−1, 1]², where the tiles' centres are. Sizes and places are
ours: the paper does not print its own.

Source: "Taming VAEs", figures 2 and 7, appendix A.
"""

import numpy as np

_LINES = (  # Ends of each: (x, y), (x, y).
  ((-0.85, -0.55), (-0.25, 0.75)),
  ((-0.25, -0.75), (0.75, -0.35)),
  ((0.15, 0.15), (0.75, 0.75)),
)
_CIRCLES = (  # Centre and radius of each.
  ((-0.45, 0.35), 0.35),
  ((0.5, 0.4), 0.25),
  ((0.1, -0.5), 0.3),
)
# From a cluster's centre to those of its two parts, level after level.
_CLUSTER_OFFSETS = ((0.55, 0.25), (-0.1, 0.25), (0.09, 0.0))
_CLUSTER_SPREAD = 0.015


def lines(
  num_examples: int, *, noise: float = 0.02, seed: int = 0
) -> np.ndarray:
  """Points near three lines: [n, 2].

  Args:
    num_examples: n.
    noise: its standard deviation.
    seed: of all that is random.
  """
  generator = np.random.default_rng(seed)
  ends = np.array(_LINES)[np.arange(num_examples) % len(_LINES)]
  along = generator.uniform(0.0, 1.0, [num_examples, 1])
  points = ends[:, 0] + along * (ends[:, 1] - ends[:, 0])
  return points + noise * generator.normal(size=points.shape)


def circles(
  num_examples: int, *, noise: float = 0.02, seed: int = 0
) -> np.ndarray:
  """Points near three circles: [n, 2].

  Args:
    num_examples: n.
    noise: its standard deviation.
    seed: of all that is random.
  """
  generator = np.random.default_rng(seed)
  which = np.arange(num_examples) % len(_CIRCLES)
  centres = np.array([centre for centre, _ in _CIRCLES])[which]
  radii = np.array([radius for _, radius in _CIRCLES])[which, np.newaxis]
  angles = generator.uniform(0.0, 2 * np.pi, num_examples)
  points = centres + radii * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  return points + noise * generator.normal(size=points.shape)


def nested_clusters(num_examples: int, *, seed: int = 0) -> np.ndarray:
  """Two clusters, each of two, each of two Gaussian ones: [n, 2].

  Args:
    num_examples: n.
    seed: of all that is random.
  """
  generator = np.random.default_rng(seed)
  points = _CLUSTER_SPREAD * generator.normal(size=[num_examples, 2])
  which = np.arange(num_examples)
  for offset in _CLUSTER_OFFSETS:
    points += np.outer(2.0 * (which % 2) - 1.0, offset)
    which //= 2
  return points
