# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""All measurements of a finished run: a table, evaluation.json and pictures."""

import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import data, errors, figures, runs, version
from geco_tf.data import pipeline
from geco_tf.evaluation import latents as latents_lib
from geco_tf.evaluation import (
  likelihood,
  marginal_kl,
  sample_quality,
  two_sample,
)
from geco_tf.evaluation import pieces as pieces_lib
from geco_tf.figures import image_grid
from geco_tf.runs import base_config

_field = base_config.field
_BATCH_SIZE = 250
_NUM_UNIT_EXAMPLES = 1_000  # Their variance is known to 1/22.
_NUM_UNITS = 8  # Of the picture of traversals.
_NUM_PATHS = 8  # Of the picture of interpolations.
# The pairs of a model whose latents are maps cost a network each.
_COMPONENTS_OF_MAPS = 1_000
# Second words of a seed; batches are numbered from 0.
_PRIOR = 2**31 - 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(base_config.BaseConfig):
  """What of an evaluation a user may choose. Each field is a flag."""

  part: tuple[str, ...] = _field(
    (), "likelihood, importance, active_units, pictures, cross_checks, "
    "sample_quality or marginal_kl; repeatable; all that the model has if none "
    "is given.",
  )  # fmt: skip
  num_examples: int = _field(
    10_000, "of each split, for likelihoods, latents and sample_quality; all "
    "if fewer.",
  )  # fmt: skip
  num_importance_samples: int = _field(500, "k of the weighted bound.")
  num_importance_examples: int = _field(100, "test examples it is of.")
  num_components: int | None = _field(
    None, "N of the marginal KL; all training examples, 1,000 for conv_draw."
  )
  num_samples: int = _field(1_000, "S of the marginal KL.")
  num_check_samples: int = _field(1_000, "of q(z), and of the prior.")
  memory_gib: float = _field(
    1.0, "of importance and marginal_kl, beside model and data."
  )
  classifier: str | None = _field(
    None, "folder of one; adds sample_quality, in its features."
  )
  seed: int = _field(0, "of all latents and choices.")
  data_dir: str | None = _field(
    None, "where TFDS keeps its data; where the run had it, if not given."
  )


_POSITIVE = (
  "num_importance_samples", "num_importance_examples", "memory_gib",
)  # fmt: skip
# A variance needs two; five folds of a classifier five of each sample.
_LEAST = {"num_examples": 2, "num_samples": 2, "num_check_samples": 5}


class _Run(NamedTuple):
  """What every part is given."""

  model: snt.Module
  source: data.Source
  folder: runs.Workdir
  settings: Settings
  identity: dict[str, Any]  # Of weights and data, for what is kept.
  say: Callable[[str], None]
  done: dict[str, dict[str, Any]]  # Results of the parts before.

  def fixed(self, split: data.Split, num_examples: int | None = None) -> Any:
    """Batches of fixed examples of a split, once through."""
    return pipeline.evaluation_batches(
      split,
      _BATCH_SIZE,
      num_examples=num_examples or self.settings.num_examples,
      seed=self.settings.seed,
    ).batches


def evaluate_run(
  workdir: str, settings: Settings, *, say: Callable[[str], None] = print
) -> dict[str, Any]:
  """Measures a finished run; parts that are done are not done again.

  evaluation.json                            all numbers
  evaluation/latents.npz                     test latents, with their labels
  evaluation/importance/, marginal_kl/       pieces, to go on from
  figures/traversals.*, interpolations.*     pictures

  Args:
    workdir: of a finished run.
    settings: of the user.
    say: is told how far it is, in lines.

  Returns:
    What evaluation.json holds.

  Raises:
    UserError: if there is no finished run, it is one of another version, or a
      setting does not fit it.
  """
  _check(settings)
  run = _open(runs.Workdir(workdir), settings, say)
  path = run.folder.file("evaluation.json")
  result = runs.workdir.read_json(path) or {}
  kept = {  # Of these weights; others' numbers do not stand beside theirs.
    name: part
    for name, part in result.get("parts", {}).items()
    if part["asked"].items() >= run.identity.items()
  }
  result = {**run.identity, "parts": kept}
  names = _parts_of(run)
  _check_sizes(run, names)
  for name in names:
    function, fields = _PARTS[name]
    asked = {**run.identity, **_asked(settings, fields)}
    part = kept.get(name)
    if part is None or part["asked"] != asked:
      say(f"{name} …")
      start = time.monotonic()
      found = function(run)
      seconds = round(time.monotonic() - start, 1)
      part = {
        "asked": asked,
        "versions": runs.workdir.versions(),
        "seconds": seconds,
        "result": found,
      }
    result["parts"][name] = part
    run.done[name] = part["result"]
    with runs.workdir.explained_writes(path):
      runs.workdir.write_json(path, result)
  return result


