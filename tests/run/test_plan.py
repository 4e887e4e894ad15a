"""What a plan refuses, and what it freezes."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config.schema import (
    ComputeMode,
    CpuAffinity,
    FaultKind,
    NormLayer,
    Thresholds,
    TraceConfig,
    Window,
    WorkloadKind,
)
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.run.plan import LARGE_MODEL, SMALL_MODEL, WindowPlan
from tests.planned import GPU, ON_CPU, ON_GPU, ROOT, SOMEBODY, one, planned, refused


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


@pytest.mark.parametrize(
    ("probe", "values", "model"),
    [
        (ON_CPU, {}, SMALL_MODEL),
        (ON_GPU, {}, LARGE_MODEL),
        (ON_CPU, {"workload__model": "resnet50"}, "resnet50"),
        (ON_CPU, {"workload__model": LARGE_MODEL}, LARGE_MODEL),
        (ON_CPU, {"workload__weights": "default"}, SMALL_MODEL),
        (ON_CPU, {"workload__weights": "w.pth"}, LARGE_MODEL),
    ],
)
def test_where_no_model_is_named_the_cpu_gets_a_small_one_unless_weights_come_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: FixedProbe, values: dict[str, Any], model: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"x")
    spec = planned(probe, **values).workloads[0]
    assert spec.model == model
    if values.get("workload__weights") == "w.pth":
        assert spec.weights == spec.weights_file == str(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("DEFAULT", "default"),
        ("Random", "random"),
        ("IMAGENET1K_V1", "IMAGENET1K_V1"),
        ("ResNet50_Weights.IMAGENET1K_V2", "ResNet50_Weights.IMAGENET1K_V2"),
        ("torchvision.models.ResNet50_Weights.DEFAULT", "torchvision.models.ResNet50_Weights.DEFAULT"),
    ],
)
def test_weights_of_torchvision_are_known_by_name(typed: str, meant: str) -> None:
    spec = planned(ON_CPU, workload__weights=typed).workloads[0]
    assert (spec.weights, spec.weights_file, spec.model) == (meant, None, SMALL_MODEL)


def test_a_file_with_such_a_name_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "WEIGHTS").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert planned(workload__weights="WEIGHTS").workloads[0].weights_file == str(tmp_path / "WEIGHTS")


def test_network_options_reach_the_workload(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    values: dict[str, Any] = {"workload__weights": str(tmp_path / "w.pth"), "workload__weights_key": "ema"}
    spec = planned(workload__norm_layer=NormLayer.batch, **values).workloads[0]
    assert (spec.norm_layer, spec.weights_key) == ("batch", "ema")


def test_network_options_are_refused_where_they_mean_nothing() -> None:
    custom: dict[str, Any] = {
        "workload__kind": WorkloadKind.custom,
        "workload__factory": "tests.fakes.moody:build",
    }
    what = "is for torchvision's models; a factory builds its own"
    assert refused(workload__norm_layer=NormLayer.batch, **custom) == f"workload.norm_layer=batch: {what}"
    assert refused(workload__weights_key="ema", **custom) == f"workload.weights_key=ema: {what}"
    assert refused(workload__weights_key="ema") == (
        "workload.weights_key=ema: needs the path of a checkpoint as workload.weights"
    )


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("missing.pth", "No such file or directory"),
        (".", "Is a directory"),
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("~nobody-has-this-name/w.pth", "home directory"),
        ("a\0b", "null"),
        ("/dev/zero", "a pipe or a device, not a file"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(weights: str, reason: str) -> None:
    line = refused(workload__weights=weights)
    assert line.startswith("workload.weights")
    assert reason in line
    assert line.endswith(
        "give random, default, a name of torchvision's (IMAGENET1K_V1) or the path of a checkpoint"
    )


def test_a_missing_image_is_refused() -> None:
    assert refused(workload__input="nope.jpg").startswith(
        "workload.input=nope.jpg: no such file; give sample"
    )


def test_a_custom_workload_is_planned_with_the_folder_it_was_found_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def build(device, options): ...")
    values = one("workload__kind", WorkloadKind.custom) | one("workload__options", {"size": 3})
    spec = planned(**values, workload__factory="mine:build").workloads[0]
    assert (spec.factory, spec.import_path, spec.model) == ("mine:build", str(tmp_path), "mine:build")
    assert spec.options == {"size": 3}
    assert refused(**values, workload__factory="mine").startswith("workload.factory=mine: not a factory; ")


def test_a_factory_without_the_custom_workload_is_refused() -> None:
    assert refused(workload__factory="mine:build") == "workload.factory=mine:build: needs workload=custom"
    assert refused(workload__options={"a": 1}) == "workload.options={'a': 1}: needs workload=custom"


def test_a_module_to_preload_exists() -> None:
    assert refused(workers__preload=["no_such_module.x"]) == (
        "workers.preload=no_such_module.x: no such module; auto finds what the factory imports"
    )
