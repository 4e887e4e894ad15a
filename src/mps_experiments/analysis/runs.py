"""The runs of a report: each record without its samples, and where its files lie."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from mps_experiments.record.faults import SurvivorFigures
from mps_experiments.record.measurement import Measurement, has_files_of
from mps_experiments.record.run_files import TIMELINE
from mps_experiments.record.samples import CondensedSamples
from mps_experiments.record.statistics import Statistics
from mps_experiments.record.telemetry import TelemetrySummary


@dataclass(frozen=True, kw_only=True)
class Condensed(Measurement):
    """A record without its samples, from which the figures were derived before; it is never written.

    As many latencies stay as pooling them with other runs takes.
    """

    _statistics: Statistics | None
    _telemetry_summary: TelemetrySummary | None
    _survivor_figures: SurvivorFigures | None

    def statistics(self) -> Statistics | None:
        return self._statistics

    def telemetry_summary(self) -> TelemetrySummary | None:
        return self._telemetry_summary

    def survivor_figures(self) -> SurvivorFigures | None:
        return self._survivor_figures


def condensed(measurement: Measurement) -> Condensed:
    """Return the run without its samples, so that its size does not depend on how long it was measured."""
    if isinstance(measurement, Condensed):
        return measurement
    values = {each.name: getattr(measurement, each.name) for each in fields(Measurement)}
    values["telemetry"] = None
    values["workers"] = tuple(
        replace(worker, samples=CondensedSamples.of(worker.samples) if worker.samples else None)
        for worker in measurement.workers
    )
    figures = measurement.statistics()
    return Condensed(
        **values,
        _statistics=replace(figures, latencies=figures.latencies.thinned()) if figures else None,
        _telemetry_summary=measurement.telemetry_summary(),
        _survivor_figures=measurement.survivor_figures(),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportRun:
    """One run as a report needs it, and the folder of its files; None if they cannot be had."""

    measurement: Condensed
    folder: Path | None = None

    @classmethod
    def of(cls, measurement: Measurement, folder: Path | None = None) -> "ReportRun":
        """Make it of a record."""
        return cls(measurement=condensed(measurement), folder=folder)

    @property
    def timeline(self) -> Path | None:
        """Return the picture of its traced pass, if there is one."""
        if self.folder is None or not (self.folder / TIMELINE).is_file():
            return None
        return self.folder / TIMELINE if has_files_of(self.folder, self.measurement.record_id) else None
