# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a registry of the package holds, without what tests register."""

import functools


def names(registry):
  """The names whose builders are the package's own."""
  return tuple(n for n in registry.names() if _is_ours(registry[n]))


def _is_ours(builder):
  while isinstance(builder, functools.partial):
    builder = builder.func
  return builder.__module__.split(".")[0] == "geco_tf"


def missing(registry, covered):
  """What is registered by now and not among the covered names."""
  return set(names(registry)) - set(covered)
