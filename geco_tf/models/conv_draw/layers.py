# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The weights of ConvDraw, and the layers that no step repeats."""

import math
from collections.abc import Mapping, Sequence

import sonnet as snt
import tensorflow as tf

_SUMMARY_SIDE = 4  # Context images are summarised from maps of this side.


def weight_dtype(dtype: tf.DType) -> tf.DType:
  """The type of weights and of all that is not a convolution."""
  return tf.float64 if dtype == tf.float64 else tf.float32


def kernel(
  shape: Sequence[int],
  fan_in: int,
  name: str,
  *,
  dtype: tf.DType,
  spread: float = 1.0,
) -> tf.Variable:
  """Weights of standard deviation spread / sqrt(fan_in)."""
  initializer = snt.initializers.TruncatedNormal(
    stddev=spread / math.sqrt(fan_in)
  )
  return tf.Variable(initializer(shape, weight_dtype(dtype)), name=name)


class Conv(snt.Module):
  """A convolution that computes in one type, with weights in another."""

  def __init__(
    self,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    dtype: tf.DType,
    stride: int = 1,
    spread: float = 1.0,
    name: str | None = None,
  ):
    super().__init__(name=name)
    shape = [kernel_size, kernel_size, in_channels, out_channels]
    fan_in = kernel_size**2 * in_channels
    self._dtype = dtype
    self._stride = stride
    self.kernel = kernel(shape, fan_in, "kernel", dtype=dtype, spread=spread)
    self.bias = tf.Variable(
      tf.zeros([out_channels], weight_dtype(dtype)), name="bias"
    )

  def __call__(self, maps: tf.Tensor) -> tf.Tensor:
    result = tf.nn.conv2d(
      tf.cast(maps, self._dtype),
      tf.cast(self.kernel, self._dtype),
      self._stride,
      "SAME",
    )
    return tf.cast(result, self.bias.dtype) + self.bias


class Core(snt.Module):
  """The weights of a convolutional LSTM: a kernel for each of its inputs.

  The convolution of inputs side by side is the sum of their convolutions, so
  that inputs which no step changes can be convolved once. Gates are in the
  order entry, forget, exit, candidate.
  """

  def __init__(
    self,
    in_channels: Mapping[str, int],
    hidden_size: int,
    kernel_size: int,
    *,
    dtype: tf.DType,
    name: str | None = None,
  ):
    super().__init__(name=name)
    fan_in = kernel_size**2 * sum(in_channels.values())
    self.kernels = {
      key: kernel(
        [kernel_size, kernel_size, channels, 4 * hidden_size],
        fan_in,
        key,
        dtype=dtype,
      )
      for key, channels in in_channels.items()
    }
    # Cells remember, to begin with.
    self.bias = tf.Variable(
      tf.repeat(tf.constant([0, 1, 0, 0], weight_dtype(dtype)), hidden_size),
      name="bias",
    )


def lstm(
  gates: tf.Tensor, cell: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
  """One step of a `Core`.

    c <- sigmoid(forget) c + sigmoid(entry) tanh(candidate)
    h <- sigmoid(exit) tanh(c)

  Args:
    gates: before their nonlinearities, [B, h, w, 4 hidden_size].
    cell: c, [B, h, w, hidden_size]; None is 0.

  Returns:
    h and c.
  """
  entry, forget, exit_, candidate = tf.split(gates, 4, axis=-1)
  new_cell = tf.sigmoid(entry) * tf.tanh(candidate)
  if cell is not None:
    new_cell += tf.sigmoid(forget) * cell
  return tf.sigmoid(exit_) * tf.tanh(new_cell), new_cell


class FeatureNetwork(snt.Module):
  """Images to maps of the latents' side: convolutions s×s / s, then 3×3."""

  def __init__(
    self,
    channels: int,
    hidden_size: int,
    stride: int,
    *,
    dtype: tf.DType,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self.first = Conv(
      channels, hidden_size, stride, stride=stride, dtype=dtype, name="first"
    )
    self.second = Conv(hidden_size, hidden_size, 3, dtype=dtype, name="second")

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    # Centred, because pixels in [0, 1] would drive every bias the same way.
    return tf.nn.elu(self.second(tf.nn.elu(self.first(2.0 * images - 1.0))))


class ContextEncoder(snt.Module):
  """K images to one map of the latents' side; their order matters.

  Every image goes through the same convolutions, and what comes out is joined
  in order. A label is a fact about a whole image: so every image also gets a
  code, by the same dense layers, and what all codes say together is drawn onto
  the map. Codes are made before they are joined, because what two digits say
  together, as their sum does, is learned several times sooner so.
  """

  def __init__(
    self,
    context_shape: tuple[int, ...],
    hidden_size: int,
    stride: int,
    *,
    dtype: tf.DType,
    name: str | None = None,
  ):
    super().__init__(name=name)
    self._num_images, side, _, channels = context_shape
    self._features = FeatureNetwork(
      channels, hidden_size, stride, dtype=dtype, name="features"
    )
    self._join = Conv(
      self._num_images * hidden_size, hidden_size, 3, dtype=dtype, name="join"
    )
    width, side = hidden_size, side // stride
    self._map_shape = [side, side, hidden_size]
    self._halvings = []
    while side > _SUMMARY_SIDE:
      halving = Conv(width, 2 * hidden_size, 3, stride=2, dtype=dtype)
      self._halvings.append(halving)
      width, side = 2 * hidden_size, (side + 1) // 2
    sizes = [8 * hidden_size, 8 * hidden_size]
    self._code = snt.nets.MLP(sizes, activate_final=True, name="code")
    sizes = [*sizes, math.prod(self._map_shape)]
    self._together = snt.nets.MLP(sizes, name="together")

  def __call__(self, context: tf.Tensor) -> tf.Tensor:
    """[B, K, H, W, C'] to [B, h, w, hidden_size]."""
    maps = self._features(snt.merge_leading_dims(context, 2))
    summary = maps
    for halving in self._halvings:
      summary = tf.nn.elu(halving(summary))
    codes = self._code(snt.flatten(summary))
    together = self._together(self._side_by_side(codes))
    return tf.nn.elu(
      self._join(self._side_by_side(maps))
      + tf.reshape(together, [-1, *self._map_shape])
    )

  def _side_by_side(self, values: tf.Tensor) -> tf.Tensor:
    """[B K, …, C] to [B, …, K C]."""
    values = tf.reshape(values, [-1, self._num_images, *values.shape[1:]])
    return tf.concat(tf.unstack(values, axis=1), axis=-1)
