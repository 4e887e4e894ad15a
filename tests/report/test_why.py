"""Why N processes take longer than one: the bars, and a sentence for each cell."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.explanation import Explanation
from mps_experiments.analysis.gpu_limits import Cause
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.content import Table
from mps_experiments.report.summary import causes
from mps_experiments.report.why import unexplained, why_chart, why_table
from tests import svg
from tests.evidence_records import traced_run
from tests.report_panels import arm, full_sweep, panel_of


def table_of(*runs: Measurement) -> Table:
    table = why_table(panel_of(*runs), causes(runs))
    assert table is not None
    return table


def test_the_bars_are_the_parts_of_an_iteration_of_every_cell() -> None:
    chart = why_chart(panel_of(*full_sweep()), causes(full_sweep()), "2-")
    assert chart is not None
    assert chart.name == "2-why"
    shown = svg.texts(chart.svg)
    names = ["1 · off", "1 · on", "2 · off", "2 · on", "4 · off", "4 · on"]
    assert [text for text in shown if " · " in text] == names
    assert {"its operations run", "waits for others", "waits, GPU idle", "host"} <= set(shown)
    assert {"10", "11", "13", "30", "70"} <= set(shown)  # ms, at the end of each bar
    assert "2 · off: its operations run 4, waits for others 20, waits, GPU idle 0, host 6" in chart.alt
    for role in ("running", "behind", "host"):
        assert f"var(--{role})" in chart.svg


def test_of_several_blocks_one_process_has_one_bar_in_each_arm() -> None:
    runs = [
        traced_run(
            f"{procs}-{repeat}", mps="on", procs=procs, iteration_ms=10.0 * procs + repeat, repeat=repeat
        )
        for procs in (1, 2, 4)
        for repeat in (0, 1, 2)
    ]
    chart = why_chart(panel_of(*runs), causes(runs), "")
    assert chart is not None
    assert [text for text in svg.texts(chart.svg) if " · " in text] == ["1 · on", "2 · on", "4 · on"]


def test_without_traced_passes_there_are_no_bars_and_one_line_says_why() -> None:
    runs = arm("on", {1: 1.0, 2: 1.5, 4: 2.0})
    assert why_chart(panel_of(*runs), causes(runs), "") is None
    assert why_table(panel_of(*runs), causes(runs)) is None
    (line,) = unexplained(panel_of(*runs), causes(runs))
    assert line.startswith("2 · on, 4 · on: undecided: this run has no traced pass")


def test_each_cell_has_its_cause_and_what_grew_most() -> None:
    rows = {row[0]: row[1:] for row in table_of(*full_sweep()).rows}
    assert list(rows) == ["2 · off", "2 · on", "4 · off", "4 · on"]
    assert rows["4 · off"] == (
        "time-sliced",
        "An iteration takes 60 ms longer than alone, most of all waiting for other workers' operations "
        "(+60 ms).",
    )


def test_a_cell_whose_iteration_did_not_grow_says_so() -> None:
    runs = [
        traced_run("1", mps="on", procs=1, iteration_ms=10.0),
        traced_run("2", mps="on", procs=2, iteration_ms=10.0),
    ]
    told = table_of(*runs).rows[0][2]
    assert told == "An iteration takes no longer than alone; one worker keeps the GPU busy 40 % of its time."


def sentence(cause: Cause, total: float, *, is_free: bool = False, **grown: float) -> str:
    """What is said where these parts grew, in ms."""
    parts = {"kernels": 0.0, "behind_others": 0.0, "waiting_idle": 0.0, "host": 0.0, "total": total} | grown
    figures = {f"growth/{name}_ms": value for name, value in parts.items()} | {"gpu_busy_alone_share": 0.18}
    runs = full_sweep()
    told = [replace(each, explanation=Explanation(cause=cause, text="", figures=figures, is_free=is_free))
            for each in causes(runs)[:1]]  # fmt: skip
    table = why_table(panel_of(*runs), told)
    assert table is not None
    return table.rows[0][2]


def test_where_the_others_run_for_free_the_cause_rests_on_how_busy_one_keeps_the_gpu() -> None:
    """Not on the part that grew most, which may belong to another cause."""
    assert sentence(Cause.HOST, 0.0532, is_free=True, kernels=0.13, host=-0.0768) == (
        "An iteration takes hardly longer than alone (+0.0532 ms); "
        "one worker keeps the GPU busy 18 % of its time."
    )


@pytest.mark.parametrize(
    ("cause", "part"),
    [
        (Cause.HOST, "waiting while the GPU runs nothing (+3.5 ms)"),
        (Cause.CONTENTION, "in its own operations (+4 ms)"),
        (Cause.UNDECIDED, "in its own operations (+4 ms)"),
    ],
)
def test_the_part_that_is_named_belongs_to_the_cause(cause: Cause, part: str) -> None:
    told = sentence(cause, 10.0, kernels=4.0, waiting_idle=3.5, host=2.5)
    assert told == f"An iteration takes 10 ms longer than alone, most of all {part}."


def test_a_part_larger_than_the_whole_says_what_it_is_offset_by() -> None:
    assert sentence(Cause.TIME_SLICED, 0.488, waiting_idle=3.31, host=-2.822) == (
        "An iteration takes 0.488 ms longer than alone, most of all waiting while the GPU runs nothing "
        "(+3.31 ms, less 2.82 ms elsewhere)."
    )


def test_what_tells_cells_apart_is_in_their_names() -> None:
    runs = [
        traced_run(f"{procs}{batch}", mps="on", procs=procs, iteration_ms=10.0 * procs, batch=batch)
        for procs in (1, 2)
        for batch in (1, 8)
    ]
    assert [row[0] for row in table_of(*runs).rows] == ["2 · on · batch 1", "2 · on · batch 8"]
