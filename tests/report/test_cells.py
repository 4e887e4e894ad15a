"""One row for each cell: on the page, and exported."""

from mps_experiments.analysis.panels import panels
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.cells import cell_rows, cell_table, cost_tables, exported
from mps_experiments.report.content import Table
from mps_experiments.report.tables import as_text
from tests.evidence_records import with_telemetry
from tests.records import INVALID, SKIPPED, make_measurement
from tests.report_panels import CPU_ONLY, OTHER_MACHINE, arm, as_runs, full_sweep, panel_of


def rows_of(table: Table) -> list[dict[str, str]]:
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_every_cell_has_a_row_with_all_that_is_known_of_it() -> None:
    rows = rows_of(cell_table(panel_of(*full_sweep()), {"on-2": "best"}))
    assert [row["processes"] for row in rows] == [
        *("1 · MPS off", "2 · MPS off", "4 · MPS off"),
        *("1 · MPS on", "2 · MPS on (best)", "4 · MPS on"),
    ]
    assert rows[4] == {
        "processes": "2 · MPS on (best)",
        "images/s": "181.8",
        "gain": "1.82 [1.82, 1.82]",
        "ratio": "1.10 [1.10, 1.10]",
        "makespan s": "1.10",
        "p50 ms": "11.0",
        "p95 ms": "11.0",
        "overlap %": "12.5",
        "GPU busy %": "75.0",
        "power W": "36.4",
        "J per image": "0.200",
    }


def test_a_column_has_one_number_of_decimals_and_none_is_empty_for_all() -> None:
    runs = [*arm("on", {1: 1.0, 2: 0.05}, times=1000), *arm("off", {1: 1.0})]
    rows = rows_of(cell_table(panel_of(*runs), {}))
    assert [row["makespan s"] for row in rows] == ["1.000", "1.000", "0.050"]
    assert [row["images/s"] for row in rows] == ["10", "1,000", "40,000"]
    assert all(any(row[name] for row in rows) for name in rows[0])
    assert "power W" not in rows[0]


def test_the_cpu_has_no_columns_of_a_gpu_and_no_word_of_mps() -> None:
    table = cell_table(panel_of(*arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY)), {})
    assert table.header == ("processes", "images/s", "gain", "ratio", "makespan s", "p50 ms")
    assert [row[0] for row in table.rows] == ["1", "2"]


def test_repeats_are_one_row_of_medians() -> None:
    table = cell_table(panel_of(*arm("on", {1: (1.0, 1.0, 1.0), 2: (1.2, 4.0, 1.4)})), {})
    row = rows_of(table)[1]
    assert (row["makespan s"], row["p50 ms"]) == ("1.40", "140")
    assert row["ratio"] == f"{(1.2 * 4.0 * 1.4) ** (1 / 3):.2f} [0.57, 6.29]"
    assert table.notes[0].startswith("Medians over up to 3 blocks; ")


def test_on_the_cpu_cells_that_were_skipped_are_one_line() -> None:
    skipped = [
        make_measurement(f"s{n}", mps="on", procs=n, times=10, verdict=SKIPPED, machine=CPU_ONLY)
        for n in (1, 2)
    ]
    measured = arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY)
    table = cell_table(panel_of(*measured, *skipped), {})
    assert [row[0] for row in table.rows] == ["1", "2"]
    assert f"Left out: 2 cells, SKIPPED: {SKIPPED.reason}." in table.notes
    assert "MPS on" not in as_text(cost_tables([*measured, *skipped]), 80)
    assert [row[:2] for row in cell_table(panel_of(*skipped), {}).rows] == [
        ("1 · MPS on", "SKIPPED"),
        ("2 · MPS on", "SKIPPED"),
    ]


def test_runs_without_a_number_show_their_verdict() -> None:
    bad = [make_measurement(f"bad {n}", mps="on", procs=4, times=10, verdict=INVALID) for n in (0, 1)]
    skipped = make_measurement("skipped", mps="on", procs=8, times=10, verdict=SKIPPED)
    panel = panel_of(*arm("on", {1: 1.0, 2: 1.0}), *bad, skipped)
    assert [row["images/s"] for row in rows_of(cell_table(panel, {}))] == [
        *("10.0", "20.0"),
        *("INVALID (2 runs)", "SKIPPED"),
    ]
    failed_once = [
        *arm("on", {2: 1.0}),
        make_measurement("bad", mps="on", procs=2, times=10, verdict=INVALID),
    ]
    (row,) = cell_rows(panel_of(*failed_once))
    assert (len(row.runs), row.group is not None) == (2, True)
    nothing = cell_table(panel_of(*bad), {})
    assert (len(nothing.rows), nothing.notes) == (1, ("No VALID run: no number.",))


def test_other_factors_and_several_iterations_are_columns_of_their_own() -> None:
    runs = [*arm("on", {1: 1.0}), *arm("on", {1: 2.0}, batch=4, record="4")]
    shown = [
        [row[name] for name in ("items per iteration", "images/s", "p50 ms")]
        for row in rows_of(cell_table(panel_of(*runs), {}))
    ]
    assert shown == [["1", "10.0", "100"], ["4", "20.0", "200"]]
    longer = [*arm("on", {1: 1.0}), *arm("on", {1: 5.0}, times=50, record="50")]
    assert [row["iterations"] for row in rows_of(cell_table(panel_of(*longer), {}))] == ["10", "50"]


