# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Runs that are trained once, shared by all items, and then read."""

import functools
import json
import math
import os
import platform
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from geco_tf import data as data_lib
from geco_tf import errors, runs, training
from geco_tf.evaluation import doctor
from geco_tf.figures import information_planes
from geco_tf.runs import workdir as workdir_lib

_NUM_POINTS = 60
_COLUMNS = (
  "step", "rmse", "kl", "loss", "sigma", "accuracy", "test_accuracy",
)  # fmt: skip
_OF_CONSTRAINT = re.compile(r"geco/.*/(multiplier|moving_average)(_max)?")
# Where a run's data are; not what they are.
_OF_THE_MACHINE = frozenset({"data_dir", "dataset", "classifier"})
# Of a summary: what tells one training's weights from another's.
_OF_WEIGHTS = ("rmse", "kl", "test_accuracy")


class Run(NamedTuple):
  """One training: a name and the flags of its launcher."""

  name: str
  flags: Mapping[str, Any]
  launcher: str = "train"  # Of launch/.
  # Flags that say where things are on this machine, and are not kept:
  # "data_dir", "classifier", or a "dataset" whose path differs.
  here: Mapping[str, Any] = {}

  @property
  def command(self) -> str:
    """What a shell is told; a list is a flag that is repeated."""
    arguments = [
      f"--{name}={v}"
      for name, value in self.flags.items()
      for v in (value if isinstance(value, (list, tuple)) else [value])
    ]
    return " ".join([f"python -m launch.{self.launcher}", *arguments])

  def config(self) -> runs.Config:
    """All settings of a run of launch.train, those of this machine too."""
    settings: dict[str, Any] = self._settings()
    return runs.presets.resolve(settings.pop("preset"), settings)

  def classifier_config(self) -> runs.ClassifierConfig:
    """The same of a run of launch.train_classifier."""
    return runs.ClassifierConfig().replace(**self._settings())

  def _settings(self) -> dict[str, Any]:
    return {
      name: tuple(value) if isinstance(value, list) else value
      for name, value in {**self.flags, **self.here}.items()
    }


