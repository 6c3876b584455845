# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""Exports a finished run: python -m launch.export --workdir=runs/mnist.

A SavedModel with the signatures encode, decode, reconstruct and sample, which
needs TensorFlow alone, and a model card.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from geco_tf import runs
from launch import command_line

_WORKDIR = flags.DEFINE_string(
  "workdir", None, "folder of the run.", required=True
)
_OUTDIR = flags.DEFINE_string(
  "outdir", None, "where to (default: WORKDIR/export)."
)
_CHECKPOINT = flags.DEFINE_integer(
  "checkpoint", None, "the step of the checkpoint (default: the newest)."
)
_UNFINISHED = flags.DEFINE_bool(
  "allow_unfinished", False, "also export a run that has not ended."
)


def run() -> None:
  """One call, and where to look."""
  outdir = _OUTDIR.value
  if outdir is None:
    outdir = os.path.join(_WORKDIR.value, "export")
  card = runs.export.export_run(
    _WORKDIR.value,
    outdir,
    step=_CHECKPOINT.value,
    allow_unfinished=_UNFINISHED.value,
  )
  print(
    f"Step {card['step']} of {_WORKDIR.value} is in {outdir}/, with the "
    f"signatures {', '.join(card['signatures'])}; see model_card.md there."
  )


def main() -> None:
  """The console entry."""
  command_line.run(run, if_stopped="nothing was exported")


if __name__ == "__main__":
  main()
