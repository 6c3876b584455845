# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""An exported model gives what the run's gives, wherever TensorFlow is."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import geco_tf
from geco_tf import data, errors, models, runs, training
from geco_tf.runs import build, checkpoints, export, model_card
from geco_tf.training import weight_average
from tests.training import tiny

_ROOT = pathlib.Path(__file__).parents[2]
_SEED = np.array([3, 4], np.int32)
_SHORT = {
  "num_steps": 10,
  "log_every": 5,
  "evaluate_every": 5,
  "checkpoint_every": 5,
}
_DRAW = {
  "model": "conv_draw",
  "draw_steps": 2,
  "draw_hidden_size": 4,
  "latent_channels": 1,
  "model_option": ("kernel_size=3",),
}
_CONFIGS = {
  "vae": tiny.config(posterior="nvp", **_SHORT),
  "conv_draw": tiny.config(weight_average=0.9, task="sum", **_DRAW, **_SHORT),
}
# Loads what it is given in a process that has TensorFlow alone.
_ALONE = """
import sys

class Blocker:
  def find_spec(self, name, path=None, target=None):
    if name.split(".")[0] in (
      "geco_tf", "launch", "sonnet", "tensorflow_probability", "tf_keras"):
      raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Blocker())
import numpy as np
import tensorflow as tf

for folder in sys.argv[1:]:
  inputs = dict(np.load(folder + "/inputs.npz"))
  model = tf.saved_model.load(folder + "/export")
  outputs = {}
  for name, signature in model.signatures.items():
    _, wanted = signature.structured_input_signature
    given = {key: tf.constant(inputs[key]) for key in wanted}
    for key, value in signature(**given).items():
      outputs[f"{name}/{key}"] = value.numpy()
  np.savez(folder + "/outputs.npz", **outputs)
"""


def _saved(config, folder):
  """A run's folder as training leaves it, without the training."""
  source = build.build_data(config)
  shapes = source.image_shape, source.context_shape
  model = build.build_model(config, *shapes)
  average = weight_average.WeightAverage(model.trainable_variables, 0.9)
  random = np.random.RandomState(0)
  for variable in model.trainable_variables:
    variable.assign_add(0.1 * random.normal(size=variable.shape))
  average.update()
  run = runs.Workdir(str(folder))
  run.claim(config, shapes[0], {"crc32": 1}, context_shape=shapes[1])
  checkpoints.Checkpoints(
    run.file("checkpoints"), keep=1, model=model, weight_average=average
  ).save(config.num_steps)
  run.write_summary({"rmse": 0.25, "kl": 1.5, "test_kl": 1.75, "level": {}})
  return model


@pytest.fixture(scope="module")
def runs_(tmp_path_factory):
  """Finished runs by model: folder, last weights, summary."""
  folder = tmp_path_factory.mktemp("vae")
  trained = training.train(
    _CONFIGS["vae"], workdir=str(folder), show_progress=False
  )
  finished = {"vae": (folder, trained.model)}
  folder = tmp_path_factory.mktemp("conv_draw")
  finished["conv_draw"] = folder, _saved(_CONFIGS["conv_draw"], folder)
  for folder, _ in finished.values():
    export.export_run(str(folder))
  return finished


def _inputs(config, latents_shape, num_examples=3):
  source = build.build_data(config)
  batch = next(iter(data.evaluation_batches(source.test, num_examples).batches))
  inputs = {
    "images": batch.images.numpy(),
    "seed": _SEED,
    "count": np.int32(num_examples),
    "latents": np.random.RandomState(0)
    .normal(size=[num_examples, *latents_shape])
    .astype(np.float32),
  }
  if batch.context is not None:
    inputs["context"] = batch.context.numpy()
  return inputs


def _expected(model, inputs):
  """What the model itself makes of the inputs, eagerly."""
  context = inputs.get("context")
  outputs = models.call(model, inputs["images"], context, seed=_SEED)
  decode = models.decoder(model, context)
  return {
    "encode/latents": outputs.latents,
    "encode/kl": outputs.kl,
    "encode/log_q": outputs.log_q,
    "encode/log_prior": outputs.log_prior,
    "reconstruct/reconstruction": outputs.reconstruction,
    "decode/decoded": decode(tf.constant(inputs["latents"])),
    "sample/samples": model.sample(len(inputs["images"]), context, seed=_SEED),
  }


