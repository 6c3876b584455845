# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Convolutional encoder and decoder for small square images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import sonnet as snt
import tensorflow as tf

from geco_tf import errors

PRECISIONS = ("float32", "bfloat16", "float64")
MIN_SIDE = 8
MAX_SIDE = 64
_COARSEST_SIDE = 8
_KERNEL_SIZE = 3


def check_image_shape(image_shape: Sequence[int]) -> tuple[int, int, int]:
  """Returns image_shape as (H, W, C) if the networks can take it.

  Raises:
    UserError: if it is not square, or a side or the channels do not fit.
  """
  shape = tuple(image_shape)
  if len(shape) != 3 or shape[0] != shape[1]:
    raise errors.UserError(
      f"`image_shape` must be (side, side, channels); got {shape}."
    )
  if not MIN_SIDE <= shape[0] <= MAX_SIDE:
    raise errors.UserError(
      f"`image_shape` must have a side from {MIN_SIDE} to {MAX_SIDE}; got "
      f"{shape[0]} in {shape}."
    )
  if shape[2] < 1:
    raise errors.UserError(
      f"`image_shape` must have at least 1 channel; got {shape[2]} in {shape}."
    )
  return shape


def check_images(images: tf.Tensor, image_shape: Sequence[int]) -> None:
  """Raises UserError unless images are floats [B, *image_shape]."""
  if not images.dtype.is_floating:
    raise errors.UserError(
      f"`images` must be floats in [0, 1]; got the type {images.dtype.name}."
    )
  if not images.shape[1:].is_compatible_with(image_shape):
    expected = ", ".join(str(size) for size in image_shape)
    raise errors.UserError(
      f"`images` must have the shape [B, {expected}], the model's "
      f"`image_shape`; got {images.shape}."
    )


def check_no_context(context: tf.Tensor | None, model: str) -> None:
  """Raises UserError if there is a context for this unconditional model."""
  if context is not None:
    raise errors.UserError(
      f"`context` must be None, as {model} is unconditional; got a tensor of "
      f"shape {context.shape}."
    )


def check_positive(**sizes: Any) -> None:
  """Raises UserError, naming the argument, for one not whole or below 1."""
  for name, size in sizes.items():
    # An option on the command line may be of any type.
    if not isinstance(size, (int, np.integer)):
      raise errors.UserError(f"`{name}` must be a whole number; got {size!r}.")
    if size < 1:
      raise errors.UserError(f"`{name}` must be at least 1; got {size}.")


