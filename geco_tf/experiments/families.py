# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The runs that figures and tables share, by name.

A family is one model on one data set at one scale, trained in many ways by
equal steps. Its names are those under which results are kept.
"""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from geco_tf import errors, runs
from geco_tf.experiments import base
from geco_tf.experiments.trained_runs import Run, TrainedRuns

KAPPAS = (0.06, 0.08, 0.1, 0.125, 0.175)
SHOWN_KAPPAS = (0.08, 0.1, 0.175)  # Of blocks of images.

_MODELS = {"vae": "VAE+NVP", "conv_draw": "ConvDraw"}
_LABELS = {
  "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10",
  "celeb_a": "CelebA", "digits": "8×8 digits",
}  # fmt: skip
# Data of an item → data set and task.
_TASKS = {"color": ("mnist", "color"), "rotate": ("mnist", "rotate")}
_TASK_LABELS = {"color": "Color-{}", "rotate": "{}-rotate"}
NUM_DIMS = {
  "mnist": 28 * 28, "fashion_mnist": 28 * 28, "cifar10": 32 * 32 * 3,
  "digits": 8 * 8,
}  # fmt: skip
# Whose ELBOs `benchmarks.against_elbo` trains too.
_OF_AGAINST_ELBO = ("mnist", "cifar10")
_FROM_FILES = ("image_folder:", "npz:")


def _data_label(dataset: str, task: str | None) -> str:
  label = _LABELS[dataset]
  return label if task is None else _TASK_LABELS[task].format(label)


class Family(NamedTuple):
  """One model on one data set, at one scale."""

  model: str  # Of _MODELS.
  dataset: str  # Of _LABELS.
  task: str | None = None
  scale: str = "laptop"
  seed: int = 0
  path: str | None = None  # image_folder:PATH, where the images are there.
  data_dir: str | None = None
  stands_for: str | None = None  # The data set of the paper, if another.

  @property
  def name(self) -> str:
    """The first part of its runs' names."""
    data = self.dataset if self.task is None else f"{self.dataset}_{self.task}"
    parts = [data.removeprefix("mnist_") if self.task else data]
    if self.model == "conv_draw":
      parts.insert(0, "conv_draw")
    return "_".join([*parts, *(["paper"] if self.scale == "paper" else [])])

  @property
  def data_label(self) -> str:
    """The data set as a reader knows it, and what it stands in for."""
    if self.stands_for is not None:
      return f"{self._own_label} in place of {self.stands_for}"
    return self._own_label

  @property
  def _own_label(self) -> str:
    label = _data_label(
      self.dataset, self.task if not self.stands_for else None
    )
    return label if self.path is None else f"{label} (from files)"

  @property
  def label(self) -> str:
    """Model and data, as a reader knows them."""
    return f"{_MODELS[self.model]}, {self.data_label}"

  @property
  def flags(self) -> dict[str, Any]:
    """Preset and task."""
    model = "vae_nvp" if self.model == "vae" else self.model
    data = self.dataset if self.task is None else f"{self.dataset}_{self.task}"
    flags: dict[str, Any] = {"preset": f"{model}_{data}_{self.scale}"}
    if self.task is None and self.model == "vae" and self.scale == "laptop":
      flags = {"preset": self.dataset}
    elif flags["preset"] not in runs.presets.names() and self.task is not None:
      flags = {**self._replace(task=None).flags, "task": self.task}
    return flags

  @property
  def here(self) -> dict[str, str]:
    """Flags that say where its data are on this machine."""
    here = {"data_dir": self.data_dir, "dataset": self.path}
    return {name: value for name, value in here.items() if value}

  def geco(self, kappa: float) -> Run:
    """GECO with RE at κ."""
    name = f"{self.name}_geco_{kappa}"
    if self.model == "vae" and self.scale == "laptop":
      name = f"{self.name}_auto_{kappa}"
    elif name in ("conv_draw_mnist_geco_0.1", "conv_draw_color_geco_0.1"):
      name = name.removesuffix("_0.1")
    elif name == "conv_draw_rotate_geco_0.15":
      name = "conv_draw_rotate"
    return self._run(name, {"kappa": kappa})

  def constrained(self, name: str, *constraints: str) -> Run:
    """GECO with other constraints."""
    return self._run(f"{self.name}_{name}", {"constraint": constraints})

  def learned_sigma(self) -> Run:
    """The ELBO, its σ learned."""
    return self._compared("learned_sigma", {"objective": "learned_sigma_elbo"})

  def geco_at_learned_sigma(self, kappa: float) -> Run:
    """GECO at the RMSE that the ELBO with a learned σ ended at."""
    return self._compared("geco_at_learned_sigma", {"kappa": kappa})

  def annealed(self) -> Run:
    """The ELBO with σ annealed by hand."""
    return self._compared(
      "annealed_sigma", {"objective": "annealed_sigma_elbo"}
    )

  def beta(self, beta: float) -> Run:
    """The β-ELBO."""
    return self._compared(
      f"beta_{beta}", {"objective": "beta_elbo", "beta": beta}
    )

  def pixel_noise(self, width: float) -> Run:
    """The ELBO on data with uniform noise of that width."""
    return self._compared(
      f"pixel_noise_{width}",
      {"objective": "learned_sigma_elbo", "pixel_noise": width},
    )

  def bit_depth(self, bits: int) -> Run:
    """The ELBO on data of that many bits a pixel."""
    return self._compared(
      f"bit_depth_{bits}",
      {"objective": "learned_sigma_elbo", "bit_depth": bits},
    )

  def _compared(self, kind: str, flags: dict[str, Any]) -> Run:
    """A run beside GECO's at κ; some are of `benchmarks.against_elbo`."""
    shared = self.name in _OF_AGAINST_ELBO
    if shared and kind.startswith(("learned", "beta", "anneal", "geco_at")):
      return self._run(f"against_elbo_{self.name}_{kind}_0", flags)
    if self.model == "conv_draw":
      kind = {"learned_sigma": "elbo", "annealed_sigma": "annealed"}.get(
        kind, kind
      )
    return self._run(f"{self.name}_{kind}", flags)

  def _run(self, name: str, flags: dict[str, Any]) -> Run:
    flags = {**self.flags, **flags}
    if self.seed != 0:
      flags["seed"] = self.seed
      name = name.removesuffix("_0") if name.startswith("against") else name
      name = f"{name}_{self.seed}"
    return Run(name, flags, here=self.here)


