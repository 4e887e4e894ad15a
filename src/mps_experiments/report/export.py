"""Write the table of all cells for other programs: CSV, JSON or Markdown."""

import csv
import json
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from mps_experiments.analysis.panels import Panel, panels
from mps_experiments.errors import ConfigError
from mps_experiments.record.disk import write_atomically
from mps_experiments.report.cells import exported
from mps_experiments.report.content import Table, printable
from mps_experiments.report.markdown import blocks_to_markdown
from mps_experiments.report.report_page import Subject
from mps_experiments.report.sections import roles
from mps_experiments.report.summary import causes

KINDS = ("csv", "json", "markdown")


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is wanted: one of `KINDS`, and the file that it goes to; None for standard output."""

    kind: str
    file: Path | None

    @classmethod
    def parse(cls, text: str) -> "Export":
        """Read ``KIND`` or ``KIND=FILE``, as an argument's type."""
        kind, _, file = text.partition("=")
        if kind not in KINDS or text.endswith("="):
            raise ArgumentTypeError(f"{text!r} is none of {', '.join(KINDS)}, each with or without =FILE")
        return cls(kind=kind, file=Path(file) if file else None)

    def write(self, subject: Subject) -> None:
        """Write the cells of these runs.

        Raises:
            ConfigError: If there is no cell, or the file cannot be written.
        """
        found = panels(subject.runs)
        if not found:
            raise ConfigError("--export", self.kind, "these runs have no cell to export: all had a fault")
        text = printable(_export_text(found, self.kind))
        if self.file is None:
            sys.stdout.write(text)
            return
        try:
            write_atomically(self.file, text.encode())
        except OSError as error:
            why = f"cannot be written ({error.strerror}); name another file"
            raise ConfigError("--export", f"{self.kind}={self.file}", why) from error


def _export_text(found: Sequence[Panel], kind: str) -> str:
    """Return one row for each cell of these panels, under names that stay the same."""
    named = {record_id: role for panel in found for record_id, role in roles(panel).items()}
    every_cause = [cause for panel in found for cause in causes(panel.measurements)]
    why = {cause.group.first.record_id: cause.explanation.cause.value for cause in every_cause}
    rows = exported(found, named, why)
    if kind == "json":
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    names, texts = tuple(rows[0]), tuple(tuple(map(_text, row.values())) for row in rows)
    if kind == "markdown":
        return blocks_to_markdown([Table(title="Cells", header=names, rows=texts)])
    file = StringIO()
    csv.writer(file, lineterminator="\n").writerows([names, *texts])
    return file.getvalue()


def _text(value: object) -> str:
    return "" if value is None else str(value)
