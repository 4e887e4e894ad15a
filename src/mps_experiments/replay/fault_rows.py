"""What became of everybody in runs with a fault, then and now; pure."""

import statistics
from collections.abc import Callable, Iterator, Sequence

from mps_experiments.measurement.faults import FaultTrial, SurvivorFigures
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement
from mps_experiments.replay.spread import Row, spread

# Each as milliseconds or seconds; None where it is not known.
_OF_SURVIVORS: dict[str, Callable[[SurvivorFigures], float | None]] = {
    "survivor s": lambda figures: figures.elapsed_s,
    "blip ms": lambda figures: None if figures.blip_s is None else figures.blip_s * 1e3,
}


def fault_rows(stored: Sequence[Measurement], now: Sequence[Measurement]) -> Iterator[Row]:
    """Trials in which all others finished, and medians over trials; nothing without a VALID trial of both."""
    before, after = _trials(stored), _trials(now)
    if not before or not after:
        return
    yield Row(what="others finished", stored=_finished(before), now=_finished(after))
    for what, read in _OF_SURVIVORS.items():
        old, new = _values(stored, read), _values(now, read)
        if old and new:
            yield Row(
                what=what,
                stored=_shown(statistics.median(old)),
                now=_shown(statistics.median(new)),
                spread=spread(old, new, _shown) if min(old) > 0 < min(new) else "",
            )
    yield Row(what="new client served", stored=_served(before), now=_served(after))


def _values(runs: Sequence[Measurement], read: Callable[[SurvivorFigures], float | None]) -> list[float]:
    known = [figures for run in runs if (figures := run.survivor_figures())]
    return [value for figures in known if (value := read(figures)) is not None]


def _trials(runs: Sequence[Measurement]) -> list[FaultTrial]:
    return [m.fault for m in runs if m.fault is not None and m.verdict.status is Status.VALID]


def _finished(trials: Sequence[FaultTrial]) -> str:
    return f"{sum(len(t.survivors) == len(t.neighbours) for t in trials)} of {len(trials)}"


def _served(trials: Sequence[FaultTrial]) -> str:
    served = [t for t in trials if t.newcomer is not None and t.newcomer.served_ns is not None]
    return f"{len(served)} of {len(trials)}"


def _shown(value: float) -> str:
    return f"{value:.3g}"
