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
from collections.abc import Callable

import numpy as np
from absl import flags
from scipy import ndimage

from benchmarks import instruments, results
from geco_tf import data, figures
from geco_tf.figures import image_grid
from launch import command_line

_ONLY = flags.DEFINE_enum("only", "mnist", ["mnist", "cifar10"], "which data.")
_CLASSIFIER = flags.DEFINE_string(
  "classifier", None, "folder of launch.train_classifier.", required=True
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "where TFDS has its data.")
_CIFAR10 = flags.DEFINE_string("cifar10", "cifar10", "data set to use for it.")

_NUM_SHOWN = 10
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


def main() -> None:
  """Measures, prints, draws and keeps the numbers."""
  name = _ONLY.value
  source = data.load(
    _CIFAR10.value if name == "cifar10" else name, data_dir=_DATA_DIR.value
  )
  columns = instruments.make(name, _CLASSIFIER.value, source)
  images, labels = instruments.test_images(source)
  spoiled = {label: spoil(images) for label, spoil in SPOILED.items()}
  rows = {
    label: instruments.levels(columns, images, changed, labels)
    for label, changed in spoiled.items()
  }
  instruments.print_table(rows)
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
      :: instruments.NUM_IMAGES // _NUM_SHOWN
    ]
    for label, changed in spoiled.items()
  }
  figure = image_grid.labelled_rows(blocks, num_columns=_NUM_SHOWN)
  figures.save(figure, _IMAGES / f"constraint_scales_{name}", suffixes=("png",))


if __name__ == "__main__":
  command_line.run(main)
