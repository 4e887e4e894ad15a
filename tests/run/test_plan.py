"""What a plan refuses, and what it freezes."""

import dataclasses
from pathlib import Path

import pytest

from mps_experiments.config.schema import (
    ComputeMode,
    CpuAffinity,
    FaultKind,
    Thresholds,
    TraceConfig,
    Window,
)
from mps_experiments.run.plan import WindowPlan
from tests.planned import GPU, ON_CPU, ON_GPU, ROOT, SOMEBODY, planned, refused


def test_options_reach_the_plan() -> None:
    plan = planned(
        validity__drift_warn=0.3,
        trace__iterations=7,
        trace__min_s=0.5,
        telemetry__interval_s=0.25,
        workers__ready_timeout_s=7.5,
        workers__stall_timeout_s=8.5,
        workers__warmup=0,
        gpu_wait_s=9.5,
    )
    assert plan.thresholds == Thresholds(drift_warn=0.3)
    assert (plan.trace, plan.telemetry_interval_s) == (TraceConfig(iterations=7, min_s=0.5), 0.25)
    assert (plan.workers.ready_timeout_s, plan.workers.stall_timeout_s) == (7.5, 8.5)
    assert (plan.workers.warmup_iterations, plan.gpu_wait_s) == (0, 9.5)


def test_exclusive_process_needs_root_on_a_gpu() -> None:
    mode = {"mps__compute_mode": ComputeMode.exclusive_process}
    assert refused(ON_GPU, SOMEBODY, **mode).startswith("mps.compute_mode=exclusive_process: ")
    assert planned(ON_GPU, ROOT, **mode).mps.exclusive_process
    assert planned(ON_CPU, SOMEBODY, **mode).mps.exclusive_process  # the cell is skipped, not refused


def test_a_plan_says_all_that_a_run_needs() -> None:
    plan = planned(ON_GPU, procs=3, times=7, workers__cpu_affinity=CpuAffinity.none)
    assert (plan.name, plan.worker_count, plan.iteration_count) == ("mps=on procs=3 times=7", 3, 21)
    assert len(plan.workloads) == 3
    assert not plan.workers.pinned
    assert plan.device.gpu == GPU
    assert plan.paths.worker_log(2) == Path("/run/worker-2.log")
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.worker_count = 4  # type: ignore[misc]


def test_the_window_is_a_number_of_iterations_or_of_seconds() -> None:
    assert planned(times=7).window == WindowPlan(kept=True, iterations=7)
    plan = planned(times="auto", window_s=2.5, window=Window.fixed)
    assert plan.window == WindowPlan(kept=False, iterations=None, seconds=2.5)
    assert (plan.name, plan.iteration_count) == ("mps=on procs=1 times=auto", None)


def test_a_cell_with_a_fault_has_a_fixed_number_of_iterations() -> None:
    plan = planned(fault__kind=FaultKind.kill, procs=2, times=9)
    assert plan.window == WindowPlan(kept=False, iterations=9)
    text = "times=auto: a fault happens after a share of the iterations: give their number"
    assert refused(fault__kind=FaultKind.kill, procs=2, times="auto") == text


@pytest.mark.parametrize(
    ("share", "times", "after"),
    [(0.0, 5, 0), (0.5, 5, 2), (0.29, 100, 29), (0.999, 5, 4), (0.5, 1, 0)],
)
def test_a_fault_happens_after_that_share_of_the_iterations_and_before_the_last(
    share: float, times: int, after: int
) -> None:
    plan = planned(fault__kind=FaultKind.kill, fault__at=share, times=times, procs=2)
    assert plan.fault is not None
    assert plan.fault.after_iterations == after


@pytest.mark.parametrize(("procs", "worker"), [(2, 2), (1, 1)])
def test_only_a_worker_that_is_there_can_be_hit(procs: int, worker: int) -> None:
    text = f"fault.worker={worker}: must be a whole number from 0 to {procs - 1}"
    assert refused(fault__kind=FaultKind.kill, fault__worker=worker, procs=procs) == text
    assert planned(fault__kind=FaultKind.kill, fault__worker=procs - 1, procs=procs)
    assert planned(fault__worker=worker, procs=procs).fault is None


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_output_folder_without_a_name_is_refused(nothing: str) -> None:
    assert "must name a folder" in refused(output_dir=nothing)


@pytest.mark.parametrize(
    ("affinity", "kind", "pinned", "rotates"),
    [
        (CpuAffinity.auto, FaultKind.none, True, False),
        (CpuAffinity.rotate, FaultKind.none, True, True),
        (CpuAffinity.none, FaultKind.none, False, False),
        (CpuAffinity.rotate, FaultKind.kill, True, False),
    ],
)
def test_workers_stay_on_their_cores_move_on_or_are_not_placed(
    affinity: CpuAffinity, kind: FaultKind, pinned: bool, rotates: bool
) -> None:
    plan = planned(workers__cpu_affinity=affinity, fault__kind=kind)
    assert (plan.workers.pinned, plan.workers.rotates) == (pinned, rotates)
    assert plan.decided["cpu_affinity"] == ("rotate" if rotates else "auto" if pinned else "none")


@pytest.mark.parametrize(
    ("given", "modules"),
    [("auto", None), ([], ()), ("numpy", ("numpy",)), (["numpy", "rich.console"], ("numpy", "rich.console"))],
)
def test_modules_to_preload_are_found_or_listed(given: object, modules: tuple[str, ...] | None) -> None:
    assert planned(workers__preload=given).workers.modules == modules


@pytest.mark.parametrize(
    "given", [None, "a b", "a-b", "", [1], ["numpy", ""], ["a..b"], {"numpy": 1}, "none?"]
)
def test_what_is_no_list_of_modules_is_refused(given: object) -> None:
    line = refused(workers__preload=given)
    assert line.startswith("workers.preload")
    assert line.endswith("must be auto or a list of modules, as [numpy,my_package]")


def test_the_number_of_the_repeat_is_planned_and_changes_nothing_else() -> None:
    first, third = planned(), planned(repeat=2)
    assert (first.axes["repeat"], third.axes["repeat"]) == (0, 2)
    assert dataclasses.replace(third, axes=first.axes) == first


def test_a_module_to_preload_exists() -> None:
    assert refused(workers__preload=["no_such_module.x"]) == (
        "workers.preload=no_such_module.x: no such module; auto finds what the factory imports"
    )


def test_a_twin_has_a_name_and_a_folder_of_its_own() -> None:
    plan = planned(procs=1)
    twin = plan.as_twin()
    assert (twin.name, twin.paths.folder) == (f"{plan.name} twin", Path("/run,twin"))
    assert (plan.decided["twin"], twin.decided["twin"]) == (0, 1)
