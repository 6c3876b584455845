# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads the curves of a run and says what is wrong and what to change."""

from geco_tf.evaluation.doctor.diagnosis import (
  Diagnosis,
  describe,
  examine,
  examine_run,
  in_one_line,
  warnings,
)
from geco_tf.evaluation.doctor.findings import NOTE, PROBLEM, Finding

__all__ = [
  "NOTE",
  "PROBLEM",
  "Diagnosis",
  "Finding",
  "describe",
  "examine",
  "examine_run",
  "in_one_line",
  "warnings",
]
