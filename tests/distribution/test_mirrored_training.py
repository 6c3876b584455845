# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A run on two devices is the run on one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from geco_tf import training
from geco_tf.runs import build
from geco_tf.training import optimizers
from tests.training import tiny


def _train(strategy, **changes):
  config = tiny.config(
    strategy=strategy, num_steps=20, log_every=1, learning_rate=1e-4, **changes
  )
  return training.train(config, show_progress=False)


class Descent(optimizers.Averaged, keras.optimizers.SGD):
  pass


@pytest.mark.parametrize(
  "constraint",
  [
    ("re:0.2",),
    # Of ten classes the eight examples of a replica always lack some.
    ("re:0.2,per=class", "re:0.2,per=channel,name=channels"),
  ],
  ids=["scalar", "vector"],
)
def test_weights_of_plain_gradient_descent_are_those_of_one(
  constraint, monkeypatch
):
  """In float64; Adam would divide what rounding left by itself."""
  monkeypatch.setattr(optimizers, "adam", Descent)
  changes = {"precision": "float64", "batch_size": 16}
  changes |= {"kappa": None, "constraint": constraint}
  one, two = (_train(s, **changes) for s in ("one", "mirrored"))
  start = build.build_model(tiny.config(**changes), (8, 8, 1))
  for first, there, here in zip(
    start.trainable_variables,
    one.model.trainable_variables,
    two.model.trainable_variables,
    strict=True,
  ):
    scale = np.abs(there.numpy()).max()
    assert np.abs(there.numpy() - first.numpy()).max() > 1e-9, first.name
    np.testing.assert_allclose(
      here.numpy(),
      there.numpy(),
      rtol=0.0,
      atol=1e-13 * scale,
      err_msg=there.name,
    )


def test_two_devices_train_as_one():
  """Losses and λ of every step, to the rounding of sums in another order.

  Adam divides by the gradient's size, so a weight whose gradient is all
  rounding may go elsewhere: 1e-4 a step in such a weight, which by its nature
  moves the loss by far less than 1e-5 of itself.
  """
  one, two = _train("one"), _train("mirrored")
  assert [r["step"] for r in two.metrics] == list(range(1, 21))
  for name in ("loss", "kl", "rmse", "geco/re/multiplier"):
    there, here = ([r[name] for r in t.metrics] for t in (one, two))
    np.testing.assert_allclose(here, there, rtol=1e-5, err_msg=name)
  state = (*two.objective.variables, *two.model.trainable_variables)
  for variable in state:
    first, second = (v.numpy() for v in variable.values)
    np.testing.assert_array_equal(first, second, err_msg=variable.name)
  assert isinstance(
    two.model.trainable_variables[0], tf.distribute.DistributedValues
  )