def against_elbo(
  data: str, name: str, seed: int, *, here: Any = None, **settings: Any
) -> Run:
  """A run of `benchmarks.against_elbo`: GECO and ELBOs at equal steps.

  Args:
    data: the preset.
    name: of the objective.
    seed: of the run.
    here: flags of this machine.
    **settings: over the preset's.
  """
  flags = {"preset": data, **settings}
  name = f"against_elbo_{data}_{name}_{seed}"
  if settings == {"kappa": 0.1} and seed == 0:
    name = f"{data}_auto_0.1"
  if seed != 0:
    flags["seed"] = seed
  return Run(name, flags, here=here or {})


def make(
  wanted: Sequence[tuple[str, str]], settings: base.Settings
) -> list[Family]:
  """The families of an item, on the data that the user has.

  Without --dataset they are the item's own. With digits, all are of the
  embedded digits; with fashion_mnist, what is of MNIST is of that; with a path,
  CIFAR-10 is read from there, and stands in for CelebA. Any other data set
  leaves out what is not of it; cifar10 stands in for CelebA too.

  Args:
    wanted: model and data, "color" and "rotate" being tasks on MNIST.
    settings: of the user.

  Raises:
    UserError: if nothing is of the data set.
  """
  found: list[Family] = []
  for model, data in wanted:
    dataset, task = _TASKS.get(data, (data, None))
    family = Family(
      model,
      dataset,
      task,
      settings.scale,
      settings.seed,
      data_dir=settings.data_dir,
    )
    chosen = _substituted(family, settings.dataset)
    if chosen is not None and chosen.name not in {f.name for f in found}:
      found.append(chosen)
  if not found:
    own = {_TASKS.get(data, (data, None))[0] for _, data in wanted}
    raise errors.UserError(
      f"`dataset` must be of this item ({', '.join(sorted(own))}), digits, or "
      f"image_folder:PATH of CIFAR-10; got {settings.dataset!r}."
    )
  if settings.scale == "paper" and any(f.dataset == "digits" for f in found):
    raise errors.UserError(
      "`dataset` must not be digits at the scale 'paper'; the paper has none."
    )
  return found


def _substituted(family: Family, dataset: str | None) -> Family | None:
  """The family on the user's data; None if it is of others."""
  if dataset is None:
    return family
  if dataset == "digits":
    label = _data_label(family.dataset, family.task)
    return family._replace(dataset="digits", stands_for=label)
  if dataset == "fashion_mnist" and family.dataset == "mnist":
    label = _data_label(family.dataset, family.task)
    return family._replace(dataset=dataset, stands_for=label)
  if dataset == "cifar10" or dataset.startswith(_FROM_FILES):
    if family.dataset == "celeb_a":
      family = family._replace(dataset="cifar10", stands_for="CelebA")
    if family.dataset == "cifar10" and dataset != "cifar10":
      return family._replace(path=dataset)
    return family if dataset != "cifar10" or family.dataset == dataset else None
  return family if family.dataset == dataset else None


def check_any(found: Any, runs_of_item: TrainedRuns) -> None:
  """Raises a UserError if there is nothing to draw."""
  if not found:
    raise errors.UserError(
      f"No result is kept of the {len(runs_of_item.missing)} runs of this "
      "item, as of "
      f"{runs_of_item.missing[0]}; leave out --nomay_train to train them."
    )


def store(settings: base.Settings, folder: base.Folder) -> TrainedRuns:
  """The kept runs that an item reads: beside its folder, if not said."""
  return store_at(settings, os.path.dirname(folder.path.rstrip("/")))


def store_at(settings: base.Settings, outdir: str) -> TrainedRuns:
  """The same, by the folder of all items."""
  return TrainedRuns(
    settings.results or os.path.join(outdir, "kept"),
    settings.workdirs or os.path.join(outdir, "runs"),
    may_train=settings.may_train,
  )
