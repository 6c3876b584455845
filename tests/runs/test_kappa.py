# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A κ as the flag has it."""

import pytest

from geco_tf import errors
from geco_tf.runs import kappa


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    ("0.1", 0.1),
    (" 1e-1 ", 0.1),
    ("-1", -1.0),
    ("auto:p25", kappa.AutoKappa(25.0)),
    ("auto:p0", kappa.AutoKappa(0.0)),
    ("auto:p12.5", kappa.AutoKappa(12.5)),
  ],
)
def test_number_or_place_is_read(text, expected):
  assert kappa.parse(text) == expected
  assert isinstance(kappa.parse(text), type(expected))


@pytest.mark.parametrize(
  "text", ["", "auto", "auto:25", "auto:p", "auto:p100", "auto:p-5", "much"]
)
def test_anything_else_is_a_users_error(text):
  with pytest.raises(errors.UserError, match=r"`kappa` must be .* auto:pNN"):
    kappa.parse(text)


def test_place_is_between_the_ends_in_the_logarithm():
  assert str(kappa.AutoKappa(25.0)) == "auto:p25"
  assert kappa.AutoKappa(0.0).between(0.05, 0.8) == pytest.approx(0.05)
  assert kappa.AutoKappa(25.0).between(0.05, 0.8) == pytest.approx(0.1)
  assert kappa.AutoKappa(50.0).between(0.05, 0.8) == pytest.approx(0.2)
