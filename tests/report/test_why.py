"""Why N processes take longer than one: the bars, and a sentence for each cell."""

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
    assert "no longer than alone" in table_of(*runs).rows[0][2]


def test_what_tells_cells_apart_is_in_their_names() -> None:
    runs = [
        traced_run(f"{procs}{batch}", mps="on", procs=procs, iteration_ms=10.0 * procs, batch=batch)
        for procs in (1, 2)
        for batch in (1, 8)
    ]
    assert [row[0] for row in table_of(*runs).rows] == ["2 · on · batch 1", "2 · on · batch 8"]
