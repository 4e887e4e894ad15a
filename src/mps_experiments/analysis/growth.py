"""Divide the growth of the makespan from one process to N into parts; pure.

The growth per iteration is the difference of two decompositions (`measurement.decomposition`)::

    growth = kernels + behind + idle + host + late start

*kernels*: own operations ran longer; *behind*: they waited while another worker's ran; *idle*: they waited
although nothing ran; *host*: Python, launching, synchronising.
"""

from dataclasses import dataclass

from mps_experiments.record.decomposition import Decomposition, decompose
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.overlap import Activity
from mps_experiments.record.telemetry import TelemetrySummary


@dataclass(frozen=True, kw_only=True)
class Growth:
    """One run with several workers against one with one, both with a traced pass; seconds per iteration.

    `many` and `one` say where the makespan of each went; `activity` is the traced pass of `run`.
    """

    run: Measurement
    run_of_one: Measurement
    many: Decomposition
    one: Decomposition
    activity: Activity
    gpu: TelemetrySummary | None
    gpu_of_one: TelemetrySummary | None

    @classmethod
    def between(cls, many: Measurement, one: Measurement) -> "Growth":
        """Compare two VALID runs that have a traced pass."""
        assert many.activity is not None  # noqa: S101 - the caller looked
        return cls(
            run=many,
            run_of_one=one,
            many=_decomposed(many),
            one=_decomposed(one),
            activity=many.activity,
            gpu=many.telemetry_summary(),
            gpu_of_one=one.telemetry_summary(),
        )

    @property
    def ratio(self) -> float:
        return self.many.pace_s / self.one.pace_s

    @property
    def kernels_s(self) -> float:
        return self.many.run_s - self.one.run_s

    @property
    def behind_s(self) -> float:
        return self.many.behind_s - self.one.behind_s

    @property
    def idle_s(self) -> float:
        return self.many.idle_s - self.one.idle_s

    @property
    def host_s(self) -> float:
        return self.many.host_s - self.one.host_s

    @property
    def total_s(self) -> float:
        """Return the sum of all parts and the late start."""
        return self.many.pace_s - self.one.pace_s

    @property
    def late_start_s(self) -> float:
        """Return what a late start adds to the makespan, for each iteration; it is no part of one."""
        return self.total_s - (self.many.iteration_s - self.one.iteration_s)

    @property
    def gpu_busy_alone(self) -> float:
        """Return the share of one worker's timed iteration in which the GPU ran its operations."""
        return self.one.run_s / self.one.iteration_s

    @property
    def clock_factor(self) -> float:
        """Return the mean SM clock with one worker / with all; 1 where it is unknown."""
        one, many = (each.mean.get("sm_clock_mhz") if each else None for each in (self.gpu_of_one, self.gpu))
        return one / many if one and many else 1.0

    def is_mostly(self, seconds: float) -> bool:
        """Tell whether these seconds are most of what was added; parts that shrank count as nothing."""
        parts = (self.kernels_s, self.behind_s, self.idle_s, self.host_s)
        return seconds >= _MOST * max(self.total_s, sum(part for part in parts if part > 0))

    def figures(self) -> dict[str, float]:
        """Return name, with its unit -> value."""
        many = self.many
        return {
            "share/run": many.share(many.run_s),
            "share/behind_others": many.share(many.behind_s),
            "share/waiting_idle": many.share(many.idle_s),
            "share/host": many.share(many.host_s),
            "share/late_start": many.late_start_share,
            "tail_share": many.tail_share,
            "growth/kernels_ms": self.kernels_s * 1e3,
            "growth/behind_others_ms": self.behind_s * 1e3,
            "growth/waiting_idle_ms": self.idle_s * 1e3,
            "growth/host_ms": self.host_s * 1e3,
            "growth/late_start_ms": self.late_start_s * 1e3,
            "growth/total_ms": self.total_s * 1e3,
            "gpu_busy_alone_share": self.gpu_busy_alone,
            "sm_clock_factor": self.clock_factor,
            "trace_slowdown": many.trace_slowdown,
        }


_MOST = 0.6


def _decomposed(run: Measurement) -> Decomposition:
    assert run.activity is not None  # noqa: S101 - the caller looked
    return decompose(run.samples, run.activity)
