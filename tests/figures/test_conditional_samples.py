# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Contexts, targets and samples: every image shown, every label in place."""

import numpy as np
import pytest
from matplotlib import colors

from geco_tf import figures
from geco_tf.figures import style


def _drawn(channels, num_context=2, rows=3, num_samples=4):
  random = np.random.RandomState(0)
  right = np.arange(rows)
  found = np.zeros([rows, num_samples], int)  # Right in the first row alone.
  figure = figures.conditional_samples(
    random.uniform(size=[rows, num_context, 8, 8, 1]),
    random.uniform(size=[rows, 8, 8, channels]),
    random.uniform(size=[rows, num_samples, 8, 8, channels]),
    context_labels=np.full([rows, num_context], 7),
    right=right,
    found=found,
  )
  return figure.axes


@pytest.mark.parametrize(("channels", "width"), [(1, 8), (2, 16)])
def test_blocks_hold_every_image(channels, width):
  context, target, samples = _drawn(channels)
  gap = 1
  shapes = [ax.images[0].get_array().shape[:2] for ax in _drawn(channels)]
  height = 3 * 8 + 2 * gap
  assert shapes == [
    (height, 2 * 8 + gap),
    (height, width),
    (height, 4 * width + 3 * gap),
  ]
  titles = [ax.get_title(loc="left") for ax in (context, target, samples)]
  assert titles == ["context", "target", "samples"]


def test_labels_are_coloured_by_whether_they_are_right():
  context, target, samples = _drawn(1)
  assert [t.get_text() for t in context.texts] == ["7"] * 6
  assert [t.get_text() for t in target.texts] == ["0", "1", "2"]
  assert [t.get_text() for t in samples.texts] == ["0"] * 12
  shown = [colors.same_color(t.get_color(), style.GREEN) for t in samples.texts]
  assert shown == [True] * 4 + [False] * 8
  wrong = [t.get_color() for t in samples.texts[4:]]
  assert all(colors.same_color(c, style.VERMILLION) for c in wrong)


def test_two_channels_stand_side_by_side():
  _, target, _ = _drawn(2, num_context=1)
  pixels = target.images[0].get_array()[:8]
  expected = np.random.RandomState(0)
  expected.uniform(size=[3, 1, 8, 8, 1])
  image = expected.uniform(size=[3, 8, 8, 2])[0]
  greys = np.concatenate([image[..., 0], image[..., 1]], axis=1)
  np.testing.assert_allclose(pixels[..., 0] / 255, greys, atol=1 / 255)