def test_below_the_table_stands_what_windows_are_too_short_for() -> None:
    short, long = (cell_table(panel_of(*arm("on", {1: 1.0, 2: 1.0}, times=n)), {}).notes for n in (10, 1000))
    assert "times=100 would do" in short[1]
    assert "times=1000 would do" in short[1]
    assert len(long) == 1


def test_the_export_has_stable_names_intervals_and_counts_of_verdicts() -> None:
    bad = make_measurement("bad", mps="on", procs=2, times=100, verdict=INVALID)
    rows = exported([panel_of(*full_sweep(), bad)], {"on-2": "best"}, {"on-2": "host-limited"})
    assert [(row["mps"], row["procs"]) for row in rows] == [(m, n) for m in ("off", "on") for n in (1, 2, 4)]
    row = rows[4]
    expected = {
        "gpu": "NVIDIA H100",
        "model": "maskrcnn_resnet50_fpn",
        "times": 100,
        "batch": 1,
        "valid_runs": 1,
        "invalid_runs": 1,
        "decision": "best",
        "cause": "host-limited",
        "gain_mean": 1.818182,
        "interval": "rough interval",
        "throughput_per_s": 181.8182,
        "latency_p50_ms": 11.0,
        "gpu_energy_per_item_j": 0.2,
        "trace_overlap_share": 0.125,
    }
    assert {name: row[name] for name in expected} == expected
    means = {f"{name}_mean{end}" for name in ("gain", "ratio") for end in ("", "_low", "_high")}
    assert means <= row.keys()
    assert not {"gain", "ratio"} & row.keys()
    assert "latency_p99_ms" not in row
    assert all(each.keys() == row.keys() for each in rows)


def test_exported_rows_of_several_machines_are_told_apart() -> None:
    cells = {1: 1.0, 2: 1.5}
    runs = [*arm("on", cells), *arm("on", cells, machine=OTHER_MACHINE, record="b")]
    rows = exported(panels(as_runs(runs)), {}, {})
    assert [(row["machine"], row["gpu_uuid"], row["procs"]) for row in rows] == [
        *(("A", "GPU-1", 1), ("A", "GPU-1", 2), ("B", "GPU-2", 1), ("B", "GPU-2", 2)),
    ]
    assert "machine" not in exported(panels(as_runs(runs[:2])), {}, {})[0]
    assert "window_s" not in rows[0]


def test_a_window_of_a_given_length_is_exported() -> None:
    timed = make_measurement(times="auto", window_s=5.0)
    assert exported([panel_of(timed)], {}, {})[0]["window_s"] == 5.0


def cost_lines(runs: list[Measurement]) -> list[list[str]]:
    lines = as_text(cost_tables(runs), 80).splitlines()
    assert max(map(len, lines)) <= 80
    return [
        [cell.strip() for cell in line[1:-1].replace("┃", "│").split("│")]
        for line in lines
        if line[0] in "┃│"
    ]


def test_what_each_cell_costs_is_a_table_of_80_columns() -> None:
    runs = [
        with_telemetry(run, memory_used_bytes=29 * 2**30) for run in arm("on", {1: 1.0, 16: 2.0}, times=500)
    ]
    assert cost_lines(runs) == [
        ["cell", "images/s", "p50 ms", "p99 ms", "memory GiB"],
        ["1 · MPS on", "500", "2.00", "", "29.0"],
        ["16 · MPS on", "4,000", "4.00", "4.00", "29.0"],
    ]
    header, *rows = cost_lines(full_sweep())
    assert header == ["cell", "images/s", "p50 ms", "p99 ms", "J per image"]
    assert rows[4] == ["2 · MPS on", "181.8", "11.0", "", "0.200"]
    on_cpu = cost_lines(arm("off", {1: 1.0, 2: 1.5}, machine=CPU_ONLY))
    assert on_cpu == [
        ["cell", "images/s", "p50 ms", "p99 ms"],
        ["1", "10.0", "100", ""],
        ["2", "13.3", "150", ""],
    ]


def test_no_gain_over_a_slowed_one_process_run_is_shown_nor_exported() -> None:
    panel = panel_of(*arm("on", {1: 3.0, 2: 1.0, 4: 4.0}), *arm("off", {1: 1.0, 2: 1.0}))
    table = cell_table(panel, {})
    rows = {row["processes"]: (row["gain"], row["ratio"]) for row in rows_of(table)}
    assert rows["2 · MPS off"] == ("2.00 [2.00, 2.00]", "1.00 [1.00, 1.00]")
    assert {rows[f"{count} · MPS on"] for count in (1, 2, 4)} == {("", "")}
    reason = "(mps=on procs=1 times=10): 2 do 6.00 times what one does, which is impossible."
    assert [note for note in table.notes if "slowed" in note] == [
        f"No gain, no ratio: something slowed the one-process run {reason}"
    ]
    slowed = [row for row in exported([panel], {}, {}) if row["mps"] == "on"]
    told = [f"{name}_mean{end}" for name in ("gain", "ratio") for end in ("", "_low", "_high")]
    assert {row[name] for row in slowed for name in told} == {None}
    assert {row["interval"] for row in slowed} == {""}
    assert [row["throughput_per_s"] for row in slowed] == [3.333333, 20.0, 10.0]


def test_no_costs_are_told_without_a_valid_run() -> None:
    assert list(cost_tables([make_measurement(verdict=INVALID)])) == []
