"""What a sweep runs next, without running it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.agenda import Agenda, agenda_of
from mps_experiments.blocks import Turn
from mps_experiments.composition import Job, Request, parse
from mps_experiments.config import Order
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.plan import build_plan
from mps_experiments.precision import Comparison
from mps_experiments.record import Measurement
from tests.records import make_measurement
from tests.test_precision import Compared

Compare = Callable[[Sequence[Measurement]], Sequence[Comparison]]


def never(_: object) -> list[Comparison]:
    return []


def agenda(*arguments: str, compare: Compare = never) -> tuple[Agenda, list[Job]]:
    """The agenda of a command line on a machine without a GPU, and Hydra's jobs for it."""
    request = parse([*arguments, "device=cpu", "workload=ssdlite"])
    plans = [build_plan(cell, FixedProbe(), Path("/run")) for cell in request.cells]
    jobs = [
        Job(number=number, overrides=(f"procs={cell.procs}", f"repeat={cell.repeat}"))
        for number, cell in enumerate(request.cells)
    ]
    return agenda_of(request, plans, compare), jobs


def run(
    agenda: Agenda, jobs: Sequence[Job], wall_s: float = 1.0, budget: int = 100
) -> tuple[list[tuple[Job, Turn | None]], list[tuple[int, str]]]:
    """All jobs with their turns, each of which gives a record; and what was announced."""
    measurements: list[Measurement] = []
    found, announced = [], []
    for job in agenda.arrange(jobs, measurements, lambda count, why: announced.append((count, why))):
        found.append((job, agenda.turn))
        measurements.append(replace(make_measurement(), wall_s=wall_s))
        assert len(found) < budget, "it never stops"
    assert agenda.turn is None
    return found, announced


def test_jobs_keep_their_numbers_and_overrides_in_another_order() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2,4,8", "repeat=0,1")
    found, announced = run(plan, jobs)
    ordered = [job for job, turn in found if turn and not turn.is_twin]
    assert sorted(ordered, key=lambda job: job.number) == jobs
    assert ordered != jobs
    assert announced == [(1, "")]


def test_each_job_names_what_follows_until_blocks_may_be_added() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "precision=0.05", compare=narrow)
    found = [job for job, _ in run(plan, jobs)[0]]
    assert [job.following for job in found[:2]] == [job.overrides for job in found[1:3]]
    blocks = [found[:3], *(found[first : first + 2] for first in (3, 5, 7))]
    assert [block[-1].following for block in blocks] == [None] * 4
    assert [block[0].following for block in blocks[1:]] == [block[1].overrides for block in blocks[1:]]


def test_the_twin_is_the_job_of_its_cell_once_more() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "repeat=0,1")
    found, _ = run(plan, jobs)
    twins = [(job, turn.slot.number) for job, turn in found if turn and turn.is_twin]
    assert twins == [(jobs[0], 0)]


def test_a_cell_that_is_skipped_here_has_no_twin() -> None:
    plan, jobs = agenda("-m", "mps=off,on", "procs=1,2", "repeat=0,1")
    found, _ = run(plan, jobs)
    assert [turn.slot.mps for _, turn in found if turn and turn.is_twin] == [False]


def test_in_batches_each_batch_is_ordered_and_nothing_runs_twice_or_never() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "repeat=0,1", "precision=0.05", compare=narrow)
    found = [job.number for batch in (jobs[:3], jobs[3:]) for job, _ in run(plan, batch)[0]]
    assert sorted(found[:4]) == [0, 0, 1, 2]
    assert found[4] == 3
    assert found[5:] == [4, 5, 6, 7]


def narrow(_: object) -> list[Comparison]:
    return [Compared(0.01)]


def test_with_a_fault_the_order_is_as_given_and_nothing_runs_twice() -> None:
    plan, jobs = agenda("-m", "mps=off", "fault=none,kill", "procs=2,1", "repeat=0,1")
    found, announced = run(plan, jobs)
    assert [job for job, _ in found] == jobs
    assert (plan.order, announced) == (Order.as_given, [(0, "")])


