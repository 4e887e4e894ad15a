"""The runs of a report: each record without its samples, and where its files lie."""

from dataclasses import dataclass
from pathlib import Path

from mps_experiments.analysis.condensed import Condensed, condensed
from mps_experiments.record.measurement import Measurement

_TIMELINE = "timeline.png"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportRun:
    """One run as a report needs it.

    Attributes:
        measurement: Its record; the samples are dropped.
        folder: Where its files lie; None if they cannot be had.
    """

    measurement: Condensed
    folder: Path | None = None

    @classmethod
    def of(cls, measurement: Measurement, folder: Path | None = None) -> "ReportRun":
        """Make it of a record."""
        return cls(measurement=condensed(measurement), folder=folder)

    @property
    def timeline(self) -> Path | None:
        """Return the picture of its traced pass, if there is one."""
        path = self.folder / _TIMELINE if self.folder else None
        return path if path and path.is_file() else None
