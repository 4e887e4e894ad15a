"""What was stored against what was measured now: difference, and whether the spread explains it; pure."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.measurement.latencies import Latencies
from mps_experiments.measurement.statistics import Statistics
from mps_experiments.record import Measurement
from mps_experiments.replay.circumstances import work_of
from mps_experiments.replay.fault_rows import fault_rows
from mps_experiments.replay.spread import Row, judged, percent, spread
from mps_experiments.report.comparison import ratios
from mps_experiments.report.estimates import block_logs, compare, pace, throughput
from mps_experiments.report.keys import differing_keys
from mps_experiments.report.numbers import milliseconds, seconds
from mps_experiments.report.repeats import Group


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """One line for each cell.

    Attributes:
        of_run: The value of one run; None where it is not told.
        of_cell: The value that is shown of all runs.
    """

    name: str
    of_run: Callable[[Statistics], float | None]
    of_cell: Callable[[Sequence[Statistics]], float | None]
    shown: Callable[[float], str]


def _median_of(value: Callable[[Statistics], float]) -> Callable[[Sequence[Statistics]], float]:
    return lambda runs: statistics.median(map(value, runs))


def _makespan_s(run: Statistics) -> float:
    return run.makespan_s


def _percentile(percent: int) -> _Figure:
    """Pooled over workers and repeats, as everywhere."""
    return _Figure(
        name=f"latency p{percent} ms",
        of_run=lambda run: run.latencies.percentile_s(percent),
        of_cell=lambda runs: Latencies.pooled([run.latencies for run in runs]).percentile_s(percent),
        shown=milliseconds,
    )


_MAKESPAN = _Figure(name="makespan s", of_run=_makespan_s, of_cell=_median_of(_makespan_s), shown=seconds)
_GIVEN = "not judged: with times=auto window_s gives it"
_FIGURES = (
    _MAKESPAN,
    _Figure(name="throughput 1/s", of_run=throughput, of_cell=_median_of(throughput), shown=seconds),
    *map(_percentile, (50, 95, 99)),
)
_COMPARED = {"ratio": pace, "gain": throughput}


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
    yield from _figure_rows(before, after, is_auto=stored[0].cell.times == "auto")
    old_cells, new_cells = _cells(stored, all_stored), _cells(now, all_now)
    if old_cells is not None and new_cells is not None:
        yield from _compared_rows(old_cells, new_cells)


def _figure_rows(before: Sequence[Statistics], after: Sequence[Statistics], is_auto: bool) -> Iterator[Row]:
    for figure in _FIGURES:
        old, new = figure.of_cell(before), figure.of_cell(after)
        if old is None or new is None:
            continue
        if is_auto and figure is _MAKESPAN:
            yield Row(what=figure.name, stored=figure.shown(old), now=figure.shown(new), spread=_GIVEN)
            continue
        values = (_values(before, figure), _values(after, figure))
        yield Row(
            what=figure.name,
            stored=figure.shown(old),
            now=figure.shown(new),
            difference=percent(new / old),
            spread=spread(values[0], values[1], figure.shown) if all(values) else "",
        )


def _values(runs: Sequence[Statistics], figure: _Figure) -> list[float]:
    return [value for run in runs if (value := figure.of_run(run)) is not None]


def _compared_rows(stored: tuple[Group, Group], now: tuple[Group, Group]) -> Iterator[Row]:
    """Of N processes against one: both may have become slower, and the ratio the same."""
    for name, figure in _COMPARED.items():
        old, new = (compare(*cells, figure).value for cells in (stored, now))
        logs = [block_logs(*cells, figure) for cells in (now, stored)]
        unknown = "spread unknown: it needs two blocks or more of both cells, stored and now"
        yield Row(
            what=name,
            stored=f"{old:.2f}",
            now=f"{new:.2f}",
            difference=percent(new / old),
            spread=judged(*logs) if min(map(len, logs)) > 1 else unknown,
        )


def _other_work(stored: Measurement, now: Measurement) -> str:
    """In what the two computed something else; empty if nothing. Files count by content, not by place."""
    return ", ".join(differing_keys(_work(stored), _work(now)))


def _work(m: Measurement) -> dict[str, object]:
    told = work_of(m.cell)
    files = {
        "weights": m.weights_file_sha256 or m.cell.weights,
        "input": [" ".join(filter(None, (image.sha256, image.read_as))) for image in m.cell.inputs],
    }
    return {name: told[name] for name in ("model", "options", "device", "window", "window_s")} | files


def _cells(cell: Sequence[Measurement], every: Sequence[Measurement]) -> tuple[Group, Group] | None:
    """The cell and its one-process partner; None for one process, and without anything to compare with."""
    if cell[0].cell.procs == 1:
        return None
    found = ratios(every)
    known = [m for m in cell if (ratio := found.get(m.record_id)) and ratio.overall is not None]
    if not known:
        return None
    partner_ids = found[known[0].record_id].partner_ids
    return Group.of(known), Group.of([each for each in every if each.record_id in partner_ids])


def _figures(measurements: Sequence[Measurement]) -> list[Statistics]:
    return [figures for each in measurements if (figures := each.statistics())]


def _verdicts(measurements: Sequence[Measurement]) -> str:
    """Each verdict once."""
    return ", ".join(dict.fromkeys(each.verdict.status.value for each in measurements)) or "not measured"
