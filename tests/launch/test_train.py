# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The training command, as users type it."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from absl import app, flags
from absl.testing import flagsaver

from geco_tf import runs
from launch import command_line
from tests.training import tiny

_ROOT = pathlib.Path(__file__).parents[2]
_TINY = (
  "--posterior=mean_field",
  "--latent_size=4",
  "--channels=4",
  "--hidden_size=16",
  "--kappa=0.2",
)


def _popen(*arguments):
  return subprocess.Popen(
    [sys.executable, "-m", "launch.train", *arguments],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    cwd=_ROOT,
    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
  )


def _run(*arguments):
  with _popen(*arguments) as process:
    out, err = process.communicate()
  return process.returncode, out, err


@pytest.fixture(scope="module")
def command():
  """The module; its flags are the process's."""
  from launch import train

  return train


@pytest.fixture
def run(command, monkeypatch, capsys, tmp_path):
  """Runs the command in this process: status, stdout, stderr."""
  monkeypatch.setattr(
    app,
    "run",
    lambda main, flags_parser: sys.exit(main(flags_parser(sys.argv))),
  )
  # Whatever it writes by default is not to stay.
  monkeypatch.chdir(tmp_path)

  def run_main(*arguments):
    monkeypatch.setattr(sys, "argv", ["train", *arguments])
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as raised:
      command_line.run(command.run)
    captured = capsys.readouterr()
    return raised.value.code, captured.out, captured.err

  return run_main


def _assert_one_line(status, err, message):
  assert status == 2
  assert message in err
  assert "Traceback" not in err
  last = err.strip().splitlines()[-1]
  assert last.startswith("error: ")
  assert message in last


def test_dry_run_prints_the_resolved_config():
  status, out, err = _run("--dry_run", "--preset=mnist", "--kappa=0.06")
  assert status == 0, err
  config = runs.Config.from_json(json.loads(out))
  assert config == runs.presets.get("mnist").replace(kappa=0.06)


def test_mistake_found_by_training_is_one_line_and_status_2(tmp_path):
  workdir = tmp_path / "run"
  status, _, err = _run("--posterior=nvq", f"--workdir={workdir}")
  _assert_one_line(status, err, "did you mean 'nvp'?")
  assert not (workdir / "config.json").exists()


@pytest.mark.parametrize(
  ("arguments", "expected"),
  [
    ([], {}),
    (["--kappa=0.3"], {"kappa": 0.3}),
    (
      ["--constraint=re:0.1"],
      {"kappa": None, "constraint": ("re:0.1",)},
    ),
    (
      [
        "--constraint=re:0.1,per=class",
        "--constraint=pncc:0.7",
        "--constraint_rule=pncc=log_ratio:1e-3",
      ],
      {
        "kappa": None,
        "constraint": ("re:0.1,per=class", "pncc:0.7"),
        "constraint_rule": ("pncc=log_ratio:1e-3",),
      },
    ),
    (
      ["--model_option=a=1", "--model_option=b=2"],
      {"model_option": ("a=1", "b=2")},
    ),
    (["--xla", "--seed=7"], {"xla": True, "seed": 7}),
    (["--gradient_clip=0.5"], {"gradient_clip": 0.5}),
  ],
  ids=str,
)
def test_flags_override_the_preset(run, arguments, expected):
  status, out, _ = run("--dry_run", *arguments)
  assert status == 0
  config = runs.Config.from_json(json.loads(out))
  assert config == runs.presets.get("digits").replace(**expected)


def test_kappa_that_is_to_be_found_is_shown_as_it_was_asked(run):
  status, out, _ = run("--dry_run", "--kappa=auto:p25", "--seed=3")
  assert status == 0
  shown = json.loads(out)
  assert shown.pop("kappa") == "auto:p25"
  expected = runs.presets.get("digits").replace(seed=3).to_json()
  assert shown == {
    k: list(v) if isinstance(v, tuple) else v
    for k, v in expected.items()
    if k != "kappa"
  }


def test_every_setting_is_a_flag(command):
  del command
  for name in runs.Config().to_json():
    assert name in flags.FLAGS
    assert flags.FLAGS[name].help


