# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs that are known to work, by name: <model>_<data>[_<task>]_<scale>.

Scale "laptop" is measured on two cores; "paper" has the paper's rates and
decay, and is far too long for a laptop.
"""

from collections.abc import Mapping
from typing import Any

from geco_tf import errors
from geco_tf.runs.config import Config

_DIGITS = Config(
  dataset="digits", latent_size=32, hidden_size=256, coupling_width=64,
  kappa=0.1, num_steps=6_000, learning_rate=1e-3, schedule="cosine",
)  # fmt: skip
_MNIST = Config(
  dataset="mnist", kappa=0.1, num_steps=5_000, learning_rate=1e-3,
  schedule="cosine",
)  # fmt: skip
_CIFAR10 = _MNIST.replace(dataset="cifar10", num_steps=8_000)
# The paper: Adam at 1e-6 for VAE+NVP, decay .99, the plain exponential update.
# Its ν and its number of steps are not printed (BUILD_NOTES 9).
_PAPER = {
  "learning_rate": 1e-6,
  "schedule": "constant",
  "decay": 0.99,
  "update_rule": "exponential:3e-8",
  "num_steps": 2_000_000,
  "gradient_clip": None,
  "log_every": 1_000,
  "evaluate_every": 20_000,
  "checkpoint_every": 10_000,
}

_PRESETS = {
  "vae_nvp_digits_laptop": _DIGITS,
  "vae_nvp_mnist_laptop": _MNIST,
  "vae_nvp_fashion_mnist_laptop": _MNIST.replace(dataset="fashion_mnist"),
  "vae_nvp_cifar10_laptop": _CIFAR10,
  "vae_nvp_celeb_a_laptop": _CIFAR10.replace(dataset="celeb_a", image_size=32),
  "vae_nvp_mnist_paper": _MNIST.replace(**_PAPER),
  "vae_nvp_cifar10_paper": _CIFAR10.replace(**_PAPER),
  "vae_nvp_celeb_a_paper": _CIFAR10.replace(
    dataset="celeb_a", image_size=64, **_PAPER
  ),
}
_ALIASES = {
  "digits": "vae_nvp_digits_laptop",
  "mnist": "vae_nvp_mnist_laptop",
  "fashion_mnist": "vae_nvp_fashion_mnist_laptop",
  "cifar10": "vae_nvp_cifar10_laptop",
  "celeb_a": "vae_nvp_celeb_a_laptop",
}


def names() -> tuple[str, ...]:
  """Every preset and alias."""
  return (*_PRESETS, *_ALIASES)


def get(name: str) -> Config:
  """The preset of this name or alias.

  Raises:
    UserError: if there is none; says the nearest.
  """
  full_name = _ALIASES.get(name, name)
  if full_name not in _PRESETS:
    raise errors.unknown_name("preset", name, names())
  return _PRESETS[full_name]


def resolve(name: str, overrides: Mapping[str, Any]) -> Config:
  """The preset with a user's own settings on top.

  A constraint of the user's replaces the preset's κ, and the reverse.

  Args:
    name: of a preset or alias.
    overrides: setting → value.

  Raises:
    UserError: if the preset or a setting is unknown.
  """
  config = get(name)
  if overrides.get("constraint") and "kappa" not in overrides:
    config = config.replace(kappa=None)
  if overrides.get("kappa") is not None and "constraint" not in overrides:
    config = config.replace(constraint=())
  return config.replace(**overrides)
