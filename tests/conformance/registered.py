# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a registry of the package holds.

Without what tests register, and what an experiment registers for itself when it
is imported.
"""

import functools


def names(registry):
  """The names whose builders are the package's own."""
  return tuple(n for n in registry.names() if _is_ours(registry[n]))


def _is_ours(builder):
  while isinstance(builder, functools.partial):
    builder = builder.func
  package, part, *_ = builder.__module__.split(".")
  return package == "geco_tf" and part != "experiments"


def missing(registry, covered):
  """What is registered by now and not among the covered names."""
  return set(names(registry)) - set(covered)
