# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the constraints of a run may ask for."""

from typing import Any

import sonnet as snt
import tensorflow as tf

from geco_tf.data.batch import Batch
from geco_tf.models import conditional, noise


def constraint_context(
  model: snt.Module,
  batch: Batch,
  seed: noise.Seed,
  *,
  has_labels: bool,
  all_labels: tf.Tensor | None = None,
) -> dict[str, Any]:
  """What constraints may ask for beside what the model returned.

  Args:
    model: gives the decoder.
    batch: gives labels, and the decoder's context.
    seed: of the step; constraints' noise is independent of the model's.
    has_labels: whether the batch's labels mean anything.
    all_labels: those of the batches of all replicas, where there are several.

  Returns:
    `labels` [B] or None, `decoder`, `noise`: shape → standard normals, and
    `all_labels` [n B] where they are given.
  """
  context = {} if all_labels is None else {"all_labels": all_labels}
  return context | {
    "labels": batch.labels if has_labels else None,
    "decoder": conditional.decoder(model, batch.context),
    "noise": lambda shape: noise.normal(shape, noise.fold_in(seed, 1)),
  }