def test_without_cells_jobs_run_as_a_sweeper_brings_them() -> None:
    jobs = [Job(number=number, overrides=()) for number in (5, 3)]
    found, announced = run(Agenda(), jobs)
    assert ([job for job, _ in found], announced) == (jobs, [])


def test_one_repeat_becomes_four_blocks_where_the_budget_allows() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "precision=0.05", compare=narrow)
    found, announced = run(plan, jobs)
    assert [turn.slot.block for _, turn in found if turn] == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert [job.number for job, _ in found[3:]] == [2, 3, 4, 5, 6, 7]
    assert sorted(found[-1][0].overrides)[1] == "repeat=3"
    assert announced == [
        (1, ""),
        *((2, f"precision: t intervals need 4 blocks: repeat={number} is added") for number in (1, 2, 3)),
    ]
    assert plan.stopped == "reached after 4 blocks; every comparison within ±5.0%"
    assert plan.summary() == {
        "order": "blocks",
        "order_seed": 0,
        "precision": 0.05,
        "budget_min": 30.0,
        "stopped": plan.stopped,
    }


def test_blocks_are_added_until_the_intervals_are_narrow() -> None:
    """Thirteen runs are narrow enough: three of the first block and two of each that is added."""

    def narrows(measurements: Sequence[Measurement]) -> list[Comparison]:
        return [Compared(0.5 / len(measurements))]

    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "precision=0.04", compare=narrows)
    assert len(run(plan, jobs)[0]) == 13
    assert plan.stopped == "reached after 6 blocks; every comparison within ±4.0%"


def test_a_block_that_would_end_after_the_budget_is_not_begun() -> None:
    """Two records of two minutes each make a block of four, however fast they come: they may be resumed."""
    arguments = ("-m", "mps=off", "procs=1,2", "precision=0.05", "budget_min=3.9")
    plan, jobs = agenda(*arguments, compare=lambda _: [Compared(0.2)])
    assert len(run(plan, jobs, wall_s=120.0)[0]) == 3
    assert plan.stopped.startswith(
        "budget_min=3.9 is used up: 0.0 min have passed, a block takes up to 4.0 min; 1 of"
    )
    plan, jobs = agenda(*arguments, compare=lambda _: [Compared(0.2)])
    plan.started = time.monotonic() - 3.5 * 60
    run(plan, jobs, wall_s=30.0)
    assert "3.5 min have passed, a block takes up to 1.0 min" in plan.stopped


def test_the_blocks_that_were_asked_for_run_whatever_the_budget() -> None:
    arguments = ("-m", "mps=off", "procs=1,2", "repeat=range(0,3)", "precision=0.05", "budget_min=0.001")
    plan, jobs = agenda(*arguments, compare=narrow)
    assert len(run(plan, jobs, wall_s=60.0)[0]) == 7


def test_a_block_that_is_added_has_the_number_after_the_last() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "repeat=4,2", "precision=0.05", compare=narrow)
    found, _ = run(plan, jobs)
    assert list(dict.fromkeys(turn.slot.block for _, turn in found if turn)) == [4, 2, 5, 6]


def test_the_block_of_a_job_is_in_its_overrides_where_blocks_are_added() -> None:
    plan, jobs = agenda("-m", "mps=off", "procs=1,2", "precision=0.05", compare=narrow)
    given = [Job(number=job.number, overrides=job.overrides[:1]) for job in jobs]
    overrides = {job.overrides for job, _ in run(plan, given)[0]}
    assert overrides == {(f"procs={procs}", f"repeat={block}") for procs in (1, 2) for block in range(4)}


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
            "leave precision or the fault away",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        agenda(*arguments.split())
    assert str(caught.value) == line


def test_one_run_alone_has_no_order() -> None:
    assert agenda("procs=1")[0].slots == ()
    assert agenda_of(Request(runs=True, multirun=True, cells=()), [], never).slots == ()
