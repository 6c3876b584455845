# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A classifier that has to flag two groups of patients equally often.

442 patients (scikit-learn's diabetes data): whose disease will progress beyond
the median within a year? Those over 50 do so more often, and a classifier flags
them more often in turn. Under the constraint of demographic parity the mean
predicted probability may differ by .02 between the groups.

    python docs/keras_fairness.py [--epochs=200] [--virtual_devices=2]
"""

import argparse
import tempfile

import keras
import numpy as np
import tensorflow as tf
from sklearn import datasets

import geco_tf
from geco_tf.integrations.keras import Constrained

TOLERANCE = 0.02
MULTIPLIERS = ["geco/parity/multiplier_0", "geco/parity/multiplier_1"]


def load_patients():
  """X [442, 10], standardised; y [442, 2]: progressed, over fifty."""
  patients = datasets.load_diabetes(scaled=False)
  x = patients.data
  progressed = patients.target > np.median(patients.target)
  over_fifty = x[:, patients.feature_names.index("age")] > 50
  x = (x - x.mean(axis=0)) / x.std(axis=0)
  y = np.stack([progressed, over_fifty], axis=1)
  return x.astype("float32"), y.astype("float32")


def cross_entropy(x, y, logits):
  """The objective: [B], nats."""
  del x
  return keras.losses.binary_crossentropy(y[:, :1], logits, from_logits=True)


def make_parity(share):
  """Two constraints in one: neither group's mean may exceed the other's.

  The difference of two groups' means is the mean over all of p / share in one,
  less p / (1 - share) in the other, so that it is of examples, as it must be.
  """

  def violation(y, logits):
    p, group = tf.nn.sigmoid(logits[:, 0]), y[:, 1]
    difference = p * (group / share - (1.0 - group) / (1.0 - share))
    return tf.stack([difference, -difference], axis=1) - TOLERANCE

  return geco_tf.constraints.from_callable(
    violation, name="parity", bound=TOLERANCE, size=2, initial_multiplier=0.1
  )


def make_net(seed=0):
  """The classifier, [B, 10] to logits [B, 1]."""
  keras.utils.set_random_seed(seed)
  small = keras.regularizers.L2(0.01)
  return keras.Sequential(
    [
      keras.Input([10]),
      keras.layers.Dense(16, "tanh", kernel_regularizer=small),
      keras.layers.Dense(1, kernel_regularizer=small),
    ]
  )


def make_constrained(share):
  """To be made under the strategy's scope."""
  model = Constrained(make_net(), make_parity(share), objective=cross_entropy)
  model.compile(keras.optimizers.Adam(0.01))
  return model


def describe(name, net, x, y):
  """Prints what the classifier does to whom."""
  p = tf.nn.sigmoid(net.predict(x, verbose=0)[:, 0]).numpy()
  progressed, old = y[:, 0] == 1, y[:, 1] == 1
  flagged = p > 0.5
  print(
    f"{name}: accuracy {np.mean(flagged == progressed):.3f}; mean probability "
    f"over 50 {p[old].mean():.3f}, others {p[~old].mean():.3f}, difference "
    f"{p[old].mean() - p[~old].mean():+.3f}; flagged {flagged[old].mean():.3f} "
    f"and {flagged[~old].mean():.3f}"
  )


class Interruption(keras.callbacks.Callback):
  """Stops training as a lost machine would."""

  def __init__(self, epoch):
    super().__init__()
    self.epoch = epoch

  def on_epoch_begin(self, epoch, logs=None):
    if epoch == self.epoch:
      raise KeyboardInterrupt


def fit(model, x, y, epochs, callbacks=()):
  """Trains in a fixed order, as Keras does not save where a shuffle is."""
  return model.fit(
    x,
    y,
    batch_size=64,
    epochs=epochs,
    shuffle=False,
    verbose=0,
    callbacks=list(callbacks),
  )


def make_strategy(virtual_devices):
  """One device, or a laptop's CPU cut into several."""
  if virtual_devices == 1:
    return tf.distribute.get_strategy()
  cpu = tf.config.list_physical_devices("CPU")[0]
  tf.config.set_logical_device_configuration(
    cpu, [tf.config.LogicalDeviceConfiguration()] * virtual_devices
  )
  names = [f"CPU:{i}" for i in range(virtual_devices)]
  return tf.distribute.MirroredStrategy(names)


def main():
  """Trains without the constraint, then with it, interrupted half way."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--epochs", type=int, default=200)
  parser.add_argument("--virtual_devices", type=int, default=1)
  flags = parser.parse_args()
  strategy = make_strategy(flags.virtual_devices)
  x, y = load_patients()
  order = np.random.default_rng(0).permutation(len(x))
  x, y = x[order], y[order]
  train, test = slice(0, 320), slice(320, None)
  share = y[train, 1].mean()

  with strategy.scope():
    plain = make_net()
    plain.compile(
      keras.optimizers.Adam(0.01),
      loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
  fit(plain, x[train], y[train, 0], flags.epochs)
  describe("plain, training", plain, x[train], y[train])
  describe("plain, held out", plain, x[test], y[test])

  with tempfile.TemporaryDirectory() as folder:
    backup = keras.callbacks.BackupAndRestore(folder)
    half = flags.epochs // 2
    with strategy.scope():
      model = make_constrained(share)
    try:
      fit(model, x[train], y[train], flags.epochs, [backup, Interruption(half)])
    except KeyboardInterrupt:
      print(f"interrupted after {half} epochs")
    with strategy.scope():
      model = make_constrained(share)
    history = fit(model, x[train], y[train], flags.epochs, [backup]).history
  with strategy.scope():
    alone = make_constrained(share)
  whole = fit(alone, x[train], y[train], flags.epochs).history
  same = all(history[n] == whole[n][half:] for n in MULTIPLIERS)
  print(f"resumed with the multipliers of a run left alone: {same}")
  describe("constrained, training", model, x[train], y[train])
  describe("constrained, held out", model, x[test], y[test])
  found = model.geco.multipliers["parity"].numpy()
  print(
    f"multipliers {found[0]:.4f} and {found[1]:.4f}, satisfied "
    f"{history['geco/parity/satisfied'][-1]:.0f}, replicas "
    f"{strategy.num_replicas_in_sync}"
  )


if __name__ == "__main__":
  main()
