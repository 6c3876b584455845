# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""NAME:VALUE and NAME=VALUE."""

import pytest

from geco_tf import errors
from geco_tf.runs import specs


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("auto", ("auto", None)),
    ("re:0.1", ("re", "0.1")),
    ("npz:", ("npz", "")),
    ("image_folder:C:/a:b", ("image_folder", "C:/a:b")),
  ],
)
def test_parse_cuts_at_the_first_colon(text, expected):
  assert specs.parse(text) == expected


@pytest.mark.parametrize(
  ("text", "expected"),
  [("auto", ("auto", None)), ("re:.1", ("re", 0.1)), ("x:-2e-3", ("x", -2e-3))],
)
def test_parse_number_reads_the_value(text, expected):
  assert specs.parse_number(text) == expected


@pytest.mark.parametrize("text", ["re:", "re:x", "re:0,1", "re:1:2"])
def test_parse_number_refuses_what_is_no_number(text):
  with pytest.raises(errors.UserError, match=f"'{text}' must be NAME:NUMBER"):
    specs.parse_number(text)


def test_parse_options_reads_literals_and_leaves_text():
  options = specs.parse_options(
    ["a=8", "b=.5", "c=(1, 2)", "d=None", "e=nvp", "f=x=y", "g=", "h=True"]
  )
  assert options == {
    "a": 8, "b": 0.5, "c": (1, 2), "d": None, "e": "nvp", "f": "x=y", "g": "",
    "h": True,
  }  # fmt: skip


def test_parse_options_refuses_a_pair_without_equals():
  with pytest.raises(errors.UserError, match="NAME=VALUE; got 'width:8'"):
    specs.parse_options(["a=1", "width:8"])
