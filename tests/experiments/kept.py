# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Results as they are kept, without training anything."""

import json
import pathlib

import numpy as np
import tensorflow as tf

_LAST_STEP = 100


def write(folder, run, *, rmse, kl, **changes):
  """Keeps what a run would have left; its error and KL fall to these."""
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  content = result(run, rmse=rmse, kl=kl, **changes)
  (folder / f"{run.name}.json").write_text(json.dumps(content))


def draw(folder, run, pixels, *, rmse, kl):
  """Keeps what a run would have left, and its images."""
  write(folder, run, rmse=rmse, kl=kl)
  file = pathlib.Path(folder) / f"{run.name}_images"
  file.with_name(f"{file.name}.png").write_bytes(
    tf.io.encode_png(pixels).numpy()
  )
  of = {"rmse": rmse, "kl": kl, "test_accuracy": None}
  content = {"of": of, "result": list(pixels.shape)}
  file.with_name(f"{file.name}.json").write_text(json.dumps(content))


def result(run, *, rmse, kl, **changes):
  """What `TrainedRuns` keeps, but for what nobody reads here."""
  course = np.linspace(2.0, 1.0, 10)
  kappa = run.flags.get("kappa")
  curve = {
    "step": np.linspace(10, _LAST_STEP, 10).tolist(),
    "rmse": (rmse * course).tolist(),
    "kl": (kl * course).tolist(),
  }
  if kappa is None:
    curve["sigma"] = (rmse * course).tolist()
  else:
    curve["geco/re/multiplier"] = (3.0 * course).tolist()
  return {
    "command": run.command,
    "summary": {
      "num_steps": run.config().num_steps,
      "kappa": kappa,
      "rmse": rmse,
      "kl": kl,
      "test_rmse": 1.01 * rmse,
      "test_kl": kl,
      "multiplier": {} if kappa is None else {"re": 3.0},
      "satisfied": None if kappa is None else rmse <= 1.03 * kappa,
    },
    "curve": curve,
    **changes,
  }