def test_process_with_tensorflow_alone_gives_the_runs_numbers(runs_, tmp_path):
  expected = {}
  for name, (folder, last) in runs_.items():
    model = geco_tf.load(str(folder))
    shape = (2, 2, 2, 1) if name == "conv_draw" else (4,)
    inputs = _inputs(_CONFIGS[name], shape)
    expected[name] = _expected(model, inputs)
    np.savez(folder / "inputs.npz", **inputs)
    # The average is exported where the run has one, and it is not the last.
    of_last = models.call(
      last, inputs["images"], inputs.get("context"), seed=_SEED
    )
    is_last = np.allclose(
      of_last.reconstruction,
      expected[name]["reconstruct/reconstruction"],
      atol=1e-5,
    )
    assert is_last == (_CONFIGS[name].weight_average is None)
  folders = [str(folder) for folder, _ in runs_.values()]
  subprocess.run(
    [sys.executable, "-c", _ALONE, *folders], check=True, cwd=tmp_path
  )
  for name, (folder, _) in runs_.items():
    actual = np.load(folder / "outputs.npz")
    for key, value in expected[name].items():
      np.testing.assert_allclose(
        actual[key], value, rtol=1e-5, atol=1e-5, err_msg=f"{name} {key}"
      )
    assert ("encode/kl_per_step" in actual) == (name == "conv_draw")


@pytest.fixture(scope="module")
def loaded(runs_):
  return {
    name: tf.saved_model.load(str(folder / "export"))
    for name, (folder, _) in runs_.items()
  }


def test_number_of_examples_is_free(loaded):
  sample = loaded["vae"].signatures["sample"]
  for count in (1, 4):
    samples = sample(count=tf.constant(count), seed=_SEED)["samples"]
    assert samples.shape == (count, 8, 8, 1)
    again = loaded["vae"].reconstruct(samples, tf.constant(_SEED))
    assert again["reconstruction"].shape == (count, 8, 8, 1)


@pytest.mark.parametrize(
  ("signature", "inputs", "message"),
  [
    ("reconstruct", {"images": [3, 7, 7, 1]}, r"\[3,7,7,1\].* \[\?,8,8,1\]"),
    ("encode", {"images": [8, 8, 1]}, r"\[8,8,1\].* \[\?,8,8,1\]"),
    ("decode", {"latents": [3, 5]}, r"\[3,5\].* \[\?,4\]"),
  ],
)
def test_another_shape_is_said_and_not_computed(
  loaded, signature, inputs, message
):
  """TensorFlow's own signatures take any shape and give wrong images."""
  given = {name: tf.zeros(shape) for name, shape in inputs.items()}
  if "images" in given:
    given["seed"] = tf.constant(_SEED)
  with pytest.raises(
    tf.errors.InvalidArgumentError, match=f"Shape of tensor .*{message}"
  ):
    loaded["vae"].signatures[signature](**given)


def test_context_of_another_number_is_said(loaded):
  with pytest.raises(
    tf.errors.InvalidArgumentError, match="one entry for each example"
  ):
    loaded["conv_draw"].signatures["reconstruct"](
      images=tf.zeros([3, 8, 8, 1]),
      context=tf.zeros([1, 2, 8, 8, 1]),
      seed=tf.constant(_SEED),
    )


def test_keras_layer_loads_it_in_a_functional_model(runs_, loaded):
  folder, _ = runs_["vae"]
  layer = keras.layers.TFSMLayer(str(folder / "export"), call_endpoint="decode")
  latents = keras.Input([4])
  decoder = keras.Model(latents, layer(latents))
  z = tf.random.stateless_normal([3, 4], [1, 2])
  np.testing.assert_allclose(
    decoder(z)["decoded"], loaded["vae"].decode(z)["decoded"], atol=1e-6
  )
  reconstruct = keras.layers.TFSMLayer(
    str(folder / "export"), call_endpoint="reconstruct"
  )
  images = tf.zeros([3, 8, 8, 1])
  np.testing.assert_allclose(
    reconstruct(images, seed=tf.constant(_SEED))["reconstruction"],
    loaded["vae"].reconstruct(images, tf.constant(_SEED))["reconstruction"],
    atol=1e-6,
  )


