# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Names to objects: the one place where a config becomes things that work."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import sonnet as snt
import tensorflow as tf

from geco_tf import constraints, data, errors, models, multipliers, objectives
from geco_tf.data import sources
from geco_tf.runs import constraint_specs, specs
from geco_tf.runs.config import Config, validate

# Arguments of a model that another setting than their namesake gives.
_MODEL_SETTINGS = {
  "conv_draw": {"num_steps": "draw_steps", "hidden_size": "draw_hidden_size"}
}


def check(config: Config) -> None:
  """Makes all that needs no data, so that mistakes show before it is loaded.

  Raises:
    UserError: names the setting, what it needs and what it got.
  """
  validate(config)
  data.check_options(
    task=config.task,
    task_options=specs.parse_options(config.task_option),
    pixel_noise=config.pixel_noise,
    bit_depth=config.bit_depth,
    seed=config.data_seed,
  )
  # Also where the objective does not read them: a κ of -1 is a slip.
  built = build_constraints(config)
  build_update_rules(config, [c.name for c in built])
  _build_rule(config.update_rule)


def build_data(config: Config, given: data.Source | None = None) -> data.Source:
  """The data of a run, in its precision.

  Args:
    config: of the run.
    given: instead of the source that config names, which is loaded otherwise.

  Raises:
    UserError: if the data cannot be loaded, or are no source.
  """
  if given is None:
    source = _load(config)
  else:
    sources.check(given)
    source = given
  if config.precision != "float64":
    return source
  return data.as_dtype(source, tf.float64)


def _load(config: Config) -> data.Source:
  return data.load(
    config.dataset,
    image_size=config.image_size,
    resize=config.resize,
    data_dir=config.data_dir,
    task=config.task,
    task_options=specs.parse_options(config.task_option),
    pixel_noise=config.pixel_noise,
    bit_depth=config.bit_depth,
    seed=config.data_seed,
  )


def build_model(
  config: Config,
  image_shape: tuple[int, ...],
  context_shape: tuple[int, ...] | None = None,
) -> snt.Module:
  """The model, its variables created: a function of the seed alone.

  Args:
    config: of the run.
    image_shape: (H, W, C).
    context_shape: (K, H, W, C), where the data have a context.

  Raises:
    UserError: if the data have a context and the model has no use for it, or
      as the model says.
  """
  model_options = specs.parse_options(config.model_option)
  if context_shape is not None and not models.registry.takes(
    config.model, "context_shape"
  ):
    raise errors.UserError(
      f"The data have a context of {list(context_shape)}, and the model "
      f"{config.model!r} is unconditional; conv_draw takes one."
    )
  available = {**_values(config), "context_shape": context_shape}
  for argument, setting in _MODEL_SETTINGS.get(config.model, {}).items():
    available[argument] = getattr(config, setting)
  tf.random.set_seed(config.seed)
  model = models.registry.build(
    config.model, tuple(image_shape), available=available, options=model_options
  )
  images = tf.zeros((1, *image_shape))
  context = None if context_shape is None else tf.zeros((1, *context_shape))
  models.call(model, images, context, seed=tf.zeros([2], tf.int32))
  return model


def build_constraints(
  config: Config, source: data.Source | None = None
) -> list[constraints.Constraint]:
  """The constraints, from specs like re:0.1.

  Args:
    config: of the run.
    source: the data; without them the constraints are fit for finding mistakes
      alone, if they need to know of channels, classes or a classifier.

  Raises:
    UserError: names what is wrong with a spec, or what the data lack.
  """
  builder = constraint_specs.Builder(
    _values(config), classifier=config.classifier, source=source
  )
  built = [builder.build(text) for text in config.constraint_specs]
  names = [c.name for c in built]
  if len(set(names)) < len(names):
    raise errors.UserError(
      f"Constraints must differ in name; got {names}. The option name=... "
      "gives another."
    )
  return built


def build_update_rules(
  config: Config, names: Iterable[str]
) -> dict[str, multipliers.UpdateRule]:
  """The rule of every constraint, from specs like auto or log_ratio:1e-3.

  Raises:
    UserError: for a mistake in a spec, a rule of no constraint, or two of one.
  """
  rules = {name: _build_rule(config.update_rule) for name in names}
  own = set()
  for text in config.constraint_rule:
    name, equals, rule = text.partition("=")
    if not equals:
      raise errors.UserError(
        f"`constraint_rule` must be CONSTRAINT=RULE; got {text!r}."
      )
    if name not in rules:
      raise errors.unknown_name("constraint of this run", name, rules)
    if name in own:
      raise errors.UserError(
        f"`constraint_rule` must be given once a constraint; {name!r} has two."
      )
    own.add(name)
    rules[name] = _build_rule(rule)
  return rules


def _build_rule(text: str) -> multipliers.UpdateRule:
  name, rate, options = specs.parse_call(text)
  if rate is not None:
    options = {"rate": rate, **options}
  return multipliers.registry.build(name, available={}, options=options)


def build_objective(
  config: Config, source: data.Source | None = None
) -> objectives.Objective:
  """The objective; GECO gets its constraints and its rules.

  Args:
    config: of the run.
    source: as for `build_constraints`.
  """
  available = _values(config)
  available["dtype"] = models.networks.weight_dtype(config.precision)
  if config.is_constrained:
    built = build_constraints(config, source)
    available["constraints"] = built
    available["update_rule"] = build_update_rules(
      config, [c.name for c in built]
    )
  objective = objectives.registry.build(config.objective, available=available)
  if not isinstance(objective, objectives.Objective):
    raise errors.UserError(
      f"The builder of the objective {config.objective!r} must return a "
      f"`geco_tf.objectives.Objective`; got {type(objective).__name__}."
    )
  return objective


def _values(config: Config) -> dict[str, Any]:
  """The settings that builders may have arguments for."""
  values = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
  for name in ("kappa", "constraint", "model_option"):
    del values[name]
  return values
