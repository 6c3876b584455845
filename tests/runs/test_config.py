# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The config: JSON and back, and every mistake by name."""

import json
import math

import pytest

from geco_tf import errors, models, objectives, runs
from geco_tf.runs import build
from tests.training import tiny


def _changed():
  """A config of which no field is at its default."""
  return tiny.config(
    data_dir="/data",
    image_size=16,
    model_option=("posterior='nvp'", "name=x"),
    kappa=None,
    constraint=("re:0.1", "other:2"),
    gradient_clip=None,
    weight_average=0.9,
    xla=True,
  )


@pytest.mark.parametrize("config", [runs.Config(), tiny.config(), _changed()])
def test_json_round_trip(config):
  text = json.dumps(config.to_json())
  assert runs.Config.from_json(json.loads(text)) == config


def test_json_of_another_version_names_the_setting():
  values = {**tiny.config().to_json(), "lernaing_rate": 1.0}
  with pytest.raises(errors.UserError, match="did you mean 'learning_rate'"):
    runs.Config.from_json(values)


def test_replace_refuses_unknown_setting():
  with pytest.raises(errors.UserError, match="Unknown setting 'kapa'"):
    runs.Config().replace(kapa=0.1)


def test_kappa_is_an_re_constraint():
  assert tiny.config(kappa=0.125).constraint_specs == ("re:0.125",)
  (constraint,) = build.build_constraints(
    tiny.config(kappa=0.1 + 1e-9, reduction="mean")
  )
  assert constraint.kappa == 0.1 + 1e-9
  assert constraint.reduction == "mean"


def test_every_setting_is_explained():
  import dataclasses

  for field in dataclasses.fields(runs.Config):
    assert field.metadata["help"].endswith("."), field.name


_MUST_BE_POSITIVE = (
  "anneal_share",
  "batch_size",
  "beta",
  "channels",
  "checkpoint_every",
  "coupling_width",
  "draw_hidden_size",
  "draw_steps",
  "evaluate_every",
  "hidden_size",
  "keep_checkpoints",
  "latent_channels",
  "latent_size",
  "learning_rate",
  "log_every",
  "num_couplings",
  "num_steps",
  "sigma",
  "steps_per_call",
  "virtual_devices",
)


@pytest.mark.parametrize("bad", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize("name", _MUST_BE_POSITIVE)
def test_setting_that_must_be_positive_is_named(name, bad):
  with pytest.raises(errors.UserError, match=f"`{name}` .* got {bad}"):
    runs.validate(tiny.config(**{name: bad}))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"dataset": "digit"}, "Unknown data set 'digit'; did you mean 'digits'"),
    ({"dataset": "imagefolder:/x"}, "did you mean 'image_folder'"),
    ({"model": "vea"}, "Unknown model 'vea'; did you mean 'vae'"),
    ({"objective": "gecko"}, "Unknown objective 'gecko'; did you mean 'geco'"),
    ({"update_rule": "logratio:1"}, "update rule .* did you mean 'log_ratio'"),
    ({"schedule": "cosin"}, "Unknown schedule .* did you mean 'cosine'"),
    ({"strategy": "mirror"}, "Unknown strategy .* did you mean 'mirrored'"),
    ({"tpu": "local"}, "`tpu` needs `strategy` tpu; got `strategy` one"),
    ({"virtual_devices": 2}, "got `strategy` one and 2 of them"),
    ({"resize": "are"}, "Unknown resize 'are'; did you mean 'area'"),
    ({"reduction": "avg"}, "Unknown reduction 'avg'"),
    ({"decay": 1.0}, r"`decay` must be in \[0, 1\); got 1\.0"),
    ({"decay": -0.1}, r"`decay` must be in \[0, 1\); got -0\.1"),
    ({"decay": math.nan}, "`decay` .* got nan"),
    ({"weight_average": 1.0}, r"`weight_average` must be in \[0, 1\)"),
    (
      {"final_learning_rate": 1.5},
      r"`final_learning_rate` must be in \[0, 1\]",
    ),
    ({"final_learning_rate": math.nan}, "`final_learning_rate` .* got nan"),
    ({"warmup_steps": -1}, "`warmup_steps` must not be negative.*got -1"),
    ({"gradient_clip": 0.0}, "`gradient_clip` must be positive; got 0"),
    ({"gradient_clip": math.nan}, "`gradient_clip` must be positive; got nan"),
    (
      {"kappa": 0.1, "constraint": ("re:0.2",)},
      r"exclude each other; got kappa=0\.1 and constraint=\['re:0\.2'\]",
    ),
    ({"kappa": None}, "geco needs a constraint; set `kappa` or `constraint`"),
    (
      {"objective": "geco_distortion"},
      r"got kappa=.*Bound the rate instead, as --constraint=kl:20",
    ),
  ],
)
def test_mistake_is_named_by_validate(changes, message):
  with pytest.raises(errors.UserError, match=message):
    runs.validate(tiny.config(**changes))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"kappa": 0.0}, "`kappa` must be positive and finite; got 0"),
    ({"kappa": -0.1}, r"`kappa` must be positive and finite; got -0\.1"),
    ({"kappa": math.nan}, "`kappa` must be positive and finite; got nan"),
    ({"kappa": math.inf}, "`kappa` must be positive and finite; got inf"),
    ({"kappa": None, "constraint": ("re",)}, "NAME:TOLERANCE; got 're'"),
    ({"kappa": None, "constraint": ("re:x",)}, "'x' is no number"),
    ({"kappa": None, "constraint": ("er:1",)}, "Unknown constraint 'er'"),
    ({"update_rule": "log_ratio"}, "'log_ratio' needs `rate`"),
    ({"update_rule": "log_ratio:fast"}, "'fast' is no number"),
    ({"update_rule": "log_ratio:-1"}, "`rate` must be positive"),
    ({"update_rule": "auto:1"}, "option of the update rule 'auto' 'rate'"),
  ],
)
def test_mistake_in_objective_is_named_when_it_is_built(changes, message):
  with pytest.raises(errors.UserError, match=message):
    build.build_objective(runs.validate(tiny.config(**changes)))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"posterior": "nvq"}, "did you mean 'nvp'"),
    ({"model_option": ("posteriour=nvp",)}, "did you mean 'posterior'"),
    ({"model_option": ("posterior",)}, "NAME=VALUE; got 'posterior'"),
  ],
)
def test_mistake_in_model_is_named_when_it_is_built(changes, message):
  with pytest.raises(errors.UserError, match=message):
    build.build_model(runs.validate(tiny.config(**changes)), (8, 8, 1))


