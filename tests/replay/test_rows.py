"""Stored against now: difference, and whether the repeats explain it."""

from collections.abc import Sequence

import pytest

from mps_experiments.record import Measurement
from mps_experiments.replay.rows import Row, rows, spread
from tests.records import INVALID, make_measurement


def repeats(*makespans_s: float, procs: int = 2) -> list[Measurement]:
    return [
        make_measurement(f"{procs}-{n}-{seconds}", procs=procs, makespan_s=seconds, repeat=n)
        for n, seconds in enumerate(makespans_s)
    ]


def shown(stored: Sequence[Measurement], now: Sequence[Measurement]) -> dict[str, Row]:
    return {row.what: row for row in rows(stored, now, stored, now)}


def test_each_figure_is_shown_with_the_difference_of_medians() -> None:
    found = shown(repeats(2.0), repeats(1.0, 1.5, 3.0))
    assert found["verdict"] == Row(what="verdict", stored="VALID", now="VALID")
    makespan = found["makespan s"]
    assert (makespan.stored, makespan.now, makespan.difference) == ("2.00", "1.50", "-25.0 %")
    throughput = found["throughput 1/s"]
    assert (throughput.stored, throughput.now, throughput.difference) == ("2.00", "2.67", "+33.3 %")
    assert found["latency p50 ms"].now == "750.0"
    assert "latency p99 ms" in found


@pytest.mark.parametrize(
    ("stored", "now", "said"),
    [
        ([1.0], [1.0], "one repeat each: spread unknown; add --repeats N"),
        ([1.0, 1.1], [1.0], "one repeat now: spread unknown; add --repeats N"),
        ([1.0], [1.0, 1.1], "one repeat stored: its spread is unknown"),
        ([1.0, 1.2], [1.1, 1.15], "within the spread (95 % interval "),
        ([1.0, 1.1], [2.0, 2.2], "beyond the spread (95 % interval +"),
        ([2.0, 2.2], [1.0, 1.1], "beyond the spread (95 % interval -"),
    ],
)
def test_the_spread_is_judged_by_an_interval_and_by_nothing_else(
    stored: list[float], now: list[float], said: str
) -> None:
    assert spread(stored, now).startswith(said)


def test_a_run_that_is_not_valid_has_no_figures() -> None:
    found = shown(repeats(1.0), [make_measurement("bad", procs=2, verdict=INVALID)])
    assert list(found.values()) == [Row(what="verdict", stored="VALID", now="INVALID")]
    assert [row.now for row in rows(repeats(1.0), [], [], [])] == ["not measured"]


def test_a_ratio_needs_the_one_process_runs_of_both() -> None:
    ones, twos = repeats(1.0, procs=1), repeats(1.5)
    ones_now, twos_now = repeats(1.1, procs=1), repeats(2.2)
    found = {row.what: row for row in rows(twos, twos_now, [*ones, *twos], [*ones_now, *twos_now])}
    assert (found["ratio"].stored, found["ratio"].now, found["ratio"].difference) == (
        "1.50",
        "2.00",
        "+33.3 %",
    )
    assert "ratio" not in shown(twos, twos_now)
    assert "ratio" not in {row.what for row in rows(twos, twos_now, [*ones, *twos], twos_now)}
    assert "ratio" not in shown(ones, ones_now)
