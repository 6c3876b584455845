# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Does every κ hold without tuning? Trains MNIST and CIFAR-10 and prints.

  python -m benchmarks.reconstruction_targets --only=mnist
  python -m benchmarks.reconstruction_targets --only=exponential_search
  python -m benchmarks.reconstruction_targets --only=exponential
  python -m benchmarks.reconstruction_targets --only=cifar10 \\
      --cifar10=image_folder:PATH

About five minutes a run on two cores: 5 runs, 5 of 3,000 steps, 5, and 2 of
8,000 steps. Finished runs are read from docs/results/.
"""

import numpy as np
from absl import flags

from benchmarks import results
from launch import command_line

_ONLY = flags.DEFINE_enum(
  "only", "mnist", ["mnist", "exponential_search", "exponential", "cifar10"],
  "which part.",
)  # fmt: skip
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CIFAR10 = flags.DEFINE_string("cifar10", "cifar10", "data set to use for it.")
_WORKDIRS = flags.DEFINE_string("workdirs", "runs", "folder for the runs.")

KAPPAS = (0.06, 0.08, 0.1, 0.125, 0.175)
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3)


def auto_runs() -> list[results.Run]:
  """Every κ, no other flag."""
  return [
    results.Run(f"mnist_auto_{k}", {"preset": "mnist", "kappa": k})
    for k in KAPPAS
  ]


def search_runs() -> list[results.Run]:
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
    for rate in RATES
  ]


def exponential_runs(rate: float) -> list[results.Run]:
  """Algorithm 1 at its best rate, every κ."""
  return [
    results.Run(
      f"mnist_exponential_{k}",
      {"preset": "mnist", "kappa": k, "update_rule": f"exponential:{rate:g}"},
    )
    for k in KAPPAS
  ]


def cifar10_runs() -> list[results.Run]:
  """GECO and the ELBO with a learned σ, equal in all else."""
  common = {"preset": "cifar10", "num_steps": 8000}
  return [
    results.Run("cifar10_geco_0.1", {**common, "kappa": 0.1}),
    results.Run(
      "cifar10_learned_sigma", {**common, "objective": "learned_sigma_elbo"}
    ),
  ]


def best_rate(found: list[dict]) -> float:
  """The rate whose run ended nearest to κ."""
  misses = [abs(r["summary"]["rmse"] / 0.1 - 1.0) for r in found]
  return RATES[int(np.argmin(misses))]


def print_table(found: list[dict]) -> None:
  """One row a run, as Markdown."""
  print(
    "| κ | rule | steps | RMSE | RMSE/κ | KL | test RMSE | test KL | final λ | "
    "largest λ / max(first, final) | seconds |"
  )
  print("|" + "---|" * 11)
  for r in found:
    s, curve = r["summary"], r["curve"]
    rule = r["command"].partition("--update_rule=")[2].split()
    final = s["multiplier"]["re"]
    ratio = r["largest_multiplier"] / max(curve["geco/re/multiplier"][0], final)
    print(
      f"| {s['kappa']:g} | {rule[0] if rule else 'auto'} | {s['num_steps']} | "
      f"{s['rmse']:.4f} | {s['rmse'] / s['kappa']:.3f} | {s['kl']:.2f} | "
      f"{s['test_rmse']:.4f} | {s['test_kl']:.2f} | {final:.3g} | "
      f"{ratio:.2f} | {r['seconds']} |"
    )


def print_comparison(geco: dict, elbo: dict) -> None:
  """GECO's KL against that of the ELBO's own curve at the same RMSE."""
  rmse = np.array(elbo["curve"]["rmse"])
  kl = np.array(elbo["curve"]["kl"])
  final = geco["summary"]
  # The ELBO's RMSE falls along its curve; interpolate where it passes.
  order = np.argsort(rmse)
  there = float(np.interp(final["rmse"], rmse[order], kl[order]))
  print("| run | RMSE | KL | KL at GECO's RMSE |\n|---|---|---|---|")
  print(
    f"| GECO, κ = .1 | {final['rmse']:.4f} | {final['kl']:.1f} | "
    f"{final['kl']:.1f} |"
  )
  e = elbo["summary"]
  print(
    f"| learned-σ ELBO | {e['rmse']:.4f} | {e['kl']:.1f} | {there:.1f} "
    f"(RMSE from {rmse.min():.4f} to {rmse.max():.4f} on its curve) |"
  )
  print(f"\nGECO's KL is {100 * (1 - final['kl'] / there):.1f} % lower.")


def main() -> None:
  """Trains what is missing and prints the table."""
  here = {} if _DATA_DIR.value is None else {"data_dir": _DATA_DIR.value}

  def found(runs: list[results.Run]) -> list[dict]:
    return [results.result(r, _WORKDIRS.value, here) for r in runs]

  if _ONLY.value == "mnist":
    print_table(found(auto_runs()))
  elif _ONLY.value == "exponential_search":
    print_table(found(search_runs()))
  elif _ONLY.value == "exponential":
    print_table(found(exponential_runs(best_rate(found(search_runs())))))
  else:
    here["dataset"] = _CIFAR10.value
    print_comparison(*found(cifar10_runs()))


if __name__ == "__main__":
  command_line.run(main)