def test_context_for_an_unconditional_model_names_both_sides():
  with pytest.raises(
    errors.UserError, match=r"context of \[2, 8, 8, 1\].*'vae'"
  ):
    build.build_model(tiny.config(), (8, 8, 1), (2, 8, 8, 1))


def test_precision_of_a_model_without_one_is_refused(monkeypatch):
  builders = dict(models.registry._builders)
  monkeypatch.setattr(models.registry, "_builders", builders)
  models.register("plain", lambda image_shape: None)
  with pytest.raises(errors.UserError, match="`precision` must be float32"):
    runs.validate(tiny.config(model="plain", precision="bfloat16"))


def test_float64_of_an_objective_without_a_type_is_refused(monkeypatch):
  builders = dict(objectives.registry._builders)
  monkeypatch.setattr(objectives.registry, "_builders", builders)
  objectives.register("plain", lambda: None)
  config = tiny.config(objective="plain", kappa=None)
  runs.validate(config)
  with pytest.raises(errors.UserError, match="without the argument `dtype`"):
    runs.validate(config.replace(precision="float64"))


@pytest.mark.parametrize(
  ("changes", "message"),
  [
    ({"precision": "float16"}, "Unknown precision 'float16'"),
    (
      {"precision": "float64", "strategy": "tpu"},
      "`precision` must be float32 or bfloat16 on a TPU; got 'float64'",
    ),
    (
      {"model_option": ("precision=float64",)},
      "`model_option` must leave float64 to `precision`",
    ),
    (
      {"precision": "float64", "model_option": ("precision=bfloat16",)},
      "`model_option` must leave float64 to `precision`",
    ),
  ],
)
def test_precision_that_a_run_cannot_have_is_refused(changes, message):
  with pytest.raises(errors.UserError, match=message):
    runs.validate(tiny.config(**changes))


def test_model_option_reaches_the_model_and_wins():
  config = tiny.config(model_option=("latent_size=3",))
  assert build.build_model(config, (8, 8, 1)).latent_size == 3


def test_objective_without_constraint_is_valid_without_kappa():
  config = tiny.config(objective="elbo", kappa=None)
  assert runs.validate(config) is config


def test_weights_are_a_function_of_the_seed():
  def weights(seed):
    model = build.build_model(tiny.config(seed=seed), (8, 8, 1))
    return [v.numpy() for v in model.trainable_variables]

  first, again, other = weights(0), weights(0), weights(1)
  assert all((a == b).all() for a, b in zip(first, again, strict=True))
  assert any((a != b).any() for a, b in zip(first, other, strict=True))
