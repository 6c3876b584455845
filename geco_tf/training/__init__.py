# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The step, the loop, strategies and logging."""

from geco_tf.training import probe
from geco_tf.training.nonfinite import Replay, replay
from geco_tf.training.progress import print_summary
from geco_tf.training.train import Trained, train
from geco_tf.training.train_classifier import (
  TrainedClassifier,
  train_classifier,
)

__all__ = [
  "Replay",
  "Trained",
  "TrainedClassifier",
  "print_summary",
  "probe",
  "replay",
  "train",
  "train_classifier",
]
