# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""When a VAE goes wrong: ground truths, diagnoses, downstream tasks."""
