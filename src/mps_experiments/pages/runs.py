"""The runs of a report: each record without its samples, but with the latencies a chart needs."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mps_experiments.record import Measurement
from mps_experiments.report.condensed import Condensed, condensed

_TIMELINE = "timeline.png"


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportRun:
    """One run as a report needs it.

    Attributes:
        measurement: Its record; the samples are dropped.
        latencies_ms: Of every iteration of every worker, shape ``(iterations,)``; empty unless VALID.
        folder: Where its files lie; None if they cannot be had.
    """

    measurement: Condensed
    latencies_ms: NDArray[np.float32]
    folder: Path | None = None

    @classmethod
    def of(cls, measurement: Measurement, folder: Path | None = None, name: str = "") -> "ReportRun":
        """From a record; `name` replaces its own."""
        samples = [worker.samples for worker in measurement.workers if worker.samples is not None]
        known = measurement.statistics() is not None and not isinstance(measurement, Condensed)
        parts = [each.latencies_s() * 1e3 for each in samples] if known else []
        return cls(
            measurement=condensed(replace(measurement, name=name) if name else measurement),
            latencies_ms=np.concatenate([np.empty(0), *parts]).astype(np.float32),
            folder=folder,
        )

    @property
    def timeline(self) -> Path | None:
        """The picture of its traced pass, if there is one."""
        path = self.folder / _TIMELINE if self.folder else None
        return path if path and path.is_file() else None
