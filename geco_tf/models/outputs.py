# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every model of the package returns."""

from typing import NamedTuple

import tensorflow as tf


class VAEOutputs(NamedTuple):
  """One sample of z ~ q(z|x) for each example, and what it costs.

  The fields keep one value per example: no bare name here is a mean.
  """

  reconstruction: tf.Tensor  # [B, H, W, C], the decoder's mean g(z).
  kl: tf.Tensor  # [B], nats, summed over latents and steps.
  latents: tf.Tensor  # [B, latent_size]
  log_q: tf.Tensor  # [B], ln q(z|x), nats.
  log_prior: tf.Tensor  # [B], ln π(z), nats.
  kl_per_step: tf.Tensor | None = None  # [B, num_steps], where there are steps.
  # [B], what the model's own parts want minimised beside the objective.
  auxiliary_loss: tf.Tensor | None = None
