# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Classifiers: shapes, no state, gradients everywhere, plain mistakes."""

import numpy as np
import pytest
import tensorflow as tf

from geco_tf import errors
from geco_tf.models import classifiers

_SIZES = {
  "digit_cnn": {"channels": 3},
  "cifar_resnet": {"channels": 4, "num_blocks": 2},
}
_EVERY = pytest.mark.parametrize("name", classifiers.registry.names())


def _made(name, shape=(9, 9, 1), num_classes=5):
  """A small one whose weights are all random: none of them at zero."""
  sizes = {
    **_SIZES[name],
    **({"hidden_size": 6} if name == "digit_cnn" else {}),
  }
  made = classifiers.registry.build(
    name, shape, num_classes, available={}, options=sizes
  )
  made(tf.zeros([1, *shape]))
  random = np.random.RandomState(0)
  for variable in made.variables:
    variable.assign_add(0.3 * random.normal(size=variable.shape))
  return made


def _images(shape=(9, 9, 1), num=4):
  return tf.random.stateless_uniform([num, *shape], [1, 2])


@pytest.mark.parametrize(
  ("name", "shape", "expected"),
  [
    (
      "digit_cnn",
      (28, 28, 1),
      {
        "conv_0": [14, 14, 3],
        "conv_1": [7, 7, 6],
        "conv_2": [7, 7, 12],
        "dense": [6],
      },
    ),
    (
      "digit_cnn",
      (9, 9, 3),
      {
        "conv_0": [5, 5, 3],
        "conv_1": [3, 3, 6],
        "conv_2": [3, 3, 12],
        "dense": [6],
      },
    ),
    (
      "cifar_resnet",
      (32, 32, 3),
      {
        "stem": [32, 32, 4],
        "block_0": [16, 16, 8],
        "block_1": [8, 8, 16],
        "pooled": [16],
      },
    ),
    (
      "cifar_resnet",
      (9, 9, 1),
      {
        "stem": [9, 9, 4],
        "block_0": [5, 5, 8],
        "block_1": [3, 3, 16],
        "pooled": [16],
      },
    ),
  ],
)
def test_features_have_their_documented_names_and_shapes(name, shape, expected):
  classifier = _made(name, shape)
  features = classifier.features(_images(shape))
  assert {k: list(v.shape[1:]) for k, v in features.items()} == expected
  assert list(features) == list(expected)
  assert classifier(_images(shape)).shape == [4, 5]


@_EVERY
def test_every_class_is_as_likely_at_the_start(name):
  classifier = classifiers.registry[name]((8, 8, 1), 7)
  np.testing.assert_array_equal(classifier(_images((8, 8, 1))), 0.0)


@_EVERY
def test_logits_are_same_in_eager_graph_and_xla_and_training(name):
  classifier, images = _made(name), _images()
  expected = classifier(images)
  spec = tf.TensorSpec([None, 9, 9, 1])
  graph = tf.function(classifier, input_signature=[spec])
  np.testing.assert_allclose(graph(images), expected, atol=1e-5)
  compiled = tf.function(classifier, jit_compile=True)
  np.testing.assert_allclose(compiled(images), expected, atol=1e-5)
  training = classifier(images, is_training=True)
  np.testing.assert_array_equal(training, expected)
  doubles = classifier(tf.cast(images, tf.float64))
  np.testing.assert_array_equal(doubles, expected)


@_EVERY
def test_logits_of_an_image_do_not_depend_on_the_batch(name):
  classifier, images = _made(name), _images()
  before = [v.numpy() for v in classifier.variables]
  alone = tf.concat([classifier(images[i : i + 1]) for i in range(4)], axis=0)
  np.testing.assert_allclose(classifier(images), alone, atol=1e-5)
  for old, variable in zip(before, classifier.variables, strict=True):
    np.testing.assert_array_equal(variable, old)


@_EVERY
def test_gradients_reach_every_variable_and_the_images(name):
  classifier, images = _made(name), _images()
  labels = tf.constant([0, 1, 2, 3])
  with tf.GradientTape() as tape:
    tape.watch(images)
    loss = tf.reduce_sum(
      tf.nn.sparse_softmax_cross_entropy_with_logits(labels, classifier(images))
    )
  gradients = tape.gradient(loss, [images, *classifier.trainable_variables])
  for gradient in gradients:
    assert np.any(gradient != 0.0)


def test_convolution_has_standardised_weights():
  convolution = classifiers.StandardizedConv2D(4, 3, stride=2)
  maps = _images((7, 7, 2)) - 0.3
  convolution(maps)
  by_name = {v.name.split("/")[-1]: v for v in convolution.variables}
  raw, gain, bias = (by_name[n] for n in ("raw_weights:0", "gain:0", "bias:0"))
  raw.assign(tf.random.stateless_normal(raw.shape, [3, 4], mean=0.7))
  gain.assign([0.5, 1.0, 2.0, 3.0])
  bias.assign([1.0, 2.0, 3.0, 4.0])
  flat = raw.numpy().astype(np.float64).reshape(-1, 4)
  flat = (flat - flat.mean(axis=0)) / (flat.std(axis=0) * np.sqrt(len(flat)))
  weights = (flat * gain.numpy()).reshape(raw.shape)
  # SAME at stride 2 pads an odd side by one on both ends.
  padded = np.pad(maps.numpy(), [(0, 0), (1, 1), (1, 1), (0, 0)])
  expected = np.zeros([4, 4, 4, 4])
  for i, j in np.ndindex(4, 4):
    patch = padded[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
    expected[:, i, j] = np.einsum("bhwi,hwio->bo", patch, weights)
  np.testing.assert_allclose(
    convolution(maps), expected + bias.numpy(), atol=1e-5
  )


def test_residual_network_keeps_the_scale_of_its_activations_at_the_start():
  """Without normalisation layers, since blocks start as their shortcuts."""
  network = classifiers.CIFARResNet((32, 32, 3), 10)
  features = network.features(_images((32, 32, 3), num=16))
  for name in ("block_0", "block_1", "block_2"):
    assert 0.3 < float(tf.math.reduce_std(features[name])) < 3.0


@_EVERY
@pytest.mark.parametrize(
  ("images", "message"),
  [
    (tf.zeros([2, 8, 8, 1]), r"shape \[9, 9, 1\]; got \[8, 8, 1\]"),
    (tf.zeros([2, 9, 9, 3]), r"shape \[9, 9, 1\]; got \[9, 9, 3\]"),
    (tf.zeros([2, 9, 9, 1], tf.uint8), "floats in .* got the type uint8"),
  ],
)
def test_other_images_are_refused(name, images, message):
  with pytest.raises(errors.UserError, match=message):
    _made(name)(images)


@_EVERY
@pytest.mark.parametrize(
  ("shape", "num_classes", "options", "message"),
  [
    ((8, 8, 1), 1, {}, "`num_classes` must be at least 2; got 1"),
    ((7, 7, 1), 5, {}, "side from 8"),
    ((8, 8, 1), 5, {"channels": 0}, "`channels` must be at least 1; got 0"),
  ],
)
def test_impossible_sizes_are_refused(
  name, shape, num_classes, options, message
):
  with pytest.raises(errors.UserError, match=message):
    classifiers.registry[name](shape, num_classes, **options)