def _asked(settings: Settings, fields: Iterable[str]) -> dict[str, Any]:
  """The settings that decide a part; a classifier is what is in its folder."""
  asked = {name: getattr(settings, name) for name in fields}
  if "classifier" in asked:
    asked["classifier"] = sample_quality.identity(asked["classifier"])
  return asked


def _check(settings: Settings) -> None:
  base_config.check_types(settings)
  base_config.check_positive(settings, _POSITIVE)
  for name in settings.part:
    if name not in _PARTS:
      raise errors.unknown_name("part", name, _PARTS)
  for name, least in _LEAST.items():
    if (value := getattr(settings, name)) < least:
      raise errors.UserError(f"`{name}` must be at least {least}; got {value}.")
  if not 0 <= settings.seed < 2**31:
    raise errors.UserError(
      f"`seed` must be in [0, 2**31); got {settings.seed}."
    )


def _check_sizes(run: _Run, parts: Iterable[str]) -> None:
  """Before anything is measured: are there as many examples as asked for?"""
  for part, name, split in (
    ("cross_checks", "num_check_samples", run.source.train),
    ("importance", "num_importance_examples", run.source.test),
    ("marginal_kl", "num_components", run.source.train),
  ):
    count = getattr(run.settings, name)
    if part in parts and count is not None:
      likelihood.check_num_examples(name, count, split)


def _open(
  folder: runs.Workdir, settings: Settings, say: Callable[[str], None]
) -> _Run:
  try:
    config = folder.read_config()
    if folder.read_summary() is None:
      rows = folder.read_metrics()
      raise errors.UserError(
        f"`workdir` must hold a finished run; {folder.path!r} is at step "
        f"{rows[-1]['step'] if rows else 0} of {config.num_steps}."
      )
    step = best_step(folder)
    model = runs.load(folder.path, step=step)
  except errors.UserError as error:
    raise _with_version(error, folder) from error
  if settings.data_dir is not None:
    config = config.replace(data_dir=settings.data_dir)
  source = runs.build.build_data(config)
  here = data.fingerprint(source)
  there = runs.workdir.read_json(folder.file("config.json")).get("data")
  if there and there != here:
    raise errors.UserError(
      f"{source.name!r} must be the data of the run, {there}; it is {here}. "
      "`data_dir` says where they are."
    )
  identity = {
    "step": step,
    "weights_crc32": runs.weights_crc32(model),
    "dataset": source.name,
    "data": here,
  }
  return _Run(model, source, folder, settings, identity, say, {})


def _with_version(
  error: errors.UserError, folder: runs.Workdir
) -> errors.UserError:
  """The same, and of which version the run is, if not of this one."""
  content = runs.workdir.read_json(folder.file("config.json"))
  there = None
  if isinstance(content, dict):
    there = (content.get("versions") or {}).get("geco_tf")
  if there in (None, version.__version__):
    return error
  return errors.UserError(
    f"{error} The run is of geco_tf {there}; this is {version.__version__}."
  )


