"""All figures of a panel, and machines side by side."""

from mps_experiments.analysis.machines import Machines
from mps_experiments.analysis.panels import panels
from mps_experiments.report.figure_tables import all_figures, machines_table
from tests.records import INVALID, make_measurement
from tests.report_panels import OTHER_MACHINE, arm, as_runs, full_sweep, panel_of


def test_every_cell_has_a_row_off_before_on() -> None:
    table = all_figures(panel_of(*full_sweep()))
    assert [row[:4] for row in table.rows] == [
        (mps, str(procs), "100", "1") for mps in ("off", "on") for procs in (1, 2, 4)
    ]
    row = dict(zip(table.header, table.rows[4], strict=True))
    assert row == {
        "mps": "on",
        "procs": "2",
        "times": "100",
        "blocks": "1",
        "makespan s": "1.10",
        "ratio [interval]": "1.10 [1.10, 1.10]",
        "gain [interval]": "1.82 [1.82, 1.82]",
        "images/s": "181.8",
        "p50 ms": "11.0",
        "p95 ms": "11.0",
        "p99 ms": "",
        "J per image": "0.2",
        "power W": "36.4",
        "overlap %": "12.5",
        "GPU busy %": "75",
        "SM activity %": "",
    }


def test_repeats_are_one_row_of_medians() -> None:
    table = all_figures(panel_of(*arm("on", {1: (1.0, 1.0, 1.0), 2: (1.2, 4.0, 1.4)})))
    row = dict(zip(table.header, table.rows[1], strict=True))
    assert (row["blocks"], row["makespan s"], row["p50 ms"]) == ("3", "1.40", "140.0")
    assert row["ratio [interval]"] == f"{(1.2 * 4.0 * 1.4) ** (1 / 3):.2f} [0.57, 6.29]"


def test_what_was_not_measured_is_empty() -> None:
    row = all_figures(panel_of(*arm("on", {2: 1.0}))).rows[0]
    assert row[5:7] == ("", "")
    assert row[9:] == ("",) * 7


def test_runs_that_are_not_valid_have_no_row() -> None:
    bad = make_measurement("bad", mps="on", procs=4, verdict=INVALID)
    assert len(all_figures(panel_of(*arm("on", {1: 1.0, 2: 1.0}), bad)).rows) == 2


def test_machines_stand_side_by_side_where_they_have_the_same_cells() -> None:
    runs = [
        *arm("on", {1: 1.0, 2: 1.5}),
        *arm("on", {1: 2.0, 2: 2.2, 4: 9.0}, machine=OTHER_MACHINE, record="other"),
    ]
    table = machines_table(panels(as_runs(runs)), Machines.of(runs))
    assert table is not None
    assert table.header == ("cell", "A", "B")
    assert table.rows == (
        ("maskrcnn_resnet50_fpn mps=on procs=1 times=10", "1.00 s, 10.0 images/s", "2.00 s, 5.0 images/s"),
        (
            "maskrcnn_resnet50_fpn mps=on procs=2 times=10",
            "1.50 s, ratio 1.50, gain 1.33, 13.3 images/s",
            "2.20 s, ratio 1.10, gain 1.82, 9.1 images/s",
        ),
    )


def test_machines_with_nothing_in_common_have_no_table() -> None:
    runs = [*arm("on", {1: 1.0}), *arm("on", {2: 2.0}, machine=OTHER_MACHINE, record="other")]
    assert machines_table(panels(as_runs(runs)), Machines.of(runs)) is None


def test_a_machine_with_two_workloads_is_one_column() -> None:
    runs = [
        *arm("on", {1: 1.0}),
        *arm("on", {1: 3.0}, model="resnet50", record="resnet"),
        *arm("on", {1: 2.0}, machine=OTHER_MACHINE, record="other"),
    ]
    table = machines_table(panels(as_runs(runs)), Machines.of(runs))
    assert table is not None
    assert table.header == ("cell", "A", "B")
    assert [row[0] for row in table.rows] == ["maskrcnn_resnet50_fpn mps=on procs=1 times=10"]


def test_below_the_table_stands_what_windows_are_too_short_for() -> None:
    notes = all_figures(panel_of(*arm("on", {1: 1.0, 2: 1.0}))).notes
    assert notes[1] == (
        "windows too short: p95 needs 100 iterations over processes and blocks (times=100 would do); "
        "p99 needs 1,000 (times=1000 would do)"
    )
    assert len(all_figures(panel_of(*arm("on", {1: 1.0, 2: 1.0}, times=1000))).notes) == 1


def test_another_factor_is_a_column_and_items_are_counted() -> None:
    runs = [*arm("on", {1: 1.0}), *arm("on", {1: 2.0}, batch=4, record="4")]
    table = all_figures(panel_of(*runs))
    columns = [table.header.index(name) for name in ("items per iteration", "images/s", "p50 ms")]
    assert [[row[column] for column in columns] for row in table.rows] == [
        ["1", "10.0", "100.0"],
        ["4", "20.0", "200.0"],
    ]