def sides(side: int) -> tuple[int, ...]:
  """The sides of the encoder's feature maps, from the image's own.

  Each convolution of stride 2 takes n to ceil(n / 2); there is at least one,
  and the last side is 4 to 8.

  >>> sides(28)
  (28, 14, 7)
  >>> sides(63)
  (63, 32, 16, 8)
  """
  chain = [side]
  while len(chain) == 1 or chain[-1] > _COARSEST_SIDE:
    chain.append((chain[-1] + 1) // 2)
  return tuple(chain)


def _widths(channels: int, num_layers: int) -> tuple[int, ...]:
  """Channels after each convolution: doubled once, since maps shrink by 4."""
  return tuple(channels * min(2**level, 2) for level in range(num_layers))


def check_precision(precision: str) -> None:
  """Raises UserError for a precision that networks do not have."""
  if precision not in PRECISIONS:
    *others, last = PRECISIONS
    raise errors.UserError(
      f"`precision` must be {', '.join(others)} or {last}; got {precision!r}."
    )


def weight_dtype(precision: str | tf.DType) -> tf.DType:
  """The type of weights, and of all that bfloat16 would be too rough for."""
  return tf.float64 if precision == "float64" else tf.float32


def _applied(precision: str, layer: snt.Module, inputs: tf.Tensor) -> tf.Tensor:
  """A layer whose product is of a precision, and nothing else is.

  The bias is added afterwards: its gradient is a sum over all pixels of a
  batch, which a CPU adds up in the type that it finds, and in bfloat16 such a
  sum stands still at 256 times its terms.

  Sonnet casts variables where they are read, by a global: calls in several
  threads must not overlap, and those of a `MirroredStrategy`'s replicas do not.

  Args:
    precision: one of PRECISIONS.
    layer: with a kernel and a bias `b`.
    inputs: [B, ...], in the type of the weights.

  Returns:
    What the layer gives, in that type.
  """
  if precision != "bfloat16":
    return layer(inputs)
  if not _has_variables(layer):
    layer(inputs[:1])  # Creates them, in the type of the inputs.
  bias = layer.b

  def read(variable: tf.Variable) -> tf.Tensor:
    rough = tf.cast(variable, tf.bfloat16)
    return tf.zeros_like(rough) if variable is bias else rough

  with snt.custom_variable_getter(read):
    product = layer(tf.cast(inputs, tf.bfloat16))
  return tf.cast(product, bias.dtype) + bias


def _has_variables(module: snt.Module) -> bool:
  try:
    return bool(module.variables)
  except ValueError:  # Sonnet's, for a module without any.
    return False


class ConvEncoder(snt.Module):
  """Images to feature vectors: convolutions of stride 2, then a dense layer.

    x [B, H, W, C] -> maps [B, h, w, c] -> h [B, hidden_size]

  Variables are created at the first call.
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    *,
    channels: int = 24,
    hidden_size: int = 384,
    precision: str = "float32",
    name: str | None = None,
  ):
    """Makes the layers, but none of their variables.

    Args:
      image_shape: (side, side, channels), a side from 8 to 64.
      channels: channels after the first convolution.
      hidden_size: length of the feature vector.
      precision: "float32", or "bfloat16", of the products; variables and
        outputs are float32. Or "float64", of everything.
      name: of the module.

    Raises:
      UserError: if the shape does not fit, a size is below 1, or the precision
        is unknown.
    """
    super().__init__(name=name)
    check_precision(precision)
    self._precision = precision
    side, _, _ = check_image_shape(image_shape)
    check_positive(channels=channels, hidden_size=hidden_size)
    self._convs = [
      snt.Conv2D(width, _KERNEL_SIZE, stride=2, name=f"conv_{level}")
      for level, width in enumerate(_widths(channels, len(sides(side)) - 1))
    ]
    self._to_vector = snt.Flatten()
    self._dense = snt.Linear(hidden_size, name="dense")

  def __call__(self, images: tf.Tensor) -> tf.Tensor:
    """Images [B, H, W, C], in [0, 1], to features [B, hidden_size]."""
    # Centred, because pixels in [0, 1] would drive every bias the same way.
    maps = 2.0 * tf.cast(images, weight_dtype(self._precision)) - 1.0
    for conv in self._convs:
      maps = tf.nn.elu(_applied(self._precision, conv, maps))
    vector = self._to_vector(maps)
    return tf.nn.elu(_applied(self._precision, self._dense, vector))


class ConvDecoder(snt.Module):
  """Latents to the mean image: the encoder's chain of sides, reversed.

    z [B, d] -> [B, hidden_size] -> maps [B, h, w, c] -> g(z) [B, H, W, C]

  The mean is in (0, 1), through a sigmoid. Variables are created at the first
  call.
  """

  def __init__(
    self,
    image_shape: Sequence[int],
    *,
    channels: int = 24,
    hidden_size: int = 384,
    precision: str = "float32",
    name: str | None = None,
  ):
    """Makes the layers, but none of their variables.

    Args:
      image_shape: (side, side, channels), a side from 8 to 64.
      channels: channels before the last transposed convolution.
      hidden_size: length of the first hidden layer.
      precision: "float32", or "bfloat16", of the products; variables and
        outputs are float32. Or "float64", of everything.
      name: of the module.

    Raises:
      UserError: if the shape does not fit, a size is below 1, or the precision
        is unknown.
    """
    super().__init__(name=name)
    check_precision(precision)
    self._precision = precision
    side, _, image_channels = check_image_shape(image_shape)
    check_positive(channels=channels, hidden_size=hidden_size)
    chain = sides(side)
    widths = _widths(channels, len(chain) - 1)
    self._coarsest = [chain[-1], chain[-1], widths[-1]]
    self._dense = snt.Linear(hidden_size, name="dense")
    self._to_maps = snt.Linear(
      chain[-1] * chain[-1] * widths[-1], name="to_maps"
    )
    # An odd side is not twice its half: each output size has to be told.
    self._convs = [
      snt.Conv2DTranspose(
        width,
        _KERNEL_SIZE,
        output_shape=[size, size],
        stride=2,
        name=f"conv_transpose_{level}",
      )
      for level, (width, size) in enumerate(
        zip(
          (*reversed(widths[:-1]), image_channels),
          reversed(chain[:-1]),
          strict=True,
        )
      )
    ]

  def __call__(self, latents: tf.Tensor) -> tf.Tensor:
    """Latents [B, d] to the mean images [B, H, W, C]."""
    latents = tf.cast(latents, weight_dtype(self._precision))
    hidden = tf.nn.elu(_applied(self._precision, self._dense, latents))
    maps = tf.nn.elu(_applied(self._precision, self._to_maps, hidden))
    maps = tf.reshape(maps, [-1] + self._coarsest)
    for conv in self._convs[:-1]:
      maps = tf.nn.elu(_applied(self._precision, conv, maps))
    # Rounding the mean itself would lose more than rounding its logit.
    return tf.sigmoid(_applied(self._precision, self._convs[-1], maps))
