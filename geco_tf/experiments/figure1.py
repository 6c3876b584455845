# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 1 of "Taming VAEs": blurred reconstructions, and holes."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_probability import distributions as tfd

from geco_tf import data, runs, training
from geco_tf.experiments import seven_digits
from geco_tf.experiments.base import Folder, Settings
from geco_tf.figures import latent_planes
from geco_tf.theory import tilings

_NUM_DIGITS = seven_digits.NUM_DIGITS
_RESOLUTION = 350  # Of the planes; the tiles' edges are seen to 1 % of a unit.
_EXTENT = 2.5
_MOSAIC = latent_planes.mosaic_latents(_EXTENT)
_NUM_STEPS = {"laptop": 2_000, "paper": 50_000}
_CONFIG = runs.Config(
  posterior="mean_field", latent_size=2, channels=8, hidden_size=64,
  batch_size=4 * _NUM_DIGITS, learning_rate=2e-3, schedule="cosine",
  log_every=500, evaluate_every=1_000_000,
)  # fmt: skip
_TRAINED: Mapping[str, Mapping[str, Any]] = {
  "mean-field VAE, σ = 0.5": {"objective": "elbo", "sigma": 0.5},
  "mean-field VAE, σ learned": {"objective": "learned_sigma_elbo"},
}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Draws tiles, blurs and holes: by formula, and those of trained VAEs.

  1. Seven tiles of equal prior mass: average KL ln 7, marginal KL 0.
  2. The same with two tiles grown over their neighbours and one shrunk: where
     supports overlap the best reconstruction is a mean of digits, and where
     there is none nothing holds it.
  3. Mean-field VAEs, trained by the ELBO: at σ = 0.5 Gaussians can neither meet
     without overlap nor fill the corners; a learned σ goes down and leaves
     islands.

  Cost: a minute on one core: two runs of 2,000 steps on 8×8 digits.
  """
  name = settings.dataset or "digits"
  source = data.load(name, data_dir=settings.data_dir)
  digits = seven_digits.draw(source, settings.seed)
  images = seven_digits.unit(digits.images)
  ideal = tilings.equiprobable(_NUM_DIGITS, _latent_prior())
  panels = [
    _tiled("ideal tiles", ideal, images),
    _tiled("overlaps and a hole", broken(ideal), images),
  ]
  micro = seven_digits.repeated(digits, source.num_classes, times=4)
  for title, changes in _TRAINED.items():
    config = _CONFIG.replace(
      dataset=name,
      data_dir=settings.data_dir,
      seed=settings.seed,
      num_steps=_NUM_STEPS[settings.scale],
      **changes,
    )
    workdir = folder.file("runs", f"{name}_{config.objective}_{settings.seed}")
    model = training.train(config, data=micro, workdir=workdir).model
    panels.append(_trained(title, model, images, settings.seed))
  folder.save_figure("figure1", latent_planes.planes(panels, images))
  return {panel.title: panel.numbers for panel in panels}


def _latent_prior() -> tfd.Distribution:
  """Of each latent; made late, as TensorFlow fixes its devices by then."""
  return tfd.Normal(0.0, 1.0)


def broken(ideal: tilings.Tiling) -> tilings.Tiling:
  """The tiling with supports that overlap twice, and one hole."""
  low, high = ideal.low.numpy(), ideal.high.numpy()
  quantile = _latent_prior().quantile
  # Slabs of 2, 3 and 2 tiles: the upper left one grows to the right, the middle
  # one upwards; the lower right one gives up its upper part.
  high[1, 0] = quantile(0.45)
  high[3, 1] = quantile(0.85)
  high[5, 1] = quantile(0.25)
  return tilings.Tiling(tf.constant(low), tf.constant(high))


def _tiled(
  title: str, tiling: tilings.Tiling, images: np.ndarray
) -> latent_planes.Panel:
  """The plane of posteriors that are the prior, cut to a tile each."""
  marginal = _latent_prior()
  masses = tilings.prior_masses(tiling, marginal)

  def log_prior(latents):
    return tf.reduce_sum(marginal.log_prob(latents), axis=-1)

  def log_q(latents):
    inside = tilings.is_inside(tiling, latents)
    return tilings.log_prob(inside, masses, log_prior(latents))

  see = functools.partial(
    tilings.plane, log_q, log_prior, resolution=_RESOLUTION
  )
  whole = see(extent=6.0)
  numbers = {
    "kl": float(tf.reduce_mean(tilings.kl(masses))),
    "marginal_kl": float(whole.marginal_kl()),
    **seven_digits.shares(whole),
  }
  decoded = tilings.optimal_reconstruction(log_q(_MOSAIC), images)
  return latent_planes.Panel(title, see(extent=_EXTENT), decoded, numbers)


def _trained(
  title: str, model: Any, images: np.ndarray, seed: int
) -> latent_planes.Panel:
  measured = seven_digits.measure(model, images, seed=seed)
  numbers = {
    key: measured[key]
    for key in ("kl", "marginal_kl", "information", "rmse", "holes", "blurs")
  }
  plane = tilings.latent_plane(
    model, images, extent=_EXTENT, resolution=_RESOLUTION
  )
  return latent_planes.Panel(title, plane, model.decode(_MOSAIC), numbers)
