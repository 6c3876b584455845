# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs have the names and flags under which results are kept."""

import json
import pathlib

import pytest

from geco_tf import errors, experiments, runs
from geco_tf.experiments import families, trained_runs

_KEPT = pathlib.Path(__file__).parents[2] / "docs" / "results"
_ITEMS = (
  "figure3", "figure4", "figure5", "figure6", "figure9", "figure10",
  "figure11", "table2",
)  # fmt: skip


def _family(model, data, **settings):
  (family,) = families.make([(model, data)], experiments.Settings(**settings))
  return family


@pytest.mark.parametrize(
  "run",
  [
    _family("vae", "mnist").geco(0.06),
    _family("vae", "mnist").geco(0.1),
    _family("vae", "cifar10").geco(0.1),
    _family("vae", "mnist").learned_sigma(),
    _family("conv_draw", "mnist").geco(0.1),
    _family("conv_draw", "mnist").learned_sigma(),
    _family("conv_draw", "mnist").annealed(),
    _family("conv_draw", "color").geco(0.1),
    _family("conv_draw", "color").annealed(),
    _family("conv_draw", "rotate").geco(0.15),
  ],
  ids=lambda run: run.name,
)
def test_kept_result_is_that_of_the_run(run):
  store = trained_runs.TrainedRuns(str(_KEPT), "nowhere", may_train=False)
  assert store.result(run)["summary"]["rmse"] > 0
  assert not store.missing


@pytest.mark.parametrize("scale", ["laptop", "paper"])
@pytest.mark.parametrize("data", ["mnist", "color", "rotate", "cifar10"])
@pytest.mark.parametrize("model", ["vae", "conv_draw"])
def test_every_run_is_one_that_can_be_trained(model, data, scale):
  if (model, data) == ("vae", "rotate"):
    pytest.skip("only ConvDraw takes a context")
  family = _family(model, data, scale=scale, seed=4)
  made = [
    family.geco(0.08),
    family.learned_sigma(),
    family.annealed(),
    family.beta(0.5),
    family.pixel_noise(0.1),
    family.bit_depth(5),
    family.constrained("pncc", "pncc:0.8"),
  ]
  assert len({run.name for run in made}) == len(made)
  for run in made:
    config = runs.validate(run.config())
    assert config.seed == 4
    assert run.name.endswith("_4")
    assert config.task == (data if data in ("color", "rotate") else None)
    assert (config.num_steps == 2_000_000) == (scale == "paper")
  assert made[0].config().kappa == 0.08
  assert made[3].config().beta == 0.5
  assert made[4].config().pixel_noise == 0.1
  assert made[5].config().bit_depth == 5
  assert made[6].config().constraint_specs == ("pncc:0.8",)


@pytest.mark.parametrize("data", ["mnist", "cifar10"])
def test_benchmarks_and_planes_share_their_runs(data):
  family = _family("vae", data)
  same = families.against_elbo(
    data, "beta_0.25", 0, objective="beta_elbo", beta=0.25
  )
  assert family.beta(0.25) == same
  same = families.against_elbo(data, "geco", 0, kappa=0.1)
  assert family.geco(0.1) == same
  other = families.against_elbo(data, "geco", 2, kappa=0.1)
  assert other.name == f"against_elbo_{data}_geco_2"
  assert other.flags["seed"] == 2


def test_path_is_cifar10_and_stands_in_for_celeb_a():
  path = "image_folder:/data/cifar"
  cifar10 = _family("conv_draw", "cifar10", dataset=path)
  stand_in = _family("conv_draw", "celeb_a", dataset=path)
  assert cifar10.geco(0.1) == stand_in.geco(0.1)
  assert cifar10.data_label == "CIFAR-10 (from files)"
  assert stand_in.data_label == "CIFAR-10 (from files) in place of CelebA"
  run = cifar10.geco(0.1)
  assert run.config().dataset == path
  assert path not in run.command
  # The path is not one of MNIST.
  color = _family("vae", "color", dataset=path, data_dir="/tfds")
  assert color.here == {"data_dir": "/tfds"}


def test_digits_stand_in_for_all_and_say_so():
  made = families.make(
    [("vae", "cifar10"), ("vae", "mnist"), ("vae", "color")],
    experiments.Settings(dataset="digits"),
  )
  assert [family.name for family in made] == ["digits", "digits_color"]
  assert made[1].data_label == "8×8 digits in place of Color-MNIST"
  assert made[1].learned_sigma().config().task == "color"
  fashion = _family("vae", "mnist", dataset="fashion_mnist")
  assert fashion.geco(0.1).config().dataset == "fashion_mnist"


def test_data_set_leaves_out_what_is_not_of_it():
  wanted = [("vae", "cifar10"), ("vae", "color")]
  (only,) = families.make(wanted, experiments.Settings(dataset="mnist"))
  assert only.name == "color"
  with pytest.raises(errors.UserError, match=r"item \(cifar10, mnist\)"):
    families.make(wanted, experiments.Settings(dataset="svhn"))
  with pytest.raises(errors.UserError, match="the paper has none"):
    families.make(wanted, experiments.Settings("paper", dataset="digits"))


@pytest.mark.parametrize("scale", ["laptop", "paper"])
@pytest.mark.parametrize("item", _ITEMS)
def test_needed_files_are_named_once_and_looked_for(item, scale, tmp_path):
  settings = experiments.Settings(scale=scale)
  files = experiments.needed(item, settings, str(tmp_path))
  assert len(files) >= 2 and not any(files.values())
  (tmp_path / "kept").mkdir()
  first = next(iter(files))
  (tmp_path / "kept" / first).write_text(json.dumps({}))
  assert experiments.needed(item, settings, str(tmp_path))[first]


def test_list_tells_what_is_kept_and_what_it_costs(tmp_path):
  kept = experiments.Settings(results=str(_KEPT))
  lines = experiments.listed(kept, str(tmp_path)).splitlines()
  of = {line.split()[0]: line for line in lines}
  assert set(of) == set(experiments.registry.names())
  assert "of 5 kept" in of["figure3"] and "an hour" in of["figure3"]
  assert "kept" not in of["figure2"].partition("half")[0]
  names = [line.split()[0] for line in lines]
  assert names.index("figure9") < names.index("figure10")
  digits = kept._replace(dataset="digits")
  assert "other data" not in experiments.listed(digits, str(tmp_path))
  mnist = kept._replace(dataset="mnist")
  assert "other data" in experiments.listed(mnist, str(tmp_path))
