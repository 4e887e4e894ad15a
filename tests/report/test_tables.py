"""The tables, as plain text."""

import re
from dataclasses import replace
from io import StringIO
from typing import Any

from rich.console import Console

from mps_experiments.analysis.comparison import ratios
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.report.tables import table_text, tables
from tests.records import INVALID, SKIPPED, make_measurement

SEED = [
    make_measurement("4", mps="on", procs=2, times=100, makespan_s=13.73),
    make_measurement("3", mps="on", procs=1, times=100, makespan_s=11.08),
    make_measurement("2", mps="off", procs=2, times=100, makespan_s=19.87),
    make_measurement("1", mps="off", procs=1, times=100, makespan_s=11.49),
    make_measurement("0", mps="off", procs=1, times=50, makespan_s=5.77),
]


def rows(text: str) -> list[list[str]]:
    """The cells of every line that is a row or a header."""
    lines = [line for line in text.splitlines() if line[:1] in ("│", "┃")]
    return [[cell.strip() for cell in re.split("[│┃]", line)[1:-1]] for line in lines]


def test_off_comes_before_on_with_times_down_processes_across_and_the_ratio() -> None:
    text = table_text(SEED)
    header = ["times", "1 proc", "2 procs", "ratio", "gain"]
    assert rows(text) == [
        header,
        ["50", "5.77", "-", "-", "-"],
        ["100", "11.49", "19.87, 19.87", "1.73 [1.73, 1.73]", "1.16 [1.16, 1.16]"],
        header,
        ["100", "11.08", "13.73, 13.73", "1.24 [1.24, 1.24]", "1.61 [1.61, 1.61]"],
    ]
    assert text.index("MPS OFF · maskrcnn_resnet50_fpn") < text.index("MPS ON · maskrcnn_resnet50_fpn")


def test_more_than_four_workers_are_a_range() -> None:
    assert rows(table_text([make_measurement(procs=4, makespan_s=2.0)]))[1][1] == "2.00, 2.00, 2.00, 2.00"
    assert rows(table_text([make_measurement(procs=5, makespan_s=2.0)]))[1][1] == "2.00 to 2.00"


def test_cells_without_numbers_show_their_verdict_and_the_reason_stands_below() -> None:
    text = table_text(
        [
            make_measurement("1"),
            make_measurement("2", procs=2, verdict=INVALID),
            make_measurement("3", mps="on", verdict=SKIPPED),
        ]
    )
    assert rows(text)[1] == ["2", "1.00", "INVALID", "-", "-"]
    assert rows(text)[3] == ["2", "SKIPPED"]
    below = [line.strip() for line in text.splitlines() if line.startswith(("mps=", "SKIPPED"))]
    assert below == [
        "mps=off procs=2 times=2: INVALID: worker 1 was killed by SIGKILL",
        "SKIPPED: MPS needs an NVIDIA GPU",
    ]


def named(measurement: Measurement, varied: str) -> Measurement:
    """The record as a sweep over more than mps, procs and times names it."""
    return replace(measurement, name=f"{measurement.name} {varied}", varied=tuple(varied.split()))


def repeats(procs: int, *makespans_s: float, **cell: Any) -> list[Measurement]:
    """Repeats of one cell, as a sweep with ``repeat=0,1,2`` leaves them."""
    return [
        named(make_measurement(f"{procs}-{n}", procs=procs, makespan_s=s, repeat=n, **cell), f"repeat={n}")
        for n, s in enumerate(makespans_s)
    ]


def test_repeats_of_a_cell_are_one_entry_with_their_range_and_the_interval_of_the_ratio() -> None:
    text = table_text([*repeats(2, 6.91, 7.40, 6.62), *repeats(1, 6.0, 6.1, 6.4)])
    found = ratios([*repeats(2, 6.91, 7.40, 6.62), *repeats(1, 6.0, 6.1, 6.4)])["2-0"]
    assert found.overall is not None
    assert found.gain is not None
    assert rows(text)[1:] == [
        ["2", "6.10 (6.00 to 6.40)", "6.91 (6.62 to 7.40)", found.overall.text, found.gain.text]
    ]
    assert found.overall.text == "1.13 [0.96, 1.33]"


def test_windows_of_given_seconds_show_what_an_iteration_took() -> None:
    given: dict[str, Any] = {"times": "auto", "window_s": 10.0}
    text = table_text(
        [make_measurement("1", **given), make_measurement("2", procs=2, makespan_s=1.5, **given)]
    )
    assert "· ms per iteration of each process" in text
    assert rows(text)[1] == ["auto (10 s)", "100.0", "150.0, 150.0", "1.50 [1.50, 1.50]", "1.33 [1.33, 1.33]"]
    several = table_text(repeats(1, 1.0, 1.2, 1.1, **given))
    assert rows(several)[1] == ["auto (10 s)", "110.0 (100.0 to 120.0)"]


