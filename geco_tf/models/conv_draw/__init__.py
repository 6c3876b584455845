# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""ConvDraw: a recurrent VAE that draws an image in steps on a canvas."""

from geco_tf.models.conv_draw.model import ConvDraw

__all__ = ["ConvDraw"]
