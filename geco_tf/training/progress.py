# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a person at a terminal sees of a run."""

from collections.abc import Callable, Mapping
from typing import Any

from rich import console as rich_console
from rich import progress as rich_progress
from rich import table as rich_table


class Progress:
  """A bar on a terminal; a line at every tenth of the run elsewhere."""

  def __init__(
    self,
    num_steps: int,
    first_step: int,
    *,
    describe: Callable[[Mapping[str, Any]], str],
    is_shown: bool = True,
  ):
    """Builds the display; use it as a context.

    Args:
      num_steps: of the whole run.
      first_step: where it goes on from.
      describe: a row of metrics in one line.
      is_shown: whether to print anything.
    """
    self._console = rich_console.Console(quiet=not is_shown)
    self._num_steps = num_steps
    self._describe = describe
    self._printed = 10 * first_step // num_steps
    self._bar = rich_progress.Progress(
      rich_progress.TextColumn("{task.completed}/{task.total}"),
      rich_progress.BarColumn(bar_width=20),
      # Without markup: λ[pncc] is not in the style "pncc".
      rich_progress.TextColumn("{task.fields[status]}", markup=False),
      rich_progress.TimeRemainingColumn(),
      console=self._console,
      disable=not self._console.is_terminal,
    )
    self._task = self._bar.add_task(
      "train", total=num_steps, completed=first_step, status="tracing the step"
    )

  def __enter__(self) -> "Progress":
    self._bar.__enter__()
    return self

  def __exit__(self, *details: Any) -> None:
    self._bar.__exit__(*details)

  def advance(self, step: int) -> None:
    """After a call of the step."""
    self._bar.update(self._task, completed=step)

  def show(self, row: Mapping[str, Any]) -> None:
    """After a row of metrics."""
    status = self._describe(row)
    self._bar.update(self._task, completed=row["step"], status=status)
    tenths = 10 * row["step"] // self._num_steps
    if not self._console.is_terminal and tenths > self._printed:
      self._printed = tenths
      self._console.print(
        f"step {row['step']}/{self._num_steps}  {status}  "
        f"{row['steps_per_second']:.1f} steps/s",
        soft_wrap=True,
        highlight=False,
        markup=False,
      )
      # A log file would otherwise stay empty until the run ends.
      self._console.file.flush()

  def warn(self, text: str) -> None:
    """Prints what the user should know at once, above the bar."""
    self._console.print(
      f"warning: {text}", soft_wrap=True, highlight=False, markup=False
    )
    self._console.file.flush()


def describe(row: Mapping[str, Any], *, kappa: float | None) -> str:
  """A row of a VAE's metrics in one line; kappa stands beside the RMSE."""
  goal = "" if kappa is None else f" (κ {kappa:g})"
  parts = [f"loss {row['loss']:.4g}", f"RMSE {row['rmse']:.4f}{goal}"]
  parts += [
    f"λ {value:.3g}"
    if name == "geco/re/multiplier"
    else f"λ[{_middle(name)}] {value:.3g}"
    for name, value in row.items()
    if name.startswith("geco/") and name.endswith("/multiplier")
  ]
  return "  ".join([*parts, f"KL {row['kl']:.2f}"])


def summary_table(summary: Mapping[str, Any]) -> rich_table.Table:
  """The measurements at the end as a table."""
  table = rich_table.Table("measured", "value", title="Summary")
  for name, value in summary.items():
    # Not asked for, as κ of an ELBO; and a sentence is no measurement.
    if value is None or name == "doctor":
      continue
    if isinstance(value, Mapping):
      for key, inner in value.items():
        table.add_row(f"{name}/{key}", _text(inner))
    else:
      table.add_row(name, _text(value))
  return table


def print_summary(summary: Mapping[str, Any]) -> None:
  """Prints the table of a finished run, and what the doctor says of it."""
  console = rich_console.Console()
  console.print(summary_table(summary))
  if "doctor" in summary:
    console.print(f"doctor: {summary['doctor']}", markup=False, highlight=False)


def _middle(name: str) -> str:
  return name.split("/")[1]


def _text(value: Any) -> str:
  if isinstance(value, bool):
    return "yes" if value else "no"
  if isinstance(value, list):  # One entry for each of a vector constraint.
    return " ".join("-" if v is None else f"{v:.4g}" for v in value)
  return f"{value:.5g}" if isinstance(value, float) else str(value)
