# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Convolutions in three parts, so that what repeats is done once.

A convolution is bilinear, in the maps and in the kernel. An algorithm for it
transforms both, multiplies, and transforms back. In a recurrent network one
kernel meets many maps, and the same maps many kernels; and because transforms
are linear, sums may be taken before or after them.
"""

import abc
from collections.abc import Mapping

import numpy as np
import tensorflow as tf


class Algorithm(abc.ABC):
  """A way to convolve maps [B, h, w, c], stride 1, "SAME", with [k, k, c, d].

  Transformed maps have channels last, transformed kernels c and d last: they
  may be cut, joined and added along these as the maps and kernels may.
  """

  @abc.abstractmethod
  def maps(self, maps: tf.Tensor) -> tf.Tensor:
    """Transforms maps [B, h, w, c]."""

  @abc.abstractmethod
  def kernel(self, kernel: tf.Tensor) -> tf.Tensor:
    """Transforms a kernel [k, k, c, d]."""

  @abc.abstractmethod
  def product(self, maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Transformed maps and kernel to the convolution, [B, h, w, d]."""

  def __call__(self, maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The convolution, [B, h, w, d]."""
    return self.product(self.maps(maps), self.kernel(kernel))


class Direct(Algorithm):
  """TensorFlow's own convolution; nothing is transformed.

  It computes in its dtype and returns the type of the maps.
  """

  def __init__(self, dtype: tf.DType):
    self._dtype = dtype

  def maps(self, maps: tf.Tensor) -> tf.Tensor:
    return maps

  def kernel(self, kernel: tf.Tensor) -> tf.Tensor:
    return tf.cast(kernel, self._dtype)

  def product(self, maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    result = tf.nn.conv2d(tf.cast(maps, self._dtype), kernel, 1, "SAME")
    return tf.cast(result, maps.dtype)


class Fourier(Algorithm):
  """Convolution as products of Fourier coefficients, for small square maps.

    y = C [(A x) · (B w)],  (A x) · (B w) a product of matrices for each row

  A, B and C are the discrete Fourier transform of length n = side + k // 2,
  which is long enough that what wraps around meets zeros alone, written in real
  numbers: one row for each frequency that is its own conjugate, and three for
  each pair, since (a + ib)(c + id) needs three real products,

    p = c (a + b),  q = a (d − c),  r = b (c + d):  re = p − r,  im = p + q.

  A 5×5 kernel on 7×7 maps takes 121 products for each pair of channels instead
  of 25 for each of 49 places. Unlike shorter algorithms for the same (Winograd)
  it loses no digits: its transform is orthogonal. The products are computed in
  the dtype, transforms in the type of the maps.

  Source: Mathieu, Henaff and LeCun 2014, "Fast training of convolutional
  networks through FFTs"; the three products are Gauss's.
  """

  def __init__(self, side: int, kernel_size: int, dtype: tf.DType):
    """Args: side: of the maps; kernel_size: k; dtype: of the products."""
    self._side = side
    self._dtype = dtype
    self._of_maps, self._of_kernel, self._back = _fourier(side, kernel_size)

  @property
  def rank(self) -> int:
    """Products for each pair of channels."""
    return len(self._of_maps)

  def maps(self, maps: tf.Tensor) -> tf.Tensor:
    """[B, side, side, c] to [rank, B, c]."""
    places = tf.reshape(tf.transpose(maps, [1, 2, 0, 3]), [self._side**2, -1])
    transformed = tf.matmul(_like(self._of_maps, maps), places)
    return tf.reshape(transformed, [self.rank, -1, maps.shape[-1]])

  def kernel(self, kernel: tf.Tensor) -> tf.Tensor:
    """[k, k, c, d] to [rank, c, d]."""
    taps = tf.reshape(kernel, [self._of_kernel.shape[1], -1])
    transformed = tf.matmul(_like(self._of_kernel, kernel), taps)
    transformed = tf.reshape(transformed, [self.rank, *kernel.shape[2:]])
    return tf.cast(transformed, self._dtype)

  def product(self, maps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """[rank, B, c] and [rank, c, d] to [B, side, side, d]."""
    products = tf.matmul(tf.cast(maps, self._dtype), kernel)
    products = tf.cast(tf.reshape(products, [self.rank, -1]), maps.dtype)
    places = tf.matmul(_like(self._back, maps), products)
    shape = [self._side, self._side, -1, kernel.shape[-1]]
    return tf.transpose(tf.reshape(places, shape), [2, 0, 1, 3])


class Joined:
  """Kernels of inputs side by side, transformed together."""

  def __init__(self, algorithm: Algorithm, kernels: Mapping[str, tf.Tensor]):
    """Args: algorithm: of choice; kernels: of inputs by name, [k, k, c, d]."""
    self._algorithm = algorithm
    self._sizes = {name: kernel.shape[2] for name, kernel in kernels.items()}
    if kernels:
      self._kernel = algorithm.kernel(tf.concat([*kernels.values()], axis=2))

  def __call__(
    self, inputs: Mapping[str, tf.Tensor | None]
  ) -> tf.Tensor | None:
    """The convolution of those inputs that are there, in one product.

    Args:
      inputs: transformed, by name; None is 0, and names without a kernel are
        left out. The rest must be neighbours in the order of the kernels.

    Returns:
      [B, h, w, d]; None, which is 0, if there are no inputs.
    """
    names = list(self._sizes)
    present = [name for name in names if inputs.get(name) is not None]
    if not present:
      return None
    maps = tf.concat([inputs[name] for name in present], axis=-1)
    kernel = self._kernel
    # A slice of everything would have a costly gradient.
    if present != names:
      first = names.index(present[0])
      start = sum(self._sizes[name] for name in names[:first])
      kernel = kernel[..., start : start + maps.shape[-1], :]
    return self._algorithm.product(maps, kernel)


def _like(matrix: np.ndarray, tensor: tf.Tensor) -> tf.Tensor:
  return tf.constant(matrix, tensor.dtype)


def _fourier(
  side: int, kernel_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """A [rank, side²], B [rank, k²] and C [side², rank] of `Fourier`."""
  length = side + kernel_size // 2
  places = np.arange(side)
  # Minus: what deep learning calls a convolution is a correlation.
  taps = (kernel_size - 1) // 2 - np.arange(kernel_size)
  of_maps, of_kernel, back = [], [], []
  for u in range(length):
    for v in range(length):
      conjugate = (-u % length, -v % length)
      if (u, v) > conjugate:
        continue
      maps = _wave(u, v, places, length)
      kernel = _wave(u, v, taps, length)
      inverse = maps.conj() / length**2
      if (u, v) == conjugate:
        of_maps += [maps.real]
        of_kernel += [kernel.real]
        back += [inverse.real]
      else:
        # A pair of conjugates adds 2 Re(inverse · (re + i im)).
        of_maps += [maps.real + maps.imag, maps.real, maps.imag]
        of_kernel += [
          kernel.real,
          kernel.imag - kernel.real,
          kernel.real + kernel.imag,
        ]
        back += [
          2 * (inverse.real - inverse.imag),
          -2 * inverse.imag,
          -2 * inverse.real,
        ]
  return np.array(of_maps), np.array(of_kernel), np.array(back).T


def _wave(u: int, v: int, at: np.ndarray, length: int) -> np.ndarray:
  """exp(−2πi (u s + v t) / length) for all s and t in `at`, flattened."""
  phase = u * at[:, np.newaxis] + v * at
  return np.exp(-2j * np.pi * phase / length).ravel()
