# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Monotone rational-quadratic splines, both ways in closed form.

An affine coupling has nothing to condition on in one dimension, where a flow of
them stays a Gaussian. A spline bends one dimension into any density.

Symbols, in bin k of width w and height h, with slopes d₀, d₁ at its ends:
θ = (x − x_k) / w, s = h / w.

  y       = y_k + h (s θ² + d₀ θ(1−θ)) / (s + (d₀ + d₁ − 2s) θ(1−θ))
  dy / dx = s² (d₁ θ² + 2s θ(1−θ) + d₀ (1−θ)²) / (same denominator)²

Source: Durkan et al. 2019, "Neural Spline Flows", equations 4 to 8.
"""

import math
from typing import NamedTuple

import tensorflow as tf

# The spline maps [−B, B] onto itself and is the identity outside.
_BOUND = 4.0
_LEAST_SHARE = 1e-3  # of a bin in the width and in the height.
_LEAST_SLOPE = 1e-2
_SOFTPLUS_INVERSE_OF_ONE = math.log(math.expm1(1.0 - _LEAST_SLOPE))


class Knots(NamedTuple):
  """Where the spline goes, and how steeply: each [..., bins + 1]."""

  x: tf.Tensor
  y: tf.Tensor
  slope: tf.Tensor


class _Bin(NamedTuple):
  """The bin that each number is in: shaped like the numbers."""

  x: tf.Tensor
  width: tf.Tensor
  y: tf.Tensor
  height: tf.Tensor
  left_slope: tf.Tensor
  right_slope: tf.Tensor


def num_parameters(num_bins: int) -> int:
  """How many real numbers make a spline."""
  return 3 * num_bins - 1


def knots(parameters: tf.Tensor, num_bins: int) -> Knots:
  """Knots from real numbers; zeros make the identity.

  Args:
    parameters: [..., 3 bins − 1].
    num_bins: between −4 and 4.

  Returns:
    The knots.
  """
  widths, heights, slopes = tf.split(
    parameters, [num_bins, num_bins, num_bins - 1], axis=-1
  )
  inner = _LEAST_SLOPE + tf.nn.softplus(slopes + _SOFTPLUS_INVERSE_OF_ONE)
  # A slope of 1 at both ends, where the identity goes on.
  end = tf.ones_like(parameters[..., :1])
  slope = tf.concat([end, inner, end], axis=-1)
  return Knots(_edges(widths), _edges(heights), slope)


def forward(inputs: tf.Tensor, spline: Knots) -> tuple[tf.Tensor, tf.Tensor]:
  """The spline and the logarithm of its slope.

  Args:
    inputs: x, whose shape broadcasts with that of the knots' [...].
    spline: the knots.

  Returns:
    y and ln dy/dx.
  """
  inside = tf.clip_by_value(inputs, -_BOUND, _BOUND)
  bin_ = _find(inside, spline.x, spline)
  theta = (inside - bin_.x) / bin_.width
  ratio = bin_.height / bin_.width
  denominator = _denominator(theta, bin_)
  numerator = ratio * theta**2 + bin_.left_slope * theta * (1.0 - theta)
  outputs = bin_.y + bin_.height * numerator / denominator
  is_inside = tf.abs(inputs) < _BOUND
  return (
    tf.where(is_inside, outputs, inputs),
    tf.where(is_inside, _log_slope(theta, bin_), 0.0),
  )


def inverse(outputs: tf.Tensor, spline: Knots) -> tuple[tf.Tensor, tf.Tensor]:
  """Undoes `forward`: x and ln dx/dy."""
  inside = tf.clip_by_value(outputs, -_BOUND, _BOUND)
  bin_ = _find(inside, spline.y, spline)
  ratio = bin_.height / bin_.width
  rise = inside - bin_.y
  bend = bin_.left_slope + bin_.right_slope - 2.0 * ratio
  a = bin_.height * (ratio - bin_.left_slope) + rise * bend
  b = bin_.height * bin_.left_slope - rise * bend
  c = -ratio * rise
  root = tf.sqrt(tf.maximum(b**2 - 4.0 * a * c, 1e-30))
  theta = tf.clip_by_value(2.0 * c / (-b - root), 0.0, 1.0)
  is_inside = tf.abs(outputs) < _BOUND
  return (
    tf.where(is_inside, bin_.x + theta * bin_.width, outputs),
    tf.where(is_inside, -_log_slope(theta, bin_), 0.0),
  )


def _edges(logits: tf.Tensor) -> tf.Tensor:
  """Edges of bins whose sizes are a softmax: from −B to B."""
  num_bins = logits.shape[-1]
  shares = _LEAST_SHARE + (1.0 - _LEAST_SHARE * num_bins) * tf.nn.softmax(
    logits
  )
  inner = 2.0 * _BOUND * tf.cumsum(shares, axis=-1)[..., :-1] - _BOUND
  end = _BOUND * tf.ones_like(logits[..., :1])
  return tf.concat([-end, inner, end], axis=-1)


def _find(where: tf.Tensor, edges: tf.Tensor, spline: Knots) -> _Bin:
  """The bin of each number: sums with one 1 are faster than a gather."""
  where = where[..., tf.newaxis]
  passed = tf.cast(where >= edges[..., 1:-1], where.dtype)
  one = tf.ones_like(passed[..., :1])
  is_here = tf.concat([one, passed], -1) - tf.concat([passed, 0.0 * one], -1)

  def pick(values):
    return tf.reduce_sum(is_here * values, axis=-1)

  x, y, slope = spline
  return _Bin(
    x=pick(x[..., :-1]),
    width=pick(x[..., 1:] - x[..., :-1]),
    y=pick(y[..., :-1]),
    height=pick(y[..., 1:] - y[..., :-1]),
    left_slope=pick(slope[..., :-1]),
    right_slope=pick(slope[..., 1:]),
  )


def _denominator(theta: tf.Tensor, bin_: _Bin) -> tf.Tensor:
  ratio = bin_.height / bin_.width
  bend = bin_.left_slope + bin_.right_slope - 2.0 * ratio
  return ratio + bend * theta * (1.0 - theta)


def _log_slope(theta: tf.Tensor, bin_: _Bin) -> tf.Tensor:
  ratio = bin_.height / bin_.width
  numerator = (
    bin_.right_slope * theta**2
    + 2.0 * ratio * theta * (1.0 - theta)
    + bin_.left_slope * (1.0 - theta) ** 2
  )
  return (
    2.0 * tf.math.log(ratio)
    + tf.math.log(numerator)
    - 2.0 * tf.math.log(_denominator(theta, bin_))
  )
