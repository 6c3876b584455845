# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small classifiers: the judges of samples, and the source of features.

Both are functions of their weights and one image: no batch statistics, no
dropout, no state. So what a frozen one says of an image does not depend on the
rest of the batch, on replicas or on training and testing.
"""

import abc
import math
from collections.abc import Sequence

import sonnet as snt
import tensorflow as tf

from geco_tf import errors
from geco_tf import registry as registry_lib
from geco_tf.models import networks

_KERNEL_SIZE = 3
# ReLU passes on this share of a standard normal's standard deviation.
_RELU_DEVIATION = math.sqrt(0.5 * (1.0 - 1.0 / math.pi))


class Classifier(snt.Module):
  """Images to logits; a concrete class says what the layers are.

    logits [B, num_classes] = linear(the last of `features`)

  Variables are created at the first call.
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    name: str | None = None,
  ):
    """Makes the last layer, but none of its variables.

    Args:
      image_shape: (side, side, channels), a side from 8 to 64.
      num_classes: at least 2.
      name: of the module.

    Raises:
      UserError: if the shape does not fit, or there are fewer classes.
    """
    super().__init__(name=name)
    self.image_shape = networks.check_image_shape(image_shape)
    if num_classes < 2:
      raise errors.UserError(
        f"`num_classes` must be at least 2; got {num_classes}."
      )
    self.num_classes = num_classes
    # Starts at zero: every class is as likely as another.
    self._logits = snt.Linear(
      num_classes, w_init=snt.initializers.Zeros(), name="logits"
    )

  def __call__(
    self, images: tf.Tensor, *, is_training: bool = False
  ) -> tf.Tensor:
    """Logits of the classes: their softmax is the classes' probabilities.

    Args:
      images: [B, H, W, C], floats in [0, 1].
      is_training: of no consequence here; a classifier registered from outside
        may need it.

    Returns:
      [B, num_classes].

    Raises:
      UserError: for images of another shape or type.
    """
    del is_training
    return self._logits(list(self.features(images).values())[-1])

  def features(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """The activations of every layer but the logits, from the first on.

    Args:
      images: [B, H, W, C], floats in [0, 1].

    Returns:
      Layer name → [B, h, w, c]; the last one is a vector, [B, c].

    Raises:
      UserError: for images of another shape or type.
    """
    images = tf.convert_to_tensor(images)
    if not images.dtype.is_floating:
      raise errors.UserError(
        f"`images` must be floats in [0, 1]; got the type {images.dtype.name}."
      )
    if not images.shape[1:].is_compatible_with(self.image_shape):
      raise errors.UserError(
        f"The classifier {self.name!r} is built for images of the shape "
        f"{list(self.image_shape)}; got {list(images.shape[1:])}."
      )
    return self._layers(2.0 * tf.cast(images, tf.float32) - 1.0)

  @abc.abstractmethod
  def _layers(self, maps: tf.Tensor) -> dict[str, tf.Tensor]:
    """What `features` returns, of images in [-1, 1]."""


class DigitCNN(Classifier):
  """Three convolutions and a dense layer, for digits and what is like them.

  Layers: conv_0 [B, H/2, W/2, c], conv_1 and conv_2 [B, H/4, W/4, 2c and 4c]
  (sides rounded up), dense [B, hidden_size].
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    channels: int = 24,
    hidden_size: int = 128,
    name: str | None = None,
  ):
    """Makes the layers, but none of their variables.

    Args:
      image_shape: (side, side, channels), a side from 8 to 64.
      num_classes: at least 2.
      channels: c, of the first convolution.
      hidden_size: of the dense layer.
      name: of the module.

    Raises:
      UserError: as `Classifier`, or if a size is below 1.
    """
    super().__init__(image_shape, num_classes, name=name)
    networks.check_positive(channels=channels, hidden_size=hidden_size)
    self._convs = [
      snt.Conv2D(channels, 5, stride=2, name="conv_0"),
      snt.Conv2D(2 * channels, _KERNEL_SIZE, stride=2, name="conv_1"),
      snt.Conv2D(4 * channels, _KERNEL_SIZE, name="conv_2"),
    ]
    self._dense = snt.Linear(hidden_size, name="dense")

  def _layers(self, maps: tf.Tensor) -> dict[str, tf.Tensor]:
    layers = {}
    for conv in self._convs:
      maps = layers[conv.name] = tf.nn.relu(conv(maps))
    layers["dense"] = tf.nn.relu(self._dense(snt.flatten(maps)))
    return layers


class CIFARResNet(Classifier):
  """A residual network without normalisation layers, for small photographs.

  Convolutions have standardised weights and every block starts as its shortcut,
  which does for depth what batch normalisation does, without its statistics
  (Brock, De and Smith 2021, "Characterizing signal propagation to close the
  performance gap in unnormalized ResNets").

  Layers: stem [B, H, W, c], block_0 [B, H/2, W/2, 2c], block_1 [B, H/4, W/4,
  4c], … (sides rounded up), pooled: the mean over places of the last, [B, …].
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    num_classes: int,
    *,
    channels: int = 16,
    num_blocks: int = 3,
    name: str | None = None,
  ):
    """Makes the layers, but none of their variables.

    Args:
      image_shape: (side, side, channels), a side from 8 to 64.
      num_classes: at least 2.
      channels: c, of the stem; each block doubles them.
      num_blocks: each halves the side.
      name: of the module.

    Raises:
      UserError: as `Classifier`, or if a size is below 1.
    """
    super().__init__(image_shape, num_classes, name=name)
    networks.check_positive(channels=channels, num_blocks=num_blocks)
    self._stem = StandardizedConv2D(channels, name="stem")
    self._blocks = [
      _Block(channels * 2 ** (level + 1), name=f"block_{level}")
      for level in range(num_blocks)
    ]

  def _layers(self, maps: tf.Tensor) -> dict[str, tf.Tensor]:
    layers = {"stem": self._stem(maps)}
    for block in self._blocks:
      layers[block.name] = block(list(layers.values())[-1])
    last = _relu(list(layers.values())[-1])
    layers["pooled"] = tf.reduce_mean(last, axis=[1, 2])
    return layers


class _Block(snt.Module):
  """h → shortcut(h) + α F(h), at half the side."""

  def __init__(self, channels: int, *, name: str | None = None):
    """Args: channels: of the result; name: of the module."""
    super().__init__(name=name)
    self._shortcut = StandardizedConv2D(channels, 2, stride=2, name="shortcut")
    self._first = StandardizedConv2D(channels, stride=2, name="first")
    self._second = StandardizedConv2D(channels, name="second")
    # α: starting at zero, the block is its shortcut.
    self._gain = tf.Variable(0.0, name="gain")

  def __call__(self, maps: tf.Tensor) -> tf.Tensor:
    """[B, h, w, c] to [B, h/2, w/2, channels], sides rounded up."""
    maps = _relu(maps)
    change = self._second(_relu(self._first(maps)))
    return self._shortcut(maps) + self._gain * change


class StandardizedConv2D(snt.Module):
  """A convolution whose weights have mean 0 and variance 1 / fan-in.

    W[i, o] = g[o] (V[i, o] − mean_i V) / sqrt(fan_in · var_i V), + b[o]

  so that the scale of what comes in is that of what goes out.
  """

  def __init__(
    self,
    output_channels: int,
    kernel_size: int = _KERNEL_SIZE,
    *,
    stride: int = 1,
    name: str | None = None,
  ):
    """Makes no variables; the first call does.

    Args:
      output_channels: o.
      kernel_size: of both axes.
      stride: of both axes.
      name: of the module.
    """
    super().__init__(name=name)
    self._output_channels = output_channels
    self._kernel_size = kernel_size
    self._stride = stride

  def __call__(self, maps: tf.Tensor) -> tf.Tensor:
    """[B, h, w, i] to [B, h / stride, w / stride, o], sides rounded up."""
    self._create(maps.shape[-1])
    mean, variance = tf.nn.moments(self._raw, axes=[0, 1, 2], keepdims=True)
    fan_in = self._raw.shape[:3].num_elements()
    scale = self._gain * tf.math.rsqrt(fan_in * tf.maximum(variance, 1e-8))
    weights = (self._raw - mean) * scale
    maps = tf.nn.conv2d(maps, weights, self._stride, "SAME")
    return tf.nn.bias_add(maps, self._bias)

  @snt.once
  def _create(self, input_channels: int) -> None:
    size, channels = self._kernel_size, self._output_channels
    shape = [size, size, input_channels, channels]
    # Their scale matters only to how far a step of Adam turns them.
    raw = tf.random.normal(shape, stddev=(size**2 * input_channels) ** -0.5)
    self._raw = tf.Variable(raw, name="raw_weights")
    self._gain = tf.Variable(tf.ones([channels]), name="gain")
    self._bias = tf.Variable(tf.zeros([channels]), name="bias")


def _relu(maps: tf.Tensor) -> tf.Tensor:
  """ReLU, scaled to variance 1 for what comes in standard normal."""
  return tf.nn.relu(maps) / _RELU_DEVIATION


registry = registry_lib.Registry("classifier")
register = registry.register
register("cifar_resnet", CIFARResNet)
register("digit_cnn", DigitCNN)
