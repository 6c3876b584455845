# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Latent planes: colours mean what the legend says."""

import numpy as np
import pytest
from matplotlib import colors

from geco_tf import figures
from geco_tf.figures import latent_planes, style
from geco_tf.theory import tilings


def _panel(channels=1):
  decoded = np.zeros([4, 6, 6, channels])
  decoded[3] = np.nan
  plane = tilings.LatentPlane(
    axis=np.array([-1.25, 1.25]),
    log_prior=np.zeros([2, 2]),
    log_marginal=np.array([[0.0, 0.0], [0.0, -9.0]]),
    owner=np.array([[0, 1], [2, 2]]),
    certainty=np.array([[1.0, 0.5], [1.0, 1.0]]),
  )
  numbers = {"kl": 1.9, "marginal_kl": -1e-9, "holes": 0.1, "blurs": 0.2}
  return latent_planes.Panel("one", plane, decoded, numbers)


def test_mosaic_goes_row_by_row_from_the_top_left():
  latents = latent_planes.mosaic_latents(2.0, side=2)
  np.testing.assert_allclose(latents, [[-1, 1], [1, 1], [-1, -1], [1, -1]])


def test_owner_has_its_colour_and_fades_to_grey():
  picture = latent_planes.rgb(np.array([0, 0]), np.array([1.0, 1 / 3]), 3)
  np.testing.assert_allclose(picture[0], colors.to_rgb(style.BLUE))
  np.testing.assert_allclose(picture[1], latent_planes._GREY)


def test_plane_is_black_in_holes_and_turned_to_the_first_latent():
  figure = latent_planes.planes([_panel()], np.zeros([3, 6, 6, 1]))
  plane, mosaic = (ax.get_images()[0].get_array() for ax in figure.axes[:2])
  assert figure.axes[0].get_images()[0].get_extent() == [-2.5, 2.5, -2.5, 2.5]
  # Rows upwards are the second latent, columns the first.
  np.testing.assert_allclose(plane[0, 0], colors.to_rgb(style.BLUE))
  np.testing.assert_allclose(plane[0, 1], colors.to_rgb(style.GREEN))
  np.testing.assert_allclose(plane[1, 1], 0.0)
  # The last image is a hole; ink is dark on white.
  assert np.all(mosaic[-6:-1, -6:-1] == 0.0)
  assert np.all(mosaic[1:5, 1:5] == 1.0)
  assert "average KL 1.90, marginal KL 0.00" in figure.axes[1].get_xlabel()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["planes", "samples"])
def test_pictures_are_written(kind, channels, tmp_path):
  images = np.random.RandomState(0).uniform(size=[7, 6, 6, channels])
  if kind == "planes":
    figure = latent_planes.planes([_panel(channels)] * 2, images)
  else:
    panel = {
      "samples": np.random.RandomState(1).normal(size=[7, 20, 2]),
      "reconstruction": images,
      "kl": 2.0,
      "marginal_kl": 0.1,
      "information": 1.9,
    }
    figure = latent_planes.samples({"ELBO": panel, "GECO": panel}, images)
  for path in figures.save(figure, tmp_path / kind):
    assert (tmp_path / path).stat().st_size > 1_000
