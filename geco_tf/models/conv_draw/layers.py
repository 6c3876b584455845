# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The weights of ConvDraw, and the layers that no step repeats."""

import math
from collections.abc import Mapping, Sequence

import sonnet as snt
import tensorflow as tf

from geco_tf.models import networks


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
  return tf.Variable(
    initializer(shape, networks.weight_dtype(dtype)), name=name
  )


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
      tf.zeros([out_channels], networks.weight_dtype(dtype)), name="bias"
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
      tf.repeat(
        tf.constant([0, 1, 0, 0], networks.weight_dtype(dtype)), hidden_size
      ),
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
