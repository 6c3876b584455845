# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures and tables whose runs are shared: numbers by hand, and to the end."""

import json
import math

import numpy as np
import pytest

from geco_tf import errors, experiments, runs
from geco_tf.experiments import (
  base,
  blocks,
  families,
  figure3,
  figure4,
  figure5,
  figure10,
  table2,
  trained_runs,
)
from geco_tf.runs import presets
from geco_tf.training import report
from tests.experiments import kept
from tests.training import tiny

_PATH_OF = "{}_laptop"


def _settings(folder, **changes):
  return experiments.Settings(
    dataset="digits",
    results=str(folder / "kept"),
    workdirs=str(folder / "runs"),
  )._replace(**changes)


def _reproduce(item, folder, **changes):
  results = experiments.reproduce(
    item, _settings(folder, **changes), str(folder)
  )
  made = folder / _PATH_OF.format(item)
  for suffix in ("png", "svg"):
    assert (made / f"{item}.{suffix}").stat().st_size > 4_000
  json.dumps(results)
  assert "| " in experiments.tables_in(str(made))
  return results


def _keep(folder, run, rmse, kl):
  kept.write(folder / "kept", run, rmse=rmse, kl=kl)


def _family(model="vae", data="mnist"):
  settings = experiments.Settings(dataset="digits")
  (family,) = families.make([(model, data)], settings)
  return family


def test_comparison_is_the_interpolated_sweep_by_hand():
  """The sweep is KL = .32 / RMSE²; its line is exact, which nobody knows."""
  sweep = [{"rmse": r, "kl": 0.32 / r**2} for r in (0.05, 0.1, 0.2)]
  geco = [
    {"kappa": 0.06, "rmse": 0.04, "kl": 9.0, "satisfied": True},
    {"kappa": 0.08, "rmse": 0.08, "kl": 49.0, "satisfied": True},
    {"kappa": 0.09, "rmse": 0.08, "kl": 25.0, "satisfied": True},
    {"kappa": 0.1, "rmse": 0.1, "kl": 35.2, "satisfied": True},
    {"kappa": 0.175, "rmse": 0.2, "kl": 4.0, "satisfied": False},
  ]
  outside, near, below, above, unmet = figure4.compared(geco, sweep)
  assert outside["KL of β-ELBOs"] is None
  assert outside["on or below"] == "no β there"
  assert near["on or below"] == "within the error"
  np.testing.assert_allclose(near["KL of β-ELBOs"], 50.0)
  np.testing.assert_allclose(near["difference, %"], -2.0)
  error = 350 * math.log(1.6) * math.log(1.25)
  np.testing.assert_allclose(near["error of the line, %"], error)
  assert near["between RMSEs"] == "0.05 and 0.1"
  assert below["on or below"] == "yes"
  assert above["on or below"] == "no, 10.0 % above"
  assert unmet["κ is met"] == "no" and unmet["on or below"] == "yes"
  (alone,) = figure4.compared(geco[3:4], sweep[:1])
  assert alone["on or below"] == "no β there"


def test_figure4_draws_what_is_kept_and_names_what_is_missing(
  tmp_path, monkeypatch
):
  monkeypatch.setattr(figure4, "_WANTED", (("vae", "mnist"),))
  family = _family()
  for kappa in families.KAPPAS[1:]:
    _keep(tmp_path, family.geco(kappa), kappa, 0.3 / kappa**2)
  for beta, rmse in ((0.02, 0.05), (0.5, 0.1), (2.0, 0.2)):
    _keep(tmp_path, family.beta(beta), rmse, 0.32 / rmse**2)
  _keep(tmp_path, family.bit_depth(5), 0.07, 60.0)
  results = _reproduce("figure4", tmp_path, may_train=False)
  assert [row["κ"] for row in results["against_beta"]] == [
    0.08, 0.1, 0.125, 0.175,
  ]  # fmt: skip
  assert all(row["difference, %"] < 0 for row in results["against_beta"])
  assert family.geco(0.06).name in results["missing"]
  assert family.annealed().name in results["missing"]
  (points,) = results["points"].values()
  assert points["ELBO, fewer bits"][0]["at"] == "5 bits"


def test_figure3_says_when_kappa_is_reached(tmp_path):
  for model in ("vae", "conv_draw"):
    _keep(tmp_path, _family(model).geco(0.1), 0.099, 20.0)
    _keep(tmp_path, _family(model).learned_sigma(), 0.05, 90.0)
  _keep(tmp_path, _family("conv_draw", "rotate").geco(0.15), 0.2, 10.0)
  results = _reproduce("figure3", tmp_path)
  elbo = results["runs"][_family().label]["ELBO, learned σ"]
  # Its RMSE falls from .1 to .05.
  assert elbo["first step at κ"] == 10
  assert elbo["KL there"] == 180.0
  np.testing.assert_allclose(elbo["final λ"], 0.5 / 0.05**2)
  rotate = results["runs"][_family("conv_draw", "rotate").label]["GECO"]
  assert rotate["first step at κ"] is None


