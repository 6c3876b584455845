# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A trained model as a SavedModel, which needs TensorFlow and nothing else."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import sonnet as snt
import tensorflow as tf

from geco_tf import errors, models
from geco_tf.runs import checkpoints, model_card
from geco_tf.runs.load import kept_steps, load
from geco_tf.runs.workdir import Workdir, explained_writes

_PARTS = frozenset(
  ("assets", "fingerprint", "model_card", "saved_model", "variables")
)


class Servable(tf.Module):
  """A model's variables, and one graph for each of its uses.

    encode(images, seed)        one z ~ q(z|x) for each image, and its price
    decode(latents)             the mean images g(z)
    reconstruct(images, seed)   g(z) for one z ~ q(z|x)
    sample(count, seed)         g(z) for z ~ π(z)

  A conditional model's take `context` as well; its `sample` takes it in place
  of `count`, one sample for each. The number of examples is free, their shape
  is checked when a graph runs, as TensorFlow's signatures do not.
  """

  def __init__(
    self,
    model: snt.Module,
    image_shape: Sequence[int],
    context_shape: Sequence[int] | None = None,
  ):
    """Traces the graphs.

    Args:
      model: with its variables created.
      image_shape: (H, W, C).
      context_shape: (K, H, W, C), of a conditional model.
    """
    super().__init__(name="servable")
    self.model = model
    functions = _functions(model, image_shape, context_shape)
    self._names = tuple(functions)
    for name, function in functions.items():
      setattr(self, name, function)

  @property
  def signatures(self) -> dict[str, Any]:
    """The graphs by name."""
    return {
      name: getattr(self, name).get_concrete_function() for name in self._names
    }


def export_run(
  path: str,
  outdir: str | None = None,
  *,
  step: int | None = None,
  allow_unfinished: bool = False,
) -> dict[str, Any]:
  """Writes a run's model as a SavedModel, with its card.

  Args:
    path: the run's folder.
    outdir: where to; None is the folder `export` in the run's.
    step: of the checkpoint; None is the newest.
    allow_unfinished: whether the run may still be going.

  Returns:
    The card, as in model_card.json.

  Raises:
    UserError: if there is no run or no checkpoint, the run has not ended, or
      nothing can be written.
  """
  folder = Workdir(path)
  config = folder.read_config()
  outdir = folder.file("export") if outdir is None else os.fspath(outdir)
  check_outdir(outdir)
  steps = kept_steps(path)
  if folder.read_summary() is None and not allow_unfinished:
    lacks = "has no checkpoint of its"
    if steps:
      lacks = f"is at step {steps[-1]} of"
    text = f"{lacks} {config.num_steps} steps. Train on"
    if config.num_steps in steps:
      text = "has no summary.json yet. The same training command writes it"
    raise errors.UserError(
      f"`workdir` must hold a finished run; {folder.path!r} {text}, or export "
      "what there is by --allow_unfinished."
    )
  if step is None:
    step = checkpoints.newest_intact(folder.file("checkpoints"))
  model = load(path, step=step)
  assert step is not None  # Without a checkpoint nothing was loaded.
  servable = Servable(
    model, folder.read_image_shape(), folder.read_context_shape()
  )
  card = model_card.make(folder, step, servable.signatures)
  save(servable, outdir)
  with explained_writes(outdir):
    model_card.write(card, outdir)
  return card


def save(servable: Servable, outdir: str) -> None:
  """Writes the SavedModel; an older one is replaced, and its card blanked.

  Raises:
    UserError: if something else is there, or nothing can be written.
  """
  check_outdir(outdir)
  with explained_writes(outdir):
    # The old one beside another model would be believed; none, and nobody
    # could tell a part of an export from a model that is not ours.
    model_card.blank(outdir)
    tf.saved_model.save(servable, outdir, signatures=servable.signatures)