def best_step(folder: runs.Workdir) -> int | None:
  """Which of a run's checkpoints to evaluate: a feasible one of least KL.

  Judged by the row of metrics at its step. The newest, where no row says that
  its constraints hold.

  Args:
    folder: of the run.

  Returns:
    The step, of a checkpoint that is not damaged; None where there never was
    one.

  Raises:
    UserError: if there was one, and none is intact.
  """
  rows = folder.read_metrics()

  def choose(steps: Sequence[int]) -> int:
    best = runs.checkpoints.best_step(steps, rows)
    return steps[-1] if best is None else best

  return runs.checkpoints.newest_intact(
    folder.file("checkpoints"), choose=choose
  )


def _parts_of(run: _Run) -> list[str]:
  """The parts asked for; else all that the model has."""
  missing = _missing(run)
  for name in run.settings.part:
    if name in missing:
      raise errors.UserError(
        f"`part` must not be {name!r} here: {missing[name]}."
      )
  if run.settings.part:
    return [name for name in _PARTS if name in run.settings.part]
  for name, why in missing.items():
    run.say(f"No {name}: {why}.")
  return [name for name in _PARTS if name not in missing]


def _missing(run: _Run) -> dict[str, str]:
  """The parts that the run does not have, and why."""
  if run.source.context_shape is not None:
    why = "every example of this run has a prior of its own"
    return dict.fromkeys(("cross_checks", "sample_quality", "marginal_kl"), why)
  missing = {}
  if not hasattr(run.model, "prior"):
    missing["cross_checks"] = "the model has no `prior` to sample from"
  if run.settings.classifier is None:
    missing["sample_quality"] = "it needs --classifier, the folder of one"
  return missing


def _sigma(run: _Run) -> float:
  """σ at its optimum on training data."""
  if "likelihood" in run.done:
    return run.done["likelihood"]["train"]["sigma"]
  return likelihood.optimal_sigma(
    run.model, run.fixed(run.source.train), seed=run.settings.seed
  )


def _likelihood(run: _Run) -> dict[str, Any]:
  sigma = _sigma(run)
  return {
    name: likelihood.measure(
      run.model, run.fixed(split), sigma, seed=run.settings.seed
    ).to_json()
    for name, split in (("train", run.source.train), ("test", run.source.test))
  }


def _importance(run: _Run) -> dict[str, Any]:
  settings, sigma = run.settings, _sigma(run)
  pieces = pieces_lib.Pieces(
    run.folder.file("evaluation", "importance"),
    {
      **run.identity,
      "sigma": sigma,
      "k": settings.num_importance_samples,
      "num_examples": settings.num_importance_examples,
      "seed": settings.seed,
      "memory_gib": settings.memory_gib,
    },
  )
  return likelihood.importance_weighted_bound(
    run.model,
    run.source.test,
    sigma,
    num_importance_samples=settings.num_importance_samples,
    num_examples=settings.num_importance_examples,
    seed=settings.seed,
    memory_gib=settings.memory_gib,
    pieces=pieces,
    progress=pieces_lib.tenths("importance", run.say),
  ).to_json()


def _active_units(run: _Run) -> dict[str, Any]:
  units = latents_lib.active_units(
    run.model,
    run.fixed(
      run.source.test, min(_NUM_UNIT_EXAMPLES, run.settings.num_examples)
    ),
    seed=run.settings.seed,
  )
  return {
    "num_active": units.num_active,
    "num_units": len(units.variances),
    "threshold": latents_lib.ACTIVE_VARIANCE,
    "num_examples": units.num_examples,
    "num_samples": units.num_samples,
    "variances": [round(float(v), 5) for v in units.variances],
  }


