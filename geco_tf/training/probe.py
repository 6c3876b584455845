# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finds a κ for data that nobody has trained on yet, by a short run."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from geco_tf import data as data_lib
from geco_tf import errors
from geco_tf.data import pipeline
from geco_tf.runs import build, presets
from geco_tf.runs import workdir as workdir_lib
from geco_tf.runs.config import Config
from geco_tf.runs.kappa import AutoKappa
from geco_tf.training.train import train

# A tolerance that a tenth of the training reaches is one that the rest can make
# cheap (EfficientMORL chooses its target so).
_SHARE = 0.1
_LEAST_STEPS, _MOST_STEPS = 100, 1_000
# The decoder whose variance is its error: no weight to choose, and none of the
# patience that a multiplier needs.
_OBJECTIVE = "closed_form_sigma_elbo"
_NUM_EXAMPLES, _BATCH_SIZE = 10_000, 250
# A probe that is not this much better than the mean image has not learned.
_LEARNED = 0.97
# So that config.json can be checked before there is a κ.
_STAND_IN = 0.5
_FILE = "kappa.json"


class Proposal(NamedTuple):
  """A κ and where it comes from."""

  kappa: float
  asked: str  # As on the command line.
  reached: float  # RMSE of the probe.
  scale: float  # RMSE of the mean image.
  num_steps: int
  seconds: float

  def __str__(self) -> str:
    return (
      f"probe: {self.num_steps} steps ({self.seconds:.0f} s) reached an RMSE "
      f"of {self.reached:.3g}; the mean image alone has {self.scale:.3g}.\n"
      f"{self.asked.removeprefix('auto:')} of the way between them, in the "
      f"logarithm: --kappa={self.kappa:g}."
    )


def split(
  preset: str, overrides: Mapping[str, Any]
) -> tuple[Config, AutoKappa | None]:
  """A preset with a user's settings, and the κ that is still to be found.

  Args:
    preset: its name.
    overrides: setting → value; `kappa` may be an `AutoKappa`.

  Returns:
    The config, checked, and None if it is complete. With an `AutoKappa` it has
    no tolerance yet.

  Raises:
    UserError: for a mistake in them.
  """
  wanted = overrides.get("kappa")
  if not isinstance(wanted, AutoKappa):
    config = presets.resolve(preset, overrides)
    build.check(config)
    return config, None
  if overrides.get("strategy") == "multi_worker":
    raise errors.UserError(
      f"`kappa` must be a number under --strategy=multi_worker; got {wanted}. "
      "Find it first by a run on one machine."
    )
  if overrides.get("constraint"):
    raise errors.UserError(
      f"`kappa` and `constraint` exclude each other; got kappa={wanted} and "
      f"constraint={list(overrides['constraint'])}."
    )
  overrides = {**overrides, "kappa": None, "constraint": ()}
  config = presets.resolve(preset, overrides)
  check(config)
  return config, wanted


def num_steps(config: Config) -> int:
  """How long the probe is."""
  tenth = round(_SHARE * config.num_steps)
  return min(max(tenth, _LEAST_STEPS), _MOST_STEPS, config.num_steps)


def propose(
  config: Config, wanted: AutoKappa, *, data: data_lib.Source | None = None
) -> Proposal:
  """A κ of the RMSE for this model and these data, from a short run.

  The probe trains the config's own model for a tenth of its steps, by the ELBO
  of a decoder whose variance is its error. A function of config, seed and data.

  Args:
    config: of the run to come; its κ and constraints are not read.
    wanted: the place between the ends.
    data: to train on instead of the source that config names.

  Raises:
    UserError: if the probe learned nothing.
  """
  begin = time.monotonic()
  source = build.build_data(config, data)
  scale = spread(source)
  probe = _probe_config(config)
  summary = train(probe, data=source, show_progress=False).summary
  reached = summary["rmse"]
  if not reached < _LEARNED * scale:
    raise errors.UserError(
      f"`kappa` must be given as a number: a probe of {probe.num_steps} steps "
      f"reached an RMSE of {reached:.3g}, and the mean image alone has "
      f"{scale:.3g}."
    )
  kappa = float(f"{wanted.between(reached, scale):.3g}")
  return Proposal(
    kappa,
    str(wanted),
    reached,
    scale,
    probe.num_steps,
    time.monotonic() - begin,
  )


def resolve(config: Config, wanted: AutoKappa, workdir: str) -> Proposal:
  """The κ of a run in a folder: proposed once, and the same ever after.

  Args:
    config: of the run, without a κ.
    wanted: the place between the ends.
    workdir: the run's folder; the proposal is left there in kappa.json.

  Raises:
    UserError: if the folder holds a run whose κ came otherwise, or as
      `propose`.
  """
  folder = workdir_lib.Workdir(workdir)
  kept = workdir_lib.read_json(folder.file(_FILE))
  if workdir_lib.exists(folder.file("config.json")):
    if kept is None or kept["asked"] != str(wanted):
      there = folder.read_config().constraint_specs
      origin = "was given" if kept is None else f"is {kept['asked']}"
      raise errors.UserError(
        f"`workdir` {folder.path!r} holds a run whose tolerance {origin} "
        f"({', '.join(there) or 'none'}), not {wanted}; give the same, or "
        "choose another workdir."
      )
    return Proposal(**kept)
  folder.create()
  proposal = propose(config, wanted)
  with workdir_lib.explained_writes(folder.path):
    workdir_lib.write_json(folder.file(_FILE), proposal._asdict())
  return proposal


def check(config: Config) -> None:
  """Raises a UserError for a mistake in a config that waits for its κ."""
  if not config.is_constrained:
    raise errors.UserError(
      f"`kappa` auto needs an objective with constraints; {config.objective} "
      "has none."
    )
  build.check(config.replace(kappa=_STAND_IN))


def spread(source: data_lib.Source) -> float:
  """RMSE of the mean image on training data: what knowing nothing gives."""
  fixed = pipeline.evaluation_batches(
    source.train, _BATCH_SIZE, num_examples=_NUM_EXAMPLES
  )
  count, total, squares = 0, 0.0, 0.0
  for batch in fixed.batches:
    images = np.asarray(batch.images, np.float64)
    count += len(images)
    total += images.sum(axis=0)
    squares += np.square(images).sum(axis=0)
  variance = squares / count - np.square(total / count)
  return float(np.sqrt(np.mean(np.maximum(variance, 0.0))))


def _probe_config(config: Config) -> Config:
  steps = num_steps(config)
  return config.replace(
    objective=_OBJECTIVE,
    kappa=None,
    constraint=(),
    constraint_rule=(),
    num_steps=steps,
    schedule="constant",
    warmup_steps=min(config.warmup_steps, steps - 1),
    weight_average=None,
    log_every=steps,
    evaluate_every=steps,
  )
