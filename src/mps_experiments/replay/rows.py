"""What was stored against what was measured now: difference, and whether the spread explains it; pure."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.measurement.faults import FaultTrial, SurvivorFigures
from mps_experiments.measurement.statistics import Statistics
from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Measurement
from mps_experiments.replay.circumstances import work_of
from mps_experiments.report.comparison import ratios
from mps_experiments.report.keys import differing_keys
from mps_experiments.report.numbers import milliseconds, seconds
from mps_experiments.report.repeats import ratio_change_interval, ratio_interval


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table, as it is shown."""

    what: str
    stored: str
    now: str
    difference: str = ""
    spread: str = ""


@dataclass(frozen=True, kw_only=True)
class _Figure:
    name: str
    value: Callable[[Statistics], float]
    shown: Callable[[float], str]


_FIGURES = (
    _Figure(name="makespan s", value=lambda figures: figures.makespan_s, shown=seconds),
    _Figure(name="throughput 1/s", value=lambda figures: figures.throughput_per_s, shown=seconds),
    _Figure(name="latency p50 ms", value=lambda figures: figures.latency_p50_s, shown=milliseconds),
    _Figure(name="latency p99 ms", value=lambda figures: figures.latency_p99_s, shown=milliseconds),
)


def rows(
    stored: Sequence[Measurement],
    now: Sequence[Measurement],
    all_stored: Sequence[Measurement],
    all_now: Sequence[Measurement],
) -> Iterator[Row]:
    """The lines of one cell.

    Args:
        stored: Its stored repeats.
        now: Its repeats of now.
        all_stored: All stored runs: the one-process run of a ratio is among them, or there is no ratio.
        all_now: All runs of now.
    """
    yield Row(what="verdict", stored=_verdicts(stored), now=_verdicts(now))
    if stored and now and (others := _other_work(stored[0], now[0])):
        yield Row(what="not compared", stored="", now="", spread=f"other work: {others}")
        return
    if not stored[0].is_ordinary:
        yield from _fault_rows(stored, now)
        return
    before, after = _figures(stored), _figures(now)
    if not before or not after:
        return
    for figure in _FIGURES:
        old, new = [figure.value(each) for each in before], [figure.value(each) for each in after]
        yield Row(
            what=figure.name,
            stored=figure.shown(statistics.median(old)),
            now=figure.shown(statistics.median(new)),
            difference=_percent(statistics.median(new) / statistics.median(old)),
            spread=spread(old, new, figure.shown),
        )
    old_ratio, new_ratio = _ratio(stored, all_stored), _ratio(now, all_now)
    if old_ratio is not None and new_ratio is not None:
        yield Row(
            what="ratio",
            stored=f"{old_ratio.value:.2f}",
            now=f"{new_ratio.value:.2f}",
            difference=_percent(new_ratio.value / old_ratio.value),
            spread=_spread_of_ratios(old_ratio, new_ratio),
        )


def _other_work(stored: Measurement, now: Measurement) -> str:
    """In what the two computed something else; empty if they did not."""
    names = ("model", "weights", "input", "options", "device")
    one, other = work_of(stored.cell), work_of(now.cell)
    return ", ".join(differing_keys({n: one[n] for n in names}, {n: other[n] for n in names}))


def _fault_rows(stored: Sequence[Measurement], now: Sequence[Measurement]) -> Iterator[Row]:
    """What became of everybody: trials in which all others finished, and medians over trials."""
    before, after = _trials(stored), _trials(now)
    if not before or not after:
        return
    yield Row(what="others finished", stored=_finished(before), now=_finished(after))
    for what, read in _OF_SURVIVORS.items():
        old, new = ([read(f) for m in each if (f := m.survivor_figures())] for each in (stored, now))
        if old and new:
            yield Row(
                what=what,
                stored=f"{statistics.median(old):.3g}",
                now=f"{statistics.median(new):.3g}",
                spread=spread(old, new, "{:.3g}".format) if min(old) > 0 < min(new) else "",
            )
    served = [sum(bool(t.newcomer and t.newcomer.served_ns is not None) for t in x) for x in (before, after)]
    counts = [f"{n} of {len(trials)}" for n, trials in zip(served, (before, after), strict=True)]
    yield Row(what="new client served", stored=counts[0], now=counts[1])


