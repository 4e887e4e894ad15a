"""What a sweep runs next, without running it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.analysis.gains import Gain
from mps_experiments.config.cells import Request, parse
from mps_experiments.config.schema import Order
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.plan import build_plan
from mps_experiments.sweep.agenda import Agenda, Job, agenda_of
from mps_experiments.sweep.blocks import Turn
from tests.analysis.test_precision import compared
from tests.records import make_measurement

Compare = Callable[[Sequence[Measurement]], Sequence[Gain]]


def never(_: object) -> list[Gain]:
    return []


def agenda(*arguments: str, compare: Compare = never) -> tuple[Agenda, list[Job]]:
    """Return the agenda of a command line on a machine without a GPU, and the jobs that it asks for."""
    request = parse([*arguments, "device=cpu", "workload=ssdlite"])
    plans = [build_plan(cell, FixedProbe(), Path("/run")) for cell in request.cells]
    jobs = [Job(number=number, cell=number, block=cell.repeat) for number, cell in enumerate(request.cells)]
    return agenda_of(request, plans, compare), jobs


def run(
    agenda: Agenda, wall_s: float = 1.0, budget: int = 100
) -> tuple[list[tuple[Job, Turn | None]], list[tuple[int, str]]]:
    """All jobs with their turns, each of which gives a record; and what was announced."""
    measurements: list[Measurement] = []
    found, announced = [], []
    for job in agenda.arrange(measurements, lambda count, why: announced.append((count, why))):
        found.append((job, agenda.turn))
        measurements.append(replace(make_measurement(), wall_s=wall_s))
        assert len(found) < budget, "it never stops"
    assert agenda.turn is None
    return found, announced


def test_jobs_keep_their_numbers_and_overrides_in_another_order() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2,4,8", "repeat=0,1")
    found, announced = run(plan)
    ordered = [job for job, turn in found if turn and not turn.is_twin]
    assert sorted(ordered, key=lambda job: job.number) == jobs
    assert ordered != jobs
    assert announced == [(1, "")]


def test_the_twin_is_the_job_of_its_cell_once_more() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "repeat=0,1")
    found, _ = run(plan)
    twins = [(job, turn.slot.number) for job, turn in found if turn and turn.is_twin]
    assert twins == [(jobs[0], 0)]


def test_a_cell_that_is_skipped_here_has_no_twin() -> None:
    plan, _ = agenda("-m", "mps=off,on", "procs=1,2", "repeat=0,1")
    found, _ = run(plan)
    assert [turn.slot.mps for _, turn in found if turn and turn.is_twin] == [False]


def narrow(_: object) -> list[Gain]:
    return [compared(0.01)]


def test_with_a_fault_the_order_is_as_given_and_nothing_runs_twice() -> None:
    plan, jobs = agenda("-m", "mps=off", "fault=none,kill", "procs=2,1", "repeat=0,1")
    found, announced = run(plan)
    assert [job for job, _ in found] == jobs
    assert (plan.order, announced) == (Order.as_given, [(0, "")])


def test_one_repeat_becomes_four_blocks_where_the_budget_allows() -> None:
    plan, _ = agenda("-m", "mps=off", "procs=1,2", "precision=0.05", compare=narrow)
    found, announced = run(plan)
    assert [turn.slot.block for _, turn in found if turn] == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert [job.number for job, _ in found[3:]] == [2, 3, 4, 5, 6, 7]
    assert [(job.cell, job.block) for job, _ in found[-2:]] in ([(0, 3), (1, 3)], [(1, 3), (0, 3)])
    assert announced == [
        (1, ""),
        *((2, f"precision: t intervals need 4 blocks: repeat={number} is added") for number in (1, 2, 3)),
    ]
    assert plan.stopped == "reached after 4 blocks; every comparison within ±5.0 %"
    assert plan.summary() == {
        "order": "blocks",
        "order_seed": 0,
        "precision": 0.05,
        "budget_min": 30.0,
        "stopped": plan.stopped,
    }


def test_blocks_are_added_until_the_intervals_are_narrow() -> None:
    """Thirteen runs are narrow enough: three of the first block and two of each that is added."""

    def narrows(measurements: Sequence[Measurement]) -> list[Gain]:
        return [compared(0.5 / len(measurements))]

    plan, _ = agenda("-m", "mps=off", "procs=1,2", "precision=0.04", compare=narrows)
    assert len(run(plan)[0]) == 13
    assert plan.stopped == "reached after 6 blocks; every comparison within ±4.0 %"


def test_a_block_that_would_end_after_the_budget_is_not_begun() -> None:
    """Two records of two minutes each make a block of four, however fast they come: they may be resumed."""
    arguments = ("-m", "mps=off", "procs=1,2", "precision=0.05", "budget_min=3.9")
    plan, _ = agenda(*arguments, compare=lambda _: [compared(0.2)])
    assert len(run(plan, wall_s=120.0)[0]) == 3
    assert plan.stopped.startswith(
        "budget_min=3.9 is used up: 0.0 min have passed, a block takes up to 4.0 min; 1 of"
    )
    plan, _ = agenda(*arguments, compare=lambda _: [compared(0.2)])
    plan.started = time.monotonic() - 3.5 * 60
    run(plan, wall_s=30.0)
    assert "3.5 min have passed, a block takes up to 1.0 min" in plan.stopped


def test_the_blocks_that_were_asked_for_run_whatever_the_budget() -> None:
    arguments = ("-m", "mps=off", "procs=1,2", "repeat=range(0,3)", "precision=0.05", "budget_min=0.001")
    plan, _ = agenda(*arguments, compare=narrow)
    assert len(run(plan, wall_s=60.0)[0]) == 7


def test_a_block_that_is_added_has_the_number_after_the_last() -> None:
    plan, _ = agenda("-m", "mps=off", "procs=1,2", "repeat=4,2", "precision=0.05", compare=narrow)
    found, _ = run(plan)
    assert list(dict.fromkeys(turn.slot.block for _, turn in found if turn)) == [4, 2, 5, 6]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("-m order=blocks,as_given", "order=blocks,as_given: is one for the whole sweep; give one value"),
        ("-m order_seed=1,2", "order_seed=1,2: is one for the whole sweep; give one value"),
        ("-m precision=0.1,0", "precision=0.1,0.0: is one for the whole sweep; give one value"),
        ("-m budget_min=1,2", "budget_min=1.0,2.0: is one for the whole sweep; give one value"),
        (
            "precision=0.1",
            "precision=0.1: adds blocks to a sweep; add -m and the cells to compare, such as procs=1,2",
        ),
        (
            "-m procs=4,2 precision=0.1",
            "precision=0.1: compares with one process, which is not among the cells; add it, as procs=1,4,2",
        ),
        (
            "-m procs=1,2 fault=none,kill precision=0.1",
            "precision=0.1: a fault is tried several times with fault.trials; "
            "leave out precision or the fault",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        agenda(*arguments.split())
    assert str(caught.value) == line


def test_one_run_alone_has_no_order() -> None:
    plan, jobs = agenda("procs=1")
    assert ([job for job, _ in run(plan)[0]], plan.order) == (jobs, Order.as_given)
    assert agenda_of(Request(multirun=True), [], never).slots == ()
