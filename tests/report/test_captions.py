"""What stands below a table."""

from collections.abc import Sequence
from dataclasses import replace

from mps_experiments.analysis.comparison import ratios
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.report.captions import caption_lines, warnings_of
from tests.outputs import with_output
from tests.records import INVALID, SKIPPED, make_measurement

ONE_BLOCK = "one block: an interval covers what happened within a run, not between runs"
TWO_BLOCKS = "median (lowest to highest) of 2 blocks"
ROUGH = (
    "ratio, gain [rough interval]: 2 blocks: as wide as they differ, which holds the truth in about 70 % of "
    "all cases"
)


def lines(cells: Sequence[Measurement]) -> list[str]:
    return caption_lines(cells, ratios(cells))


def repeats(count: int, procs: int = 2) -> list[Measurement]:
    made = [make_measurement(f"{procs}-{n}", procs=procs, repeat=n) for n in range(count)]
    return [replace(m, name=f"{m.name} repeat={m.cell.repeat}") for m in made]


def warned(measurement: Measurement, *checks: str) -> Measurement:
    findings = [Finding(check=c, severity=Severity.WARNING, text=f"too much {c}") for c in checks]
    grave = Finding(check="grave", severity=Severity.INVALID, text="grave")
    return replace(measurement, findings=(grave, *findings))


def test_one_repeat_each_says_that_the_spread_is_unknown_and_what_to_do() -> None:
    assert lines([make_measurement("1"), make_measurement("2", procs=2)]) == [ONE_BLOCK]


def test_nothing_is_said_of_the_spread_where_there_are_no_numbers() -> None:
    assert lines([make_measurement("1", verdict=SKIPPED)]) == ["SKIPPED: MPS needs an NVIDIA GPU"]


def test_with_repeats_the_figures_are_explained() -> None:
    assert lines([*repeats(2), *repeats(2, procs=1)]) == [TWO_BLOCKS, ROUGH]
    unequal = lines([*repeats(6), *repeats(5, procs=1)])
    assert unequal == [
        "median (lowest to highest) of 5 or 6 blocks",
        "ratio, gain [95 % interval]: 5 blocks: Student's t of the ratios within each",
    ]


def test_a_cell_whose_interval_came_about_in_another_way_is_named() -> None:
    cells = [*repeats(2), *repeats(2, procs=4), *repeats(1, procs=8), *repeats(2, procs=1)]
    assert lines(cells) == [
        TWO_BLOCKS,
        ROUGH,
        "mps=off procs=8 times=2: no interval: it needs 8 iterations of each process in the common "
        "window or 4 blocks",
    ]


def test_what_repeats_have_in_common_is_said_once_and_an_invalid_one_is_named() -> None:
    skipped = [replace(m, verdict=SKIPPED) for m in repeats(3)]
    assert lines(skipped) == ["SKIPPED: MPS needs an NVIDIA GPU"]
    invalid = [replace(m, verdict=INVALID) for m in repeats(2)]
    assert lines(invalid) == [
        f"mps=off procs=2 times=2 repeat={n}: INVALID: worker 1 was killed by SIGKILL" for n in (0, 1)
    ]
    assert lines(repeats(2)) == [
        "mps=off procs=2 times=2: no ratio: no VALID one-process run with mps=off times=2",
        TWO_BLOCKS,
    ]


def test_one_process_whose_repeats_compute_different_things_is_named() -> None:
    cells = [with_output(m, float(m.cell.repeat)) for m in repeats(2, procs=1)]
    assert "mps=off procs=1 times=2: no ratio: not comparable" in lines(cells)[0]


def test_warnings_of_valid_runs_are_listed() -> None:
    cells = [
        warned(make_measurement("1"), "power_cap", "common_window"),
        warned(make_measurement("2", verdict=INVALID), "power_cap"),
    ]
    assert lines(cells)[:-1] == [
        "mps=off procs=1 times=2: INVALID: worker 1 was killed by SIGKILL",
        "warning: power_cap in mps=off procs=1 times=2: too much power_cap",
        "warning: common_window in mps=off procs=1 times=2: too much common_window",
    ]
    assert [finding.check for finding in warnings_of(cells[0])] == ["power_cap", "common_window"]
    assert warnings_of(cells[1]) == []


def test_a_warning_of_many_runs_is_told_once() -> None:
    eight = [warned(m, "power_cap") for m in repeats(8, procs=1)]
    nine = [*eight, warned(make_measurement("x", procs=2), "power_cap", "common_window")]
    assert lines(nine)[:2] == [
        "warning: power_cap in 9 of 9 runs, for example in "
        "mps=off procs=1 times=2 repeat=0: too much power_cap",
        "warning: common_window in mps=off procs=2 times=2: too much common_window",
    ]


def test_contention_is_told_of_old_records_only_since_new_ones_have_findings() -> None:
    old = make_measurement("1", contended=("process 9 was on the GPU", "a daemon"))
    told = "mps=off procs=1 times=2: contended: process 9 was on the GPU; a daemon"
    assert lines([old]) == [told, ONE_BLOCK]
    assert lines([warned(old, "foreign_gpu")]) == [
        "warning: foreign_gpu in mps=off procs=1 times=2: too much foreign_gpu",
        ONE_BLOCK,
    ]
