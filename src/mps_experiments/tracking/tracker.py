"""What the program asks of a tracker."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mps_experiments.record.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class SweepInfo:
    """One command line as MLflow shows it; if `is_sweep`, its cells get a parent run."""

    sweep_id: str
    name: str
    command: str
    is_sweep: bool


@dataclass(frozen=True, kw_only=True)
class SweepReport:
    """What is said of a sweep as a whole.

    Attributes:
        tables: Tables and causes as plain text.
        answers: For each setting what the numbers say about packing, in a few sentences.
        description: Markdown: the answer, then the tables.
        files: The report's files, each of which becomes an artifact.
        decided: The decision of the search that the sweep was made for, a line each; empty if there was none.
    """

    tables: str
    description: str
    answers: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    decided: tuple[str, ...] = ()


class Tracker:
    """Where finished runs go for browsing; this one (``tracking=none``) keeps nothing.

    Every method may raise TrackingError.
    """

    def look(self) -> None:
        """See whether the store is one of this MLflow's, without a change; raise ConfigError if not."""

    def open(self) -> None:
        """Reach the store and see that it can be written; raise ConfigError if not."""

    def start_sweep(self, info: SweepInfo) -> None:
        """Open the parent run, if the command is a sweep."""

    def log_cell(self, measurement: Measurement, folder: Path, interrupted: bool) -> bool:  # noqa: ARG002
        """Log one finished run with the files in its folder; return False if it was there already."""
        return False

    def finish_sweep(self, measurements: Sequence[Measurement], report: SweepReport, status: str) -> None:
        """Log the comparison and the report and close the parent run as FINISHED, FAILED or KILLED."""

    def browse_hint(self) -> str:
        """Say how to look at what was logged."""
        return "tracking=none: the records are in the run folders only"
