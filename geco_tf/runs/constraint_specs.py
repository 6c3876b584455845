# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Specs like re:0.1,per=class to constraints, their judges and features."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import sonnet as snt
import tensorflow as tf

from geco_tf import constraints, data, errors
from geco_tf.constraints import feature_functions, reconstruction_error
from geco_tf.runs import classifiers, specs

# How `per` asks for a multiplier for each class, of any scalar constraint.
_PER_CLASS = "class"


class Builder:
  """Builds constraints for some data.

  Without data it finds mistakes: what only the data tell then has stand-ins,
  one channel and one class, no classifier is loaded, and nothing of TensorFlow
  is started.
  """

  def __init__(
    self,
    settings: Mapping[str, Any],
    *,
    classifier: str | None,
    source: data.Source | None,
  ):
    """Takes notes.

    Args:
      settings: values that constraints may have arguments for.
      classifier: folder of the classifier that judges, or makes features.
      source: the data; None if they are not loaded yet.
    """
    self._settings = dict(settings)
    self._folder = classifier
    self._source = source
    self._loaded: snt.Module | None = None

  def build(self, text: str) -> constraints.Constraint:
    """The constraint of a spec.

    Raises:
      UserError: for a mistake in it, or if the data or the classifier have not
        what it needs.
    """
    name, tolerance, options = specs.parse_call(text)
    if tolerance is None:
      raise errors.UserError(
        f"`constraint` must be NAME:TOLERANCE; got {text!r}."
      )
    is_per_class = _takes_per_class(name, options)
    available = {**self._settings, "num_channels": self._num_channels}
    if constraints.registry.takes(name, "classifier_fn"):
      available["classifier_fn"] = self._classifier_fn(name)
    if constraints.registry.takes(name, "feature_fn"):
      available["feature_fn"] = self._feature_fn(name, options)
    built = constraints.registry.build(
      name, tolerance, available=available, options=options
    )
    constraints.check_name(built.name)
    _check_reach(built, tolerance)
    if is_per_class or "labels" in built.required_context():
      self._check_labels(name)
    if is_per_class:
      built = constraints.PerClass(built, num_classes=self._num_classes)
    return built

  @property
  def _num_channels(self) -> int:
    return 1 if self._source is None else self._source.image_shape[-1]

  @property
  def _num_classes(self) -> int:
    return (self._source and self._source.num_classes) or 1

  def _check_labels(self, name: str) -> None:
    if self._source is not None and self._source.train.labels is None:
      raise errors.UserError(
        f"The constraint {name!r} needs labels; the data set "
        f"{self._source.name!r} has none."
      )

  def _classifier_fn(self, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
    network = self._network(name)
    if self._source is None:
      return _not_loaded
    if self._source.num_classes not in (None, network.num_classes):
      raise errors.UserError(
        f"`classifier` must tell the {self._source.num_classes} classes of the "
        f"data; it tells {network.num_classes}."
      )
    return self._classifier()

  def _feature_fn(
    self, name: str, options: dict[str, Any]
  ) -> Callable[[tf.Tensor], Any]:
    """The features that options ask for; takes theirs out of them."""
    wanted = str(options.pop("features", "local_statistics"))
    known = feature_functions.registry
    if wanted in known:
      theirs = [k for k in options if known.takes(wanted, k)]
      return known.build(
        wanted, available={}, options={k: options.pop(k) for k in theirs}
      )
    if self._folder is None:
      raise errors.UserError(
        f"`features` must be {' or '.join(known.names())}, or layers of a "
        f"classifier, whose folder `classifier` names; got {wanted!r}."
      )
    self._network(name)
    if self._source is None:
      return _not_loaded
    return _layers(self._classifier(), wanted.split("+"))

  def _network(self, name: str) -> classifiers.Network:
    """What the classifier is for, if it is for these data."""
    if self._folder is None:
      raise errors.UserError(
        f"The constraint {name!r} needs a classifier; set `classifier` to the "
        "folder of one, of launch.train_classifier."
      )
    network = classifiers.read_network(self._folder)
    if self._source is not None and (
      tuple(network.image_shape) != tuple(self._source.image_shape)
    ):
      raise errors.UserError(
        f"`classifier` must be one of images {list(self._source.image_shape)}, "
        f"as the data are; it is one of {list(network.image_shape)}."
      )
    return network

  def _classifier(self) -> snt.Module:
    """The classifier, loaded once for all constraints."""
    if self._loaded is None:
      assert self._folder is not None
      self._loaded = classifiers.load_classifier(self._folder)
    return self._loaded


def _takes_per_class(name: str, options: dict[str, Any]) -> bool:
  """Whether `per` is "class", which is then taken out of the options."""
  known = {_PER_CLASS}
  if constraints.registry.takes(name, "per"):
    known.update(reconstruction_error.PER)
  per = options.get("per", _PER_CLASS)
  if per not in known:
    raise errors.unknown_name("per", per, known)
  if per == _PER_CLASS:
    return options.pop("per", None) is not None
  return False


def _layers(
  classifier: snt.Module, names: list[str]
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
  """The feature function of some layers, checked to exist."""
  there = classifier.features(tf.zeros((1, *classifier.image_shape)))
  for name in names:
    if name not in there:
      raise errors.unknown_name("layer of the classifier", name, there)

  def features(images: tf.Tensor) -> list[tf.Tensor]:
    found = classifier.features(images)
    return [found[name] for name in names]

  return features


def _check_reach(constraint: constraints.Constraint, tolerance: float) -> None:
  """Raises a UserError for a κ that any image in [0, 1] meets."""
  largest = math.inf
  if isinstance(constraint, constraints.ReconstructionError):
    largest = 1.0
  if isinstance(constraint, constraints.NegLogLikelihood):
    # Where σ is the whole range.
    largest = constraint.kappa - math.log(constraint.sigma)
  if tolerance >= largest:
    raise errors.UserError(
      f"`kappa` must be below {largest:.4g}, as images are in [0, 1]; got "
      f"{tolerance}."
    )


def _not_loaded(images: tf.Tensor) -> tf.Tensor:
  raise errors.UserError(
    "This constraint was built without data, to check its spec; build it with "
    "a `source`."
  )