def test_figure5_trains_geco_to_the_rmse_of_the_elbo(tmp_path, monkeypatch):
  ratios = (0.5, 0.6, 0.75)
  trained = []

  def train(run, workdir):
    raise AssertionError(f"{run.name} was trained")

  monkeypatch.setattr(trained_runs, "_train", train)
  for seed, ratio in enumerate(ratios):
    family = _family()._replace(seed=seed)
    rmse = 0.06234 + 0.001 * seed
    _keep(tmp_path, family.learned_sigma(), rmse, 100.0)
    geco = family.geco_at_learned_sigma(round(rmse, 4))
    trained.append(geco)
    _keep(tmp_path, geco, rmse, 100.0 * ratio)
  results = _reproduce("figure5", tmp_path)
  found = results[_family().label]["ratio"]
  logs = np.log(ratios)
  np.testing.assert_allclose(found["ratio"], math.exp(logs.mean()))
  error = np.std(logs, ddof=1) / math.sqrt(3) * math.exp(logs.mean())
  np.testing.assert_allclose(found["standard error"], error)
  assert [run.flags["kappa"] for run in trained] == [0.0623, 0.0633, 0.0643]
  assert found["lowest"] == pytest.approx(0.5)


def test_figure5_leaves_out_what_missed_kappa_and_moves_the_rest_to_it():
  """λ D (.102² − .1²), by hand; λ = 3 and D = 100."""
  elbo = {"num_steps": 10, "rmse": 0.1, "kl": 10.0}
  near, far = (
    {"rmse": rmse, "kl": 8.0, "multiplier": {"re": 3.0}}
    for rmse in (0.102, 0.12)
  )
  found = figure5.compared(
    [({"summary": elbo}, {"summary": geco}) for geco in (near, far)], 100
  )
  assert [row["κ is met"] for row in found["pairs"]] == ["yes", "no"]
  expected = (8.0 + 0.1212) / 10.0
  np.testing.assert_allclose(found["pairs"][0]["ratio"], expected)
  np.testing.assert_allclose(found["ratio"]["ratio"], expected)
  assert found["ratio"]["seeds"] == found["ratio"]["left out, off κ"] == 1
  none = figure5.compared([({"summary": elbo}, {"summary": far})], 100)
  assert none["ratio"]["ratio"] is None


@pytest.mark.parametrize("item", ["figure6", "figure9", "figure11"])
def test_blocks_are_drawn_from_what_is_kept(item, tmp_path):
  settings = _settings(tmp_path, may_train=False)
  plan = getattr(experiments, item).plan(settings)
  pixels = np.random.RandomState(0).randint(0, 256, [24, 64, 1])
  for i, block in enumerate(plan):
    kept.draw(
      tmp_path / "kept", block.training, pixels.astype(np.uint8),
      rmse=0.1 + 0.01 * i, kl=20.0,
    )  # fmt: skip
  results = _reproduce(item, tmp_path, may_train=False)
  assert results["missing"] == []
  assert [row["RMSE"] for row in results["blocks"]] == [
    0.1 + 0.01 * i for i in range(len(plan))
  ]


def test_ratio_of_marginal_kls_has_the_error_of_both():
  rows = {
    "ELBO": {"marginal_kl": {"value": 100.0, "standard_error": 3.0}},
    "GECO": {"marginal_kl": {"value": 10.0, "standard_error": 0.4}},
  }
  found = table2._ratio(rows, {"ELBO": 8.0, "GECO": 2.0})
  assert found["ratio"] == 10.0
  np.testing.assert_allclose(found["standard error"], 0.5)  # .03 and .04.
  assert found["paper"] == 4.0
  assert table2._ratio({"ELBO": rows["ELBO"]}, {}) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """Three runs on coloured digits, by table2 and then by figure10."""
  folder = tmp_path_factory.mktemp("items")
  names = []
  with pytest.MonkeyPatch.context() as patch:
    small = tiny.config(num_steps=20, checkpoint_every=20)
    patch.setattr(report, "_draw", lambda *_: {})
    patch.setitem(presets._PRESETS, "vae_nvp_digits_laptop", small)
    patch.setattr(table2, "_WANTED", (("vae", "color"),))
    patch.setattr(table2, "_NUM_SAMPLES", 20)
    patch.setattr(figure10, "_WANTED", (("vae", "color"),))
    patch.setattr(families, "SHOWN_KAPPAS", (0.1,))
    real = trained_runs._train

    def train(run, workdir):
      names.append(run.name)
      real(run, workdir)

    patch.setattr(trained_runs, "_train", train)
    table = _reproduce("table2", folder)
    by_table = list(names)
    picture = _reproduce("figure10", folder)
    yield (
      folder,
      {
        "table2": table,
        "figure10": picture,
        "by table2": by_table,
        "all": names,
      },
    )