def _pictures(run: _Run) -> dict[str, Any]:
  """Exports the latents, and draws walks between them."""
  seed, test = run.settings.seed, run.source.test
  path = run.folder.file("evaluation", "latents.npz")
  with runs.workdir.explained_writes(path):
    tf.io.gfile.makedirs(run.folder.file("evaluation"))
  exported = latents_lib.export(run.model, run.fixed(test), seed=seed)
  pieces_lib.write_arrays(path, exported)
  units = run.done.get("active_units") or _active_units(run)
  first = next(iter(run.fixed(test)))
  context = None if first.context is None else first.context[:1]
  latents = exported["latents"]
  most_active = np.argsort(units["variances"])[::-1][:_NUM_UNITS]
  walks = {
    "traversals": {
      f"unit {unit}, from −3 to 3": latents_lib.traversal(
        run.model, latents[:1], unit, context
      )
      for unit in most_active
    },
    "interpolations": {
      f"from test example {i} to {i + 1}": latents_lib.interpolation(
        run.model,
        latents[i : i + 1],
        latents[i + 1 : i + 2],
        None if first.context is None else first.context[i : i + 1],
      )
      for i in range(0, min(2 * _NUM_PATHS, len(first.images) - 1), 2)
    },
  }
  for name, rows in walks.items():
    figure = image_grid.labelled_rows(_shown(rows, run.source), num_columns=10)
    drawn = run.folder.file("figures", name)
    with runs.workdir.explained_writes(drawn):
      figures.save(figure, drawn)
  return {"latents": path, "num_examples": len(latents)}


def _shown(
  rows: dict[str, np.ndarray], source: data.Source
) -> dict[str, np.ndarray]:
  """Channels that are images of their own, one below the other."""
  if not source.channels_are_images:
    return rows
  return {
    label: image_grid.channels_as_rows(images, len(images))
    for label, images in rows.items()
  }


def _cross_checks(run: _Run) -> dict[str, Any]:
  """Samples of q(z) against samples of the prior."""
  settings = run.settings
  count = settings.num_check_samples
  batches = run.fixed(run.source.train, count)
  drawn = latents_lib.export(run.model, batches, seed=settings.seed)["latents"]
  # Noise that no batch of q(z) has: the tests are of independent samples.
  prior = run.model.prior.sample(count, seed=[settings.seed, _PRIOR]).numpy()
  one, other = (z.reshape(count, -1) for z in (drawn, prior))
  seed = settings.seed
  return {
    "num_samples": count,
    "mmd": two_sample.mmd(one, other, seed=seed)._asdict(),
    "classifier": two_sample.classifier_test(one, other, seed=seed)._asdict(),
  }


def _sample_quality(run: _Run) -> dict[str, Any]:
  assert run.settings.classifier is not None  # `_missing`.
  return sample_quality.measure(
    run.model,
    run.source.test,
    run.settings.classifier,
    num_images=run.settings.num_examples,
    seed=run.settings.seed,
  )


def _marginal_kl(run: _Run) -> dict[str, Any]:
  settings, count = run.settings, run.settings.num_components
  is_map = getattr(run.model, "latent_shape", None) is not None
  if count is None and is_map:
    count = min(_COMPONENTS_OF_MAPS, run.source.train.num_examples)
    run.say(
      f"marginal_kl: of {count} training examples, as every pair runs the "
      "inference network; --num_components says otherwise."
    )
  return marginal_kl.estimate(
    run.model,
    run.source.train,
    num_components=count,
    num_samples=settings.num_samples,
    seed=settings.seed,
    memory_gib=settings.memory_gib,
    folder=run.folder.file("evaluation", "marginal_kl"),
    settings=run.identity,
    progress=pieces_lib.tenths("marginal_kl", run.say),
  ).to_json()


class _Part(NamedTuple):
  """A measurement, and the settings that decide it."""

  function: Callable[[_Run], dict[str, Any]]
  fields: tuple[str, ...]


# In the order in which they are done: what takes longest is last.
_PARTS = {
  "likelihood": _Part(_likelihood, ("num_examples", "seed")),
  "active_units": _Part(_active_units, ("num_examples", "seed")),
  "pictures": _Part(_pictures, ("num_examples", "seed")),
  "cross_checks": _Part(_cross_checks, ("num_check_samples", "seed")),
  "importance": _Part(
    _importance,
    (
      "num_examples",
      "num_importance_samples",
      "num_importance_examples",
      "seed",
    ),
  ),
  "sample_quality": _Part(
    _sample_quality, ("classifier", "num_examples", "seed")
  ),
  "marginal_kl": _Part(_marginal_kl, ("num_components", "num_samples", "seed")),
}


