"""Stored against now: difference, and whether the repeats explain it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mps_experiments.record import Measurement
from mps_experiments.replay.rows import rows
from mps_experiments.replay.spread import Row
from tests.records import INVALID, make_measurement, with_latencies


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
    assert "latency p99 ms" not in found  # of a handful of iterations


def test_percentiles_are_pooled_over_the_repeats_and_told_of_enough_iterations() -> None:
    def long(name: str, repeat: int, ms: float) -> Measurement:
        return with_latencies(make_measurement(name, times=600, repeat=repeat), *[ms] * 600)

    stored = [long("a", 0, 10.0), long("b", 1, 20.0)]
    now = [long("c", 0, 10.0), long("d", 1, 30.0)]
    found = shown(stored, now)
    p99 = found["latency p99 ms"]
    assert (p99.stored, p99.now, p99.difference) == ("20.0", "30.0", "+50.0 %")
    assert p99.spread == ""  # no repeat alone has enough of them
    assert found["latency p95 ms"].spread.startswith("cannot tell: ")
    assert "latency p99 ms" not in shown(stored[:1], now[:1])


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


@pytest.mark.parametrize(
    ("one_now", "many_now", "said"),
    [
        ([1.0, 1.0], [3.0, 3.0], "beyond the spread (95 % interval +"),
        ([2.0, 2.1], [3.0, 3.15], "within the spread (95 % interval +0.0 % to +0.0 %)"),  # all twice as slow
        ([1.0, 2.0], [3.0, 3.0], "cannot tell: it may be -98."),
        ([1.0], [3.0, 3.0], "spread unknown: it needs two blocks or more of both cells, stored and now"),
    ],
)
def test_a_ratio_is_judged_by_the_ratios_within_the_blocks_of_both(
    one_now: list[float], many_now: list[float], said: str
) -> None:
    ones, twos = repeats(1.0, 1.05, procs=1), repeats(1.5, 1.575)
    ones_now, twos_now = repeats(*one_now, procs=1), repeats(*many_now)
    found = {row.what: row for row in rows(twos, twos_now, [*ones, *twos], [*ones_now, *twos_now])}
    assert found["ratio"].spread.startswith(said)


def test_the_gain_stands_beside_the_ratio() -> None:
    ones, twos = repeats(1.0, procs=1), repeats(1.5)
    ones_now, twos_now = repeats(1.0, procs=1), repeats(3.0)
    found = {row.what: row for row in rows(twos, twos_now, [*ones, *twos], [*ones_now, *twos_now])}
    assert (found["gain"].stored, found["gain"].now, found["gain"].difference) == ("1.33", "0.67", "-50.0 %")


def test_a_window_that_is_kept_up_is_not_compared_with_a_fixed_one() -> None:
    kept = [replace(run, cell=run.cell.moved(window="kept")) for run in repeats(1.0)]
    assert shown(repeats(2.0), kept)["not compared"].spread == "other work: window (fixed against kept)"


def test_what_computed_something_else_is_not_compared() -> None:
    other = [replace(run, cell=run.cell.moved(model="resnet50")) for run in repeats(1.0)]
    found = shown(repeats(2.0), other)
    assert list(found) == ["verdict", "not compared"]
    said = found["not compared"]
    assert said.spread == "other work: model (maskrcnn_resnet50_fpn against resnet50)"
    assert (said.stored, said.now, said.difference) == ("", "", "")


def test_files_at_another_place_are_the_same_work() -> None:
    def placed(run: Measurement, weights: str, digest: str) -> Measurement:
        return replace(run, cell=run.cell.moved(weights=weights), weights_file_sha256=digest)

    stored = [placed(run, "/there/w.pth", "a" * 64) for run in repeats(2.0)]
    same = [placed(run, "here.pth", "a" * 64) for run in repeats(1.0)]
    other = [placed(run, "/there/w.pth", "b" * 64) for run in repeats(1.0)]
    assert shown(stored, same)["makespan s"].difference == "-50.0 %"
    assert shown(stored, other)["not compared"].spread.startswith("other work: weights (")


def test_a_makespan_that_the_window_gives_is_not_judged() -> None:
    def timed(name: str, makespan_s: float) -> Measurement:
        return make_measurement(name, procs=2, times="auto", window_s=5.0, makespan_s=makespan_s)

    found = shown([timed("then", 5.0)], [timed("now", 5.5)])
    assert found["makespan s"] == Row(
        what="makespan s", stored="5.00", now="5.50", spread="not judged: with times=auto window_s gives it"
    )
    assert found["throughput 1/s"].difference == "-9.1 %"