@pytest.mark.parametrize("name", list(_CONFIGS))
def test_card_says_what_was_asked_measured_and_written(runs_, name):
  folder, _ = runs_[name]
  summary = runs.Workdir(str(folder)).read_summary()
  card = json.loads((folder / "export" / "model_card.json").read_text())
  page = (folder / "export" / "model_card.md").read_text()
  run = json.loads((folder / "config.json").read_text())
  assert card["asked"] == ["re:0.2"]
  assert card["measured"]["rmse"] == summary["rmse"]
  assert card["measured"]["level"] == summary["level"]
  assert card["measured"]["test_kl"] == summary["test_kl"]
  assert card["data"]["crc32"] == run["data"]["crc32"]
  assert card["versions"]["trained"] == run["versions"]
  assert card["finished"] and card["step"] == card["num_steps"] == 10
  assert ("average" in card["weights"]) == (name == "conv_draw")
  assert set(card["signatures"]) == {
    "encode",
    "decode",
    "reconstruct",
    "sample",
  }
  inputs = card["signatures"]["reconstruct"]["inputs"]
  assert inputs["images"]["shape"] == [None, 8, 8, 1]
  assert ("context" in inputs) == (name == "conv_draw")
  for text in ("re:0.2", "crc32", f"{summary['kl']:.4g}", "`samples`"):
    assert text in page
  assert "[B, 8, 8, 1] | float32 | pixels in [0, 1]" in page


def test_card_of_an_earlier_step_has_the_row_of_that_step(runs_, tmp_path):
  folder, _ = runs_["vae"]
  rows = runs.Workdir(str(folder)).read_metrics()
  card = export.export_run(str(folder), str(tmp_path / "early"), step=5)
  (row,) = [row for row in rows if row["step"] == 5]
  assert card["step"] == 5
  assert card["measured"]["test_rmse"] == row["test_rmse"]
  assert card["measured"]["rmse"] == row["rmse"]
  violation = "geco/re/constraint"
  assert card["measured"][violation] == row[violation]
  assert "training batches" in card["measured_on"]


def _card(folder, config, step):
  """Of a run with a row at each of two steps and no summary."""
  folder = runs.Workdir(str(folder))
  folder.claim(config, (8, 8, 1))
  folder.write_metrics(
    [{"step": s, "rmse": 0.1 * s, "test_rmse": 0.2 * s} for s in (5, 10)]
  )
  return model_card.make(folder, step, {})


@pytest.mark.parametrize("step", [5, 10])
def test_card_without_a_summary_has_the_row(step, tmp_path):
  config = tiny.config(**_SHORT)
  measured = _card(tmp_path, config, step)["measured"]
  assert measured == {"rmse": 0.1 * step, "test_rmse": 0.2 * step}


def test_card_of_averaged_weights_leaves_out_what_others_measured(tmp_path):
  config = tiny.config(weight_average=0.9, **_SHORT)
  card = _card(tmp_path, config, 5)
  assert card["measured"] == {"test_rmse": 1.0}
  assert card["measured_on"] == "test data"


def test_unfinished_run_is_refused_unless_allowed(runs_, tmp_path):
  folder, _ = runs_["vae"]
  stopped = tmp_path / "stopped"
  shutil.copytree(folder, stopped)
  (stopped / "summary.json").unlink()
  shutil.rmtree(stopped / "export")
  with pytest.raises(errors.UserError, match=r"no summary\.json yet\. The sa"):
    export.export_run(str(stopped))
  assert not (stopped / "export").exists()
  card = export.export_run(str(stopped), allow_unfinished=True)
  assert not card["finished"]
  assert "had not ended" in (stopped / "export" / "model_card.md").read_text()


