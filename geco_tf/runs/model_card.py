# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What stands beside an exported model: its data, its promise, its graphs."""

import os
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from geco_tf.runs import workdir
from geco_tf.runs.config import Config
from geco_tf.runs.workdir import Workdir

NAME = "model_card"  # Of its files, without their endings.
# What is measured at the end of a run, and what a row of metrics has of it.
_MEASURED = (
  "rmse", "kl", "test_rmse", "test_kl", "neg_log_likelihood_per_dim",
  "test_neg_log_likelihood_per_dim", "satisfied", "level", "multiplier",
  "sigma", "num_examples", "num_test_examples",
)  # fmt: skip
_OF_CONSTRAINTS = ("/constraint", "/multiplier", "/satisfied")
_MEANINGS = {
  "images": "pixels in [0, 1], as floats",
  "context": "the images that the model is conditioned on; pixels in [0, 1]",
  "seed": "two numbers that decide the noise; the same give the same",
  "count": "how many",
  "latents": "z; of encode, one draw from q(z|x) for each image",
  "kl": "KL of q(z|x) from the prior, nats, over all latents",
  "kl_per_step": "the same of each step of the model, nats",
  "log_q": "ln q(z|x) of the draw, nats",
  "log_prior": "ln of the prior's density of the draw, nats",
  "decoded": "mean images g(z); pixels in (0, 1)",
  "reconstruction": "mean images g(z), z from q(z|x); pixels in (0, 1)",
  "samples": "mean images g(z), z from the prior; pixels in (0, 1)",
}
_BLANK = "This export was cut short, or a model was saved without its card."
_SAMPLES = (
  "Samples are the decoder's means of draws from the prior; the decoder's "
  "pixel noise is not added."
)


def make(
  folder: Workdir, step: int, signatures: Mapping[str, Any]
) -> dict[str, Any]:
  """The card of a run's model.

  Args:
    folder: of the run.
    step: of the checkpoint that is exported.
    signatures: concrete functions by name.

  Returns:
    What model_card.json holds.
  """
  config = folder.read_config()
  content = workdir.read_json(folder.file("config.json"))
  measured, measured_on = _measurements(folder, config, step)
  average = config.weight_average
  return {
    "name": workdir.last_name(folder.path),
    "model": config.model,
    "data": {
      "dataset": config.dataset,
      "task": config.task,
      "image_shape": content["image_shape"],
      "context_shape": content.get("context_shape"),
      **content.get("data", {}),
    },
    "objective": config.objective,
    "asked": list(config.constraint_specs) if config.is_constrained else [],
    "reduction": config.reduction,
    "measured": measured,
    "measured_on": measured_on,
    "step": step,
    "num_steps": config.num_steps,
    "finished": folder.read_summary() is not None,
    "seed": config.seed,
    "precision": config.precision,
    "weights": "of the last step"
    if average is None
    else f"their moving average, decay {average:g}",
    "samples": _SAMPLES,
    "signatures": {
      name: _signature(function) for name, function in signatures.items()
    },
    "versions": {
      "trained": content.get("versions", {}),
      "exported": workdir.versions(),
    },
    "config": config.to_json(),
  }


def write(card: Mapping[str, Any], outdir: str) -> None:
  """Writes model_card.json and model_card.md."""
  page, data = _files(outdir)
  workdir.write_text(page, markdown(card))
  workdir.write_json(data, card)


def blank(outdir: str) -> None:
  """Makes the folder, with a card that says nothing of a model yet."""
  page, data = _files(outdir)
  tf.io.gfile.makedirs(outdir)
  workdir.write_json(data, {"note": _BLANK})
  if workdir.exists(page):
    tf.io.gfile.remove(page)


def _files(outdir: str) -> tuple[str, str]:
  return (
    os.path.join(outdir, f"{NAME}.md"),
    os.path.join(outdir, f"{NAME}.json"),
  )


def markdown(card: Mapping[str, Any]) -> str:
  """The card as a page."""
  data, versions = card["data"], card["versions"]
  asked = ", ".join(card["asked"]) or "none"
  end = "" if card["finished"] else "; the run had not ended"
  lines = [
    f"# {card['name']}",
    "",
    f"A {card['model']!r} of geco_tf, trained by the objective "
    f"{card['objective']!r}.",
    "",
    f"- Data: {_listed(data)}.",
    f"- Constraints asked for: {asked}; RE in units of "
    f"{card['reduction']} over dimensions.",
    f"- Step {card['step']} of {card['num_steps']}{end}; seed {card['seed']}; "
    f"precision {card['precision']}; weights: {card['weights']}.",
    f"- {card['samples']}",
    f"- Trained with {_listed(versions['trained'])}; exported with "
    f"{_listed(versions['exported'])}.",
    "",
    f"## Measured ({card['measured_on']})",
    "",
    "Errors in units of pixels from 0 to 1, KL and likelihoods in nats.",
    "",
    "| what | value |",
    "|---|---|",
    *(
      f"| {name} | {_text(value)} |" for name, value in card["measured"].items()
    ),
    "",
    "## Signatures",
    "",
    "B is free. `seed` and `count` are int32.",
    "",
    "| signature | | tensor | shape | type | what |",
    "|---|---|---|---|---|---|",
  ]
  for name, parts in card["signatures"].items():
    for kind in ("inputs", "outputs"):
      for tensor, facts in parts[kind].items():
        shape = ", ".join("B" if s is None else str(s) for s in facts["shape"])
        lines.append(
          f"| {name} | {kind[:-1]} | `{tensor}` | [{shape}] | "
          f"{facts['dtype']} | {facts['meaning']} |"
        )
  return "\n".join(lines) + "\n"


def _measurements(
  folder: Workdir, config: Config, step: int
) -> tuple[dict[str, Any], str]:
  """What is known of the model at a step, and on what it was measured."""
  summary = folder.read_summary()
  if step == config.num_steps and summary is not None:
    values, on = summary, "on fixed examples, at the end of the run"
  else:
    rows = [row for row in folder.read_metrics() if row["step"] == step]
    values = rows[-1] if rows else {}
    on = "training batches since the row of metrics before; test_*: test data"
    if config.weight_average is not None:
      # Of training the row has the weights themselves, not their average.
      values = {k: v for k, v in values.items() if k.startswith("test_")}
      on = "test data"
  return {k: v for k, v in values.items() if _is_shown(k) and v is not None}, on


def _is_shown(name: str) -> bool:
  of_constraint = name.startswith("geco/") and name.endswith(_OF_CONSTRAINTS)
  return name in _MEASURED or of_constraint


def _signature(function: Any) -> dict[str, dict[str, Any]]:
  """Inputs and outputs of a graph by name."""
  arguments, keywords = function.structured_input_signature
  inputs = {
    spec.name: spec for spec in [*arguments, *keywords.values()] if spec
  }
  return {
    kind: {name: _facts(name, tensor) for name, tensor in tensors.items()}
    for kind, tensors in (
      ("inputs", inputs),
      ("outputs", function.structured_outputs),
    )
  }


def _facts(name: str, tensor: Any) -> dict[str, Any]:
  return {
    "shape": tensor.shape.as_list(),
    "dtype": tensor.dtype.name,
    "meaning": _MEANINGS[name],
  }


def _listed(values: Mapping[str, Any]) -> str:
  return ", ".join(
    f"{name} {_text(value)}"
    for name, value in values.items()
    if value is not None
  )


def _text(value: Any) -> str:
  if isinstance(value, float):
    return f"{value:.4g}"
  if isinstance(value, Mapping):
    return _listed(value)
  return str(value)
