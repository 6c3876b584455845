# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Everything that decides a run, in one validated record."""

import dataclasses
from collections.abc import Sequence

from geco_tf import data, errors, models, multipliers, objectives
from geco_tf.data import resizing
from geco_tf.runs import base_config, specs
from geco_tf.runs import kappa as kappa_lib

_field = base_config.field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(base_config.BaseConfig):
  """A run. Each field is a flag of the same name; None is "not set"."""

  # Data.
  dataset: str = _field("digits", "registered source, or image_folder:PATH.")
  data_dir: str | None = _field(None, "where TFDS keeps its data sets.")
  image_size: int | None = _field(None, "side of the images after resizing.")
  resize: str = _field("area", "how to reach image_size: area, crop or pad.")
  task: str | None = _field(None, "what is made of labelled digits, as sum.")
  task_option: tuple[str, ...] = _field(
    (), "NAME=VALUE, an argument of the task; repeatable."
  )
  pixel_noise: float = _field(0.0, "width of uniform noise on the data.")
  bit_depth: int | None = _field(None, "bits a pixel of the data keeps.")
  data_seed: int = _field(0, "of the colours, noise and partners of a task.")
  # Model.
  model: str = _field("vae", "registered model.")
  posterior: str = _field("nvp", "q(z|x): mean_field or nvp.")
  latent_size: int = _field(64, "dimensions of z.")
  channels: int = _field(24, "width of the outermost convolution.")
  hidden_size: int = _field(384, "width of the dense layers.")
  num_couplings: int = _field(4, "affine couplings of the nvp posterior.")
  coupling_width: int = _field(128, "hidden width of a coupling.")
  draw_steps: int = _field(4, "steps of conv_draw.")
  draw_hidden_size: int = _field(32, "channels of conv_draw's cores.")
  latent_channels: int = _field(4, "channels of conv_draw's latents, a step.")
  precision: str = _field(
    "float32",
    "of the networks' products: float32 or bfloat16; or float64, of all.",
  )
  model_option: tuple[str, ...] = _field(
    (), "NAME=VALUE, an argument of a registered model; repeatable."
  )
  # Objective.
  objective: str = _field("geco", "registered objective.")
  kappa: float | None = _field(
    None,
    "K stands for --constraint=re:K; auto:p25 finds one by a short run.",
    parse=kappa_lib.parse,
  )
  constraint: tuple[str, ...] = _field(
    (), "NAME:TOLERANCE[,OPTION=VALUE...], as re:0.1,per=class; repeatable."
  )
  classifier: str | None = _field(
    None, "folder of launch.train_classifier, for cla and fre."
  )
  reduction: str = _field("sum", "units of RE and its multiplier: sum or mean.")
  update_rule: str = _field(
    "auto", "NAME[:RATE][,OPTION=VALUE...], how multipliers move."
  )
  constraint_rule: tuple[str, ...] = _field(
    (), "CONSTRAINT=RULE, a rule of its own, as re=log_ratio:1e-3; repeatable."
  )
  decay: float = _field(0.99, "of the constraints' moving average.")
  sigma: float = _field(0.1, "of the decoder, for --objective=elbo.")
  beta: float = _field(1.0, "weight of the KL, for --objective=beta_elbo.")
  anneal_share: float = _field(
    0.1, "share of the steps that annealed_sigma_elbo anneals over."
  )
  # Optimisation.
  num_steps: int = _field(3_000, "updates of the parameters.")
  batch_size: int = _field(64, "examples a step, over all replicas.")
  learning_rate: float = _field(1e-3, "of Adam, at its highest.")
  schedule: str = _field("constant", "constant, cosine or linear decay.")
  warmup_steps: int = _field(0, "steps of linear rise to learning_rate.")
  final_learning_rate: float = _field(0.1, "share left at the end of a decay.")
  gradient_clip: float | None = _field(
    100.0, "largest global norm of the gradient."
  )
  weight_average: float | None = _field(
    None, "decay of the average of the weights that is evaluated and kept."
  )
  seed: int = _field(0, "of the weights, the noise and the order of the data.")
  # Machine.
  strategy: str = _field("one", "one, mirrored, multi_worker or tpu.")
  tpu: str | None = _field(None, "name or address of the TPU, or local.")
  virtual_devices: int = _field(1, "logical CPUs to split this machine into.")
  xla: bool = _field(False, "compile the step: on several devices, its passes.")
  steps_per_call: int = _field(50, "steps between looks at the host.")
  # What is written.
  log_every: int = _field(100, "steps between rows of metrics.")
  evaluate_every: int = _field(1_000, "steps between test measurements.")
  checkpoint_every: int = _field(1_000, "steps between checkpoints.")
  keep_checkpoints: int = _field(
    2, "how many of the newest to keep, beside the feasible one of least KL."
  )
  max_nonfinite_steps: int = _field(
    100, "updates in a row that may be skipped for not being finite."
  )

  @property
  def is_constrained(self) -> bool:
    """Whether the objective has constraints."""
    return objectives.registry.takes(self.objective, "constraints")

  @property
  def constraint_specs(self) -> tuple[str, ...]:
    """The constraints as NAME:TOLERANCE, κ among them."""
    if self.kappa is None:
      return self.constraint
    return (f"re:{self.kappa}",)