class TrainedRuns:
  """Results of runs: read where they are kept, else trained, then kept.

  <results>/<name>.json             command, summary and thinned curve of a run
  <results>/<name>_<measure>.json   what was measured, and of which weights
  <results>/<name>_<picture>.png    what was drawn; which weights, in its .json
  <workdirs>/<name>/                the run's own folder; a stopped run goes on

  All that is kept of a run is of the same weights: where others are in the
  run's folder, they win, and what they give is kept in its place.
  """

  def __init__(self, results: str, workdirs: str, *, may_train: bool = True):
    """Names two folders; neither has to exist.

    Args:
      results: of what is kept, any `tf.io.gfile` path.
      workdirs: of the runs' own folders, with their weights.
      may_train: whether to train what is missing.
    """
    self._results = os.fspath(results)
    self._workdirs = os.fspath(workdirs)
    self._may_train = may_train
    self.missing: list[str] = []  # What would have had to be trained.

  def is_kept(self, file: str) -> bool:
    """Whether <results> has a file of that name."""
    return workdir_lib.exists(self._file(file))

  def result(self, run: Run) -> dict[str, Any] | None:
    """The result of a run: read if it is kept, trained if not.

    Args:
      run: what to train.

    Returns:
      Command, settings, machine, seconds, summary, the data's fingerprint, the
      doctor's line, and the curve thinned to sixty points. None if it is
      missing and must not be trained. Read it after what is measured or drawn,
      for which the run may be trained again.

    Raises:
      UserError: if what is kept is of other settings or other data.
    """
    path = self._file(f"{run.name}.json")
    if not workdir_lib.exists(path) and self.workdir(run) is None:
      return None
    kept: dict[str, Any] = workdir_lib.read_json(path)
    self._check(run, kept, path)
    return kept

  def measured(
    self,
    run: Run,
    measure: str,
    compute: Callable[[str], Any],
    *,
    settings: Any = None,
  ) -> Any | None:
    """What was measured with a run's weights: read, or measured now.

    Args:
      run: what to train, if its weights are not there.
      measure: its name.
      compute: takes the run's folder; its result must be what JSON can hold.
      settings: what else decides the result, as JSON can hold it.

    Returns:
      The result; None if the weights are missing and must not be trained.
    """
    path = self._file(f"{run.name}_{measure}.json")
    found = workdir_lib.read_json(path)
    kept = self.result(run)
    if kept is None:
      return None
    if found is None or found["of"] != _weights(kept["summary"], settings):
      folder = self.workdir(run)
      if folder is None:
        return None
      summary = runs.Workdir(folder).read_summary()
      found = {"of": _weights(summary, settings), "result": compute(folder)}
      self._write_json(path, found)
    return found["result"]

  def drawn(
    self, run: Run, picture: str, draw: Callable[[str], np.ndarray]
  ) -> np.ndarray | None:
    """Pixels that a run's weights give, as `measured` does: uint8 [H, W, C].

    Args:
      run: what to train, if its weights are not there.
      picture: its name.
      draw: takes the run's folder, and returns the pixels.
    """
    path = self._file(f"{run.name}_{picture}.png")

    def compute(folder: str) -> list[int]:
      pixels = draw(folder)
      self._write(path, tf.io.encode_png(pixels).numpy())
      return list(pixels.shape)

    if not workdir_lib.exists(path):
      self._remove(f"{run.name}_{picture}.json")  # It is of nothing.
    if self.measured(run, picture, compute) is None:
      return None
    with tf.io.gfile.GFile(path, "rb") as file:
      return np.asarray(tf.io.decode_png(file.read()))

  def workdir(self, run: Run) -> str | None:
    """The folder of the finished run, trained if it is not there.

    Returns:
      The folder; None if the run is not finished and must not be trained.

    Raises:
      UserError: if the folder holds another run.
    """
    folder = runs.Workdir(os.path.join(self._workdirs, run.name))
    if folder.read_summary() is None:
      if not self._may_train:
        if run.name not in self.missing:
          self.missing.append(run.name)
        return None
      print(f"training {run.name} …", flush=True)
      _train(run, folder.path)
    elif run.launcher == "train":
      _check_workdir(run, folder)
    self._keep(run, folder)
    return folder.path

  def _keep(self, run: Run, folder: runs.Workdir) -> None:
    """Keeps the result of the weights that are there, if of others or none."""
    path = self._file(f"{run.name}.json")
    kept = workdir_lib.read_json(path)
    summary = _weights(folder.read_summary())
    if kept is not None:
      if _weights(kept["summary"]) == summary:
        return
      print(f"{path} is now of the weights in {folder.path}.", flush=True)
    made = _result(run, folder.path)
    self._check(run, made, path)
    self._write_json(path, made)

  def _check(self, run: Run, kept: Mapping[str, Any], path: str) -> None:
    there, here = kept["command"], run.command
    if _own_flags(there) != _own_flags(here):
      raise errors.UserError(
        f"{path!r} must be of {here!r}; it is of {there!r}. Remove it, or give "
        "another --results."
      )
    if run.launcher == "train":
      # Older results know no setting but this.
      steps = {"num_steps": kept["summary"]["num_steps"]}
      differences = _differences(
        kept.get("config", steps), _settings_of(run), workdir_lib.FREE
      )
      if differences:
        raise errors.UserError(
          f"{path!r} is of other settings than {run.name} has by now: "
          f"{differences}. Remove it, or give another --results."
        )
    if "dataset" not in run.here or not kept.get("data"):
      return
    if kept["data"] != (found := _fingerprint(run)):
      raise errors.UserError(
        f"{path!r} must be of the data {run.here['dataset']!r}, {found}; it is "
        f"of {kept['data']}. Give another --results."
      )

  def _file(self, name: str) -> str:
    return os.path.join(self._results, name)

  def _remove(self, name: str) -> None:
    if self.is_kept(name):
      with workdir_lib.explained_writes(self._file(name)):
        tf.io.gfile.remove(self._file(name))

  def _write_json(self, path: str, content: Any) -> None:
    self._write(path, (json.dumps(content, ensure_ascii=False) + "\n").encode())

  def _write(self, path: str, content: bytes) -> None:
    with workdir_lib.explained_writes(path):
      tf.io.gfile.makedirs(self._results)
      workdir_lib.write_bytes(path, content)


def course(kept: Mapping[str, Any]) -> information_planes.Path:
  """The way of a run, from its kept curve; an ELBO's λ is 1/2σ².

  What was not finite is nan, and λ too where there is neither λ of RE nor σ.
  """
  nothing = [None] * len(kept["curve"]["step"])
  step, rmse, kl, multiplier, sigma = (
    [math.nan if v is None else v for v in kept["curve"].get(name, nothing)]
    for name in ("step", "rmse", "kl", "geco/re/multiplier", "sigma")
  )
  if "geco/re/multiplier" not in kept["curve"]:
    multiplier = [0.5 / s**2 for s in sigma]
  return information_planes.Path(step, rmse, kl, multiplier)


