"""A record without its raw samples: what a long sweep keeps of each run until the end."""

from dataclasses import dataclass, fields, replace

from mps_experiments.record.faults import SurvivorFigures
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.samples import CondensedSamples
from mps_experiments.record.statistics import Statistics
from mps_experiments.record.telemetry import TelemetrySummary


@dataclass(frozen=True, kw_only=True)
class Condensed(Measurement):
    """A record as the report needs it; the figures were derived before the samples were dropped.

    Of the latencies as many stay as pooling them with other runs takes.

    It is never written: the record on disk has the samples.
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
