"""What was noisy, once for all runs of a sweep: it widens intervals and refuses nothing; pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.gains import gains
from mps_experiments.analysis.numbers import milliseconds
from mps_experiments.record.findings import Finding
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status


@dataclass(frozen=True, kw_only=True)
class _Noise:
    """The findings of one check, each with its run."""

    found: Sequence[tuple[Measurement, Finding]]

    @property
    def run_count(self) -> int:
        return len({m.record_id for m, _ in self.found})

    @property
    def largest(self) -> float | None:
        """Return the largest value; None where none has one."""
        return max((finding.value for _, finding in self.found if finding.value is not None), default=None)


def noise_line(measurements: Sequence[Measurement]) -> str | None:
    """Say in how many VALID runs there was which noise, and how much; None if there was none."""
    runs = [m for m in measurements if m.verdict.status is Status.VALID and m.is_ordinary]
    parts = list(_parts(runs))
    if not parts:
        return None
    where = "it is in the intervals" if _has_intervals(runs) else "no interval shows it"
    return f"noise in {len(runs)} run{'s' * (len(runs) > 1)}: {', '.join(parts)}; {where}"


def _has_intervals(runs: Sequence[Measurement]) -> bool:
    """Tell whether a comparison or a run has an interval that the noise could widen."""
    within = [figures.throughput_interval_per_s for m in runs if (figures := m.statistics())]
    return any(within) or any(gain.interval for gain in gains(runs))


def _parts(runs: Sequence[Measurement]) -> Iterator[str]:
    for check, (what, extent_of) in _WORDS.items():
        found = [(m, finding) for m in runs for finding in m.findings if finding.check == check]
        if found:
            noise = _Noise(found=found)
            extent = extent_of(noise)
            yield f"{_what(check, what, noise)} in {noise.run_count}" + (f" ({extent})" if extent else "")


def _what(check: str, what: str, noise: _Noise) -> str:
    """Blame the cores where a finding does."""
    if check == "unequal_workers" and any(finding.text.startswith("cores") for _, finding in noise.found):
        return what.replace("workers", "cores")
    return what


def _latencies(noise: _Noise) -> str:
    known = [figures.latency_p50_by_worker_s for m, _ in noise.found if (figures := m.statistics())]
    values = [each for medians in known for each in medians]
    return f"{milliseconds(min(values))} to {milliseconds(max(values))} ms"


def _up_to(noise: _Noise) -> str:
    return "" if noise.largest is None else f"up to {noise.largest * 100:.0f} %"


def _per_core(noise: _Noise) -> str:
    return "" if noise.largest is None else f"up to {noise.largest:.3g} to a core"


_WORDS: dict[str, tuple[str, Callable[[_Noise], str]]] = {
    "unequal_workers": ("workers of unequal speed", _latencies),
    "drift": ("drift", _up_to),
    "foreign_cpu": ("cores used by others", _up_to),
    "core_wait": ("waiting for a core", _up_to),
    "shared_cores": ("several workers to a core", _per_core),
    "outliers": ("iterations twice as long as usual", _up_to),
    "start_skew": ("late starts", _up_to),
}