def _train(run: Run, workdir: str) -> None:
  if run.launcher == "train_classifier":
    training.train_classifier(run.classifier_config(), workdir=workdir)
  else:
    training.train(run.config(), workdir=workdir)


def _own_flags(command: str) -> set[str]:
  """The flags of a command but for those that say what the preset says."""
  words = set(command.split())
  chosen = [w for w in words if w.startswith("--preset=")]
  if not chosen:
    return words
  preset = runs.presets.get(chosen[0].partition("=")[2]).to_json()
  return words - {f"--{name}={value}" for name, value in preset.items()}


def _check_workdir(run: Run, folder: runs.Workdir) -> None:
  there = json.loads(json.dumps(folder.read_config().to_json()))
  if differences := _differences(there, _settings_of(run)):
    raise errors.UserError(
      f"{folder.path!r} holds another run than {run.name}: {differences}. "
      "Remove it, or give another --workdirs."
    )


def _settings_of(run: Run) -> dict[str, Any]:
  """All settings that are not of a machine, as JSON gives them back."""
  settings = json.loads(json.dumps(run.config().to_json()))
  return {n: v for n, v in settings.items() if n not in _OF_THE_MACHINE}


def _differences(
  there: Mapping[str, Any],
  here: Mapping[str, Any],
  free: Collection[str] = (),
) -> str:
  """What differs, of the settings that both have."""
  return "; ".join(
    f"{name} is {there[name]} there and {here[name]} here"
    for name in sorted((there.keys() & here.keys()) - set(free))
    if there[name] != here[name]
  )


def _weights(summary: Any, settings: Any = None) -> dict[str, Any]:
  """Whose a measurement is."""
  of = {name: summary.get(name) for name in _OF_WEIGHTS}
  return of if settings is None else {**of, "settings": settings}


def _fingerprint(run: Run) -> dict[str, Any]:
  config = run.config()
  return _fingerprint_of(
    config.dataset, config.image_size, config.resize, config.data_dir
  )


@functools.lru_cache(maxsize=4)
def _fingerprint_of(
  dataset: str, image_size: int | None, resize: str, data_dir: str | None
) -> dict[str, Any]:
  return data_lib.fingerprint(
    data_lib.load(
      dataset, image_size=image_size, resize=resize, data_dir=data_dir
    )
  )


def _result(run: Run, workdir: str) -> dict[str, Any]:
  """What is kept of a finished run."""
  folder = runs.Workdir(workdir)
  summary, rows = folder.read_summary(), folder.read_metrics()
  assert summary is not None  # The run has ended.
  content = workdir_lib.read_json(folder.file("config.json"))
  return {
    "command": run.command,
    **({"config": _settings_of(run)} if run.launcher == "train" else {}),
    "machine": f"{os.cpu_count()} cores, {platform.machine()}",
    "seconds": round(summary.pop("seconds", None) or _seconds(rows)),
    "data": content.get("data"),
    "summary": {k: v for k, v in summary.items() if k != "dataset"},
    "largest_multiplier": _largest_multiplier(rows),
    # A classifier has none.
    "doctor": doctor.examine_run(workdir).line
    if run.launcher == "train"
    else None,
    "curve": _thinned(rows),
  }


def _seconds(rows: list[dict[str, Any]]) -> float:
  """In the steps alone, also of a run that was stopped in between."""
  steps = [0, *(row["step"] for row in rows)]
  return sum(
    (row["step"] - before) / row["steps_per_second"]
    for row, before in zip(rows, steps, strict=False)
  )


def _largest_multiplier(rows: list[dict[str, Any]]) -> float | None:
  seen = [r["geco/re/multiplier"] for r in rows if "geco/re/multiplier" in r]
  # A multiplier that overflowed has no number in the metrics.
  return None if not seen or None in seen else max(seen)


def _thinned(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
  """Sixty rows at most, the first and the last among them, as columns."""
  places = np.linspace(0, len(rows) - 1, min(len(rows), _NUM_POINTS))
  kept = [rows[round(place)] for place in places]
  return {
    name: [_rounded(row.get(name)) for row in kept]
    for name in kept[-1]
    if name in _COLUMNS or _OF_CONSTRAINT.fullmatch(name)
  }


def _rounded(value: float | None) -> float | None:
  return None if value is None else float(f"{value:.5g}")
