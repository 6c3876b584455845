# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures of errors against rates show what they were given."""

import numpy as np
import pytest

from geco_tf import figures
from geco_tf.evaluation import likelihood
from geco_tf.figures import (
  equal_error,
  image_blocks,
  information_planes,
  style,
)

_PATH = information_planes.Path([10, 20], [0.2, 0.1], [5.0, 30.0], [1.0, 4.0])


def _planes():
  ends = {
    "GECO": information_planes.Ends([0.1, 0.2], [30.0, 8.0], ["κ = 0.1", "b"]),
    "β-ELBO": information_planes.Ends([0.15], [20.0], ["β = 1"]),
  }
  return information_planes.information_planes({"one": ends, "none yet": {}})


def test_plane_joins_the_ends_and_names_them():
  ax = _planes().axes[0]
  line = ax.get_lines()[0]
  np.testing.assert_array_equal(line.get_xdata(), [30.0, 8.0])
  np.testing.assert_array_equal(line.get_ydata(), [0.1, 0.2])
  assert line.get_color() == style.OBJECTIVES["GECO"]["color"]
  assert {t.get_text() for t in ax.texts} == {"κ = 0.1", "b", "β = 1"}


def test_point_without_its_kappa_is_hollow():
  ends = information_planes.Ends([0.1, 0.2], [30.0, 8.0], is_met=[True, False])
  figure = information_planes.information_planes({"one": {"GECO": ends}})
  _, hollow = figure.axes[0].get_lines()
  assert hollow.get_markerfacecolor() == "white"
  assert (hollow.get_xdata()[0], hollow.get_ydata()[0]) == (8.0, 0.2)
  (legend,) = figure.legends
  assert "κ not met" in [text.get_text() for text in legend.get_texts()]


def test_words_of_near_points_cover_neither_each_other_nor_a_point():
  kl = [30.0, 30.2, 30.4, 30.6]
  words = [f"κ = {i}" for i in range(len(kl))]
  near = information_planes.Ends([0.1, 0.1005, 0.101, 0.1015], kl, words)
  far = information_planes.Ends([0.3], [200.0], ["β = 1"])
  figure = information_planes.information_planes(
    {"one": {"GECO": near, "β-ELBO": far}}
  )
  ax = figure.axes[0]
  boxes = [text.get_window_extent() for text in ax.texts]
  for i, box in enumerate(boxes):
    assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    for line in ax.get_lines():
      places = ax.transData.transform(line.get_xydata())
      assert not any(box.contains(*place) for place in places)


def test_right_axis_is_the_likelihood_of_the_left_one():
  figure = _planes()
  left, right = figure.axes[0], figure.axes[-1]
  assert right.get_shared_x_axes().joined(left, right)
  expected = [
    likelihood.quantized_normal_per_dim(r**2, r) for r in left.get_ylim()
  ]
  np.testing.assert_allclose(right.get_ylim(), expected, atol=1e-4)


def test_objectives_are_told_apart_without_colour():
  markers = [look["marker"] for look in style.OBJECTIVES.values()]
  assert len(set(markers)) == len(markers)


@pytest.mark.parametrize("kind", ["planes", "paths", "seeds", "table"])
def test_pictures_are_written(kind, tmp_path):
  figure = {
    "planes": _planes,
    "paths": lambda: information_planes.trajectories(
      {"a": {"GECO": _PATH, "ELBO, learned σ": _PATH}, "b": {"GECO": _PATH}},
      {"a": 0.1, "b": None},
    ),
    "seeds": lambda: equal_error.kl_over_steps(
      {"a": {"ELBO, learned σ": [_PATH] * 2, "GECO": [_PATH]}, "b": {}}
    ),
    "table": lambda: equal_error.marginal_kl(
      {"a": {"ELBO, learned σ": (9.0, 0.1), "GECO (paper)": (2.0, None)}}
    ),
  }[kind]()
  for path in figures.save(figure, tmp_path / kind):
    assert (tmp_path / path).stat().st_size > 4_000


def test_blocks_of_several_sizes_stand_side_by_side():
  blocks = {
    "grey": np.zeros([3, 4, 8, 8, 1]),
    "colour": np.ones([3, 4, 10, 10, 3]),
    "last": np.ones([3, 4, 8, 8, 1]),
  }
  figure = image_blocks.image_blocks(blocks)
  assert len(figure.axes) == 4
  titles = [ax.get_title(loc="left") for ax in figure.axes]
  assert titles == ["grey", "colour", "last", ""]
  shown = figure.axes[1].get_images()[0].get_array()
  assert shown.shape == (3 * 11 - 1, 4 * 11 - 1, 3)
  assert {t.get_text() for t in figure.axes[0].texts} == set(image_blocks.ROWS)
  assert not figure.axes[1].texts
