# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The core inside other people's training loops."""

from geco_tf.integrations import keras

__all__ = ["keras"]
