# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
r"""What does a κ mean? Spoils real images, and reads every constraint.

  python -m benchmarks.constraint_scales --only=mnist \\
      --classifier=runs/classifier_mnist
  python -m benchmarks.constraint_scales --only=cifar10 \\
      --classifier=runs/classifier_cifar10 --cifar10=image_folder:PATH

Prints a table, and draws docs/images/constraint_scales_<data>.png. Half a
minute on one core.
"""

import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import flags
from scipy import ndimage

from benchmarks import results
from geco_tf import constraints, data, errors, figures, runs
from geco_tf.figures import image_grid
from launch import command_line

_ONLY = flags.DEFINE_enum("only", "mnist", ["mnist", "cifar10"], "which data.")
_CLASSIFIER = flags.DEFINE_string(
  "classifier", None, "folder of launch.train_classifier.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CIFAR10 = flags.DEFINE_string("cifar10", "cifar10", "data set to use for it.")

_NUM_IMAGES = 500
_NUM_SHOWN = 10
# Of the judge, by data set.
_LAYERS = {"mnist": ("conv_0", "dense"), "cifar10": ("block_0", "pooled")}
_IMAGES = pathlib.Path(__file__).parent.parent / "docs" / "images"


def _blurred(images: np.ndarray, sigma: float) -> np.ndarray:
  return ndimage.gaussian_filter(images, (0, sigma, sigma, 0))


def _without_patch(images: np.ndarray) -> np.ndarray:
  """A third of the side, in the middle, becomes the image's mean."""
  side = images.shape[1]
  third = slice(side // 3, side // 3 + -(-side // 3))
  changed = images.copy()
  changed[:, third, third] = images.mean(axis=(1, 2), keepdims=True)
  return changed


def _noisy(images: np.ndarray, deviation: float) -> np.ndarray:
  noise = np.random.RandomState(0).normal(size=images.shape)
  return images + deviation * noise


# Not clipped to [0, 1]: a mean of a decoder is not, and noise would be less.
SPOILED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  "as it is": lambda x: x,
  "blurred, 1 pixel": lambda x: _blurred(x, 1.0),
  "blurred, 2 pixels": lambda x: _blurred(x, 2.0),
  "noise of .05": lambda x: _noisy(x, 0.05),
  "noise of .1": lambda x: _noisy(x, 0.1),
  "noise of .2": lambda x: _noisy(x, 0.2),
  "brighter by .2": lambda x: x + 0.2,
  "half the contrast": lambda x: 0.5 * x,
  "moved by 1 pixel": lambda x: np.roll(x, 1, axis=2),
  "without a patch": _without_patch,
  "another image": lambda x: np.roll(x, len(x) // 2, axis=0),
  "one grey": lambda x: np.full_like(x, x.mean()),
}


def instruments(name: str, classifier: Any) -> dict[str, Any]:
  """Column → constraint; any κ does, as levels are read off."""
  columns = {
    "RE": constraints.ReconstructionError(0.1),
    "NLL": constraints.NegLogLikelihood(4.0),
    "pNCC": constraints.PatchNormalizedCrossCorrelation(0.5),
    "CLA": constraints.ClassificationAccuracy(0.5, classifier_fn=classifier),
    "FRE, local": constraints.FeatureReconstructionError(
      0.1, feature_fn=constraints.local_statistics()
    ),
  }
  for layer in _LAYERS[name]:
    columns[f"FRE, {layer}"] = constraints.FeatureReconstructionError(
      0.1,
      feature_fn=lambda images, layer=layer: classifier.features(images)[layer],
    )
  return columns


def levels(
  columns: Mapping[str, Any],
  images: np.ndarray,
  spoiled: np.ndarray,
  labels: np.ndarray,
) -> dict[str, float]:
  """What every constraint's κ would be compared with."""
  found = {}
  for column, constraint in columns.items():
    value = constraint.evaluate(
      tf.constant(images), tf.constant(spoiled, tf.float32), {"labels": labels}
    )
    mean = tf.reduce_mean(value.violation)
    found[column] = float(constraint.level(mean, value.bound))
  return found


def print_table(rows: Mapping[str, Mapping[str, float]]) -> None:
  """One row a way to spoil an image, as Markdown."""
  columns = list(next(iter(rows.values())))
  print("| | " + " | ".join(columns) + " |")
  print("|" + "---|" * (1 + len(columns)))
  for label, row in rows.items():
    print(f"| {label} | " + " | ".join(f"{row[c]:.3f}" for c in columns) + " |")


def main() -> None:
  """Measures, prints, draws and keeps the numbers."""
  name = _ONLY.value
  source = data.load(
    _CIFAR10.value if name == "cifar10" else name, data_dir=_DATA_DIR.value
  )
  classifier = runs.load_classifier(_CLASSIFIER.value)
  if tuple(classifier.image_shape) != tuple(source.image_shape):
    raise errors.UserError(
      f"`classifier` must be one of images {list(source.image_shape)}; it is "
      f"one of {list(classifier.image_shape)}."
    )
  chosen = np.linspace(0, source.test.num_examples - 1, _NUM_IMAGES).astype(int)
  images = source.test.images[chosen]
  if images.dtype == np.uint8:
    images = images / np.float32(255.0)
  labels = source.test.labels[chosen]
  columns = instruments(name, classifier)
  spoiled = {label: spoil(images) for label, spoil in SPOILED.items()}
  rows = {
    label: levels(columns, images, changed, labels)
    for label, changed in spoiled.items()
  }
  print_table(rows)
  distance = np.sqrt(
    np.sum((images - np.roll(images, len(images) // 2, 0)) ** 2, (1, 2, 3))
  )
  print(f"\nMean distance between two images: {distance.mean():.2f}.")
  path = results.FOLDER / f"constraint_scales_{name}.json"
  kept = {"distance": float(distance.mean()), "levels": rows}
  path.write_text(json.dumps(kept, indent=1) + "\n")
  shown = ("RE", "FRE, local", "pNCC", "CLA")
  blocks = {
    f"{label}:   "
    + "   ".join(f"{c} {rows[label][c]:.2f}" for c in shown): changed[
      :: _NUM_IMAGES // _NUM_SHOWN
    ]
    for label, changed in spoiled.items()
  }
  figure = image_grid.labelled_rows(blocks, num_columns=_NUM_SHOWN)
  for path in figures.save(figure, _IMAGES / f"constraint_scales_{name}"):
    if path.endswith(".svg"):  # Thousands of pixels are no drawing.
      pathlib.Path(path).unlink()


if __name__ == "__main__":
  command_line.run(main)