def test_runs_are_shared_between_items_and_trained_once(trained):
  _, found = trained
  assert found["by table2"] == ["digits_color_learned_sigma",
                                "digits_color_auto_0.1"]  # fmt: skip
  assert found["all"] == [
    *found["by table2"], "digits_color_annealed_sigma",
  ]  # fmt: skip
  assert found["figure10"]["missing"] == []


def test_table2_measures_every_run_with_an_error(trained):
  _, found = trained
  (result,) = (v for k, v in found["table2"].items() if k != "missing")
  # The paper's are of Color-MNIST.
  assert result["paper"] == {} and result["ratio"]["paper"] is None
  for row in result["rows"].values():
    assert row["marginal_kl"]["standard_error"] > 0.0
    assert row["num_components"] == row["population"]
    assert row["num_samples"] == 20
    total = row["marginal_kl"]["value"] + row["mutual_information"]["value"]
    np.testing.assert_allclose(total, row["average_kl"]["value"], rtol=1e-4)


def test_kept_files_are_small_and_enough(trained, monkeypatch):
  folder, found = trained
  files = list((folder / "kept").iterdir())
  assert {f.name for f in files} >= {
    "digits_color_auto_0.1.json",
    "digits_color_auto_0.1_marginal_kl.json",
    "digits_color_auto_0.1_images.png",
  }
  assert max(f.stat().st_size for f in files) < 50_000
  # Without the runs' folders, and without training.
  for item in ("table2", "figure10"):
    again = _reproduce(item, folder, workdirs="/gone", may_train=False)
    assert again == found[item]
    monkeypatch.undo()


def test_picture_is_rows_of_data_reconstructions_and_samples(trained):
  folder, _ = trained
  run = _family("vae", "color").geco(0.1)
  store = trained_runs.TrainedRuns(str(folder / "kept"), "/gone")
  pixels = store.drawn(run, "images", None)
  assert pixels.shape == (24, 64, 3)
  images = blocks._cut(pixels)
  assert images.shape == (3, 8, 8, 8, 3)
  np.testing.assert_array_equal(
    np.round(255 * images[1, 2]), pixels[8:16, 16:24]
  )
  batch = runs.build.build_data(run.config()).test
  assert batch.num_examples >= 8


def test_folder_of_another_run_is_refused(trained):
  folder, _ = trained
  store = trained_runs.TrainedRuns(str(folder / "kept"), str(folder / "runs"))
  run = _family("vae", "color").geco(0.1)
  assert store.workdir(run).endswith(run.name)
  other = run._replace(flags={**run.flags, "decay": 0.5})
  with pytest.raises(errors.UserError, match=r"decay is 0\.99 there and 0\.5"):
    store.workdir(other)


def test_stopped_item_goes_on_without_what_is_kept(tmp_path, monkeypatch):
  monkeypatch.setattr(figure10, "_WANTED", (("vae", "color"),))
  monkeypatch.setattr(families, "SHOWN_KAPPAS", (0.1,))
  names = []

  def train(run, workdir):
    names.append(run.name)
    if len(names) == 2:
      raise KeyboardInterrupt
    folder = runs.Workdir(workdir)
    folder.create()
    folder.write_summary({"rmse": 0.1, "kl": 1.0})

  def result(run, workdir):
    kept.write(tmp_path / "kept", run, rmse=0.1, kl=1.0)
    return json.loads((tmp_path / "kept" / f"{run.name}.json").read_text())

  monkeypatch.setattr(trained_runs, "_train", train)
  monkeypatch.setattr(trained_runs, "_result", result)
  monkeypatch.setattr(trained_runs, "_check_workdir", lambda *_: None)
  pixels = np.zeros([24, 64, 3], np.uint8)
  monkeypatch.setattr(blocks, "_pixels", lambda run, workdir: pixels)
  with pytest.raises(KeyboardInterrupt):
    experiments.reproduce("figure10", _settings(tmp_path), str(tmp_path))
  first, second = names
  results = experiments.reproduce(
    "figure10", _settings(tmp_path), str(tmp_path)
  )
  assert names == [first, second, second, names[-1]]
  assert len(results["blocks"]) == 3


def test_nothing_kept_and_nothing_trained_is_one_line(tmp_path):
  with pytest.raises(errors.UserError, match="leave out --nomay_train") as told:
    base.reproduce(
      "figure3", figure3.run, _settings(tmp_path, may_train=False),
      str(tmp_path),
    )  # fmt: skip
  assert "\n" not in str(told.value)
