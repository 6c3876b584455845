# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A model is given a context exactly where there is one."""

import tensorflow as tf

from geco_tf import models


class Recorder:
  """Notes what it was called with."""

  def __call__(self, *arguments, seed):
    return arguments, seed

  def decode(self, latents, **others):
    return latents, others


def test_model_without_context_is_called_as_an_unconditional_one():
  assert models.call(Recorder(), "images", None, seed=1) == (("images",), 1)
  assert models.decoder(Recorder(), None)("z") == ("z", {})


def test_context_reaches_the_model_and_its_decoder():
  context = tf.zeros([3, 2, 8, 8, 1])
  arguments, _ = models.call(Recorder(), "images", context, seed=1)
  assert arguments[1] is context
  assert models.decoder(Recorder(), context)("z") == (
    "z",
    {"context": context},
  )
