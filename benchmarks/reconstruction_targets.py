# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Does every κ hold without tuning? Trains on three data sets and prints.

  python -m benchmarks.reconstruction_targets --only=mnist
  python -m benchmarks.reconstruction_targets --only=color
  python -m benchmarks.reconstruction_targets --only=cifar10 \\
      --cifar10=image_folder:PATH
  python -m benchmarks.reconstruction_targets --only=units
  python -m benchmarks.reconstruction_targets --only=rules_search
  python -m benchmarks.reconstruction_targets --only=rules
  python -m benchmarks.reconstruction_targets --only=exponential_search
  python -m benchmarks.reconstruction_targets --only=exponential

A run of MNIST or Color-MNIST is about four minutes on one core, one of
CIFAR-10 six, one of `rules_search` one. Runs: 5, 5, 5, 3 more, 24, 12 more, 5
of 3,000 steps, 5. Finished runs are read from docs/results/.
"""

import math
from collections.abc import Callable, Sequence

from absl import flags

from benchmarks import results
from launch import command_line

_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CIFAR10 = flags.DEFINE_string("cifar10", "cifar10", "data set to use for it.")
_WORKDIRS = flags.DEFINE_string("workdirs", "runs", "folder for the runs.")

KAPPAS = (0.06, 0.08, 0.1, 0.125, 0.175)
RULE_KAPPAS = (0.06, 0.1, 0.175)
SEARCH_KAPPAS = (0.06, 0.175)  # Its ends.
EXPONENTIAL_RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)
PRESETS = {
  "mnist": "mnist",
  "color": "vae_nvp_mnist_color_laptop",
  "cifar10": "cifar10",
}
# The settings that a rule may choose from.
SETTINGS = {
  "log_ratio": ("log_ratio:5e-4", "log_ratio:1.5e-3", "log_ratio:5e-3"),
  "nu_pi": (
    "nu_pi:1.5e-3,proportional=0.8",
    "nu_pi:5e-3,proportional=0.8",
    "nu_pi:5e-3,proportional=2",
  ),
  "softplus_gradient": (
    "softplus_gradient:1e-3",
    "softplus_gradient:5e-3",
    "softplus_gradient:2e-2",
  ),
  "augmented_lagrangian": (
    "augmented_lagrangian:3e-3,penalty=1",
    "augmented_lagrangian:1e-2,penalty=1",
    "augmented_lagrangian:1e-2,penalty=10",
  ),
}
# As many steps as the preset has, on a quarter of the pixels.
_SMALL = {
  "preset": "mnist",
  "image_size": 14,
  "channels": 12,
  "hidden_size": 128,
  "latent_size": 32,
  "coupling_width": 64,
}


def auto_runs(data: str) -> list[results.Run]:
  """Every κ, no other flag."""
  return [
    results.Run(f"{data}_auto_{k}", {"preset": PRESETS[data], "kappa": k})
    for k in KAPPAS
  ]


def unit_runs() -> list[results.Run]:
  """κ = .1 on MNIST in other units and other batches."""
  common = {"preset": "mnist", "kappa": 0.1}
  return [
    results.Run("mnist_auto_0.1", common),
    results.Run("mnist_mean_0.1", {**common, "reduction": "mean"}),
    results.Run("mnist_batch_32", {**common, "batch_size": 32}),
    results.Run("mnist_batch_256", {**common, "batch_size": 256}),
  ]


def exponential_search_runs() -> list[results.Run]:
  """Algorithm 1 at κ = .1, every rate."""
  return [
    results.Run(
      f"mnist_exponential_search_{rate:g}",
      {
        "preset": "mnist",
        "kappa": 0.1,
        "num_steps": 3000,
        "update_rule": f"exponential:{rate:g}",
      },
    )
    for rate in EXPONENTIAL_RATES
  ]


def rule_runs(
  name: str, settings: Sequence[str], common: dict, kappas: Sequence[float]
) -> list[results.Run]:
  """Each setting of a rule at each κ."""
  return [
    results.Run(
      f"{name}_{setting.replace(':', '_')}_{kappa}",
      {**common, "kappa": kappa, "update_rule": setting},
    )
    for setting in settings
    for kappa in kappas
  ]


def search_runs() -> list[results.Run]:
  """The other rules, every setting, on the small preset."""
  settings = [s for choices in SETTINGS.values() for s in choices]
  return rule_runs("rules_search", settings, _SMALL, SEARCH_KAPPAS)


def best_settings(found: Sequence[dict]) -> list[str]:
  """For each rule the setting whose worst κ is missed by least."""
  misses: dict[str, float] = {}
  for result in found:
    setting = _rule(result)
    misses[setting] = max(misses.get(setting, 0.0), _miss(result))
  return [min(choices, key=misses.__getitem__) for choices in SETTINGS.values()]


def print_table(found: Sequence[dict]) -> None:
  """One row a run, as Markdown."""
  print(
    "| κ | flags | RMSE | RMSE/κ | KL | test RMSE | test KL | final λ | "
    "largest λ / max(first, final) | the doctor |"
  )
  print("|" + "---|" * 10)
  for r in found:
    s, curve = r["summary"], r["curve"]
    # A λ that overflowed is not kept.
    final, largest = (
      math.inf if value is None else value
      for value in (s["multiplier"]["re"], r["largest_multiplier"])
    )
    ratio = largest / max(curve["geco/re/multiplier"][0], final)
    print(
      f"| {s['kappa']:g} | {_flags(r)} | {s['rmse']:.4f} | "
      f"{s['rmse'] / s['kappa']:.3f} | {s['kl']:.2f} | {s['test_rmse']:.4f} | "
      f"{s['test_kl']:.2f} | {final:.3g} | {ratio:.2f} | {r['doctor']} |"
    )


def _flags(result: dict) -> str:
  """What the command has beside κ and what its whole table shares."""
  flag_list = result["command"].split(" --")[1:]
  named = tuple(f"{name}=" for name in ("kappa", "num_steps", *_SMALL))
  return " ".join(
    f"`--{flag}`" for flag in flag_list if not flag.startswith(named)
  )


def _rule(result: dict) -> str:
  return result["command"].partition("--update_rule=")[2].split()[0]


def _miss(result: dict) -> float:
  """How far the RMSE ended from κ, as a share of it."""
  summary = result["summary"]
  return abs(summary["rmse"] / summary["kappa"] - 1.0)


def _trained(runs: Sequence[results.Run]) -> list[dict]:
  here = {} if _DATA_DIR.value is None else {"data_dir": _DATA_DIR.value}
  of_cifar10 = {**here, "dataset": _CIFAR10.value}
  return [
    results.result(
      run,
      _WORKDIRS.value,
      of_cifar10 if run.flags["preset"] == "cifar10" else here,
    )
    for run in runs
  ]


def _best_rules() -> list[results.Run]:
  """`auto`, and beside it every other rule at its best."""
  best = best_settings(_trained(search_runs()))
  beside = [*auto_runs("mnist"), *_best_exponential()]
  return [
    *(run for run in beside if run.flags["kappa"] in RULE_KAPPAS),
    *rule_runs("mnist", best, {"preset": "mnist"}, RULE_KAPPAS),
  ]


def _best_exponential() -> list[results.Run]:
  best = min(_trained(exponential_search_runs()), key=_miss)
  rate = _rule(best).partition(":")[2]
  return [
    results.Run(
      f"mnist_exponential_{k}",
      {"preset": "mnist", "kappa": k, "update_rule": f"exponential:{rate}"},
    )
    for k in KAPPAS
  ]


PARTS: dict[str, Callable[[], list[results.Run]]] = {
  "mnist": lambda: auto_runs("mnist"),
  "color": lambda: auto_runs("color"),
  "cifar10": lambda: auto_runs("cifar10"),
  "units": unit_runs,
  "rules_search": search_runs,
  "rules": _best_rules,
  "exponential_search": exponential_search_runs,
  "exponential": _best_exponential,
}
_ONLY = flags.DEFINE_enum("only", "mnist", list(PARTS), "which part.")


def main() -> None:
  """Trains what is missing and prints the table."""
  print_table(_trained(PARTS[_ONLY.value]()))


if __name__ == "__main__":
  command_line.run(main)