def describe(result: Mapping[str, Any]) -> str:
  """An evaluation as a table: what was measured, its value, its error."""
  lines = [f"{result['dataset']}, checkpoint of step {result['step']}"]
  for name, part in result["parts"].items():
    lines += [f"{name} ({part['seconds']:.0f} s)"]
    lines += [f"  {line}" for line in _DESCRIPTIONS[name](part["result"])]
  return "\n".join(lines)


def _describe_likelihood(found: Mapping[str, Any]) -> list[str]:
  lines = [
    f"{'':6}{'σ':>9}{'RMSE':>9}{'KL':>9}{'NLL':>10}{'exact NLL':>11}"
    f"{'ELBO':>11}{'bits/dim':>10}"
  ]
  lines += [
    f"{name:6}{row['sigma']:9.5f}{row['rmse']:9.5f}{row['kl']:9.2f}"
    f"{row['neg_log_likelihood']:10.2f}{row['neg_log_likelihood_exact']:11.2f}"
    f"{row['elbo']:11.2f}{-row['elbo_bits_per_dim']:10.4f}"
    for name, row in found.items()
  ]
  steps = found["test"]["kl_per_step"]
  if steps:
    lines.append("KL of each step: " + " ".join(f"{kl:.2f}" for kl in steps))
  return lines


def _describe_importance(found: Mapping[str, Any]) -> list[str]:
  return [
    f"ln p(x) ≥ {found['value']:.2f} ± {found['standard_error']:.2f} nats, "
    f"{found['bits_per_dim']:.4f} bits/dim "
    f"(k = {found['num_importance_samples']}, {found['num_examples']} test "
    "examples)"
  ]


def _describe_units(found: Mapping[str, Any]) -> list[str]:
  return [f"{found['num_active']} of {found['num_units']} units are active"]


def _describe_pictures(found: Mapping[str, Any]) -> list[str]:
  return [f"{found['num_examples']} latents in {found['latents']}"]


def _describe_checks(found: Mapping[str, Any]) -> list[str]:
  mmd, test = found["mmd"], found["classifier"]
  return [
    f"MMD² of q(z) and prior {mmd['statistic']:.2e} (p = {mmd['p_value']:.3f})",
    f"a classifier tells them apart {test['accuracy']:.1%} of the time "
    f"({test['low']:.1%} to {test['high']:.1%}; chance 50 %)",
  ]


def _describe_quality(found: Mapping[str, Any]) -> list[str]:
  judge = found["classifier"]
  return [
    f"FID {found['classifier_fid']:.4g}, KID {found['classifier_kid']:.3g} ± "
    f"{found['classifier_kid_standard_error']:.1g}, precision "
    f"{found['classifier_precision']:.3f}, recall "
    f"{found['classifier_recall']:.3f}",
    f"in features {found['layer']} of the classifier {judge['name']}, of "
    f"{found['num_images']} samples and test images",
  ]


def _describe_marginal(found: Mapping[str, Any]) -> list[str]:
  def row(label: str, name: str) -> str:
    value = found[name]
    return f"{label:20}{value['value']:9.3f} ± {value['standard_error']:.3f}"

  count, population = found["num_components"], found["population"]
  lines = [
    row("marginal KL", "marginal_kl")
    + f" nats (N = {count}, S = {found['num_samples']})",
    row("average KL", "average_kl"),
    row("mutual information", "mutual_information")
    + f" (at most ln N = {np.log(count):.3f})",
  ]
  if count < population:
    lines.append(
      row("at least", "lower_bound")
      + f" for all {population}; the first is too large by at most "
      f"{found['bias_bound']:.3f}"
    )
  return lines


_DESCRIPTIONS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
  "likelihood": _describe_likelihood,
  "active_units": _describe_units,
  "pictures": _describe_pictures,
  "cross_checks": _describe_checks,
  "importance": _describe_importance,
  "sample_quality": _describe_quality,
  "marginal_kl": _describe_marginal,
}
