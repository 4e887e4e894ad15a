"""What was stored against what was measured now: difference, and whether the spread explains it; pure."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.measurement.statistics import Statistics
from mps_experiments.record import Measurement
from mps_experiments.replay.circumstances import work_of
from mps_experiments.replay.fault_rows import fault_rows
from mps_experiments.replay.spread import Row, judged, percent, spread
from mps_experiments.report.comparison import ratios
from mps_experiments.report.keys import differing_keys
from mps_experiments.report.numbers import milliseconds, seconds
from mps_experiments.report.repeats import ratio_change_interval


@dataclass(frozen=True, kw_only=True)
class _Figure:
    name: str
    value: Callable[[Statistics], float | None]
    shown: Callable[[float], str]


_FIGURES = (
    _Figure(name="makespan s", value=lambda figures: figures.makespan_s, shown=seconds),
    _Figure(name="throughput 1/s", value=lambda figures: figures.throughput_per_s, shown=seconds),
    _Figure(name="latency p50 ms", value=lambda figures: figures.latency_p50_s, shown=milliseconds),
    _Figure(name="latency p99 ms", value=lambda figures: figures.latency_p99_s, shown=milliseconds),
)


def _known(figure: _Figure, runs: Sequence[Statistics]) -> list[float]:
    return [value for each in runs if (value := figure.value(each)) is not None]


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
        yield from fault_rows(stored, now)
        return
    before, after = _figures(stored), _figures(now)
    if not before or not after:
        return
    for figure in _FIGURES:
        old, new = _known(figure, before), _known(figure, after)
        if not old or not new:
            continue
        yield Row(
            what=figure.name,
            stored=figure.shown(statistics.median(old)),
            now=figure.shown(statistics.median(new)),
            difference=percent(statistics.median(new) / statistics.median(old)),
            spread=spread(old, new, figure.shown),
        )
    old_ratio, new_ratio = _ratio(stored, all_stored), _ratio(now, all_now)
    if old_ratio is not None and new_ratio is not None:
        yield Row(
            what="ratio",
            stored=f"{old_ratio.value:.2f}",
            now=f"{new_ratio.value:.2f}",
            difference=percent(new_ratio.value / old_ratio.value),
            spread=_spread_of_ratios(old_ratio, new_ratio),
        )


def _other_work(stored: Measurement, now: Measurement) -> str:
    """In what the two computed something else; empty if nothing. Files count by content, not by place."""
    return ", ".join(differing_keys(_work(stored), _work(now)))


def _work(m: Measurement) -> dict[str, object]:
    told = work_of(m.cell)
    files = {
        "weights": m.weights_file_sha256 or m.cell.weights,
        "input": [image.sha256 for image in m.cell.inputs],
    }
    return {name: told[name] for name in ("model", "options", "device")} | files


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
    return judged(ratio_change_interval(*sides))


def _figures(measurements: Sequence[Measurement]) -> list[Statistics]:
    return [figures for each in measurements if (figures := each.statistics())]


def _verdicts(measurements: Sequence[Measurement]) -> str:
    """Each verdict once."""
    return ", ".join(dict.fromkeys(each.verdict.status.value for each in measurements)) or "not measured"
