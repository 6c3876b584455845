# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""The kept results of this checkout, which the experiments read too."""

import pathlib
from collections.abc import Mapping
from typing import Any

from geco_tf import errors
from geco_tf.experiments import trained_runs

FOLDER = pathlib.Path(__file__).parent.parent / "docs" / "results"
Run = trained_runs.Run
_BEGIN, _END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def result(
  run: Run, workdirs: str, machine_flags: Mapping[str, Any]
) -> dict[str, Any]:
  """The result of a run: read if it is there, trained if not.

  Args:
    run: what to train.
    workdirs: folder for the runs' own folders.
    machine_flags: flags that say where things are on this machine and are not
      kept ("data_dir", or a "dataset" whose path differs).

  Returns:
    As docs/results/<name>.json has it: `TrainedRuns.result`.
  """
  kept = trained_runs.TrainedRuns(str(FOLDER), workdirs)
  found = kept.result(run._replace(here=machine_flags))
  assert found is not None  # Training is allowed.
  return found


def write_table(page: pathlib.Path, table: str) -> None:
  """Puts a table between the marks of a page.

  Args:
    page: Markdown with one line "<!-- table: begin -->" and, after it, one
      "<!-- table: end -->".
    table: lines, without the last end of line.

  Raises:
    errors.UserError: the page lacks a mark.
  """
  head, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
  _, end, tail = rest.partition(_END)
  if not (begin and end):
    raise errors.UserError(
      f"{page} must have the lines {_BEGIN.strip()!r} and {_END.strip()!r}, "
      "between which its table goes."
    )
  page.write_text(f"{head}{_BEGIN}{table}\n{_END}{tail}", encoding="utf-8")
