# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Windows, rows and files of metrics."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors, evaluation, runs
from geco_tf.runs import checkpoints
from geco_tf.training import metrics_log

_NAMES = ("loss", "kl", "mse")


def _steps():
  random = np.random.RandomState(0)
  # Of all sizes, so that another order of addition shows in the last bit.
  return (10.0 ** random.uniform(-6, 6, size=(23, 3))).astype(np.float32)


def _means(cuts):
  window = metrics_log.Window()
  for part in np.split(_steps(), cuts):
    window.add(_NAMES, part)
  return window.pop_means()


@pytest.mark.parametrize(
  "cuts", [[1], [7, 14, 21], list(range(1, 23)), [0, 23]]
)
def test_window_is_the_same_however_calls_are_cut(cuts):
  assert _means(cuts) == _means([])


def test_window_means_are_numpys():
  means = _means([5])
  expected = _steps().astype(np.float64).mean(axis=0)
  np.testing.assert_allclose([means[n] for n in _NAMES], expected, rtol=1e-12)


def test_window_is_empty_after_its_means_were_taken():
  window = metrics_log.Window()
  window.add(_NAMES, _steps())
  window.pop_means()
  window.add(("loss",), np.array([[2.0], [4.0]]))
  assert window.pop_means() == {"loss": 3.0}


def test_window_goes_through_a_checkpoint_without_losing_a_bit(tmp_path):
  window, restored = metrics_log.Window(), metrics_log.Window()
  window.add(_NAMES, _steps()[:9])
  path = tf.train.Checkpoint(window=window).write(str(tmp_path / "window"))
  tf.train.Checkpoint(window=restored).read(path).assert_consumed()
  restored.add(_NAMES, _steps()[9:])
  assert restored.pop_means() == _means([])


def test_window_deserialize_is_the_inverse_of_serialize():
  window, other = metrics_log.Window(), metrics_log.Window()
  window.add(_NAMES, _steps())
  other.deserialize(window.serialize())
  assert other.serialize() == window.serialize()
  assert other.pop_means() == window.pop_means()


def test_row_has_the_documented_numbers():
  means = {"loss": 2.0, "kl": 3.0, "mse": 0.01, "geco/re/multiplier": 5.0}
  row = metrics_log.row(7, means, 64)
  nll = evaluation.quantized_normal_per_dim(0.01, 0.1)
  np.testing.assert_allclose(row["rmse"], 0.1, rtol=1e-12)
  np.testing.assert_allclose(row["neg_log_likelihood_per_dim"], nll, rtol=1e-12)
  np.testing.assert_allclose(row["elbo"], -(64 * nll + 3.0), rtol=1e-12)
  others = {"step": 7, "loss": 2.0, "kl": 3.0, "geco/re/multiplier": 5.0}
  assert {k: row[k] for k in others} == others
  assert len(row) == len(others) + 3
  assert means["mse"] == 0.01, "the caller's means are not emptied"


@pytest.mark.parametrize("mse", [0.0, 1e-12])
def test_row_of_perfect_reconstruction_is_finite(mse):
  row = metrics_log.row(1, {"loss": 1.0, "kl": 1.0, "mse": mse}, 64)
  assert all(math.isfinite(v) for v in row.values())


@pytest.mark.parametrize("mse", [math.nan, math.inf])
def test_row_of_a_failed_step_shows_it_and_does_not_raise(mse):
  row = metrics_log.row(1, {"loss": mse, "kl": 1.0, "mse": mse}, 64)
  assert not math.isfinite(row["rmse"])
  assert row["kl"] == 1.0


def test_log_of_resumed_run_forgets_the_rows_after_its_step(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  folder.create()
  folder.write_metrics([{"step": s, "loss": float(s)} for s in (10, 20, 30)])
  log = metrics_log.MetricsLog(folder, 20)
  assert [r["step"] for r in log.rows] == [10, 20]
  log.add({"step": 30, "loss": 99.0})
  # A file is replaced only when told, before a checkpoint.
  assert folder.read_metrics()[-1] == {"step": 30, "loss": 30.0}
  log.flush()
  assert folder.read_metrics()[-1] == {"step": 30, "loss": 99.0}
  assert len(folder.read_metrics()) == 3


def test_log_writes_tensorboard(tmp_path):
  folder = runs.Workdir(str(tmp_path))
  log = metrics_log.MetricsLog(folder, 0)
  log.add({"step": 3, "loss": 2.5})
  log.add_images(3, data=np.zeros((2, 8, 8, 1), np.float32))
  log.flush()
  (path,) = (tmp_path / "tensorboard").iterdir()
  tags = {
    (event.step, value.tag)
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }
  assert (3, "loss") in tags
  assert any(step == 3 and tag.startswith("data") for step, tag in tags)


@pytest.mark.parametrize(
  "name", ["create_file_writer", "scalar", "image", "flush"]
)
def test_log_that_cannot_write_says_so(name, tmp_path, monkeypatch):
  def fail(*_, **keywords):
    raise tf.errors.ResourceExhaustedError(None, None, "a/b; No space left")

  folder = runs.Workdir(str(tmp_path))
  folder.create()
  with monkeypatch.context() as patch:
    if name == "flush":
      patch.setattr(runs.Workdir, "write_metrics", fail)
    else:
      patch.setattr(tf.summary, name, fail)
    with pytest.raises(
      errors.UserError, match=r"left\. There is no checkpoint yet\.$"
    ):
      log = metrics_log.MetricsLog(folder, 0)
      log.add({"step": 3, "loss": 2.5})
      log.add_images(3, data=np.zeros((2, 8, 8, 1), np.float32))
      log.flush()


def test_log_that_cannot_write_names_the_checkpoint_that_is_left(
  tmp_path, monkeypatch
):
  def fail(*_):
    raise tf.errors.ResourceExhaustedError(
      None,
      None,
      "{{node x}} a/events; No space left on device\n\tFailed to flush 1 "
      "events.\n\tCould not initialize events writer. [Op:Create] name: ",
    )

  folder = runs.Workdir(str(tmp_path))
  directory = folder.file("checkpoints")
  checkpoints.Checkpoints(directory, keep=1).save(20)
  log = metrics_log.MetricsLog(folder, 20)
  monkeypatch.setattr(runs.Workdir, "write_metrics", fail)
  with pytest.raises(errors.UserError) as raised:
    log.flush()
  assert str(raised.value) == (
    f"{folder.path!r} cannot be written: No space left on device. The "
    "checkpoint of step 20 is whole: with room and permission to write, the "
    "same command goes on from there."
  )


def test_log_without_folder_keeps_rows_in_memory(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  log = metrics_log.MetricsLog(None, 0)
  log.add({"step": 1, "loss": 2.0})
  log.add_images(1, data=np.zeros((1, 8, 8, 1), np.float32))
  log.flush()
  assert json.dumps(log.rows) == '[{"step": 1, "loss": 2.0}]'
  assert not list(tmp_path.iterdir())