@pytest.mark.parametrize(
  ("argument", "message"),
  [
    ("--datset=mnist", "Unknown flag --datset; did you mean --dataset?"),
    ("mnist", "Unexpected argument 'mnist'"),
    ("--num_steps=many", "num_steps=many"),
    ("--preset=mnsit", "did you mean 'mnist'"),
    ("--dataset=digit", "Unknown data set 'digit'; did you mean 'digits'"),
    ("--objective=gecko", "did you mean 'geco'"),
    ("--kappa=0", "`kappa` must be positive and finite; got 0.0."),
    ("--kappa=-1", "`kappa` must be positive and finite; got -1.0."),
    ("--kappa=nan", "`kappa` must be positive and finite; got nan."),
    ("--kappa=auto", "`kappa` must be a number, or auto:pNN"),
    ("--kappa=auto:p100", "`kappa` must be a number, or auto:pNN"),
    ("--constraint=re", "NAME:TOLERANCE"),
    ("--constraint=re:auto:p25", "'auto:p25' is no number"),
    ("--constraint=ee:1", "Unknown constraint 'ee'; did you mean 're'"),
    ("--constraint=pncc:1.5", "`kappa` must be in (-1, 1), a correlation"),
    ("--constraint=cla:0.9", "needs a classifier; set `classifier`"),
    ("--constraint=pncc:0.7,patch_size=9", "must fit into the images"),
    ("--constraint=re:0.1,per=clas", "did you mean 'class'"),
    ("--constraint_rule=er=auto", "did you mean 're'"),
    ("--update_rule=log_ratio", "'log_ratio' needs `rate`"),
    ("--model_option=depht=1", "option of the model 'vae' 'depht'"),
    ("--image_size=65", "64"),
    ("--batch_size=5000", "batch_size"),
    ("--learning_rate=0", "`learning_rate` must be positive and finite"),
    ("--dataset=image_folder:/nowhere", "/nowhere"),
  ],
  ids=str,
)
def test_mistake_is_one_line_and_status_2(run, argument, message, tmp_path):
  status, out, err = run(argument, *(a for a in _TINY if "kappa" not in a))
  _assert_one_line(status, err, message)
  assert err.count("\n") == 1
  assert out == ""
  assert not list(tmp_path.glob("runs/*/*"))


def test_kappa_beside_constraint_is_refused(run):
  status, _, err = run("--kappa=0.1", "--constraint=re:0.1")
  _assert_one_line(status, err, "`kappa` and `constraint` exclude each other")


def test_workdir_of_another_run_is_refused(run, tmp_path):
  folder = runs.Workdir(str(tmp_path / "theirs"))
  folder.create()
  folder.claim(runs.presets.get("digits"), (8, 8, 1))
  status, _, err = run(f"--workdir={folder.path}", *_TINY)
  _assert_one_line(status, err, "kappa is 0.1 there and 0.2 here")


def test_workdir_that_cannot_be_written_is_refused(run, tmp_path):
  (tmp_path / "file").write_text("")
  status, _, err = run(f"--workdir={tmp_path / 'file' / 'run'}", *_TINY)
  _assert_one_line(status, err, "`workdir` must be a folder")


_FINE = (
  *_TINY,
  f"--num_steps={tiny.NUM_STEPS}",
  "--log_every=2",
  "--evaluate_every=4",
  "--checkpoint_every=2",
  "--steps_per_call=2",
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
  """The folder of a run left alone, with a checkpoint every two steps."""
  folder = tmp_path_factory.mktemp("straight") / "run"
  status, out, err = _run(f"--workdir={folder}", *_FINE)
  assert status == 0, err
  assert "test_rmse" in out
  return folder


@pytest.mark.slow
@pytest.mark.parametrize(
  ("number", "expected"),
  [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)],
)
def test_stopped_run_goes_on_as_if_left_alone(
  number, expected, straight, tmp_path
):
  """Once step 16 was reported, between two checkpoints or in one."""
  killed = tmp_path / "killed"
  with _popen(f"--workdir={killed}", *_FINE) as process:
    with contextlib.suppress(StopIteration):
      while not next(process.stdout).startswith("step 16/"):
        pass
    process.send_signal(number)
    _, err = process.communicate()
  assert process.returncode == expected, "it ended before it was stopped"
  if number == signal.SIGTERM:
    step = runs.kept_steps(str(killed))[-1]
    assert 16 <= step < tiny.NUM_STEPS
    assert err.strip().splitlines()[-1] == (
      f"stopped by SIGTERM; step {step} of {tiny.NUM_STEPS} is saved, and the "
      "same command goes on from there."
    )
  status, _, err = _run(f"--workdir={killed}", *_FINE)
  assert status == 0, err
  there, here = tiny.checkpointed(straight), tiny.checkpointed(killed)
  assert there.keys() == here.keys()
  for key, value in there.items():
    assert (value == here[key]).all(), key
  rows = [
    tiny.without_timings(runs.Workdir(str(w)).read_metrics())
    for w in (straight, killed)
  ]
  assert len(rows[0]) == tiny.NUM_STEPS // 2
  assert rows[0] == rows[1]
  summaries = [runs.Workdir(str(w)).read_summary() for w in (straight, killed)]
  assert summaries[0] == summaries[1]
