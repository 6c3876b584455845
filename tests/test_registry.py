# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Names to builders, and what a builder is handed."""

import pytest
import sonnet as snt

from geco_tf import errors, registry


def _pair(size, *, width=2, depth=3):
  return size, width, depth


class _Network(snt.Module):
  def __init__(self, size, *, width, name=None):
    super().__init__(name=name)
    self.size = size
    self.width = width


class _Plain:
  pass


@pytest.fixture
def things():
  made = registry.Registry("thing")
  made.register("pair", _pair)
  made.register("network", _Network)
  made.register("plain", _Plain)
  return made


def test_build_hands_over_what_the_builder_names_and_no_more(things):
  available = {"width": 5, "unrelated": 7}
  assert things.build("pair", 1, available=available) == (1, 5, 3)


def test_build_prefers_options_to_available_values(things):
  built = things.build(
    "pair", 1, available={"width": 5}, options={"width": 6, "depth": 0}
  )
  assert built == (1, 6, 0)


def test_build_takes_positional_argument_from_available_values(things):
  assert things.build("pair", available={"size": 9}) == (9, 2, 3)


def test_build_sees_signature_behind_sonnets_metaclass(things):
  network = things.build("network", 4, available={"width": 8, "depth": 1})
  assert (network.size, network.width) == (4, 8)


def test_build_makes_class_without_constructor(things):
  assert isinstance(things.build("plain", available={"width": 1}), _Plain)


@pytest.mark.parametrize(
  ("name", "available", "options", "message"),
  [
    ("pear", {}, None, r"Unknown thing 'pear'; did you mean 'pair'\?"),
    ("zzz", {}, None, r"known: network, pair, plain\."),
    ("pair", {}, None, "The thing 'pair' needs `size`; got none."),
    ("network", {"size": 1}, None, "The thing 'network' needs `width`"),
    (
      "pair",
      {"size": 1},
      {"widht": 2},
      r"Unknown option of the thing 'pair' 'widht'; did you mean 'width'",
    ),
    (
      "network",
      {"size": 1, "width": 1},
      {"wdth": 2},
      "did you mean 'width'",
    ),
  ],
)
def test_mistakes_are_named(things, name, available, options, message):
  with pytest.raises(errors.UserError, match=message):
    things.build(name, available=available, options=options)


def test_name_taken_by_another_builder_is_refused(things):
  with pytest.raises(errors.UserError, match="thing 'pair' exists already"):
    things.register("pair", _Plain)
  assert things["pair"] is _pair


def test_same_builder_may_register_again(things):
  assert things.register("pair", _pair) is _pair
  assert things.names() == ("network", "pair", "plain")
  assert "pair" in things and "pear" not in things
