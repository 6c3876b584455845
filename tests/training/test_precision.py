# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run whose networks compute in bfloat16 holds κ as one in float32 does."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import runs, training
from geco_tf.runs import build
from geco_tf.training import report
from tests.conformance import variants
from tests.training import tiny


@pytest.mark.slow
def test_bfloat16_holds_kappa_at_nearly_the_same_kl(tmp_path, monkeypatch):
  monkeypatch.setattr(report, "_draw", lambda *_: {})
  summaries = {}
  for precision in ("float32", "bfloat16"):
    config = runs.presets.get("digits").replace(
      precision=precision, num_steps=2_000, kappa=0.15
    )
    trained = training.train(
      config, workdir=str(tmp_path / precision), show_progress=False
    )
    summaries[precision] = trained.summary
    for key, value in tiny.checkpointed(tmp_path / precision).items():
      # Numbers that are not whole; bfloat16's kind is another.
      assert value.dtype == np.float32 or value.dtype.kind in "iubOS", key
  exact, rough = summaries["float32"], summaries["bfloat16"]
  assert exact["satisfied"] and rough["satisfied"]
  np.testing.assert_allclose(rough["rmse"], exact["rmse"], rtol=0.01)
  # Two seeds of one precision differ by a few percent.
  np.testing.assert_allclose(rough["kl"], exact["kl"], rtol=0.1)


@pytest.mark.parametrize("variant", ["vae_nvp", "conv_draw"])
def test_bfloat16_gradients_are_float32s_to_its_rounding(variant):
  """Of a batch with 50,000 pixels, as many as a bias's gradient sums over."""
  images = 0.3 * tf.random.stateless_uniform([64, 28, 28, 1], [1, 2])
  gradients = {}
  for precision in ("float32", "bfloat16"):
    config = variants.config(variant, precision=precision)
    model = build.build_model(config, (28, 28, 1))

    @tf.function
    def gradient(images, model=model):
      with tf.GradientTape() as tape:
        outputs = model(images, seed=tf.constant([3, 4]))
        error = tf.math.squared_difference(images, outputs.reconstruction)
        loss = tf.reduce_sum(error) / 64.0 + tf.reduce_mean(outputs.kl)
      return tape.gradient(loss, model.trainable_variables)

    gradients[precision] = gradient(images)
  for variable, rough, exact in zip(
    model.trainable_variables, *reversed(gradients.values()), strict=True
  ):
    error = tf.norm(rough - exact)
    # bfloat16 has 8 bits; a few are lost on the way.
    assert error <= 0.05 * tf.norm(exact) + 1e-6, variable.name
