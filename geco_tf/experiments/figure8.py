# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure 8 of "Taming VAEs": how seven digits tile a latent plane."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import constraints, data, runs, training
from geco_tf.experiments import seven_digits
from geco_tf.experiments.base import Folder, Settings
from geco_tf.figures import latent_planes
from geco_tf.theory import equipartition

_JUDGE = "micro_cla"
_NUM_TANGENTS = 40  # Of the rate-distortion function.

# What is trained, in the picture's order.
OBJECTIVES: Mapping[str, Mapping[str, Any]] = {
  "elbo": {"objective": "learned_sigma_elbo"},
  "re_0.05": {"kappa": 0.05},
  "re_0.2": {"kappa": 0.2},
  "cla_0.9": {"constraint": (f"{_JUDGE}:0.9",)},
}
_TITLES = {
  "elbo": "ELBO, learned σ",
  "re_0.05": "GECO+RE, κ = 0.05",
  "re_0.2": "GECO+RE, κ = 0.2",
  "cla_0.9": "GECO+CLA, κ = 0.9",
}


class Scale(NamedTuple):
  """How much work the item is."""

  config: runs.Config
  num_seeds: int = 5
  judge_steps: int = 1_500


_LAPTOP = runs.Config(
  latent_size=2, num_couplings=8, coupling_width=32, channels=8,
  hidden_size=128, batch_size=4 * seven_digits.NUM_DIGITS, num_steps=4_000,
  learning_rate=2e-3, schedule="cosine", final_learning_rate=0.01,
  log_every=500, evaluate_every=1_000_000,
)  # fmt: skip
_SCALES = {
  "laptop": Scale(_LAPTOP),
  "paper": Scale(
    _LAPTOP.replace(
      num_couplings=16,
      coupling_width=128,
      channels=24,
      hidden_size=384,
      num_steps=200_000,
      learning_rate=1e-4,
    )
  ),
}


def run(settings: Settings, folder: Folder) -> dict[str, Any]:
  """Trains a VAE with a 2-D NVP posterior on seven digits, in four ways.

  An ideal encoder tiles the prior, a seventh for each digit: then the average
  KL is ln 7 and the marginal KL is 0. Measured for each objective and seed (of
  the digits, the weights and the noise), in nats:

    kl           (1/7) Σ_i KL(q(z|x_i) ‖ π)
    marginal_kl  KL((1/7) Σ_i q(z|x_i) ‖ π), all seven in the mixture
    information  kl − marginal_kl = I(x; z) ≤ ln 7

  Cost: 25 minutes on one core: 20 runs of 4,000 steps.
  """
  return run_at(_SCALES[settings.scale], settings, folder)


def run_at(scale: Scale, settings: Settings, folder: Folder) -> dict[str, Any]:
  """Does what `run` does, at any scale."""
  name = settings.dataset or "mnist"
  source = data.load(name, data_dir=settings.data_dir)
  seeds = range(settings.seed, settings.seed + scale.num_seeds)
  digits = {seed: seven_digits.draw(source, seed) for seed in seeds}
  judge = _Judge(source, scale.judge_steps, seed=settings.seed)
  constraints.register(_JUDGE, judge.constraint)
  results: dict[str, Any] = {"ln_7": math.log(seven_digits.NUM_DIGITS)}
  measured: dict[str, list[dict[str, Any]]] = {}
  for key, changes in OBJECTIVES.items():
    measured[key] = []
    for seed in seeds:
      config = scale.config.replace(
        dataset=name, data_dir=settings.data_dir, seed=seed, **changes
      )
      workdir = folder.file("runs", f"{name}_{key}_{seed}")
      train = functools.partial(_train, config, source, digits[seed], workdir)
      measured[key].append(folder.piece(f"{key}_{seed}", train))
    results[key] = _summary(measured[key])
  results["judge_accuracy"] = folder.piece("judge", judge.accuracy)
  results["ideal"] = {
    str(seed): folder.piece(
      f"ideal_{seed}", functools.partial(_ideal, digits[seed])
    )
    for seed in seeds
  }
  first = {_TITLES[key]: pieces[0] for key, pieces in measured.items()}
  folder.save_figure(
    "figure8",
    latent_planes.samples(
      first, seven_digits.unit(digits[settings.seed].images)
    ),
  )
  return results


def _train(
  config: runs.Config,
  source: data.Source,
  digits: data.Split,
  workdir: str,
) -> dict[str, Any]:
  """Trains one model, and measures it."""
  micro = seven_digits.repeated(
    digits, source.num_classes, config.batch_size // seven_digits.NUM_DIGITS
  )
  trained = training.train(config, data=micro, workdir=workdir)
  last = trained.metrics[-1]
  return {
    "labels": np.asarray(digits.labels).tolist(),
    **seven_digits.measure(
      trained.model, seven_digits.unit(digits.images), seed=config.seed
    ),
    **{k: v for k, v in last.items() if k.startswith(("geco/", "sigma"))},
  }


