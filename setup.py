# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Installs geco_tf and its launchers.

TensorFlow comes by an extra (`cpu`, `gpu`, `tpu`), because an unconditional
requirement collides with the TPU wheel, which has another name. tf_keras, which
TensorFlow Probability needs, requires `tensorflow` by that name, so it comes by
the same extras; beside the TPU wheel it is installed alone, without what it
requires:

    pip install 'geco_tf[tpu]' && pip install --no-deps 'tf_keras~=2.20.0'
"""

import pathlib
import re

import setuptools

_HERE = pathlib.Path(__file__).parent

# Lower bounds are the versions of requirements/oldest.txt.
_INSTALL_REQUIRES = [
  "absl-py>=2.1",
  "dm-sonnet>=2.0.2,<3",
  "importlib_resources>=6.0",
  "keras>=3.10,<4",
  "matplotlib>=3.9,<4",
  "numpy>=1.26,<3",
  "pillow>=10.3",
  "rich>=13.7",
  "scikit-learn>=1.5,<2",
  "scipy>=1.13",
  "tensorboard>=2.20,<2.22",
  "tensorflow-datasets>=4.9.9,<5",
  "tensorflow-probability~=0.25.0",
  "tqdm>=4.66",
]
_CPU = ["tensorflow>=2.20,<2.22", "tf_keras>=2.20,<2.22"]
_GPU = ["tensorflow[and-cuda]>=2.20,<2.22", "tf_keras>=2.20,<2.22"]
_TPU = ["tensorflow-tpu>=2.20,<2.21"]
_DEV = [
  *_CPU,
  "build>=1.2",
  "mypy==2.4.1",
  "pytest>=8.3",
  "pytest-xdist>=3.6",
  "ruff==0.17.6",
]
# Peers of `python -m benchmarks.run`, which does without them too.
_BENCHMARKS = ["cooper-optim>=1.0,<2", "torch>=2.4"]


def _version() -> str:
  text = (_HERE / "geco_tf" / "version.py").read_text(encoding="utf-8")
  match = re.search(r'^__version__ = "([^"]+)"$', text, flags=re.MULTILINE)
  if match is None:
    raise RuntimeError("geco_tf/version.py must state __version__.")
  return match.group(1)


def _long_description() -> str:
  readme = _HERE / "README.md"
  return readme.read_text(encoding="utf-8") if readme.exists() else ""


setuptools.setup(
  name="geco_tf",
  version=_version(),
  description=(
    "Variational autoencoders trained under constraints (GECO) in TensorFlow."
  ),
  long_description=_long_description(),
  long_description_content_type="text/markdown",
  author="The geco_tf Authors",
  license="Apache-2.0",
  license_files=["LICENSE"],
  packages=setuptools.find_packages(
    include=["geco_tf", "geco_tf.*", "launch", "launch.*"]
  ),
  package_data={"geco_tf": ["py.typed"]},
  python_requires=">=3.10",
  install_requires=_INSTALL_REQUIRES,
  extras_require={
    "benchmarks": _BENCHMARKS,
    "cpu": _CPU,
    "dev": _DEV,
    "gpu": _GPU,
    "tpu": _TPU,
  },
  entry_points={
    "console_scripts": [
      "geco-diagnose = launch.diagnose:main",
      "geco-doctor = launch.doctor:main",
      "geco-evaluate = launch.evaluate:main",
      "geco-export = launch.export:main",
      "geco-judge-samples = launch.judge_samples:main",
      "geco-replay = launch.replay:main",
      "geco-reproduce = launch.reproduce:main",
      "geco-train = launch.train:main",
      "geco-train-classifier = launch.train_classifier:main",
      "geco-prepare-data = launch.prepare_data:main",
    ]
  },
  classifiers=[
    "Development Status :: 3 - Alpha",
    "Intended Audience :: Science/Research",
    "Operating System :: POSIX :: Linux",
    "Programming Language :: Python :: 3",
    "Programming Language :: Python :: 3 :: Only",
    "Programming Language :: Python :: 3.10",
    "Programming Language :: Python :: 3.11",
    "Topic :: Scientific/Engineering :: Artificial Intelligence",
    "Typing :: Typed",
  ],
)
