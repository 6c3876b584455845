# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run's folder: claimed once, torn files survived, nothing half written."""

import json

import pytest
import tensorflow as tf

from geco_tf import errors, runs
from geco_tf.runs import workdir as workdir_lib
from tests.training import tiny

_SHAPE = (8, 8, 1)


@pytest.fixture
def folder(tmp_path):
  folder = runs.Workdir(str(tmp_path / "a" / "run"))
  folder.create()
  return folder


def test_claim_writes_config_shape_and_versions(folder):
  config = tiny.config(constraint=("re:0.1",), kappa=None)
  folder.claim(config, _SHAPE)
  assert folder.read_config() == config
  assert folder.read_image_shape() == _SHAPE
  content = workdir_lib.read_json(folder.file("config.json"))
  assert content["versions"]["tensorflow"] == tf.__version__
  assert {"geco_tf", "python", "keras"} <= content["versions"].keys()


def test_claim_by_the_same_config_is_granted_again(folder):
  folder.claim(tiny.config(), _SHAPE)
  with open(folder.file("config.json")) as f:
    before = f.read()
  folder.claim(tiny.config(), list(_SHAPE))
  # What changes no number may differ.
  folder.claim(tiny.config(data_dir="/elsewhere", keep_checkpoints=9), _SHAPE)
  with open(folder.file("config.json")) as f:
    assert f.read() == before


def test_claim_by_another_config_names_settings_and_both_values(folder):
  folder.claim(tiny.config(), _SHAPE)
  other = tiny.config(kappa=0.3, channels=5)
  with pytest.raises(errors.UserError) as raised:
    folder.claim(other, _SHAPE)
  message = str(raised.value)
  assert "channels is 4 there and 5 here" in message
  assert "kappa is 0.2 there and 0.3 here" in message
  assert "batch_size" not in message
  assert folder.read_config() == tiny.config()


def test_claim_by_other_images_is_refused(folder):
  folder.claim(tiny.config(), _SHAPE)
  with pytest.raises(
    errors.UserError, match=r"\(8, 8, 1\) there and \(16, 16, 3\) here"
  ):
    folder.claim(tiny.config(), (16, 16, 3))


def test_claim_of_checkpoints_without_config_is_refused(folder):
  tf.io.gfile.makedirs(folder.file("checkpoints"))
  with pytest.raises(errors.UserError, match="checkpoints but no config"):
    folder.claim(tiny.config(), _SHAPE)


@pytest.mark.parametrize(
  ("content", "message"),
  [
    ("{", "is not JSON"),
    ("[]", "it has no 'config'"),
    ("{}", "it has no 'config'"),
    (None, "has no config.json"),
  ],
)
def test_folder_of_no_run_is_named(folder, content, message):
  if content is not None:
    workdir_lib.write_text(folder.file("config.json"), content)
  with pytest.raises(errors.UserError, match=message):
    folder.read_config()


def test_metrics_come_back_as_written(folder):
  rows = [{"step": 1, "loss": 0.1 + 0.2}, {"step": 2, "loss": 1e-300}]
  assert folder.read_metrics() == []
  folder.write_metrics(rows)
  assert folder.read_metrics() == rows
  folder.write_metrics(rows[:1])
  assert folder.read_metrics() == rows[:1]


@pytest.mark.parametrize("torn", ['{"step": 3, "lo', "{", "nul"])
def test_torn_last_line_of_metrics_is_left_out(folder, torn, capsys):
  rows = [{"step": 1}, {"step": 2}]
  folder.write_metrics(rows)
  with open(folder.file("metrics.jsonl"), "a") as f:
    f.write(torn)
  assert folder.read_metrics() == rows
  assert capsys.readouterr().err == ""