_POSITIVE = (
  "latent_size", "channels", "hidden_size", "num_couplings", "coupling_width",
  "num_steps", "batch_size", "learning_rate", "steps_per_call", "log_every",
  "evaluate_every", "checkpoint_every", "keep_checkpoints", "virtual_devices",
  "max_nonfinite_steps",
  "sigma", "beta", "anneal_share", "draw_steps", "draw_hidden_size",
  "latent_channels",
)  # fmt: skip
_CHOICES: dict[str, Sequence[str]] = {
  "schedule": ("constant", "cosine", "linear"),
  "strategy": ("one", "mirrored", "multi_worker", "tpu"),
  "resize": resizing.METHODS,
  "reduction": ("sum", "mean"),
  "precision": models.networks.PRECISIONS,
}


def validate(config: Config) -> Config:
  """Returns config if a run can be made of it.

  What only the data can tell (its size, the images' shape) is checked when it
  is loaded, also before any training.

  Raises:
    UserError: names the setting, what it needs and what it got.
  """
  base_config.check_types(config)
  base_config.check_positive(config, _POSITIVE)
  for name, choices in _CHOICES.items():
    if getattr(config, name) not in choices:
      raise errors.unknown_name(name, getattr(config, name), choices)
  data.registry[specs.parse(config.dataset).name]
  models.registry[config.model]
  objectives.registry[config.objective]
  multipliers.registry[specs.parse_call(config.update_rule).name]
  if config.model == "vae":
    models.posteriors.registry[config.posterior]
  _check_precision(config)
  _check_ranges(config)
  check_devices(config.strategy, config.virtual_devices, config.tpu)
  _check_constraints(config)
  return config


def _check_precision(config: Config) -> None:
  if config.precision != "float32" and not models.registry.takes(
    config.model, "precision"
  ):
    raise errors.UserError(
      f"`precision` must be float32 for the model {config.model!r}; got "
      f"{config.precision!r}."
    )
  if config.precision == "float64" and config.strategy == "tpu":
    raise errors.UserError(
      "`precision` must be float32 or bfloat16 on a TPU; got 'float64'."
    )
  if config.precision == "float64" and not objectives.registry.takes(
    config.objective, "dtype"
  ):
    raise errors.UserError(
      "`precision` must not be float64 for an objective without the argument "
      f"`dtype`; {config.objective!r} has none."
    )
  own = specs.parse_options(config.model_option).get("precision")
  if own is not None and "float64" in (own, config.precision):
    raise errors.UserError(
      "`model_option` must leave float64 to `precision`, which data and "
      "objective are told too."
    )


def check_devices(strategy: str, virtual_devices: int, tpu: str | None) -> None:
  """Raises a UserError if one of them says what another leaves no use for."""
  if tpu is not None and strategy != "tpu":
    raise errors.UserError(
      "`tpu` needs `strategy` tpu; got `strategy` "
      f"{strategy} and `tpu` {tpu!r}."
    )
  if virtual_devices > 1 and strategy in ("one", "tpu"):
    raise errors.UserError(
      "`virtual_devices` needs `strategy` mirrored or multi_worker; got "
      f"`strategy` {strategy} and {virtual_devices} of them."
    )


def _check_ranges(config: Config) -> None:
  for name in ("seed", "data_seed"):
    value = getattr(config, name)
    if not 0 <= value < 2**31:
      raise errors.UserError(f"`{name}` must be in [0, 2**31); got {value}.")
  for name in ("decay", "weight_average"):
    value = getattr(config, name)
    if value is not None and not 0.0 <= value < 1.0:
      raise errors.UserError(f"`{name}` must be in [0, 1); got {value}.")
  if not 0.0 <= config.final_learning_rate <= 1.0:
    raise errors.UserError(
      f"`final_learning_rate` must be in [0, 1]; got "
      f"{config.final_learning_rate}."
    )
  if not 0 <= config.warmup_steps < config.num_steps:
    raise errors.UserError(
      f"`warmup_steps` must not be negative, and fewer than num_steps="
      f"{config.num_steps}; got {config.warmup_steps}."
    )
  if config.gradient_clip is not None and not config.gradient_clip > 0:
    raise errors.UserError(
      f"`gradient_clip` must be positive; got {config.gradient_clip}."
    )


def _check_constraints(config: Config) -> None:
  if config.kappa is not None and config.constraint:
    raise errors.UserError(
      f"`kappa` and `constraint` exclude each other; got "
      f"kappa={config.kappa} and constraint={list(config.constraint)}."
    )
  if config.objective == "geco_distortion" and config.kappa is not None:
    raise errors.UserError(
      "`objective` geco_distortion makes the reconstruction error itself "
      f"least, and κ bounds it; got kappa={config.kappa}. Bound the rate "
      "instead, as --constraint=kl:20, in nats."
    )
  if config.is_constrained and not config.constraint_specs:
    raise errors.UserError(
      f"`objective` {config.objective} needs a constraint; set `kappa` or "
      "`constraint`."
    )
