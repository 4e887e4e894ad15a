"""Say once for all runs of a sweep what was noisy: it widens intervals and refuses nothing; pure."""

from collections.abc import Callable, Iterator, Sequence

from mps_experiments.analysis.gains import gains
from mps_experiments.analysis.numbers import milliseconds, per_cent
from mps_experiments.record.measurement import Measurement


def noise_line(measurements: Sequence[Measurement]) -> str | None:
    """Say in how many VALID runs there was which noise, and how much; None if there was none."""
    runs = [m for m in measurements if m.has_figures]
    parts = list(_parts(runs))
    if not parts:
        return None
    where = "the intervals include it" if _has_intervals(runs) else "no interval includes it"
    return f"noise in {len(runs)} run{'s' * (len(runs) > 1)}: {', '.join(parts)}; {where}"


def _has_intervals(runs: Sequence[Measurement]) -> bool:
    """Tell whether a comparison or a run has an interval that the noise could widen."""
    within = [figures.throughput_interval_per_s for m in runs if (figures := m.statistics())]
    return any(within) or any(gain.interval for gain in gains(runs))


def _parts(runs: Sequence[Measurement]) -> Iterator[str]:
    for check, (what, extent_of) in _WORDS.items():
        found = [m for m in runs if any(finding.check == check for finding in m.findings)]
        if not found:
            continue
        findings = [finding for m in found for finding in m.findings if finding.check == check]
        if check == "unequal_workers" and any(finding.text.startswith("cores") for finding in findings):
            what = "cores of unequal speed"
        values = [finding.value for finding in findings if finding.value is not None]
        extent = _latencies(found) if check == "unequal_workers" else extent_of(max(values)) if values else ""
        yield f"{what} in {len(found)}" + (f" ({extent})" if extent else "")


def _latencies(runs: Sequence[Measurement]) -> str:
    known = [figures.latency_p50_by_worker_s for m in runs if (figures := m.statistics())]
    values = [each for medians in known for each in medians]
    return f"{milliseconds(min(values))} to {milliseconds(max(values))} ms"


def _up_to(share: float) -> str:
    return f"up to {per_cent(share)}"


def _per_core(workers: float) -> str:
    return f"up to {workers:.3g} to a core"


_WORDS: dict[str, tuple[str, Callable[[float], str]]] = {
    "unequal_workers": ("workers of unequal speed", _up_to),
    "drift": ("drift", _up_to),
    "foreign_cpu": ("cores used by others", _up_to),
    "core_wait": ("waiting for a core", _up_to),
    "shared_cores": ("several workers to a core", _per_core),
    "outliers": ("iterations twice as long as usual", _up_to),
    "start_skew": ("late starts", _up_to),
}