def test_the_title_names_makespans_only_where_there_are_repeats() -> None:
    one, three = make_measurement("2", procs=2), repeats(1, 1.0, 1.1, 1.2)
    units = [str(next(tables(runs)).title).rpartition(" · ")[2] for runs in ([one], three, [one, *three])]
    assert units == [
        "seconds per process",
        "makespan in seconds",
        "makespan in seconds; of a single run seconds per process",
    ]


def test_repeats_without_numbers_are_counted_below_those_with_numbers() -> None:
    runs = repeats(2, 1.0, 1.0, 3.0, 4.0)
    cells = [*runs[:2], *(replace(m, verdict=INVALID) for m in runs[2:])]
    assert rows(table_text([make_measurement("1"), *cells]))[1:] == [
        ["2", "1.00", "1.00 (1.00 to 1.00)", "1.00", "2.00"],
        ["", "", "INVALID (2 runs)", "-", "-"],
    ]


def test_the_title_says_what_the_table_has_in_common_but_not_the_repeat() -> None:
    cells = [
        named(
            make_measurement(f"{n}{batch}", repeat=n),
            f"workload.options.a={batch} repeat={n} workload.seed=3",
        )
        for n in (0, 1)
        for batch in (1, 2)
    ]
    titles = {str(table.title) for table in tables(cells)}
    assert titles == {"MPS OFF · maskrcnn_resnet50_fpn · workload.seed=3 · makespan in seconds"}
    assert "repeat" not in table_text(repeats(1, 1.0)).splitlines()[0]


def test_each_workload_has_its_own_tables() -> None:
    models = ("resnet50", "ssdlite")
    found = list(tables([make_measurement(f"{m}{s}", mps=s, model=m) for s in ("on", "off") for m in models]))
    assert [str(table.title).split(" · ")[:2] for table in found] == [
        [f"MPS {state}", model] for model in models for state in ("OFF", "ON")
    ]


def test_a_reason_that_looks_like_markup_is_printed_as_it_is() -> None:
    reason = "worker 0 failed: [/tmp/x.pth] [rank0]: [bold]no"
    verdict = Verdict(status=Status.INVALID, reason=reason)
    assert reason in table_text([make_measurement(verdict=verdict)])


def test_no_number_is_cut_and_no_text_folded_however_wide_the_table() -> None:
    cells = [make_measurement(str(n), procs=n, makespan_s=12345.67) for n in range(1, 17)]
    text = table_text([*cells, make_measurement("x", procs=99, verdict=SKIPPED)])
    assert "…" not in text
    assert text.count("12345.67 to 12345.67") == 12
    assert len(rows(text)) == 2
    assert "SKIPPED: MPS needs an NVIDIA GPU" in text


def test_a_reason_that_its_own_line_said_is_left_out() -> None:
    (table,) = tables([make_measurement(mps="on", verdict=SKIPPED)], told=True)
    assert table.caption is None


def test_on_a_narrow_terminal_a_reason_is_not_folded_to_the_width_of_its_table() -> None:
    file = StringIO()
    console = Console(file=file, width=60, force_terminal=True, color_system=None, soft_wrap=True)
    for table in tables([make_measurement(mps="on", verdict=SKIPPED)]):
        console.print(table)
    assert "SKIPPED: MPS needs an NVIDIA GPU" in file.getvalue()


def test_another_factor_is_a_column_whose_values_are_compared_within_themselves() -> None:
    cells = [
        make_measurement(f"{batch}{procs}", batch=batch, procs=procs, makespan_s=float(procs * batch))
        for batch in (1, 4)
        for procs in (1, 2)
    ]
    found = rows(table_text(cells))
    assert found[0][:2] == ["items per iteration", "times"]
    assert [[row[0], row[1], row[2], row[4]] for row in found[1:]] == [
        ["1", "2", "1.00", "2.00"],
        ["4", "2", "4.00", "2.00"],
    ]


def test_over_a_slowed_one_process_run_neither_ratio_nor_gain_is_shown_and_one_line_says_why() -> None:
    runs = [
        make_measurement(str(procs), procs=procs, times=10, makespan_s=s)
        for procs, s in ((1, 3.0), (2, 1.0), (4, 4.0))
    ]
    text = table_text(runs)
    (row,) = [line for line in text.splitlines() if line.startswith("│")]
    assert [cell.strip() for cell in row.split("│")[4:6]] == ["-", "-"]
    assert [cell.strip() for cell in row.split("│")[7:9]] == ["-", "-"]
    assert text.count("something slowed the one-process run (mps=off procs=1 times=10): 2 do 6.00 times") == 1
