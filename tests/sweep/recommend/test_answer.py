"""The answer over cells whose truth is known: each cell is in one line, with its numbers."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.config.schema import Config
from mps_experiments.sweep.recommend.aim import LIMITS, Aim, Goal
from mps_experiments.sweep.recommend.answer import Answer
from tests.outputs import with_output
from tests.sweep.recommend.conftest import CUSTOM, ON_GPU, truth
from tests.sweep.recommend.stored_records import Cells, Truth


def lines_of(cells: Cells, aim: Aim, blocks: int = 4) -> list[str]:
    study = cells.study(aim, truth, blocks)
    assert study.search.is_over(lambda _: True) or blocks < 4
    return list(Answer(study).lines())


def one(lines: list[str], beginning: str) -> str:
    (found,) = [line for line in lines if line.startswith(beginning)]
    return found


def under(flag: str, most: float) -> Aim:
    (limit,) = [each for each in LIMITS if each.flag == flag]
    return Aim(limits=(replace(limit, most=most),))


def test_every_cell_is_in_one_line_and_the_cheapest_that_ties_is_used(cells: Cells) -> None:
    lines = lines_of(cells, Aim())
    used = one(lines, "USE procs=4 mps=on: 90")
    for figure in ("p50 4.4", "p99 4.", "12 GiB", "J per item", "(4 blocks)"):
        assert figure in used
    times = one(lines, "3.6")
    assert times.endswith("] times the throughput of procs=1 mps=off")
    assert "workload.batch=1,2,4,8" in one(lines, "larger batches")
    assert one(lines, "tied: procs=8 mps=on: 1.01 [1.0")
    worse = [line for line in lines if line.startswith("worse: ")]
    assert len(worse) == 4
    assert worse[0].startswith("worse: procs=1 mps=off: 0.28 [0.2")
    bounds = [re.findall(r"\[(\S+) to (\S+)\]", line)[0] for line in (times, worse[0])]
    (low, high), (low_of_other, high_of_other) = [tuple(map(float, pair)) for pair in bounds]
    assert (low * high_of_other, high * low_of_other) == pytest.approx((1, 1), abs=0.03)
    assert "procs=4 mps=on 909/s at 4.5" in one(lines, "throughput over p99")
    assert "equal runs differ by 0." in one(lines, "runs: 0 measured, 24 stored")


@pytest.mark.parametrize(
    ("aim", "expected"),
    [
        (under("--p99-ms", 4.3), ["USE procs=1 mps=o", "excluded: procs=4 mps=on: p99 4.5"]),
        (under("--p50-ms", 4.2), ["USE procs=1 mps=o", "excluded: procs=8 mps=off: p50 28."]),
        (under("--memory-gib", 13), ["USE procs=4 mps=on", "excluded: procs=8 mps=on: GPU memory 24 GiB"]),
        (under("--joules-per-item", 0.2), ["USE procs=4 mps=on", "excluded: procs=1 mps=off: energy per"]),
        (under("--p99-ms", 3), ["NO ANSWER: no cell keeps the limits", "nearest: procs=1 mps=o"]),
        (Aim(goal=Goal.latency), ["USE procs=1 mps=off", "worse: procs=8 mps=on: 2.1"]),
        (Aim(goal=Goal.energy), ["USE procs=4 mps=on", "worse: procs=1 mps=off: 3.6"]),
        (Aim(goal=Goal.cost, gpu_hour=2.5, kwh=0.3), ["USE procs=4 mps=on", "worse: procs=1 mps=off: 3.6"]),
    ],
)  # fmt: skip
def test_limits_and_goals_change_the_answer(cells: Cells, aim: Aim, expected: list[str]) -> None:
    lines = lines_of(cells, aim)
    for beginning in expected:
        assert one(lines, beginning)


def test_the_best_without_mps_is_that_within_the_limits(cells: Cells) -> None:
    def without(aim: Aim) -> str:
        (line,) = [line for line in lines_of(cells, aim) if ", the best without MPS" in line]
        return line

    assert without(Aim()).endswith(" of procs=8 mps=off, the best without MPS")
    less_memory = without(under("--memory-gib", 13))
    assert less_memory.endswith(" of procs=4 mps=off, the best without MPS seen within the limits")


def test_runs_of_the_cpu_are_called_so_first(cells: Cells) -> None:
    on_cpu = Cells.of([*CUSTOM, "procs=1,2", "mps=off", "device=cpu", "window_s=5"], ON_GPU)
    lines = lines_of(on_cpu, Aim())
    assert lines[0] == "these runs ran on the CPU: the numbers say nothing about MPS or a GPU"
    assert lines[1].startswith("USE procs=2 mps=off: ")
    assert not [line for line in lines_of(cells, Aim()) if "CPU" in line]


def test_a_value_that_the_runs_do_not_tell_is_named(cells: Cells) -> None:
    few = cells.study(under("--p99-ms", 50), lambda config: Truth(4.0 * config.procs, iterations=100))
    assert few.search.is_over(lambda _: True)
    lines = list(Answer(few).lines())
    assert one(lines, "USE procs=8 mps=off")  # 8 x 100 iterations are enough for a bound of p99
    assert lines[-1].endswith(
        "; p99 of 4 cells cannot be known with window_s=5: give a longer window_s; "
        "every other cell is known to be tied, worse or outside a limit"
    )
    line = one(lines, "not known: procs=1 mps=off: ")
    assert line.endswith(": p99 not known (100 of 1,000 iterations in a run)")


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        (4, "excluded: procs=1 mps=off: p50 4 ms is above the limit of p99, 3 ms"),
        (1, "not known: procs=1 mps=off: p50 4 ms in 1 block is above the limit of p99, 3 ms"),
    ],
)
def test_a_median_is_not_called_p99(cells: Cells, blocks: int, expected: str) -> None:
    few = cells.study(
        under("--p99-ms", 3), lambda config: Truth(4.0 * config.procs, iterations=200), blocks=blocks
    )
    assert one(list(Answer(few).lines()), expected.rpartition(": ")[0]) == expected


def test_what_is_too_near_to_a_limit_is_not_known(cells: Cells) -> None:
    lines = list(Answer(cells.study(under("--p50-ms", 4.4), truth)).lines())
    assert one(lines, "not known: procs=4 mps=on: p50 4.").endswith("(limit 4.4)")
    assert one(lines, "not settled: procs=4 mps=on")


def test_outputs_that_differ_from_those_of_one_process_are_told(cells: Cells) -> None:
    study = cells.study(Aim(), truth)
    study.runs[:] = [
        [with_output(run, 1.0 if run.cell.procs == 1 else 9.0) for run in own] for own in study.runs
    ]
    lines = list(Answer(study).lines())
    told = [line for line in lines if line.startswith("not comparable with procs=1 mps=o")]
    assert len(told) == 2
    assert told[0].startswith("not comparable with procs=1 mps=off: output (")


def test_what_was_not_measured_is_not_settled(cells: Cells) -> None:
    study = cells.study(Aim())
    for block in range(3):
        study.add_stored(0, cells.run(0, truth, block), Path())
    line = one(list(Answer(study).lines()), "not settled: ")
    names = ", ".join(study.names[1:])
    assert line == f"not settled: {names} were not measured; a larger --budget-min may tell"


def test_a_choice_beside_which_no_cell_is_ruled_out_is_called_a_guess(cells: Cells) -> None:
    (used, *_) = Answer(cells.study(Aim(), truth, blocks=1)).lines()
    assert used.startswith("USE procs=8 mps=on (a guess: none of the 5 other cells is ruled out): 9")
    study = cells.study(Aim())
    study.add_stored(0, cells.run(0, truth), Path())
    for arm in range(2, 6):
        study.exclude(arm, "too large")
    (used, *_) = Answer(study).lines()
    assert used.startswith("USE procs=1 mps=off (a guess: the other cell is not ruled out): 2")
    (used, *_) = lines_of(cells, Aim())
    assert "guess" not in used


def test_where_no_cell_is_known_to_keep_the_limits_the_best_that_may_is_named(cells: Cells) -> None:
    lines = list(Answer(cells.study(under("--p50-ms", 4.5), truth, blocks=1)).lines())
    assert one(lines, "NO ANSWER: no cell is known to keep the limits; ")
    assert one(lines, "likely: procs=4 mps=on: 9")  # not procs=1, whose latency is the lowest


def test_a_limit_that_is_kept_is_no_reason_for_another_that_is_broken(cells: Cells) -> None:
    aim = Aim(limits=(*under("--p50-ms", 9).limits, *under("--memory-gib", 20).limits))
    lines = list(Answer(cells.study(aim, truth)).lines())
    assert (
        one(lines, "excluded: procs=8 mps=on: ") == "excluded: procs=8 mps=on: GPU memory 24 GiB (limit 20)"
    )


def test_no_gain_is_told_over_a_one_process_run_that_something_slowed(cells: Cells) -> None:
    def slow_alone(config: Config) -> Truth:
        return Truth(30.0 if config.procs == 1 and not config.mps.enabled else truth(config).latency_ms)

    lines = list(Answer(cells.study(Aim(), slow_alone)).lines())
    shown = one(lines, "no gain over procs=1 mps=off is told: ")
    assert ": procs=4 mps=on does 27." in shown
    assert not [line for line in lines if line.endswith(" times the throughput of procs=1 mps=off")]
    assert one(lines, "not known: procs=1 mps=off: ") == "not known: procs=1 mps=off: something slowed it"
    assert "throughput of procs=4 mps=on" in one(lines, "worse: procs=1 mps=on: ")
    assert one(lines, "USE procs=4 mps=on")


@pytest.mark.parametrize(
    ("slowdown", "blocks", "expected"),
    [
        (1.2, 4, "one process beats packing: "),
        (1.0, 4, "one process does as much as packing"),
        (
            1.1,
            1,
            "it is not known whether packing gains: procs=2 workload.batch=8 mps=off, the best of several",
        ),
        (0.6, 4, "USE procs=2 "),
    ],
)
def test_one_batched_process_that_beats_packing_is_named(slowdown: float, blocks: int, expected: str) -> None:
    batched = Cells.of([*CUSTOM, "procs=1,2", "mps=off", "workload.batch=1,8", "times=auto"], ON_GPU)

    def takes_turns(config: Config) -> Truth:
        return Truth(
            (4.0 if config.workload.batch == 1 else 6.0) * (1 if config.procs == 1 else 2 * slowdown)
        )

    lines = list(Answer(batched.study(Aim(), takes_turns, blocks)).lines())
    assert one(lines, expected)
    assert not [line for line in lines if "were not tried" in line]


def test_packing_that_breaks_a_limit_is_not_compared_with_one_batched_process() -> None:
    batched = Cells.of([*CUSTOM, "procs=1,4", "mps=on", "workload.batch=1,8", "times=auto"], ON_GPU)
    lines = list(Answer(batched.study(under("--p50-ms", 4.2), truth)).lines())
    assert one(lines, "USE procs=1 workload.batch=8 mps=on: ")
    assert not [line for line in lines if "packing" in line]
