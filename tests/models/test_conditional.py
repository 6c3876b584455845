# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A model is given a context exactly where there is one."""

import numpy as np
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


def test_several_latents_are_those_of_images_told_several_times():
  vae = models.VAE((8, 8, 1), 2, channels=2, hidden_size=8, coupling_width=4)
  images = tf.random.stateless_uniform([3, 8, 8, 1], [1, 2])
  seed = tf.constant([3, 4])
  tiled = tf.concat([images, images], axis=0)
  expected = vae(tiled, seed=seed)

  drawn = models.draws(vae, images, None)(2, seed)

  for left, right in zip(drawn, expected, strict=True):
    if right is not None:
      np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def test_several_latents_of_a_model_that_is_only_called():
  images, context = tf.constant([[1.0], [2.0]]), tf.constant([[3.0], [4.0]])
  (told, given), _ = models.draws(Recorder(), images, context)(2, 1)
  np.testing.assert_array_equal(told[:, 0], [1.0, 2.0, 1.0, 2.0])
  np.testing.assert_array_equal(given[:, 0], [3.0, 4.0, 3.0, 4.0])
