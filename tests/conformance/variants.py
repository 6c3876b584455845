# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A small run of every registered model, posterior and kind of data."""

import functools

from geco_tf import models
from geco_tf.models import posteriors
from tests.conformance import registered
from tests.training import tiny


def _all():
  for name in registered.names(models.registry):
    takes = functools.partial(models.registry.takes, name)
    choices = [{}]
    if takes("posterior"):
      choices = [
        {"posterior": p} for p in registered.names(posteriors.registry)
      ]
    for choice in choices:
      text = "_".join([name, *choice.values()])
      yield text, {"model": name, **choice}
      if takes("context_shape"):
        # The digits of this task have a context.
        yield f"{text}_conditional", {"model": name, **choice, "task": "sum"}


SETTINGS = dict(_all())


def config(variant, **changes):
  """From the settings of a run alone: no table to forget a line in."""
  small = {"draw_steps": 2, "draw_hidden_size": 4, "latent_channels": 1}
  return tiny.config(**{**SETTINGS[variant], **small, **changes})
