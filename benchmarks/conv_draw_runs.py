# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""ConvDraw trained: GECO beside two ELBOs, and samples given their context.

  python -m benchmarks.conv_draw_runs --only=mnist
  python -m benchmarks.conv_draw_runs --only=color
  python -m benchmarks.conv_draw_runs --only=sum --classifier=judges/mnist

Three runs of ten minutes each on one core, or, with a context (sum, rotate and
sum_hard), one of twenty that a classifier judges.
Finished runs are read from docs/results/.
"""

import json

from absl import flags

from benchmarks import results
from geco_tf.evaluation import judging
from launch import command_line

_TASKS = ("sum", "rotate", "sum_hard")
_ONLY = flags.DEFINE_enum(
  "only", "mnist", ["mnist", "color", *_TASKS], "which part."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CLASSIFIER = flags.DEFINE_string(
  "classifier", None, "folder of the judge of samples given a context."
)
_WORKDIRS = flags.DEFINE_string("workdirs", "runs", "folder for the runs.")

_OBJECTIVES = {
  "geco": {},
  "elbo": {"objective": "learned_sigma_elbo"},
  "annealed": {"objective": "annealed_sigma_elbo"},
}


def objective_runs(data: str) -> list[results.Run]:
  """GECO, the ELBO with a learned σ and the hand-annealed one, alike else."""
  preset = "conv_draw_mnist_laptop"
  if data == "color":
    preset = "conv_draw_mnist_color_laptop"
  return [
    results.Run(f"conv_draw_{data}_{name}", {"preset": preset, **more})
    for name, more in _OBJECTIVES.items()
  ]


def conditional_run(task: str) -> results.Run:
  """GECO on a task with a context."""
  preset = f"conv_draw_mnist_{task}_laptop"
  return results.Run(f"conv_draw_{task}", {"preset": preset})


def print_table(found: list[dict]) -> None:
  """One row a run, as Markdown."""
  print(
    "| objective | steps | RMSE | KL | NLL at σ_opt, nats/dim | test RMSE | "
    "test KL | test NLL | satisfied | seconds |"
  )
  print("|---" * 10 + "|")
  for result in found:
    s = result["summary"]
    print(
      f"| {s['objective']} | {s['num_steps']} | {s['rmse']:.4f} | "
      f"{s['kl']:.1f} | {s['neg_log_likelihood_per_dim']:.3f} | "
      f"{s['test_rmse']:.4f} | {s['test_kl']:.1f} | "
      f"{s['test_neg_log_likelihood_per_dim']:.3f} | {s['satisfied']} | "
      f"{result['seconds']} |"
    )


def judgement(run: results.Run) -> dict:
  """What the classifier says of a run's samples: read, or judged now."""
  path = results.FOLDER / f"{run.name}_judgement.json"
  if not path.exists():
    made = judging.judge_run(
      f"{_WORKDIRS.value}/{run.name}",
      _CLASSIFIER.value,
      data_dir=_DATA_DIR.value,
    )
    made["classifier"] = "mnist"
    path.write_text(json.dumps(made) + "\n")
  return json.loads(path.read_text())


def main() -> None:
  """Trains what is missing and prints the tables."""
  only = _ONLY.value
  runs = [conditional_run(only)] if only in _TASKS else objective_runs(only)
  machine = {"data_dir": _DATA_DIR.value} if _DATA_DIR.value else {}
  print_table([results.result(run, _WORKDIRS.value, machine) for run in runs])
  if only in _TASKS:
    print(judging.describe(judgement(runs[0])))


if __name__ == "__main__":
  command_line.run(main)
