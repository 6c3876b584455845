# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains a model: python -m launch.train --preset=mnist --kappa=0.1."""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf import runs, training
from launch import command_line, config_flags

_PRESET = flags.DEFINE_string(
  "preset", "digits", f"one of: {', '.join(runs.presets.names())}."
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the run; by default runs/<preset>."
)
_DRY_RUN = flags.DEFINE_bool(
  "dry_run", False, "print the resolved config and stop."
)
config_flags.define(runs.Config, defaults="the preset's")
flags.adopt_module_key_flags(config_flags)


def run() -> None:
  """Flags to a config, and one call."""
  config, wanted = training.probe.split(
    _PRESET.value, config_flags.given(runs.Config)
  )
  if _DRY_RUN.value:
    shown = config.to_json()
    if wanted is not None:
      shown["kappa"] = str(wanted)
    print(json.dumps(shown, indent=2))
    return
  workdir = _WORKDIR.value
  if workdir is None:
    workdir = os.path.join("runs", _PRESET.value)
  if wanted is not None:
    proposal = training.probe.resolve(config, wanted, workdir)
    print(proposal, flush=True)
    config = config.replace(kappa=proposal.kappa)
  trained = training.train(config, workdir=workdir)
  training.print_summary(trained.summary)
  print(f"Everything is in {workdir}/, the pictures in {workdir}/figures/.")


def main() -> None:
  """The console entry."""
  command_line.run(run)


if __name__ == "__main__":
  main()
