# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the documents show works."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_DOCUMENTS = sorted([*_ROOT.glob("*.md"), *_ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _blocks():
  for path in _DOCUMENTS:
    text = path.read_text(encoding="utf-8")
    for i, block in enumerate(_BLOCK.findall(text)):
      yield pytest.param(block, id=f"{path.relative_to(_ROOT)}-{i}")


@pytest.mark.parametrize("block", list(_blocks()))
def test_python_block_compiles(block):
  # A block may be an excerpt: an ellipsis is Python, await is not outside.
  code = compile(block, "document", "exec")
  assert code.co_code


def _printed_by(script, *flags):
  """What a script of docs/ prints, with this tree's package."""
  done = subprocess.run(
    [sys.executable, str(_ROOT / "docs" / script), *flags],
    capture_output=True,
    check=False,
    cwd=_ROOT,
    env={
      **os.environ,
      "PYTHONPATH": str(_ROOT),
      "TF_CPP_MIN_LOG_LEVEL": "3",
    },
    text=True,
  )
  assert done.returncode == 0, done.stderr
  return done.stdout


def test_core_alone_meets_its_constraint():
  (rmse,) = re.findall(r"RMSE ([0-9.]+)", _printed_by("core_alone.py"))
  assert abs(float(rmse) / 0.15 - 1.0) <= 0.03


def test_keras_fairness_is_interrupted_and_resumed():
  printed = _printed_by("keras_fairness.py", "--epochs=4")
  assert "interrupted after 2 epochs" in printed
  assert "multipliers of a run left alone: True" in printed


@pytest.mark.slow
@pytest.mark.parametrize("num_devices", [1, 2])
def test_keras_fairness_meets_its_constraint(num_devices):
  flag = f"--virtual_devices={num_devices}"
  printed = _printed_by("keras_fairness.py", flag)
  assert "multipliers of a run left alone: True" in printed
  assert f"satisfied 1, replicas {num_devices}" in printed
  plain, constrained = (
    float(re.search(f"{n}, training.*difference ([-+.0-9]+)", printed)[1])
    for n in ("plain", "constrained")
  )
  assert plain > 0.05
  assert abs(constrained) <= 0.0215  # By the last weights, not their average.


def test_core_alone_uses_nothing_but_the_core():
  code = (_ROOT / "docs" / "core_alone.py").read_text(encoding="utf-8")
  assert set(re.findall(r"geco_tf\.(\w+)", code)) == {"GECO", "constraints"}
  assert "from geco_tf" not in code