def _summary(pieces: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """All runs of an objective, and mean and standard error over the seeds."""
  keys = ("kl", "marginal_kl", "information", "rmse", "holes", "blurs")
  summary: dict[str, Any] = {}
  for key in keys:
    values = [piece[key] for piece in pieces]
    summary[key] = float(np.mean(values))
    if len(values) > 1:
      error = np.std(values, ddof=1) / math.sqrt(len(values))
      summary[f"{key}_over_seeds"] = float(error)
  shown = ("samples", "reconstruction")
  summary["runs"] = [
    {k: v for k, v in piece.items() if k not in shown} for piece in pieces
  ]
  return summary


def _ideal(digits: data.Split) -> dict[str, Any]:
  """The least average KL that these digits allow, nats.

  Under RE at κ it is the rate-distortion function at D κ², the highest of its
  tangents F(λ) − λ D κ², from tiles that start at the mean of every subset.
  Under CLA at κ it is that of the labels, where at most 1 − κ are wrong.
  """
  images = (
    seven_digits.unit(digits.images)
    .reshape(seven_digits.NUM_DIGITS, -1)
    .astype(np.float64)
  )
  centred = images - images.mean(axis=0)
  # In the space that they span distances are the same, and vectors short.
  u, s, _ = np.linalg.svd(centred, full_matrices=False)
  subsets = list(itertools.product((0.0, 1.0), repeat=len(u)))[1:]
  means = np.array(subsets) @ (u * s) / np.sum(subsets, axis=1, keepdims=True)
  # From where all digits share one tile to where each has its own.
  multipliers = np.geomspace(0.5, 200.0, _NUM_TANGENTS) / np.mean(
    np.sum(centred**2, axis=1)
  )
  free_energy = np.array(
    [
      float(
        equipartition.settle(
          u * s, means, multiplier, tolerance=1e-5, max_rounds=60
        ).occupation.free_energy
      )
      for multiplier in multipliers
    ]
  )
  least: dict[str, Any] = {}
  for key, changes in OBJECTIVES.items():
    if "kappa" in changes:
      distortion = images.shape[1] * changes["kappa"] ** 2
      least[key] = float(np.max(free_energy - multipliers * distortion))
  return {**least, "cla_0.9": _ideal_for_labels(digits.labels, 0.1)}


def _ideal_for_labels(labels: Any, error: float) -> float:
  """The least average KL at which at most that share of labels is wrong, nats.

    H(labels) − h(error) − error ln(K − 1),   h(p) = −p ln p − (1 − p) ln(1 − p)

  for K classes and errors up to K − 1 times the rarest class's share. A
  classifier that is unsure makes it no less: the error is linear in its answer.

  Source: Cover & Thomas 2006, section 10.3.
  """
  _, counts = np.unique(np.asarray(labels), return_counts=True)
  num_others = len(counts) - 1
  if not num_others:
    return 0.0
  shares = counts / np.sum(counts)
  noise = np.array([1.0 - error] + [error / num_others] * num_others)
  entropies = [-float(np.sum(p * np.log(p))) for p in (shares, noise)]
  return entropies[0] - entropies[1]


class _Judge:
  """A small convnet that tells digits apart, trained when it is first asked."""

  def __init__(self, source: data.Source, num_steps: int, *, seed: int):
    self._source = source
    self._num_steps = num_steps
    self._seed = seed

  def constraint(self, kappa: float) -> constraints.Constraint:
    """The constraint of the judge; what the registry builds."""
    return constraints.ClassificationAccuracy(
      kappa, classifier_fn=self._network
    )

  def accuracy(self) -> float:
    """The share of test examples that it labels right."""
    right = 0
    test = data.evaluation_batches(self._source.test, 500)
    for batch in test.batches:
      labels = tf.argmax(self._network(batch.images), -1, tf.int32)
      right += int(tf.reduce_sum(tf.cast(labels == batch.labels, tf.int32)))
    return right / test.num_examples

  @functools.cached_property
  def _network(self) -> Callable[[tf.Tensor], tf.Tensor]:
    """Images [B, H, W, C] → logits [B, K]."""
    tf.random.set_seed(self._seed)
    network = snt.Sequential(
      [
        snt.Conv2D(16, 5, stride=2), tf.nn.relu,
        snt.Conv2D(32, 3, stride=2), tf.nn.relu,
        snt.Flatten(), snt.Linear(64), tf.nn.relu,
        snt.Linear(self._source.num_classes),
      ]
    )  # fmt: skip
    num_classes = network(tf.zeros([1, *self._source.image_shape])).shape[-1]
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(network.trainable_variables)

    @tf.function
    def step(batch, seed):
      images, targets = _mixed(batch, num_classes, seed)
      with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
          tf.nn.softmax_cross_entropy_with_logits(targets, network(images))
        )
      gradients = tape.gradient(loss, network.trainable_variables)
      optimizer.apply_gradients(
        zip(gradients, network.trainable_variables, strict=True)
      )

    batches = data.training_batches(self._source.train, 128, seed=self._seed)
    for i, batch in enumerate(itertools.islice(batches, self._num_steps)):
      step(batch, tf.constant([self._seed, i]))
    return network


def _mixed(
  batch: data.Batch, num_classes: int, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
  """Blends of two digits, or of a digit and grey, with blended labels (mixup).

  The decoder shows grey and blends before it shows digits. A judge that has not
  seen any is sure of a wrong label there, and so sure that it has no gradient.

  Source: Zhang et al. 2018, mixup.
  """
  size = len(batch.images)
  share = tf.random.stateless_uniform([size, 1], seed)
  labels = tf.one_hot(batch.labels, num_classes)
  others, other_labels = batch.images[::-1], labels[::-1]
  is_grey = (tf.range(size) % 2 == 0)[:, tf.newaxis]
  other_labels = tf.where(is_grey, 1.0 / num_classes, other_labels)
  others = tf.where(is_grey[..., tf.newaxis, tf.newaxis], 0.5, others)
  of_image = share[..., tf.newaxis, tf.newaxis]
  return (
    of_image * batch.images + (1.0 - of_image) * others,
    share * labels + (1.0 - share) * other_labels,
  )