def check_outdir(outdir: str) -> None:
  """Raises a UserError for a folder with something else than an export.

  What tells an export from another program's SavedModel is its card, of which
  one that was cut short has a blank: the same command makes it whole.
  """
  if not outdir:
    raise errors.UserError("`outdir` must be a path; got an empty one.")
  if not tf.io.gfile.exists(outdir):
    return
  if not tf.io.gfile.isdir(outdir):
    raise errors.UserError(f"`outdir` must be a folder; {outdir!r} is a file.")
  # Object stores end the names of folders with a slash.
  names = [name.rstrip("/") for name in tf.io.gfile.listdir(outdir)]
  others = [name for name in names if name.partition(".")[0] not in _PARTS]
  if others:
    raise errors.UserError(
      f"`outdir` must be empty or hold an export alone; {outdir!r} has "
      f"{others[0]!r} too."
    )
  parts = [name for name in names if not name.startswith(model_card.NAME)]
  if parts and f"{model_card.NAME}.json" not in names:
    raise errors.UserError(
      f"`outdir` must be empty or hold an export; {outdir!r} has "
      f"{parts[0]!r} and no {model_card.NAME}.json, as of another program."
    )


def _functions(
  model: snt.Module,
  image_shape: Sequence[int],
  context_shape: Sequence[int] | None,
) -> dict[str, Any]:
  """The graphs, not traced yet."""
  images_spec = tf.TensorSpec([None, *image_shape], tf.float32, "images")
  latents_spec = _latents_spec(model, image_shape, context_shape)
  seed_spec = tf.TensorSpec([2], tf.int32, "seed")
  context_specs = []
  if context_shape is not None:
    context_specs = [
      tf.TensorSpec([None, *context_shape], tf.float32, "context")
    ]

  def outputs_of(images, seed, context):
    images = tf.ensure_shape(images, images_spec.shape)
    context = _checked(context, context_specs, images)
    return models.call(model, images, context, seed=seed)

  def encode(images, seed, context=None):
    outputs = outputs_of(images, seed, context)
    kept = ("latents", "kl", "log_q", "log_prior", "kl_per_step")
    values = {name: getattr(outputs, name) for name in kept}
    return {k: v for k, v in values.items() if v is not None}

  def reconstruct(images, seed, context=None):
    return {"reconstruction": outputs_of(images, seed, context).reconstruction}

  def decode(latents, context=None):
    latents = tf.ensure_shape(latents, latents_spec.shape)
    context = _checked(context, context_specs, latents)
    return {"decoded": models.decoder(model, context)(latents)}

  def sample(count, seed):
    return {"samples": model.sample(count, seed=seed)}

  def sample_given(context, seed):
    context = tf.ensure_shape(context, context_specs[0].shape)
    count = tf.shape(context)[0]
    return {"samples": model.sample(count, context, seed=seed)}

  functions: dict[str, tuple[Callable[..., Any], list[tf.TensorSpec]]] = {
    "encode": (encode, [images_spec, seed_spec, *context_specs]),
    "decode": (decode, [latents_spec, *context_specs]),
    "reconstruct": (reconstruct, [images_spec, seed_spec, *context_specs]),
    "sample": (sample, [tf.TensorSpec([], tf.int32, "count"), seed_spec]),
  }
  if context_specs:
    functions["sample"] = (sample_given, [*context_specs, seed_spec])
  return {
    name: tf.function(function, input_signature=specs, autograph=False)
    for name, (function, specs) in functions.items()
  }


def _checked(
  context: tf.Tensor | None, specs: Sequence[tf.TensorSpec], others: tf.Tensor
) -> tf.Tensor | None:
  """The context, one entry for each of the others."""
  if context is None:
    return None
  context = tf.ensure_shape(context, specs[0].shape)
  tf.debugging.assert_equal(
    tf.shape(context)[0],
    tf.shape(others)[0],
    message="`context` must have one entry for each example",
  )
  return context


def _latents_spec(
  model: snt.Module,
  image_shape: Sequence[int],
  context_shape: Sequence[int] | None,
) -> tf.TensorSpec:
  """Of the latents that the model gives."""
  context = None if context_shape is None else tf.zeros([1, *context_shape])
  outputs = models.call(
    model, tf.zeros([1, *image_shape]), context, seed=tf.zeros([2], tf.int32)
  )
  latents = outputs.latents
  return tf.TensorSpec([None, *latents.shape[1:]], latents.dtype, "latents")
