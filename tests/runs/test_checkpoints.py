# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Damaged checkpoints are named and passed over; the right ones are kept."""

import os
import pathlib
import re

import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.runs import checkpoints, workdir


def _checkpoints(directory, value, **arguments):
  arguments = {"keep": 3, **arguments}
  return checkpoints.Checkpoints(str(directory), value=value, **arguments)


def _saved(directory, steps=(80, 120), **arguments):
  value = tf.Variable(tf.zeros([1000]))
  manager = _checkpoints(directory, value, **arguments)
  for step in steps:
    value.assign(tf.fill([1000], float(step)))
    manager.save(step)


def _restored(directory):
  value = tf.Variable(tf.zeros([1000]))
  newest = checkpoints.newest_intact(str(directory)) or 0
  step = _checkpoints(directory, value).restore(newest)
  assert float(value[0]) == float(value[-1]) == step
  return step


def _only(directory, pattern):
  (path,) = pathlib.Path(directory).glob(pattern)
  return path


def _truncate(directory):
  path = _only(directory, "ckpt-120.data*")
  path.write_bytes(path.read_bytes()[:2_000])


def _flip_bit(pattern, place):
  def flip(directory):
    path = _only(directory, pattern)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)

  return flip


def _delete(pattern):
  return lambda directory: _only(directory, pattern).unlink()


_DAMAGES = {
  "truncated data": (_truncate, r"data-00000-of-00001 has 2000 of \d+ bytes"),
  "flipped bit of data": (
    _flip_bit("ckpt-120.data*", 2_222),
    "data-00000-of-00001 has changed since it was written",
  ),
  # TensorFlow itself reads this index without a word.
  "flipped bit of index": (
    _flip_bit("ckpt-120.index", -9),
    "index has changed",
  ),
  "lost data": (_delete("ckpt-120.data*"), "data-00000-of-00001 is missing"),
  "lost index": (_delete("ckpt-120.index"), "ckpt-120.index is missing"),
  "torn manifest": (
    lambda d: _only(d, "ckpt-120.manifest").write_text("{"),
    "ckpt-120.manifest is not what was written",
  ),
}


@pytest.mark.parametrize("name", _DAMAGES)
def test_damaged_newest_is_named_and_the_one_before_is_taken(
  name, tmp_path, capsys
):
  harm, message = _DAMAGES[name]
  _saved(tmp_path)
  harm(tmp_path)
  assert _restored(tmp_path) == 80
  text = capsys.readouterr().err
  assert text.count("\n") == 1
  assert text.startswith("warning: the checkpoint of step 120 is damaged: ")
  assert text.endswith("; the checkpoint of step 80 is taken instead.\n")
  assert re.search(message, text)


def test_no_intact_checkpoint_is_an_error_and_never_a_new_start(tmp_path):
  _saved(tmp_path)
  for step in (80, 120):
    os.truncate(_only(tmp_path, f"ckpt-{step}.data*"), 5)
  names = sorted(os.listdir(tmp_path))
  with pytest.raises(errors.UserError, match="can be used: the"):
    _restored(tmp_path)
  assert sorted(os.listdir(tmp_path)) == names


def test_lost_checkpoints_are_an_error_and_never_a_new_start(tmp_path):
  _saved(tmp_path)
  for path in tmp_path.glob("ckpt-*"):
    path.unlink()
  with pytest.raises(errors.UserError, match="are gone, and the run had some"):
    _restored(tmp_path)


def _ended(tmp_path, steps):
  folder = workdir.Workdir(str(tmp_path))
  folder.write_summary({"rmse": 0.1})
  _saved(tmp_path / "checkpoints", steps)
  return folder


def test_summary_without_any_checkpoint_is_an_error_and_no_new_start(tmp_path):
  folder = _ended(tmp_path, ())
  with pytest.raises(errors.UserError, match="are gone, and the run had some"):
    checkpoints.step_to_resume(folder, 120)
  assert folder.read_summary() == {"rmse": 0.1}


def test_summary_goes_where_its_last_steps_are_taken_again(tmp_path):
  folder = _ended(tmp_path, (80, 120))
  assert checkpoints.step_to_resume(folder, 120) == 120
  assert folder.read_summary() == {"rmse": 0.1}
  _truncate(tmp_path / "checkpoints")
  assert checkpoints.step_to_resume(folder, 120) == 80
  assert folder.read_summary() is None


def test_wanted_step_that_is_damaged_gives_way_to_the_next_one(tmp_path):
  _saved(tmp_path, steps=(40, 80, 120))
  _flip_bit("ckpt-40.data*", 2_222)(tmp_path)
  told = []
  step = checkpoints.newest_intact(str(tmp_path), choose=min, tell=told.append)
  assert step == 80
  (text,) = told
  assert text.startswith("the checkpoint of step 40 is damaged: ")
  assert text.endswith("; the checkpoint of step 80 is taken instead.")


def test_first_checkpoint_that_was_only_begun_does_not_count(tmp_path):
  _saved(tmp_path, steps=[10])
  for name in ("checkpoint", "ckpt-10.manifest"):
    (tmp_path / name).unlink()
  (tmp_path / "ckpt-10.index").write_bytes(b"")
  assert checkpoints.newest_intact(str(tmp_path)) is None


