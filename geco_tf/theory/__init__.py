# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The theory of "Taming VAEs", computable; needs only tensors."""
