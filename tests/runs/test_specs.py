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
  [
    ("auto", ("auto", None, {})),
    ("re:.1", ("re", 0.1, {})),
    ("x:-2e-3", ("x", -2e-3, {})),
    ("auto,bound=3", ("auto", None, {"bound": 3})),
    ("re:.1,per=class,b=(1, 2),c=[3,4]", (
      "re", 0.1, {"per": "class", "b": (1, 2), "c": [3, 4]},
    )),
  ],
)  # fmt: skip
def test_parse_call_reads_number_and_options(text, expected):
  assert specs.parse_call(text) == expected


@pytest.mark.parametrize("text", ["re:", "re:x", "re:1:2", "re:x,per=class"])
def test_parse_call_refuses_what_is_no_number(text):
  with pytest.raises(errors.UserError, match=f"'{text}' must be NAME:NUMBER"):
    specs.parse_call(text)


def test_parse_call_refuses_a_comma_for_a_point():
  with pytest.raises(errors.UserError, match="NAME=VALUE; got '1'"):
    specs.parse_call("re:0,1")


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