def test_folder_with_something_else_is_left_alone(runs_, tmp_path):
  folder, _ = runs_["vae"]
  (tmp_path / "thesis.txt").write_text("years")
  with pytest.raises(errors.UserError, match=r"has 'thesis\.txt' too"):
    export.export_run(str(folder), str(tmp_path))
  (tmp_path / "file").write_text("")
  with pytest.raises(errors.UserError, match="cannot be written"):
    export.export_run(str(folder), str(tmp_path / "file" / "below"))
  with pytest.raises(errors.UserError, match="a path; got an empty one"):
    export.export_run(str(folder), "")


def test_model_of_another_program_is_left_alone(tmp_path):
  outdir = tmp_path / "model"
  tf.saved_model.save(tf.Module(), str(outdir))
  before = {p: p.stat().st_mtime_ns for p in outdir.rglob("*")}
  with pytest.raises(errors.UserError, match=r"and no model_card\.json, as of"):
    export.save(None, str(outdir))
  assert {p: p.stat().st_mtime_ns for p in outdir.rglob("*")} == before


@pytest.mark.parametrize(
  "harm",
  [lambda p: p.unlink(), lambda p: os.truncate(p, 5)],
  ids=["lost", "torn"],
)
@pytest.mark.parametrize("part", ["index", "data-00000-of-00001"])
def test_damaged_newest_checkpoint_is_named_and_passed_over(
  part, harm, runs_, tmp_path, capsys, monkeypatch
):
  folder, _ = runs_["vae"]
  run = tmp_path / "run"
  shutil.copytree(folder, run)
  harm(run / "checkpoints" / f"ckpt-10.{part}")
  monkeypatch.setattr(export, "save", lambda *_: None)  # It takes seconds.
  (tmp_path / "out").mkdir()
  card = export.export_run(str(run), str(tmp_path / "out"))
  assert card["step"] == 5
  text = capsys.readouterr().err
  assert text.startswith("warning: the checkpoint of step 10 is damaged: ckpt")
  assert text.endswith("; the checkpoint of step 5 is taken instead.\n")


@pytest.mark.parametrize(
  "stop", [pytest.param("save", marks=pytest.mark.slow), "write"]
)
def test_export_that_was_cut_short_is_done_again(
  stop, runs_, tmp_path, monkeypatch
):
  folder, _ = runs_["vae"]
  outdir = tmp_path / "export"
  export.export_run(str(folder), str(outdir))

  def fill_the_disk(*_, **__):
    raise tf.errors.ResourceExhaustedError(None, None, "x; No space left")

  owner = tf.saved_model if stop == "save" else export.model_card
  with monkeypatch.context() as patch:
    patch.setattr(owner, stop, fill_the_disk)
    with pytest.raises(errors.UserError, match="No space left"):
      export.export_run(str(folder), str(outdir))
  # Nothing of the older one, and what tells that this is an export.
  (card,) = outdir.glob("model_card.*")
  assert "cut short" in json.loads(card.read_text())["note"]
  (outdir / "saved_model.pb").unlink()
  export.export_run(str(folder), str(outdir))
  assert (outdir / "model_card.json").exists()


def test_run_without_checkpoint_is_named(tmp_path):
  runs.Workdir(str(tmp_path)).claim(_CONFIGS["vae"], (8, 8, 1))
  with pytest.raises(errors.UserError, match="has no checkpoint"):
    export.export_run(str(tmp_path))
  with pytest.raises(errors.UserError, match="must hold a checkpoint"):
    export.export_run(str(tmp_path), allow_unfinished=True)


def test_example_of_the_document_runs(runs_, tmp_path):
  folder, _ = runs_["vae"]
  text = (_ROOT / "docs" / "export.md").read_text(encoding="utf-8")
  blocks = text.split("```python\n")[1:]
  assert len(blocks) == 3
  images = _inputs(_CONFIGS["vae"], (4,))["images"]
  space = {"images": images}
  for block in blocks:
    code = block.split("```")[0].replace("runs/digits", str(folder))
    exec(compile(code, "docs/export.md", "exec"), space)
  assert space["reconstruction"].shape == images.shape
  assert space["decoder"](np.zeros([2, 4]))["decoded"].shape == (2, 8, 8, 1)