@pytest.mark.parametrize("bad", [b'{"step": 2, "lo', b"3", b"\xff{}", b""])
def test_damaged_line_of_metrics_takes_no_other_with_it(folder, bad, capsys):
  path = folder.file("metrics.jsonl")
  workdir_lib.write_bytes(path, b'{"step": 1}\n' + bad + b'\n{"step": 3}\n')
  assert folder.read_metrics() == [{"step": 1}, {"step": 3}]
  assert capsys.readouterr().err == (
    f"warning: line 2 of {path!r} is damaged and left out.\n"
  )


def test_torn_summary_says_how_to_have_it_again(folder):
  workdir_lib.write_text(folder.file("summary.json"), '{"rmse": 0.')
  with pytest.raises(errors.UserError, match=r"not JSON: .*Remove it, and the"):
    folder.read_summary()


def test_summary_is_none_until_written(folder):
  assert folder.read_summary() is None
  folder.write_summary({"rmse": 0.1, "multiplier": {"re": [1.0, 2.0]}})
  assert folder.read_summary() == {
    "rmse": 0.1,
    "multiplier": {"re": [1.0, 2.0]},
  }


@pytest.mark.parametrize("inside", ["file", "file/below"])
def test_folder_that_cannot_be_written_is_named(tmp_path, inside):
  # A file in the way, since root may write anywhere.
  (tmp_path / "file").write_text("mine")
  path = str(tmp_path / inside)
  with pytest.raises(errors.UserError, match="`workdir` must be a folder") as e:
    runs.Workdir(path).create()
  assert path in str(e.value)
  assert (tmp_path / "file").read_text() == "mine"


def _fill_the_disk(monkeypatch):
  """As a full one: an empty file finds room, and content does not."""

  class Full(tf.io.gfile.GFile):
    def write(self, content):
      raise tf.errors.ResourceExhaustedError(
        None, None, "x/y; No space left on device\n\tCould not write."
      )

  monkeypatch.setattr(tf.io.gfile, "GFile", Full)


def test_full_disk_is_told_before_anything_is_written(tmp_path, monkeypatch):
  folder = runs.Workdir(str(tmp_path))
  _fill_the_disk(monkeypatch)
  with pytest.raises(
    errors.UserError, match=r"cannot: No space left on device$"
  ):
    folder.create()
  assert not list(tmp_path.iterdir())


def test_claim_on_a_full_disk_is_a_line(folder, monkeypatch):
  _fill_the_disk(monkeypatch)
  with pytest.raises(errors.UserError, match="written: No space left on dev"):
    folder.claim(tiny.config(), _SHAPE)
  assert tf.io.gfile.listdir(folder.path) == []


def test_reason_is_cut_at_a_word():
  text = "word " * 100
  reason = workdir_lib.reason(ValueError(text))
  assert reason == "word " * 39 + "word…"
  assert workdir_lib.reason(ValueError("x" * 300)) == "x" * 200 + "…"
  assert workdir_lib.reason(ValueError("a file.")) == "a file"


def test_create_leaves_nothing_in_the_folder(folder):
  folder.create()
  assert tf.io.gfile.listdir(folder.path) == []


def test_interrupted_write_leaves_the_old_file(folder, monkeypatch):
  path = folder.file("summary.json")
  folder.write_summary({"rmse": 0.1})

  def interrupted(*_, **__):
    raise KeyboardInterrupt

  monkeypatch.setattr(tf.io.gfile, "rename", interrupted)
  with pytest.raises(KeyboardInterrupt):
    folder.write_summary({"rmse": 0.2, "more": "x" * 10_000})
  with open(path) as f:
    assert json.load(f) == {"rmse": 0.1}


def test_claim_refuses_other_data_of_the_same_shape(folder):
  config = tiny.config()
  folder.claim(config, _SHAPE, {"crc32": 1})
  folder.claim(config, _SHAPE, {"crc32": 1})
  with pytest.raises(errors.UserError, match="crc32 is 1 there and 2 here"):
    folder.claim(config, _SHAPE, {"crc32": 2})


def test_empty_path_is_refused():
  with pytest.raises(errors.UserError, match="must be a path"):
    runs.Workdir("")
