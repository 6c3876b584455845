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
_CIFAR10 = _MNIST.replace(dataset="cifar10", num_steps=4_000)
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

# The paper's tasks on digits, at the settings of their scale; Micro-MNIST has a
# plane for a latent, so that it can be looked at.
_TASKS = ("color", "triplets", "sum", "sum_hard", "rotate")
_MICRO = {
  "task": "micro",
  "latent_size": 2,
  "num_couplings": 6,
  "hidden_size": 128,
}
# The paper: ConvDraw with Adam at 1e-5; its sizes are those of Gregor et al.
_CONV_DRAW_LAPTOP = {
  "model": "conv_draw",
  "draw_steps": 4,
  "draw_hidden_size": 32,
  "latent_channels": 4,
  "learning_rate": 1e-3,
  "num_steps": 2_500,
  "steps_per_call": 25,
  "log_every": 50,
  "evaluate_every": 500,
  "checkpoint_every": 500,
}
# A context takes longer to be understood, and a looser κ leaves its label a
# larger part of what the latents tell.
_CONDITIONAL_LAPTOP = {"kappa": 0.15, "num_steps": 4_000}
_CONDITIONAL = ("sum", "sum_hard", "rotate")
_CONV_DRAW_PAPER = {
  **_PAPER,
  "model": "conv_draw",
  "draw_steps": 8,
  "draw_hidden_size": 128,
  "latent_channels": 12,
  "learning_rate": 1e-5,
  "update_rule": "exponential:3e-7",
}

_PRESETS = {
  "vae_nvp_digits_laptop": _DIGITS,
  "vae_nvp_mnist_laptop": _MNIST,
  "vae_nvp_fashion_mnist_laptop": _MNIST.replace(dataset="fashion_mnist"),
  "vae_nvp_cifar10_laptop": _CIFAR10,
  "vae_nvp_celeb_a_laptop": _CIFAR10.replace(dataset="celeb_a", image_size=32),
  "vae_nvp_mnist_paper": _MNIST.replace(**_PAPER),
  "vae_nvp_fashion_mnist_paper": _MNIST.replace(
    dataset="fashion_mnist", **_PAPER
  ),
  "vae_nvp_cifar10_paper": _CIFAR10.replace(**_PAPER),
  "vae_nvp_celeb_a_paper": _CIFAR10.replace(
    dataset="celeb_a", image_size=64, **_PAPER
  ),
  "vae_nvp_mnist_color_laptop": _MNIST.replace(task="color"),
  "vae_nvp_mnist_color_paper": _MNIST.replace(task="color", **_PAPER),
  "vae_nvp_mnist_triplets_laptop": _MNIST.replace(task="triplets"),
  "vae_nvp_mnist_triplets_paper": _MNIST.replace(task="triplets", **_PAPER),
  "vae_nvp_mnist_micro_laptop": _MNIST.replace(**_MICRO),
  "vae_nvp_mnist_micro_paper": _MNIST.replace(**{**_PAPER, **_MICRO}),
  "conv_draw_digits_laptop": _DIGITS.replace(**_CONV_DRAW_LAPTOP),
}
for _data, _laptop in {
  "mnist": _MNIST,
  "fashion_mnist": _MNIST.replace(dataset="fashion_mnist"),
  "cifar10": _CIFAR10,
  "celeb_a": _CIFAR10.replace(dataset="celeb_a", image_size=32),
  **{f"mnist_{task}": _MNIST.replace(task=task) for task in _TASKS},
}.items():
  _PRESETS[f"conv_draw_{_data}_laptop"] = _laptop.replace(**_CONV_DRAW_LAPTOP)
  _PRESETS[f"conv_draw_{_data}_paper"] = _laptop.replace(**_CONV_DRAW_PAPER)
for _task in _CONDITIONAL:
  _name = f"conv_draw_mnist_{_task}_laptop"
  _PRESETS[_name] = _PRESETS[_name].replace(**_CONDITIONAL_LAPTOP)
_PRESETS["conv_draw_celeb_a_paper"] = _PRESETS[
  "conv_draw_celeb_a_paper"
].replace(image_size=64)
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
    UserError: if the preset or a setting is unknown, or a constraint is given
      to an objective that has none.
  """
  config = get(name)
  if overrides.get("constraint") and "kappa" not in overrides:
    config = config.replace(kappa=None)
  if overrides.get("kappa") is not None and "constraint" not in overrides:
    config = config.replace(constraint=())
  config = config.replace(**overrides)
  for name in ("kappa", "constraint"):
    if overrides.get(name) and not config.is_constrained:
      raise errors.UserError(
        f"`{name}` is not read by the objective {config.objective!r}, which "
        "has no constraint; leave it out, or choose --objective=geco."
      )
  return config
