# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Turning images about their centre."""

import math

import tensorflow as tf


def rotate(images: tf.Tensor, degrees: tf.Tensor) -> tf.Tensor:
  """Turns each image counter-clockwise about its centre; bilinear.

  The pixel at offset (x, y) from the centre, y pointing down, shows what was at
  (x cos a - y sin a, x sin a + y cos a); beyond the edges there are zeros.

  Args:
    images: [B, H, W, C], floating point.
    degrees: [B], the angles a.

  Returns:
    [B, H, W, C].
  """
  height, width = images.shape[1:3]
  center_x, center_y = (width - 1) / 2, (height - 1) / 2
  radians = tf.cast(degrees, tf.float32) * (math.pi / 180)
  cos, sin = tf.cos(radians), tf.sin(radians)
  zero = tf.zeros_like(cos)
  transforms = tf.stack(
    [
      cos,
      -sin,
      center_x - cos * center_x + sin * center_y,
      sin,
      cos,
      center_y - sin * center_x - cos * center_y,
      zero,
      zero,
    ],
    axis=-1,
  )
  rotated = tf.raw_ops.ImageProjectiveTransformV3(
    images=images,
    transforms=transforms,
    output_shape=[height, width],
    fill_value=0.0,
    interpolation="BILINEAR",
    fill_mode="CONSTANT",
  )
  return tf.ensure_shape(rotated, images.shape)
