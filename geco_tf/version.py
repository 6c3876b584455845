# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The version of the package, in the one place that states it."""

__version__ = "0.1.0"
