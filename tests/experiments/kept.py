# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Results as they are kept, without training anything."""

import json
import pathlib

import numpy as np

NUM_STEPS = 100


def write(folder, run, *, rmse, kl, **changes):
  """Keeps what a run would have left; its error and KL fall to these."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  course = np.linspace(2.0, 1.0, 10)
  kappa = run.flags.get("kappa")
  curve = {
    "step": np.linspace(10, NUM_STEPS, 10).tolist(),
    "rmse": (rmse * course).tolist(),
    "kl": (kl * course).tolist(),
  }
  if kappa is None:
    curve["sigma"] = (rmse * course).tolist()
  else:
    curve["geco/re/multiplier"] = (3.0 * course).tolist()
  content = {
    "command": run.command,
    "summary": {
      "num_steps": NUM_STEPS,
      "kappa": kappa,
      "rmse": rmse,
      "kl": kl,
      "test_rmse": 1.01 * rmse,
      "test_kl": kl,
      "satisfied": None if kappa is None else rmse <= 1.03 * kappa,
    },
    "curve": curve,
    **changes,
  }
  (folder / f"{run.name}.json").write_text(json.dumps(content))