_OF_SURVIVORS: dict[str, Callable[[SurvivorFigures], float]] = {
    "survivor s": lambda figures: figures.elapsed_s,
    "blip ms": lambda figures: (figures.blip_s or 0.0) * 1e3,
}


def _trials(runs: Sequence[Measurement]) -> list[FaultTrial]:
    return [m.fault for m in runs if m.fault is not None and m.verdict.status is Status.VALID]


def _finished(trials: Sequence[FaultTrial]) -> str:
    return f"{sum(len(t.survivors) == len(t.neighbours) for t in trials)} of {len(trials)}"


def spread(stored: Sequence[float], now: Sequence[float], shown: Callable[[float], str]) -> str:
    """Whether the repeats explain the difference.

    They do if the 95 % interval of ``median(now) / median(stored)`` (see `ratio_interval`) holds 1. Where one
    side has a single repeat there is no interval: then it is said whether that one lies in the other's range.

    Args:
        stored: Values of the stored repeats.
        now: Those of now.
        shown: How a value is written.
    """
    if len(stored) < 2 and len(now) < 2:
        return "one repeat each: spread unknown; add --repeats N"
    if len(now) < 2:
        return f"one repeat now, {_in_range(now[0], stored, shown)} stored; add --repeats N"
    if len(stored) < 2:
        return f"one repeat stored, {_in_range(stored[0], now, shown)} now"
    return _judged(ratio_interval(now, stored))


def _in_range(value: float, others: Sequence[float], shown: Callable[[float], str]) -> str:
    low, high = min(others), max(others)
    where = "within" if low <= value <= high else "outside"
    return f"{where} the {shown(low)} to {shown(high)} of the {len(others)}"


def _judged(interval: tuple[float, float]) -> str:
    low, high = interval
    where = "within" if low <= 1 <= high else "beyond"
    return f"{where} the spread (95 % interval {_percent(low)} to {_percent(high)})"


@dataclass(frozen=True, kw_only=True)
class _Ratio:
    """Makespans in seconds, of the VALID repeats with N processes and with one."""

    of_many_s: Sequence[float]
    of_one_s: Sequence[float]

    @property
    def value(self) -> float:
        return statistics.median(self.of_many_s) / statistics.median(self.of_one_s)


def _ratio(cell: Sequence[Measurement], every: Sequence[Measurement]) -> _Ratio | None:
    """None for one process and where there is no run with one process to compare with."""
    if cell[0].cell.procs == 1:
        return None
    found = ratios(every)
    known = [ratio for each in cell if (ratio := found.get(each.record_id)) and ratio.median is not None]
    if not known:
        return None
    ones = [each for each in every if each.record_id in known[0].partner_ids]
    many_s, one_s = ([figures.makespan_s for figures in _figures(runs)] for runs in (cell, ones))
    return _Ratio(of_many_s=many_s, of_one_s=one_s)


def _spread_of_ratios(stored: _Ratio, now: _Ratio) -> str:
    sides = [(each.of_many_s, each.of_one_s) for each in (now, stored)]
    if min(len(values) for side in sides for values in side) < 2:
        return "spread unknown: it needs two repeats or more of both cells, stored and now"
    return _judged(ratio_change_interval(*sides))


def _figures(measurements: Sequence[Measurement]) -> list[Statistics]:
    return [figures for each in measurements if (figures := each.statistics())]


def _verdicts(measurements: Sequence[Measurement]) -> str:
    """Each verdict once."""
    return ", ".join(dict.fromkeys(each.verdict.status.value for each in measurements)) or "not measured"


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f} %"
