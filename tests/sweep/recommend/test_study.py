"""What rules cells out, and how long a window p99 takes."""

from dataclasses import replace

import pytest

from mps_experiments.config.schema import Config
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.sweep.recommend.aim import LIMITS, Aim
from mps_experiments.sweep.recommend.study import Study
from tests.records import MACHINE
from tests.sweep.recommend.conftest import CUSTOM, ON_GPU, truth
from tests.sweep.recommend.stored_records import Cells, Truth

INVALID = Verdict(status=Status.INVALID, reason="CUDA out of memory")
MEMORY = replace(next(each for each in LIMITS if each.flag == "--memory-gib"), most=20.0)


def machine(cores: int, quota: float | None = None) -> MachineFacts:
    return replace(MACHINE, usable_cores=tuple(range(cores)), cpu_quota_cores=quota)


def ruled_out(study: Study) -> dict[str, str]:
    return {study.names[arm]: reason for arm, reason in study.reasons.items()}


def test_the_smallest_cell_is_the_reference_and_costs_least(cells: Cells) -> None:
    study = cells.study(Aim())
    assert study.names[study.search.reference] == "procs=1 mps=off"
    by_cost = sorted(range(len(study.names)), key=lambda arm: study.search.arms[arm].cost)
    assert [study.names[arm] for arm in by_cost[:3]] == [
        "procs=1 mps=off",
        "procs=1 mps=on",
        "procs=4 mps=off",
    ]
    depths = {study.names[arm]: study.search.arms[arm].depth for arm in by_cost}
    assert (depths["procs=1 mps=on"], depths["procs=8 mps=on"], depths["procs=4 mps=off"]) == (-1, 0, 1)


def test_the_name_of_a_cell_has_what_all_cells_share_as_well(gpu_machine: None) -> None:
    alike = Cells.of([*CUSTOM, "procs=1,4", "mps=off", "workload.batch=8", "window_s=5"], ON_GPU)
    assert alike.study(Aim()).names == [f"procs={n} mps=off workload.batch=8" for n in (1, 4)]


@pytest.mark.parametrize(("quota", "left"), [(None, {1, 4}), (3.5, {1})])
def test_more_processes_than_cores_are_ruled_out(cells: Cells, quota: float | None, left: set[int]) -> None:
    study = cells.study(Aim())
    study.exclude_on_paper(machine(6, quota))
    kept = [plan.worker_count for arm, plan in enumerate(cells.plans) if arm not in study.search.excluded]
    assert set(kept) == left


def test_more_replicas_than_the_memory_holds_are_ruled_out_once_one_was_measured(cells: Cells) -> None:
    study = cells.study(Aim(limits=(MEMORY,)))
    study.exclude_on_paper(machine(16))
    assert not study.reasons
    for arm in (0, 1):
        study.add(arm, 0, cells.run(arm, truth))
    study.exclude_on_paper(machine(16))
    assert set(ruled_out(study)) == {"procs=8 mps=off", "procs=8 mps=on"}
    assert "8 replicas of 3 GiB need 24 GiB: the limit is 20 GiB" in ruled_out(study).values()


def test_a_cell_goes_once_more_of_its_runs_fail_than_are_valid(cells: Cells) -> None:
    study = cells.study(Aim())
    failed = replace(cells.run(0, truth), verdict=INVALID)
    study.add(0, 0, cells.run(0, truth))
    study.add(0, 1, failed)
    assert not study.reasons
    study.add(0, 2, failed)
    study.add(1, 0, failed)
    study.add(2, 0, None)
    assert ruled_out(study) == {
        "procs=1 mps=off": "INVALID: CUDA out of memory",
        "procs=1 mps=on": "INVALID: CUDA out of memory",
        "procs=4 mps=off": "its run could not be begun",
    }
    assert (study.measured, study.search.blocks(0)) == (4, 1)


def test_cells_that_cannot_run_here_are_ruled_out_at_once() -> None:
    study = Cells.of([*CUSTOM, "procs=1", "mps=on"], FixedProbe()).study(Aim())
    assert study.lacks_hardware
    assert ruled_out(study)[study.names[0]].startswith("SKIPPED: mps=on needs an NVIDIA GPU")


@pytest.mark.parametrize(
    ("latency_ms", "budget_s", "expected"),
    [
        (4.0, 1200, None),  # 1,100 iterations take 4.4 s
        (8.0, 1200, 10.0),
        (50.0, 1200, 60.0),
        (50.0, 600, 30.0),  # 50 s for each of six cells in half of the budget, with 8 s beside the window
        (50.0, 120, None),  # no longer window fits
    ],
)
def test_the_window_holds_the_iterations_that_p99_takes(
    cells: Cells, latency_ms: float, budget_s: float, expected: float | None
) -> None:
    def slow(config: Config) -> Truth:
        return Truth(latency_ms, iterations=int(5000 / latency_ms))

    study = cells.study(Aim())
    assert study.window_s(cells.run(0, slow), budget_s) == expected
