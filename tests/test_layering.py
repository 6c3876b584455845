# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Imports go down only, and `import geco_tf` loads no more than the core."""

import ast
import os
import pathlib
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
_PACKAGE = _ROOT / "geco_tf"
_LAUNCH = _ROOT / "launch"
_CORE = {"geco", "constraints", "multipliers", "errors", "registry"}
# A part may import the parts of its own floor and of those below it. The
# topmost comes first; errors and registry are everybody's.
_FLOORS = (
  {"experiments"},
  {"failure_modes"},
  {"training"},
  {"evaluation", "figures", "theory", "runs"},
  {"objectives", "models", "data"},
  {"integrations"},
  _CORE,
)
# Facts about the package: version.py imports nothing, and anyone may read it.
_FREE = {"version"}
# The package's own door: geco_tf/__init__.py reaches the rest lazily.
_DOOR = "__init__"
_LAZY = (
  "PIL",
  "keras",
  "matplotlib",
  "sklearn",
  "sonnet",
  "tensorflow_datasets",
  "tensorflow_probability",
  "tf_keras",
)


def _sources() -> list[pathlib.Path]:
  return sorted(_PACKAGE.rglob("*.py"))


def _name(path: pathlib.Path) -> str:
  return str(path.relative_to(_ROOT))


def _part(path: pathlib.Path) -> str:
  """The file or folder right under geco_tf that path belongs to."""
  return path.relative_to(_PACKAGE).parts[0].removesuffix(".py")


def _floor(part: str) -> int:
  for height, parts in enumerate(reversed(_FLOORS)):
    if part in parts:
      return height
  raise AssertionError(f"geco_tf/{part} is on no floor; add it to _FLOORS.")


def _imported_modules(path: pathlib.Path) -> set[str]:
  """Every module that a file imports, inside functions too."""
  modules = set()
  for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
    if isinstance(node, ast.Import):
      modules |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f"{_name(path)}: relative import"
      modules |= {f"{node.module}.{alias.name}" for alias in node.names}
  return modules


def _imported_parts(path: pathlib.Path) -> set[str]:
  parts = set()
  for module in _imported_modules(path):
    names = module.split(".")
    if names[0] == "geco_tf":
      parts.add(names[1] if len(names) > 1 else _DOOR)
  return parts


def _violations(path: pathlib.Path) -> list[str]:
  part = _part(path)
  imported = _imported_parts(path) - _FREE
  if part == _DOOR or part in _FREE:
    return []
  found = []
  for other in sorted(imported - {part}):
    if other == _DOOR:
      found.append(f"{_name(path)} imports geco_tf itself")
    elif part in _CORE and other not in _CORE:
      found.append(f"{_name(path)}, in the core, imports {other}")
    elif _floor(other) > _floor(part):
      found.append(f"{_name(path)} imports {other}, which is above it")
  return found


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_imports_go_down_only(path):
  assert not _violations(path)


@pytest.mark.parametrize(
  ("file", "source", "expected"),
  [
    ("models/vae.py", "from geco_tf.training import step", "above it"),
    ("evaluation/x.py", "import geco_tf.training.step", "above it"),
    ("constraints/x.py", "def f():\n  from geco_tf import models", "core"),
    ("runs/x.py", "import geco_tf", "itself"),
  ],
)
def test_violation_found_when_import_goes_up(
  file, source, expected, tmp_path, monkeypatch
):
  monkeypatch.setattr(sys.modules[__name__], "_ROOT", tmp_path)
  monkeypatch.setattr(sys.modules[__name__], "_PACKAGE", tmp_path / "geco_tf")
  path = tmp_path / "geco_tf" / file
  path.parent.mkdir(parents=True)
  path.write_text(source)
  (violation,) = _violations(path)
  assert expected in violation


@pytest.mark.parametrize("path", _sources(), ids=_name)
def test_package_knows_no_flags_and_no_launcher(path):
  modules = _imported_modules(path)
  assert not [m for m in modules if m.startswith(("absl.flags", "absl.app"))]
  assert not [m for m in modules if m.split(".")[0] in ("launch", "tests")]


@pytest.mark.parametrize("path", sorted(_LAUNCH.glob("*.py")), ids=_name)
def test_launcher_is_thin(path):
  assert len(path.read_text(encoding="utf-8").splitlines()) < 80


@pytest.mark.parametrize(
  "folder",
  sorted(
    {p.parent for root in (_PACKAGE, _LAUNCH) for p in root.rglob("*.py")}
  ),
  ids=_name,
)
def test_folder_with_code_is_a_package(folder):
  """Otherwise find_packages leaves it out of the wheel."""
  assert (folder / "__init__.py").is_file()


def _modules_after(statement: str) -> set[str]:
  """The modules that a fresh interpreter holds after a statement."""
  code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
  done = subprocess.run(
    [sys.executable, "-c", code],
    capture_output=True,
    check=True,
    cwd=_ROOT,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    text=True,
  )
  return set(done.stdout.split())


def test_import_loads_tensorflow_and_the_core_only():
  ours = _modules_after("import geco_tf")
  loaded = ours - _modules_after("import tensorflow")
  parts = {m.split(".")[1] for m in loaded if m.startswith("geco_tf.")}
  assert parts <= _CORE | _FREE
  assert "tensorflow" in ours
  assert not [m for m in loaded if m.split(".")[0] in _LAZY]


def test_integrations_need_the_core_and_keras_alone():
  known = {"geco_tf", "keras", "tensorflow", *sys.stdlib_module_names}
  for path in (_PACKAGE / "integrations").rglob("*.py"):
    assert _imported_parts(path) <= _CORE | {"integrations"}, _name(path)
    roots = {module.split(".")[0] for module in _imported_modules(path)}
    assert roots <= known, _name(path)


def test_theory_is_there_after_the_package_alone():
  ours = _modules_after("import geco_tf; geco_tf.theory.fixed_points.find")
  assert "geco_tf.theory.fixed_points" in ours
  assert "tensorflow_probability" not in ours


def test_version_is_the_one_that_is_installed():
  from importlib import metadata

  from geco_tf import version

  assert metadata.version("geco_tf") == version.__version__
