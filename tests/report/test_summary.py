"""What is said at the end of a sweep."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.analysis.explanation import explain
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.cells import cost_tables
from mps_experiments.report.summary import closing_lines, remark_lines, summary_text, why_lines
from mps_experiments.report.tables import as_text, table_text
from tests.evidence_records import TIMES, traced_run
from tests.fault_records import make_trial

TOO_SHORT = "windows too short: p99 needs 1,000 (times=1000 would do)"


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
    ("ones", "twos", "block"),
    [
        ((10.0,), (20.0,), 0),
        ((10.0, 10.0, 10.0), (25.0, 21.0, 22.0), 2),
        ((10.0, 12.0, 10.0), (22.0, 26.4, 30.0), 0),  # the first two are alike: the earlier one
        ((10.0,), (25.0, 21.0), 0),  # of the second block there is nothing to compare with
    ],
)
def test_each_cell_has_one_line_which_compares_the_block_that_is_nearest_to_the_table(
    ones: Sequence[float], twos: Sequence[float], block: int
) -> None:
    alone, many = repeats(1, *ones), repeats(2, *twos, running_ms=0.5)
    text = text_of(many[block], alone[block])
    for cells in ([*alone, *many], [*many, *alone], [*reversed(many), *alone]):
        (line,) = why_lines(cells)
        where = f" (repeat={block})" if len(twos) > 1 else ""
        assert line.startswith(f"mps=on procs=2 times={TIMES}{where}: {text}")


def test_repeats_that_do_not_agree_on_the_cause_are_counted() -> None:
    alone = repeats(1, 10.0, 10.0, 10.0)
    slower_host, slower_kernels = repeats(2, 14.0, 14.2), repeats(2, 14.1, running_ms=8.1)[0]
    many = [
        *slower_host,
        replace(slower_kernels, record_id="2-2", cell=slower_kernels.cell.moved(repeat=2)),
    ]
    (line,) = why_lines([*alone, *many])
    assert line.endswith("The repeats do not agree: host-limited in 2, GPU-limited in 1 of 3.")
    (agreed,) = why_lines([*alone, *slower_host])
    assert "do not agree" not in agreed


def test_without_a_comparable_partner_the_line_claims_nothing() -> None:
    cells = [*repeats(2, 20.0), *repeats(1, 10.0, seed=1)]
    assert why_lines(cells) == [
        f"mps=on procs=2 times={TIMES}: undecided: there is no comparable one-process run, "
        "so nothing is claimed."
    ]


def test_the_summary_is_the_tables_what_is_said_once_and_why() -> None:
    cells = [*repeats(1, 10.0), *repeats(2, 20.0)]
    (why,) = why_lines(cells)
    costs = as_text(cost_tables(cells), 100)
    assert "COSTS" in costs
    assert summary_text(cells) == f"{table_text(cells)}{costs}{TOO_SHORT}\nWHY\n{why}\n"
    assert closing_lines(cells) == [TOO_SHORT, why]
    assert table_text(cells).endswith("\n")


def test_noise_is_told_once_below_the_tables() -> None:
    drift = Finding(check="drift", severity=Severity.WARNING, text="worker 0 became slower", value=0.3)
    cells = [replace(m, findings=(drift,)) for m in [*repeats(1, 10.0, 10.0), *repeats(2, 20.0, 20.0)]]
    line = "noise in 4 runs: drift in 4 (up to 30 %); the intervals include it"
    assert remark_lines(cells)[0] == line
    assert summary_text(cells).count("drift") == 1


def test_runs_with_a_fault_have_no_cause_and_change_none() -> None:
    cells = [*repeats(1, 10.0), *repeats(2, 20.0)]
    faulty = replace(traced_run("trial", mps="on", iteration_ms=90.0, fault="kill"), fault=make_trial())
    assert why_lines([faulty, *cells]) == why_lines(cells)
    assert why_lines([faulty, cells[0]]) == []


def test_runs_without_a_common_block_are_named_both() -> None:
    cells = [*repeats(1, 10.0), *repeats(2, 21.0, 25.0)[1:]]
    (line,) = why_lines(cells)
    assert line.startswith(f"mps=on procs=2 times={TIMES}: ")
    assert f"{25.0 / 10.0:.2f} times the time of one" in line
    (several,) = why_lines([*repeats(1, 10.0), *repeats(2, 21.0, 25.0, 25.5)[1:]])
    assert several.startswith(f"mps=on procs=2 times={TIMES} (repeat=1 against repeat=0 of one process): ")


def test_a_cell_of_another_day_is_compared_with_the_same_repeat() -> None:
    earlier = [
        replace(run, sweep_id="before", started_at=run.started_at - 86_400.0)
        for run in repeats(1, 10.0, 12.0, 11.0)
    ]
    (line,) = why_lines([*earlier, *repeats(2, 30.0, 24.0, 27.5)])
    assert line.startswith(f"mps=on procs=2 times={TIMES} (repeat=2): ")
    assert f"{27.5 / 11.0:.2f} times the time of one" in line
