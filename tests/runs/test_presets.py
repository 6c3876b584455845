# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Presets are valid, reachable by alias, and give way to the user."""

import pytest

from geco_tf import errors, runs
from geco_tf.runs import build, presets


@pytest.mark.parametrize("name", presets.names())
def test_preset_is_valid_and_its_objective_can_be_built(name):
  config = runs.validate(presets.get(name))
  assert build.build_objective(config).variables


@pytest.mark.parametrize("alias", ["digits", "mnist", "cifar10"])
def test_alias_is_the_laptop_preset_of_its_data(alias):
  config = presets.get(alias)
  assert config.dataset == alias
  assert config == presets.get(f"vae_nvp_{alias}_laptop")


@pytest.mark.parametrize("name", presets.names())
def test_preset_is_named_for_its_parts(name):
  config = presets.get(name)
  if not name.endswith(("_laptop", "_paper")):
    assert config.dataset == name  # An alias.
    return
  parts = [config.model, config.posterior, config.dataset, config.task]
  if config.model == "conv_draw":
    parts.remove(config.posterior)
  expected = "_".join(part for part in parts if part is not None)
  assert name.rpartition("_")[0] == expected


@pytest.mark.parametrize("scale", ["laptop", "paper"])
@pytest.mark.parametrize(
  "data",
  [
    "mnist", "fashion_mnist", "cifar10", "celeb_a", "mnist_color",
    "mnist_triplets", "mnist_sum", "mnist_sum_hard", "mnist_rotate",
  ],
)  # fmt: skip
def test_conv_draw_has_a_preset_of_every_data_set(data, scale):
  assert presets.get(f"conv_draw_{data}_{scale}").model == "conv_draw"


def test_paper_scale_has_the_papers_rates():
  for name, rate in (("vae_nvp_mnist", 1e-6), ("conv_draw_mnist", 1e-5)):
    config = presets.get(f"{name}_paper")
    assert (config.learning_rate, config.decay) == (rate, 0.99)
    assert config.update_rule.startswith("exponential:")


def test_unknown_preset_is_named_with_the_nearest():
  with pytest.raises(
    errors.UserError, match="preset 'mnsit'; did you mean 'mnist'"
  ):
    presets.get("mnsit")


def test_users_kappa_replaces_the_presets():
  config = presets.resolve("mnist", {"kappa": 0.06})
  assert config == presets.get("mnist").replace(kappa=0.06)


def test_users_constraint_replaces_the_presets_kappa():
  config = presets.resolve("mnist", {"constraint": ("re:0.3",)})
  assert config.kappa is None
  assert runs.validate(config).constraint_specs == ("re:0.3",)


def test_users_kappa_replaces_the_presets_constraint(monkeypatch):
  preset = presets.get("digits").replace(kappa=None, constraint=("re:0.3",))
  monkeypatch.setitem(presets._PRESETS, "vae_nvp_digits_laptop", preset)
  config = presets.resolve("digits", {"kappa": 0.2})
  assert runs.validate(config).constraint_specs == ("re:0.2",)


def test_users_kappa_and_constraint_exclude_each_other():
  config = presets.resolve("mnist", {"kappa": 0.2, "constraint": ("re:0.3",)})
  with pytest.raises(errors.UserError, match="exclude each other"):
    runs.validate(config)


@pytest.mark.parametrize(
  "setting", [{"kappa": 0.1}, {"constraint": ("re:0.1",)}]
)
def test_constraint_of_an_objective_without_one_is_refused(setting):
  assert not presets.resolve("mnist", {"objective": "elbo"}).is_constrained
  with pytest.raises(errors.UserError, match="is not read by the objective"):
    presets.resolve("mnist", {"objective": "elbo", **setting})


def test_unknown_override_is_named():
  with pytest.raises(errors.UserError, match="did you mean 'kappa'"):
    presets.resolve("mnist", {"kapa": 0.1})
