# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""Told before it is taken: what a grid needs."""

import os

from geco_tf import errors


def check(what: str, num_bytes: float, limit: float | None = None) -> None:
  """Nothing, if there is memory enough.

  Args:
    what: needs it, in the plural.
    num_bytes: how much, about.
    limit: bytes; None is all that the machine has.

  Raises:
    UserError: if there is not.
  """
  if limit is None:
    limit = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
  if num_bytes > limit:
    raise errors.UserError(
      f"The grid is too large: {what} need about {num_bytes / 2**30:,.3g} GiB "
      f"of memory; got {limit / 2**30:,.3g} GiB."
    )
