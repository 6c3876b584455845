# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A classifier's config, its folder, and getting it back from there."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import sonnet as snt
import tensorflow as tf

from geco_tf import data, errors
from geco_tf.models import classifiers
from geco_tf.runs import base_config, checkpoints, specs, workdir


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig(base_config.BaseConfig):
  """The training of a classifier. Each field is a flag of the same name."""

  # Data.
  dataset: str = base_config.field(
    "digits", "registered source with labels, or image_folder:PATH."
  )
  data_dir: str | None = base_config.field(None, "where TFDS keeps its data.")
  image_size: int | None = base_config.field(None, "side after resizing.")
  resize: str = base_config.field("area", "how: area, crop or pad.")
  max_shift: float = base_config.field(
    0.1, "largest shift of a training image, as a share of its side."
  )
  flip: bool = base_config.field(False, "mirror half of the training images.")
  # Model.
  model: str = base_config.field("digit_cnn", "digit_cnn or cifar_resnet.")
  model_option: tuple[str, ...] = base_config.field(
    (), "NAME=VALUE, an argument of the model; repeatable."
  )
  # Optimisation.
  num_steps: int = base_config.field(2_000, "updates of the parameters.")
  batch_size: int = base_config.field(128, "examples a step.")
  learning_rate: float = base_config.field(2e-3, "of Adam, at its highest.")
  warmup_steps: int = base_config.field(0, "of linear rise to learning_rate.")
  seed: int = base_config.field(0, "of the weights and the order of the data.")
  # What is written.
  log_every: int = base_config.field(100, "steps between rows of metrics.")
  evaluate_every: int = base_config.field(500, "steps between test accuracies.")
  checkpoint_every: int = base_config.field(500, "steps between checkpoints.")


class Network(NamedTuple):
  """What the network of a classifier's folder was built for."""

  image_shape: tuple[int, ...]  # (H, W, C).
  num_classes: int


_POSITIVE = (
  "num_steps", "batch_size", "learning_rate", "log_every", "evaluate_every",
  "checkpoint_every",
)  # fmt: skip


def validate_classifier(config: ClassifierConfig) -> ClassifierConfig:
  """Returns config if a classifier can be trained by it.

  Raises:
    UserError: names the setting, what it needs and what it got.
  """
  base_config.check_types(config)
  base_config.check_positive(config, _POSITIVE)
  if not 0 <= config.seed < 2**31:
    raise errors.UserError(f"`seed` must be in [0, 2**31); got {config.seed}.")
  if not 0.0 <= config.max_shift < 0.5:
    raise errors.UserError(
      f"`max_shift` must be in [0, 0.5); got {config.max_shift}."
    )
  data.registry[specs.parse(config.dataset).name]
  classifiers.registry[config.model]
  return config


def load_data(config: ClassifierConfig) -> data.Source:
  """The `geco_tf.data.Source` that the config names."""
  return data.load(
    config.dataset,
    image_size=config.image_size,
    resize=config.resize,
    data_dir=config.data_dir,
  )


def network_for(source: data.Source) -> Network:
  """What a classifier of these data is built for.

  Raises:
    UserError: if there are no labels.
  """
  if source.train.labels is None or source.num_classes is None:
    raise errors.UserError(
      f"A classifier needs labels; the data set {source.name!r} has none."
    )
  return Network(source.image_shape, source.num_classes)


def build_classifier(config: ClassifierConfig, network: Network) -> snt.Module:
  """The classifier, its variables created: a function of the seed alone.

  Args:
    config: of its training.
    network: what it is for.

  Raises:
    UserError: as the classifier says.
  """
  tf.random.set_seed(config.seed)
  classifier = classifiers.registry.build(
    config.model,
    *network,
    available={},
    options=specs.parse_options(config.model_option),
  )
  classifier(tf.zeros((1, *network.image_shape)), is_training=False)
  return classifier


def claim_for_classifier(
  folder: workdir.Workdir,
  config: ClassifierConfig,
  network: Network,
  fingerprint: Mapping[str, Any],
) -> None:
  """Writes config.json, or checks that this classifier's stands there already.

  Args:
    folder: exists.
    config: of the training.
    network: what it is for.
    fingerprint: what tells these data from others, as JSON has it.

  Raises:
    UserError: if the folder holds something else; says what differs.
  """
  content = {
    "classifier": config.to_json(),
    "image_shape": list(network.image_shape),
    "num_classes": network.num_classes,
    "data": dict(fingerprint),
  }
  path = folder.file("config.json")
  there = workdir.read_json(path)
  if there is None:
    versions = workdir.versions()
    with workdir.explained_writes(folder.path):
      workdir.write_json(path, {**content, "versions": versions})
    return
  if "classifier" not in there:
    raise errors.UserError(
      f"`workdir` {folder.path!r} holds a run that is no classifier's; choose "
      "another."
    )
  old, new = _facts(there), _facts(json.loads(json.dumps(content)))
  differences = [
    f"{name} is {old.get(name)} there and {value} here"
    for name, value in new.items()
    if old.get(name) != value
  ]
  if differences:
    raise errors.UserError(
      f"`workdir` {folder.path!r} holds another classifier: "
      f"{'; '.join(differences)}. Choose another workdir, or remove it."
    )


def _facts(content: Mapping[str, Any]) -> dict[str, Any]:
  """All that decides the weights, in one level."""
  facts = {
    **content["classifier"],
    **content["data"],
    "image_shape": content["image_shape"],
    "num_classes": content["num_classes"],
  }
  del facts["data_dir"]
  return facts


def load_classifier(path: str) -> snt.Module:
  """The classifier that `launch.train_classifier` left behind, frozen.

  Its variables are not trainable, so a module that holds it trains without
  it; gradients flow through it to the images. It has `image_shape`,
  `num_classes`, `features(images)` and, called, gives logits.

  Args:
    path: the classifier's folder.

  Returns:
    The classifier with its newest weights.

  Raises:
    UserError: if there is no classifier, no checkpoint, or it is of another
      model.
  """
  folder, content = workdir.Workdir(path), _read(path)
  directory = folder.file("checkpoints")
  newest = checkpoints.newest_intact(directory)
  if newest is None:
    raise errors.UserError(
      f"`classifier` must hold a checkpoint; {folder.path!r} has none yet."
    )
  network, config = _network(content), read_config(path)
  with tf.variable_creator_scope(_not_trainable):
    classifier = build_classifier(config, network)
  kept = tf.train.Checkpoint(model=classifier)
  path = checkpoints.path_of(directory, newest)
  checkpoints.restore_or_explain(kept, path, partial=True)
  return classifier


def read_network(path: str) -> Network:
  """What the classifier in a folder is for; nothing of it is loaded.

  Raises:
    UserError: if there is no classifier.
  """
  return _network(_read(path))


def read_config(path: str) -> ClassifierConfig:
  """The config of the classifier in a folder; nothing of it is loaded.

  Raises:
    UserError: if there is no classifier.
  """
  return ClassifierConfig.from_json(_read(path)["classifier"])


def _network(content: Mapping[str, Any]) -> Network:
  return Network(tuple(content["image_shape"]), content["num_classes"])


def _read(path: str) -> Mapping[str, Any]:
  """config.json of a classifier's folder."""
  folder = workdir.Workdir(path)
  content = workdir.read_json(folder.file("config.json"))
  if not isinstance(content, dict) or "classifier" not in content:
    raise errors.UserError(
      f"`classifier` must be the folder of a run of launch.train_classifier; "
      f"{folder.path!r} is not."
    )
  return content


def _not_trainable(make_next, **arguments):
  return make_next(**{**arguments, "trainable": False})
