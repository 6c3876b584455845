# Copyright 2026 The geco_tf Authors.
# SPDX-License-Identifier: Apache-2.0
"""A diagnosis as its user reads it, and the files that keep it."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import rich.table as rich_table
import tensorflow as tf
from rich import console as rich_console

from geco_tf import constraints
from geco_tf.failure_modes import diagnose, findings, tables
from geco_tf.figures import diagnosis as figures
from geco_tf.figures import style
from geco_tf.runs import workdir


def run(
  data: str,
  outdir: str,
  settings: diagnose.Settings,
  *,
  say: Callable[[str], None] = print,
) -> list[findings.Finding]:
  """Diagnoses a table from a file, and writes all that was found.

  diagnosis.json         numbers and findings
  report.txt             what is printed
  diagnosis.png, .svg    the methods side by side
  samples.png, .svg      their samples beside the data

  Args:
    data: npz:FILE, npz:FILE:KEY or csv:FILE.
    outdir: folder for the files.
    settings: of the user.
    say: is told how far it is, and the report, in lines.

  Returns:
    The findings.

  Raises:
    UserError: for a table or a setting that will not do.
  """
  settings.check()
  table = tables.read(data)
  share = (1.0 - settings.test_share) * (1.0 - settings.stop_share)
  num_train = round(share * len(table.values))
  warnings = diagnose.warnings(num_train, table.values.shape[1], settings)
  for warning in warnings:
    say(f"warning: {warning}")
  found, samples = diagnose.diagnose(table, settings, say=say)
  judged = findings.judge(found)
  tf.io.gfile.makedirs(outdir)
  content = {
    "source": data,
    "warnings": warnings,
    "findings": [f._asdict() for f in judged],
    **found,
    "versions": workdir.versions(),
  }
  workdir.write_json(os.path.join(outdir, "diagnosis.json"), content)
  lines = text(data, found, judged, warnings)
  workdir.write_text(os.path.join(outdir, "report.txt"), "\n".join(lines))
  style.save(
    figures.methods(found, diagnose.LABELS), os.path.join(outdir, "diagnosis")
  )
  style.save(
    figures.samples(samples, diagnose.LABELS), os.path.join(outdir, "samples")
  )
  for line in lines:
    say(line)
  return judged


def text(
  source: str,
  found: Mapping[str, Any],
  judged: Sequence[findings.Finding],
  warnings: Sequence[str],
) -> list[str]:
  """The report, in lines."""
  data, settings = found["data"], found["settings"]
  lines = [
    "",
    f"Diagnosis of {source}",
    f"{data['rows']:,} rows of {len(data['columns'])} columns; "
    f"{data['training_rows']:,} to train on, {data['held_back_rows']:,} to "
    f"choose when to stop, {data['measured_rows']:,} held out and measured.",
    "Every column is standardised (less its mean, over its standard "
    "deviation): nats, σ² and κ are in those units.",
    f"{settings['num_restarts']} restarts of each method, "
    f"{settings['latent_size']} latents, {settings['num_steps']:,} steps. The "
    "best by the rows that choose when to stop is shown, ± the spread of all.",
    _kappa_line(found),
    "",
    *_table_lines(found),
    "",
    "gap: ln p(x) less the ELBO. active: latents that move with x. marginal "
    "KL: KL(q(z) ‖ prior).",
    "MMD p: of a two-sample test, small if samples differ from held-out rows. "
    "told apart: how often a",
    "classifier is right, ½ if they do not (95 % interval). An IWAE's gap is "
    "wide: it trains another bound.",
    "",
    "Present:",
    *_finding_lines(judged, True),
    "",
    "Not seen:",
    *_finding_lines(judged, False),
  ]
  if warnings:
    lines += ["", "Beware:", *[f"  - {w}" for w in warnings]]
  return lines


def _kappa_line(found: Mapping[str, Any]) -> str:
  geco, kappa = found["methods"]["geco"], found["settings"]["kappa"]
  rmse = geco["variance"][geco["best"]] ** 0.5
  # Training may also stop before λ has brought the error down.
  is_met = rmse <= (1.0 + constraints.SLACK) * kappa
  met = "met" if is_met else "NOT met where held-back rows were likeliest"
  return f"GECO: RMSE {rmse:.3f} for κ = {kappa:.3f}, {met}."


_COLUMNS = (
  ("ELBO", "elbo", ".2f"),
  ("ln p(x)", "log_likelihood", ".2f"),
  ("gap", "posterior_gap", ".2f"),
  ("σ²", "variance", ".3f"),
  ("active", "active_units", ".0f"),
  ("best step", "best_step", ".0f"),
)


def _table_lines(found: Mapping[str, Any]) -> list[str]:
  table = rich_table.Table(box=None, pad_edge=False)
  table.add_column("method", no_wrap=True)
  for title, _, _ in _COLUMNS:
    table.add_column(title, justify="right", no_wrap=True)
  for title in ("marginal KL", "MMD p", "told apart"):
    table.add_column(title, justify="right", no_wrap=True)
  for name, row in found["methods"].items():
    best = row["best"]
    cells = [
      f"{row[key][best]:{form}}" + _spread(row[key], form)
      for _, key, form in _COLUMNS
    ]
    marginal = row["marginal_kl"]["value"]
    table.add_row(
      diagnose.LABELS[name],
      *cells,
      f"{marginal[best]:.2f}" + _spread(marginal, ".2f"),
      *_test_cells(row),
    )
  blank = [""] * (len(_COLUMNS) + 1)
  table.add_row(
    "training rows", *blank, *_test_cells(found["data"]["real_data"])
  )
  console = rich_console.Console(width=140)
  with console.capture() as capture:
    console.print(table)
  return [line.rstrip() for line in capture.get().splitlines()]


def _spread(values: Sequence[float], form: str) -> str:
  if form == ".0f":
    return ""
  return f" ± {np.std(values):{form}}"


def _test_cells(row: Mapping[str, Any]) -> tuple[str, str]:
  test = row["classifier"]
  return (
    f"{row['mmd']['p_value']:.3f}",
    f"{test['accuracy']:.0%} ({test['low']:.0%}-{test['high']:.0%})",
  )


def _finding_lines(
  judged: Sequence[findings.Finding], is_present: bool
) -> list[str]:
  lines = []
  for finding in judged:
    if finding.is_present == is_present:
      lines.append(f"  - {finding.name}: {finding.evidence}.")
      if is_present:
        lines.append(f"    → {finding.advice}")
  return lines or ["  - nothing."]
