"""What is said at the end of a sweep."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.record import Measurement
from mps_experiments.report.explanation import explain
from mps_experiments.report.summary import summary_text, why_lines
from mps_experiments.report.tables import table_text
from tests.evidence_records import TIMES, traced_run
from tests.fault_records import make_trial
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement


def repeats(procs: int, *iterations_ms: float, **parts: Any) -> list[Measurement]:
    """Traced repeats of one cell, named as a sweep over ``repeat`` names them."""
    runs = [
        traced_run(f"{procs}-{n}", procs=procs, iteration_ms=ms, repeat=n, **({"mps": "on"} | parts))
        for n, ms in enumerate(iterations_ms)
    ]
    return [replace(run, name=f"{run.name} repeat={run.cell.repeat}") for run in runs]


def text_of(many: Measurement, one: Measurement | None) -> str:
    found = explain(many, one)
    assert found is not None
    return found.text


@pytest.mark.parametrize(
    ("ones", "twos", "middle_of_one", "middle_of_two"),
    [
        ((10.0,), (20.0,), 0, 0),
        ((10.0, 10.4, 10.2), (25.0, 21.0, 22.0), 2, 2),
        ((10.0, 10.4, 10.2), (22.0, 25.0, 21.0), 2, 0),
        ((10.0,), (25.0, 21.0), 0, 0),
        ((10.0,), (21.0, 25.0), 0, 0),
        ((10.0,), (1.1, 1.3), 0, 0),
        ((10.0,), (1.3, 1.1), 0, 0),
    ],
)
def test_each_cell_has_one_line_which_compares_the_middle_repeats(
    ones: Sequence[float], twos: Sequence[float], middle_of_one: int, middle_of_two: int
) -> None:
    """Of two the first: none is nearer to their median, whatever the arithmetic's last digit says."""
    alone, many = repeats(1, *ones), repeats(2, *twos, running_ms=0.5)
    text = text_of(many[middle_of_two], alone[middle_of_one])
    for cells in ([*alone, *many], [*many, *alone], [*reversed(many), *alone]):
        (line,) = why_lines(cells)
        assert line.startswith(f"mps=on procs=2 times={TIMES}")
        assert f": {text}" in line


def test_of_an_odd_number_the_text_has_the_ratio_of_the_table() -> None:
    cells = [*repeats(1, 10.0, 10.4, 10.2), *repeats(2, 25.0, 21.0, 22.0)]
    (line,) = why_lines(cells)
    assert f"{22.0 / 10.2:.2f} times the time of one" in line
    assert f"{22.0 / 10.2:.2f} [" in table_text(cells)


def test_repeats_that_do_not_agree_on_the_cause_are_counted() -> None:
    alone = repeats(1, 10.0, 10.0, 10.0)
    slower_host, slower_kernels = repeats(2, 14.0, 14.2), repeats(2, 14.1, running_ms=8.1)[0]
    many = [
        *slower_host,
        replace(slower_kernels, record_id="2-2", cell=replace(slower_kernels.cell, repeat=2)),
    ]
    (line,) = why_lines([*alone, *many])
    assert line.endswith("The repeats do not agree: host-limited in 2, GPU-limited in 1 of 3.")
    (agreed,) = why_lines([*alone, *slower_host])
    assert "do not agree" not in agreed


def test_cells_are_explained_in_the_order_of_the_sweep() -> None:
    cells = [*repeats(4, 30.0), *repeats(1, 10.0), *repeats(2, 20.0)]
    assert [line.partition(":")[0] for line in why_lines(cells)] == [
        f"mps=on procs={procs} times={TIMES}" for procs in (4, 2)
    ]


def test_cells_with_and_without_mps_are_compared_with_their_own_one_process_run() -> None:
    cells = [
        traced_run("on-1", procs=1, mps="on", iteration_ms=10.0),
        traced_run("off-1", procs=1, mps="off", iteration_ms=8.0),
        traced_run("on-2", mps="on", iteration_ms=20.0),
        traced_run("off-2", mps="off", iteration_ms=20.0, idle_ms=12.0),
    ]
    on, off = why_lines(cells)
    assert on.startswith("mps=on procs=2 times=100: host-limited: 2 processes take 2.00 times")
    assert off.startswith("mps=off procs=2 times=100: time-sliced: 2 processes take 2.50 times")


def test_one_process_has_no_line() -> None:
    assert why_lines(repeats(1, 10.0, 11.0)) == []


@pytest.mark.parametrize(
    "cell",
    [
        make_measurement("x", procs=2, verdict=SKIPPED),
        make_measurement("x", procs=2, verdict=INVALID),
        make_measurement("x", procs=2, machine=replace(MACHINE, gpu=None), device="cpu"),
    ],
)
def test_a_cell_without_numbers_of_a_gpu_has_no_line(cell: Measurement) -> None:
    assert why_lines([cell]) == []


def test_a_repeat_that_is_not_valid_is_never_the_middle_one() -> None:
    many = repeats(2, 20.0, 25.0, 24.0)
    cells = [*repeats(1, 10.0), *many[:2], replace(many[2], verdict=INVALID)]
    (line,) = why_lines(cells)
    assert line.endswith(
        f" (repeat=0 against repeat=0 of one process): {text_of(many[0], repeats(1, 10.0)[0])}"
    )


def test_without_a_comparable_partner_the_line_claims_nothing() -> None:
    cells = [*repeats(2, 20.0), *repeats(1, 10.0, seed=1)]
    assert why_lines(cells) == [
        f"mps=on procs=2 times={TIMES}: undecided: there is no comparable one-process run, "
        "so nothing is claimed."
    ]


def test_the_summary_is_the_tables_and_below_them_why() -> None:
    cells = [*repeats(1, 10.0), *repeats(2, 20.0)]
    (why,) = why_lines(cells)
    assert summary_text(cells) == f"{table_text(cells)}WHY\n{why}\n"
    assert table_text(cells).endswith("\n")


def test_where_there_is_nothing_to_explain_the_summary_is_the_tables() -> None:
    cells = repeats(1, 10.0)
    assert summary_text(cells) == table_text(cells)
    assert summary_text([]) == ""


def test_runs_with_a_fault_have_no_cause_and_change_none() -> None:
    cells = [*repeats(1, 10.0), *repeats(2, 20.0)]
    faulty = replace(traced_run("trial", mps="on", iteration_ms=90.0, fault="kill"), fault=make_trial())
    assert why_lines([faulty, *cells]) == why_lines(cells)
    assert why_lines([faulty, cells[0]]) == []


def test_where_there_is_no_middle_repeat_the_line_says_which_are_compared() -> None:
    cells = [*repeats(1, 10.0, 11.0), *repeats(2, 21.0, 25.0)]
    (line,) = why_lines(cells)
    assert line.startswith(f"mps=on procs=2 times={TIMES} (repeat=0 against repeat=0 of one process): ")
    assert f"{21.0 / 10.0:.2f} times the time of one" in line
