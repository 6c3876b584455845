# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whatever has a name is tested by name; a new registry has to be told here."""

import importlib
import pathlib
import pkgutil
import re

import pytest

import geco_tf
from geco_tf import registry as registry_lib
from tests.conformance import registered

_TESTS = pathlib.Path(__file__).parents[1]
# Where the generic tests of each family are.
_SUITES = {
  "geco_tf.constraints": "conformance/test_constraints.py",
  "geco_tf.constraints.feature_functions": (
    "constraints/test_feature_reconstruction_error.py"
  ),
  "geco_tf.data": "conformance/test_data_sources.py",
  "geco_tf.data.paper_tasks": "conformance/test_data_sources.py",
  "geco_tf.evaluation.conditional_samples": (
    "evaluation/test_conditional_samples.py"
  ),
  "geco_tf.experiments": "experiments/test_families.py",
  "geco_tf.failure_modes.ground_truths": (
    "failure_modes/test_ground_truths.py"
  ),
  "geco_tf.failure_modes.posteriors": "failure_modes/test_small_posteriors.py",
  "geco_tf.models": "conformance/test_models.py",
  "geco_tf.models.classifiers": "models/test_classifiers.py",
  "geco_tf.models.posteriors": "conformance/test_models.py",
  "geco_tf.multipliers": "conformance/test_update_rules.py",
  "geco_tf.objectives": "conformance/test_objectives.py",
}


def _registries():
  """Every registry of the package, and the first module that holds it."""
  found = {}
  modules = sorted(
    module.name
    for module in pkgutil.walk_packages(geco_tf.__path__, "geco_tf.")
  )
  for name in modules:
    for value in vars(importlib.import_module(name)).values():
      if isinstance(value, registry_lib.Registry):
        found.setdefault(id(value), (name, value))
  return list(found.values())


def _resolve(module):
  held = vars(importlib.import_module(module))
  return held.get("registry", held.get("rules"))


def test_every_registry_of_the_package_has_a_suite():
  here = {id(_resolve(name)) for name in _SUITES}
  forgotten = [n for n, r in _registries() if id(r) not in here]
  assert not forgotten


def test_name_registered_later_is_missed(monkeypatch):
  registry = registry_lib.Registry("thing")

  def builder():
    pass

  monkeypatch.setattr(builder, "__module__", "geco_tf.models.new")
  registry.register("old", builder)
  assert not registered.missing(registry, ["old"])
  registry.register("new", builder)
  assert registered.missing(registry, ["old"]) == {"new"}


@pytest.mark.parametrize("suite", sorted(set(_SUITES.values())))
def test_suite_asks_the_registry_what_there_is(suite):
  text = (_TESTS / suite).read_text()
  assert re.search(r"registry\.names\(\)|registered\.(names|missing)\(", text)
