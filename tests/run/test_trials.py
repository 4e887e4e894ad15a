"""The runs that a cell consists of."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config.schema import CpuAffinity
from mps_experiments.record.run_paths import RunPaths
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.trials import CellRun, count_runs, runs_of
from tests.fakes.plans import attaching, fault_plan, run_plan, use_fakes

CONFIG: dict[str, Any] = {
    "procs": 3,
    "times": 5,
    "window": "kept",
    "workers": {"cpu_affinity": "rotate", "stall_timeout_s": 9.0},
    "fault": {"kind": "kill", "worker": 2, "at": 0.25, "trials": 2},
    "workload": {"options": {"procs": 3, "fault": "kill"}},
}
OVERRIDES = ("procs=3", "times=5", "fault=kill", "+fault.at=0.25", "++fault.trials=2", "workload=custom")
NAME = "mps=off procs=3 times=5 fault=kill"


@pytest.fixture(autouse=True)
def fake_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fakes(monkeypatch)


def cell(tmp_path: Path, kind: str = "kill", *, varied: tuple[str, ...] = (), mps: bool = False) -> RunPlan:
    fault = fault_plan(kind, worker=2, at=0.25, trials=2)
    plan = run_plan(tmp_path, *[attaching(add=rank) for rank in range(3)], fault=fault, mps={"enabled": mps})
    return replace(plan, varied=varied)


def expanded(plan: RunPlan) -> list[CellRun]:
    return list(runs_of(plan, CONFIG, OVERRIDES))


def test_a_cell_without_a_fault_is_itself(tmp_path: Path) -> None:
    plan = replace(cell(tmp_path), fault=None)
    assert expanded(plan) == [CellRun(plan=plan, config=CONFIG, overrides=OVERRIDES)]


def test_a_cell_with_a_fault_is_a_run_of_one_process_and_then_its_trials(tmp_path: Path) -> None:
    plan = cell(tmp_path)
    assert plan.fault is not None
    reference, *trials = expanded(plan)
    assert [run.plan.name for run in (reference, *trials)] == [
        "mps=off procs=1 times=5",
        f"{NAME} trial=0",
        f"{NAME} trial=1",
    ]
    assert reference.plan == replace(
        plan,
        worker_count=1,
        workloads=plan.workloads[:1],
        fault=None,
        paths=RunPaths(folder=tmp_path / "reference"),
    )
    for number, run in enumerate(trials):
        paths = RunPaths(folder=tmp_path / f"trial-{number}")
        assert run.plan == replace(plan, fault=replace(plan.fault, trial=number), paths=paths)
        assert (run.config, run.overrides) == (CONFIG, OVERRIDES)


def test_the_run_to_compare_with_is_asked_for_by_its_configuration_and_overrides(tmp_path: Path) -> None:
    before = copy.deepcopy(CONFIG)
    plan = cell(tmp_path)
    plan = replace(plan, workers=replace(plan.workers, cpu_affinity=CpuAffinity.auto))
    reference = expanded(plan)[0]
    config = reference.config
    assert config == before | {
        "procs": 1,
        "window": "fixed",
        "fault": {"kind": "none", "worker": 0, "at": 0.25, "trials": 2},
        "workers": {"cpu_affinity": "auto", "stall_timeout_s": 9.0},
    }
    assert reference.overrides == ("times=5", "workload=custom", "procs=1")
    config["workload"]["options"].clear()
    assert before == CONFIG, "the trials' configuration was changed with it"


def test_overrides_whose_names_only_begin_alike_are_kept(tmp_path: Path) -> None:
    (run, *_) = runs_of(cell(tmp_path), CONFIG, ["faulty=1", "workload.options.procs=3"])
    assert run.overrides == ("faulty=1", "workload.options.procs=3", "procs=1")


@pytest.mark.parametrize(
    ("varied", "expected"),
    [
        (("fault.at=0.2",), "mps=off procs=1 times=5"),
        (("++fault.worker=1", "seed=1"), "mps=off procs=1 times=5 seed=1"),
        (("workload.options.procs=3",), "mps=off procs=1 times=5 workload.options.procs=3"),
    ],
)
def test_what_else_the_name_of_a_cell_says_stays(
    tmp_path: Path, varied: tuple[str, ...], expected: str
) -> None:
    assert expanded(cell(tmp_path, varied=varied))[0].plan.name == expected


@pytest.mark.parametrize("kind", ["server_kill", "daemon_kill", "terminate"])
def test_a_cell_that_has_no_meaning_here_is_one_run_which_will_be_skipped(tmp_path: Path, kind: str) -> None:
    plan = cell(tmp_path, kind)
    assert [run.plan for run in expanded(plan)] == [plan]
    assert len(expanded(cell(tmp_path, kind, mps=True))) == 3


def test_the_runs_of_all_cells_are_counted(tmp_path: Path) -> None:
    faulty, skipped = cell(tmp_path), cell(tmp_path, "server_kill")
    assert count_runs([]) == 0
    assert count_runs([replace(faulty, fault=None)]) == 1
    assert count_runs([replace(faulty, fault=None), faulty, skipped]) == 1 + 3 + 1