def test_newest_is_found_without_the_list(tmp_path):
  _saved(tmp_path)
  (tmp_path / "checkpoint").unlink()
  assert _restored(tmp_path) == 120


@pytest.mark.parametrize("is_damaged", [False, True])
def test_checkpoint_without_manifest_is_read_through(
  is_damaged, tmp_path, capsys
):
  """Of a process killed before it wrote one, or of an older version."""
  _saved(tmp_path)
  for path in tmp_path.glob("*.manifest"):
    path.unlink()
  if is_damaged:
    _flip_bit("ckpt-120.data*", 2_222)(tmp_path)
  assert _restored(tmp_path) == (80 if is_damaged else 120)
  assert ("step 120 is damaged" in capsys.readouterr().err) is is_damaged


def test_damaged_are_set_aside_and_leftovers_removed(tmp_path):
  _saved(tmp_path)
  _truncate(tmp_path)
  left = tmp_path / "ckpt-160_temp"
  left.mkdir()
  (left / "part-00000-of-00001.data-00000-of-00001").write_text("half")
  (tmp_path / "ckpt-160.data-00000-of-00001").write_text("whole, no index")
  (tmp_path / "checkpoint.tmp").write_text("half")
  _checkpoints(tmp_path, tf.Variable(0.0)).clean(newest=80)
  assert {p.name.partition(".")[0] for p in tmp_path.iterdir()} == {
    "checkpoint",
    "ckpt-80",
    "damaged",
  }
  assert len(list((tmp_path / "damaged").glob("ckpt-120.*"))) == 3
  assert checkpoints.kept_steps(str(tmp_path)) == [80]


def _row(step, kl, *satisfied):
  held = {f"geco/c{i}/satisfied": s for i, s in enumerate(satisfied)}
  return {"step": step, "kl": kl, **held}


def test_newest_and_the_feasible_one_of_least_kl_are_kept(tmp_path):
  rows = [
    _row(1, 1.0, 1.0, 0.0),  # Cheap, and one constraint is violated.
    _row(2, 5.0, 1.0, 1.0),
    _row(3, 4.0, 1.0, 1.0),
    _row(4, None, 1.0, 1.0),
    _row(5, 4.5, 1.0, 1.0),
    _row(6, 3.0, 0.5, 1.0),
  ]
  _saved(
    tmp_path,
    range(1, 8),
    keep=2,
    best=lambda steps: checkpoints.best_step(steps, rows),
  )
  assert checkpoints.kept_steps(str(tmp_path)) == [3, 6, 7]
  names = {p.name for p in tmp_path.iterdir()}
  assert {n.partition(".")[0] for n in names} == {
    "checkpoint",
    "ckpt-3",
    "ckpt-6",
    "ckpt-7",
  }


def test_best_step_is_none_where_nothing_is_known_to_hold():
  assert (
    checkpoints.best_step([1, 2], [_row(1, 1.0), _row(2, 1.0, 0.9)]) is None
  )
  assert checkpoints.best_step([3], [_row(2, 1.0, 1.0)]) is None
  equal = [_row(1, 2.0, 1.0), _row(2, 2.0, 1.0)]
  assert checkpoints.best_step([1, 2], equal) == 2


def test_full_disk_is_one_sentence_and_loses_no_checkpoint(
  tmp_path, monkeypatch
):
  _saved(tmp_path)
  value = tf.Variable(tf.zeros([1000]))

  def full(self, path):
    tf.io.gfile.makedirs(f"{path}_temp")
    raise tf.errors.ResourceExhaustedError(
      None, None, "No space left on device"
    )

  with monkeypatch.context() as patch:
    patch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(errors.UserError) as raised:
      _checkpoints(tmp_path, value).save(160)
  text = str(raised.value)
  assert "ckpt-160' cannot be written: No space left on device." in text
  assert "The checkpoint of step 120 is whole" in text
  assert not list(tmp_path.glob("ckpt-160*"))
  assert _restored(tmp_path) == 120


def test_memory_file_system_serves_as_a_folder():
  """No appending, no locks, nothing but tf.io.gfile."""
  directory = "ram://test_checkpoints/run"
  _saved(directory, range(1, 5), keep=2)
  assert checkpoints.kept_steps(directory) == [3, 4]
  (data,) = tf.io.gfile.glob(f"{directory}/ckpt-4.data*")
  workdir.write_text(data, "torn")
  told = []
  assert checkpoints.newest_intact(directory, tell=told.append) == 3
  assert len(told) == 1


def test_checkpoint_that_cannot_be_dropped_is_a_warning(
  tmp_path, monkeypatch, capsys
):
  def refuse(path):
    raise tf.errors.PermissionDeniedError(None, None, f"{path}; not yours")

  with monkeypatch.context() as patch:
    patch.setattr(checkpoints.Checkpoints, "_drop", lambda self: None)
    _saved(str(tmp_path), steps=(1, 2), keep=1)
  value = tf.Variable(tf.zeros([1000]))
  kept = _checkpoints(str(tmp_path), value, keep=1)
  with monkeypatch.context() as patch:
    patch.setattr(tf.io.gfile, "remove", refuse)
    kept.save(3)
  assert "older checkpoints in" in capsys.readouterr().err
  assert checkpoints.kept_steps(str(tmp_path)) == [1, 2, 3]
  kept.save(4)
  assert checkpoints.kept_steps(str(tmp_path)) == [4]
