"""A against B: which cells are compared, how sure that is, and what differs around them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mps_experiments.record.findings import too_much
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.workload import ImageInput
from mps_experiments.sweep.comparison import (
    CORES_TAKEN,
    Compared,
    circumstances,
    compared,
    of_one_window,
    verdict_line,
)
from mps_experiments.sweep.export.values import StoredRun, stored_run
from tests.fault_records import FAILED, KILLED, faulty_run, make_trial
from tests.records import GPU, INVALID, MACHINE, make_measurement


def runs(
    *makespans_s: float, procs: int = 2, config: dict[str, Any] | None = None, **more: Any
) -> list[StoredRun]:
    """Repeats of one cell: four iterations in all take this long."""
    found = []
    for number, seconds in enumerate(makespans_s):
        name = f"{procs}-{number}-{seconds}"
        made = make_measurement(name, procs=procs, makespan_s=seconds, repeat=number, **more)
        found.append(stored_run(replace(made, config={"procs": procs, "repeat": number, **(config or {})})))
    return found


def changed(run: StoredRun, **fields: Any) -> StoredRun:
    return replace(run, measurement=replace(run.measurement, **fields))


def one(stored: Sequence[StoredRun], now: Sequence[StoredRun]) -> Compared:
    (cell,) = compared(stored, now)
    return cell


def ids(measurements: Sequence[Measurement]) -> list[str]:
    return [m.record_id for m in measurements]


def test_repeats_meet_their_own_cell_whatever_their_order() -> None:
    stored = [*runs(1.0, procs=1), *runs(1.0, 1.1)]
    now = [*runs(2.0), *runs(2.0, procs=1), *runs(2.0, procs=4)]
    cells = compared(stored, now)
    assert {cell.label: (ids(cell.a), ids(cell.b)) for cell in cells} == {
        "mps=off procs=1 times=2": (["1-0-1.0"], ["1-0-2.0"]),
        "mps=off procs=2 times=2": (["2-0-1.0", "2-1-1.1"], ["2-0-2.0"]),
        "mps=off procs=4 times=2": ([], ["4-0-2.0"]),
    }
    assert cells[-1].why_not == "only in B"


def test_cells_of_other_factors_never_meet() -> None:
    """Neither side varies anything."""
    four, batch = runs(2.0, procs=4), runs(2.0, config={"workload": {"batch": 8}})
    for other in (four, batch):
        assert [cell.why_not for cell in compared(runs(1.0), other)] == ["only in A", "only in B"]


def watched(window_s: float, *makespans_s: float, procs: int = 2) -> list[StoredRun]:
    """Repeats that measured for so long."""
    found = runs(*makespans_s, procs=procs, config={"times": "auto", "window_s": window_s})
    axes = found[0].measurement.cell.axes | {"times": "auto", "window_s": window_s}
    return [
        changed(
            run,
            cell=replace(run.measurement.cell, axes=axes | {"repeat": run.measurement.cell.repeat}),
            record_id=f"{run.measurement.record_id}-{window_s}",
        )
        for run in found
    ]


def test_windows_of_other_lengths_meet_where_the_window_decides_the_iterations() -> None:
    cell = one(watched(5.0, 1.0), watched(10.0, 1.0))
    assert cell.change is not None
    assert cell.change.value == pytest.approx(1.0)
    assert ("window_s", "5.0", "10.0") in circumstances([cell])


def test_a_few_runs_with_another_window_are_left_out_of_a_side_and_told() -> None:
    """The pilot run of a search for p99 is of the same cell."""
    pilot, search = watched(5.0, 4.0), watched(10.0, 1.0, 1.0)
    kept, lines = of_one_window([*pilot, *search, *watched(10.0, 1.0, procs=4)])
    assert [run.measurement.cell.window_s for run in kept] == [10.0, 10.0, 10.0]
    assert lines == ["1 stored run is not used: it differs in window_s (5.0 against 10.0)"]
    assert of_one_window(search) == (search, [])
    change = one(kept[:2], watched(5.0, 2.0, 2.0)).change
    assert change is not None
    assert change.value == pytest.approx(0.5)  # with the pilot 0.79


def test_where_no_window_has_the_most_runs_each_is_a_cell_of_its_own() -> None:
    side = [*watched(5.0, 4.0, 4.0), *watched(10.0, 1.0, 1.0)]
    assert of_one_window(side) == (side, [])
    cells = compared(side, watched(10.0, 2.0, 2.0))
    assert [(cell.label, cell.why_not) for cell in cells] == [
        ("mps=off procs=2 times=auto window_s=5.0", "only in A"),
        ("mps=off procs=2 times=auto window_s=10.0", ""),
    ]
    assert cells[1].change is not None
    assert cells[1].change.value == pytest.approx(0.5)


def test_a_window_with_a_good_part_of_the_runs_is_no_pilot() -> None:
    side = [*watched(5.0, 4.0, 4.0), *watched(10.0, 1.0, 1.0, 1.0)]
    assert of_one_window(side) == (side, [])


def test_a_fixed_count_is_not_left_out_beside_windows() -> None:
    side = [*watched(5.0, 4.0, 4.0), *runs(1.0)]
    assert of_one_window(side) == (side, [])


def test_a_cell_is_named_by_the_options_in_which_the_stored_ones_differ() -> None:
    stored = [run for n in (0, 9) for run in runs(1.0, config={"workers": {"warmup": n}})]
    assert [cell.label.partition("times=2 ")[2] for cell in compared(stored, [])] == [
        "workers.warmup=0",
        "workers.warmup=9",
    ]


@pytest.mark.parametrize(
    ("stored", "now", "value", "interval", "rough"),
    [
        # Welch: t with 2 degrees of freedom, of two and two
        ([1.0, 1.02], [2.0, 2.04], 0.5, (0.4708, 0.5310), False),
        # a lone run: t with 3 degrees of freedom, as spread as the four
        ([1.0, 1.0, 1.1, 1.1], [1.1], 0.9535, (0.7840, 1.1597), True),
        ([1.0], [1.0, 1.1], 0.9535, (0.3341, 2.721), True),
    ],
)
def test_two_days_are_compared_by_all_their_runs(
    stored: list[float], now: list[float], value: float, interval: tuple[float, float], rough: bool
) -> None:
    change = one(runs(*stored), runs(*now)).change
    assert change is not None
    assert change.value == pytest.approx(value, rel=1e-3)
    assert change.interval == pytest.approx(interval, rel=1e-3)
    assert change.rough is rough


def test_two_lone_runs_have_what_happened_within_them() -> None:
    stored, now = (runs(seconds, times=600) for seconds in (6.0, 3.0))
    change = one(stored, now).change
    assert change is not None
    assert change.value == pytest.approx(2.0)
    assert change.rough
    assert one(runs(1.0), runs(1.0)).why_not.startswith("no interval: it needs ")


BASE, TWICE, SLOWER = [1.0, 1.01, 1.0, 1.01], [2.0, 2.02, 2.0, 2.02], [1.2, 1.21, 1.2, 1.21]
VERDICTS = {
    "the same": (runs(*BASE), runs(*BASE), "B and A: 1 cell does not differ within ±1.0 %"),
    "slower": (runs(*BASE), runs(*SLOWER), "B is 17 % slower than A in 1 of 1 cell"),
    "faster": (runs(*SLOWER), runs(*BASE), "B is 20 % faster than A in 1 of 1 cell"),
    "two ways": (
        [*runs(*BASE), *runs(*BASE, procs=1), *runs(*BASE, procs=4)],
        [*runs(*SLOWER), *runs(*BASE, procs=1), *runs(*(0.8 * s for s in BASE), procs=4)],
        "B is 17 % slower than A in 1 of 3 cells and 25 % faster in 1; 1 does not differ within ±1.0 %",
    ),
    "a range": (
        [*runs(*BASE), *runs(*BASE, procs=1)],
        [*runs(*SLOWER), *runs(*TWICE, procs=1)],
        "B is 17 to 50 % slower than A in 2 of 2 cells",
    ),
    "wide": (
        runs(1.0, 3.0),
        runs(1.0, 2.0),
        "cannot tell in 1: a change of up to a factor of {} would not show; repeat more",
    ),
    "a lone run": (runs(*BASE), runs(1.005), "B and A: 1 cell does not differ within ±2.1 % (rough)"),
    "a lone run that differs": (runs(*BASE), runs(2.0), "B seems 50 % slower than A in 1 of 1 cell"),
    "nothing": (runs(1.0), runs(1.0, procs=4), "cannot tell: no cell can be compared"),
    "a part": (
        [*runs(*BASE), *runs(1.0, procs=1)],
        runs(*BASE),
        "B and A: 1 cell does not differ within ±1.0 %; 1 cell cannot be compared",
    ),
    "foreign load": (
        runs(*BASE),
        runs(*BASE, contended=("pid 7",)),
        "B and A: 1 cell does not differ within ±1.0 %; foreign load during B",
    ),
}


@pytest.mark.parametrize(("stored", "now", "line"), VERDICTS.values(), ids=VERDICTS.keys())
def test_one_line_says_whether_b_is_as_a(stored: list[StoredRun], now: list[StoredRun], line: str) -> None:
    start, _, end = line.partition("{}")
    said = verdict_line(compared(stored, now))
    assert said.startswith(start)
    assert said.endswith(end)


def test_what_is_not_valid_or_computed_something_else_is_not_compared() -> None:
    stored, now = runs(2.0), runs(1.0)
    kept = [changed(run, cell=run.measurement.cell.moved(window="kept")) for run in now]
    other = [changed(run, cell=run.measurement.cell.moved(model="resnet50")) for run in now]
    found = [
        one(stored, runs(1.0, verdict=INVALID)).why_not,
        one(runs(1.0, verdict=INVALID), now).why_not,
        one(stored, kept).why_not,
        one(stored, other).why_not,
        one(stored, []).why_not,
    ]
    assert found == [
        "B is INVALID: worker 1 was killed by SIGKILL",
        "A is INVALID: worker 1 was killed by SIGKILL",
        "other work: window (fixed against kept)",
        "other work: model (maskrcnn_resnet50_fpn against resnet50)",
        "only in A",
    ]


def placed(run: StoredRun, folder: str, digest: str) -> StoredRun:
    """The run with weights and image below a folder."""
    image = ImageInput(name=f"{folder}/a.jpg", sha256=digest * 32)
    cell = replace(run.measurement.cell.moved(weights=f"{folder}/w.pth"), inputs=(image,))
    return changed(run, cell=cell, weights_file_sha256=digest * 32)


def test_an_equal_file_at_another_place_is_no_difference() -> None:
    (stored,), (now,) = runs(2.0, times=600), runs(1.0, times=600)
    same = compared([placed(stored, "/there", "ab")], [placed(now, "here", "ab")])
    assert (same[0].why_not, circumstances(same)) == ("", [])
    other = compared([placed(stored, "/there", "ab")], [placed(now, "/there", "cd")])
    assert other[0].why_not.startswith("other work: weights (abab")
    assert circumstances(other) == [
        ("content of the input", "ab" * 8, "cd" * 8),
        ("content of the weights", "ab" * 8, "cd" * 8),
    ]


def test_each_circumstance_that_differs_is_a_row_once() -> None:
    stored = runs(1.0, 1.0, contended=("pid 7",))
    machine = replace(
        MACHINE,
        hostname="elsewhere",
        driver_version="590.1",
        packages=MACHINE.packages | {"torch": "2.12"},
        gpu=replace(GPU, uuid="GPU-other"),
    )
    now = runs(1.0, 1.0, machine=machine, warmup=9)
    assert circumstances(compared(stored, now), ["trace.iterations=3"]) == [
        ("host", "host", "elsewhere"),
        ("gpu", "NVIDIA H100 GPU-1", "NVIDIA H100 GPU-other"),
        ("driver", "580.1", "590.1"),
        ("packages", '{"torch": "2.11"}', '{"torch": "2.12"}'),
        ("warmup", "2", "9"),
        ("foreign load", "pid 7", ""),
        ("options that the record lacks", "", "trace.iterations=3"),
    ]


def test_what_others_took_of_the_workers_cores_is_a_circumstance() -> None:
    def loaded(*shares: float) -> list[StoredRun]:
        found = runs(*(1.0 for _ in shares))
        findings = [too_much("foreign_cpu", share, "others", warn=0.05) for share in shares]
        return [
            changed(run, findings=(each,) if each else ()) for run, each in zip(found, findings, strict=True)
        ]

    quiet, busy, all_busy = loaded(0.01, 0.02), loaded(0.44, 0.02, 0.67), loaded(0.5, 0.67)
    assert circumstances(compared(quiet, quiet)) == []
    assert circumstances(compared(busy, quiet)) == [
        (CORES_TAKEN, "44 % to 67 % in 2 of 3 runs", "no warning")
    ]
    assert circumstances(compared(all_busy, busy)) == [
        (CORES_TAKEN, "50 % to 67 %", "44 % to 67 % in 2 of 3 runs")
    ]


def faults(*trials: bool) -> list[StoredRun]:
    """Trials of one fault; whether the other worker finished."""
    made = [make_trial() if finished else make_trial("kill", KILLED, FAILED) for finished in trials]
    return [stored_run(replace(faulty_run(f"{n}", trial=each), config={})) for n, each in enumerate(made)]


def test_of_faults_the_share_of_trials_counts_in_which_all_others_finish() -> None:
    same, other = (compared(faults(True, True), now) for now in (faults(True), faults(True, False)))
    assert verdict_line(same) == "with a fault the others finish as often in 1 of 1 cell"
    assert verdict_line(other) == "with a fault the others finish as often in 0 of 1 cell"
