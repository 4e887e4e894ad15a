"""What a plan refuses, and what it freezes."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config import ComputeMode, Config, CpuAffinity, ValidityConfig, WorkloadKind
from mps_experiments.errors import ConfigError
from mps_experiments.machine.gpus import FixedProbe, Gpu
from mps_experiments.measurement.findings import Thresholds
from mps_experiments.plan import RunPlan, TracePlan, build_plan

GPU = Gpu(index=0, uuid="GPU-1", name="NVIDIA H100", memory_total_bytes=80 * 10**9)
ON_GPU, ON_CPU = FixedProbe((GPU,)), FixedProbe()
ROOT, SOMEBODY = 0, 1000


def config_with(**values: Any) -> Config:
    """A configuration with some fields set; a double underscore goes into a group."""
    config = Config()
    for name, value in values.items():
        group, _, field = name.rpartition("__")
        setattr(getattr(config, group) if group else config, field, value)
    return config


def one(name: str, value: object) -> dict[str, Any]:
    """One field as keywords."""
    return {name: value}


def planned(probe: FixedProbe = ON_CPU, user_id: int = SOMEBODY, **values: Any) -> RunPlan:
    return build_plan(config_with(**values), probe, Path("/run"), user_id)


def refused(probe: FixedProbe = ON_CPU, user_id: int = SOMEBODY, **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        planned(probe, user_id, **values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("procs", 1, 1024),
        ("times", 1, 10_000_000),
        ("repeat", 0, 10_000_000),
        ("workers__warmup", 0, 10_000_000),
        ("workload__seed", 0, 2**63 - 1),
        ("min_free_disk_mb", 0, 2**40),
        ("trace__iterations", 0, 1000),
    ],
)
def test_a_count_is_taken_within_its_bounds_only(name: str, lowest: int, highest: int) -> None:
    option = name.replace("__", ".")
    assert planned(**one(name, lowest))
    assert planned(**one(name, highest))
    for wrong in (lowest - 1, -(10**30), highest + 1, 10**30):
        assert (
            refused(**one(name, wrong))
            == f"{option}={wrong}: must be a whole number from {lowest} to {highest}"
        )


TIMEOUTS = [
    "mps__start_timeout_s",
    "mps__command_timeout_s",
    "mps__quit_timeout_s",
    "workers__ready_timeout_s",
    "workers__stall_timeout_s",
    "workers__stop_timeout_s",
    "trace__timeout_s",
    "tracking__timeout_s",
]


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf"), float("-inf"), 1e300])
def test_a_deadline_is_a_number_of_seconds_that_the_kernel_can_wait(name: str, seconds: float) -> None:
    assert refused(**one(name, seconds)).startswith(
        f"{name.replace('__', '.')}={seconds}: must be a number of"
    )


def test_every_deadline_of_the_schema_is_tested_here() -> None:
    config = Config()
    found = [
        f"{group.name}__{field.name}"
        for group in dataclasses.fields(config)
        if dataclasses.is_dataclass(value := getattr(config, group.name))
        for field in dataclasses.fields(value)
        if field.name.endswith("timeout_s")
    ]
    assert sorted(found) == sorted(TIMEOUTS)


@pytest.mark.parametrize(("name", "highest"), [("trace__min_s", 10), ("telemetry__interval_s", 60)])
def test_a_time_that_may_be_zero_has_its_bounds(name: str, highest: int) -> None:
    option = name.replace("__", ".")
    assert planned(**one(name, 0.0))
    assert planned(**one(name, float(highest)))
    for wrong in (-0.001, highest + 0.001, float("nan"), float("inf"), float("-inf")):
        assert refused(**one(name, wrong)) == f"{option}={wrong}: must be a number from 0 to {highest}"


SHARES_AT_LEAST = ["common_window_warn", "common_window_invalid"]
LIMITS = [
    field.name
    for field in dataclasses.fields(ValidityConfig)
    if field.name not in ("foreign_daemon_invalid", *SHARES_AT_LEAST)
]


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_of_validity_is_a_number_of_at_least_zero(name: str) -> None:
    for right in (0.0, 0.125, 3.0, float("inf")):
        assert getattr(planned(**one(f"validity__{name}", right)).thresholds, name) == right
    for wrong in (-0.001, float("nan"), float("-inf")):
        assert (
            refused(**one(f"validity__{name}", wrong))
            == f"validity.{name}={wrong}: must be a number of at least 0"
        )


@pytest.mark.parametrize("name", SHARES_AT_LEAST)
def test_a_share_that_must_be_reached_is_at_most_the_whole(name: str) -> None:
    for right in (0.0, 0.5, 1.0):
        assert getattr(planned(**one(f"validity__{name}", right)).thresholds, name) == right
    for wrong in (-0.001, 1.001, float("nan"), float("inf")):
        text = f"validity.{name}={wrong}: must be a number from 0 to 1"
        assert refused(**one(f"validity__{name}", wrong)) == text


def test_the_limits_of_a_plan_are_those_of_the_configuration() -> None:
    assert planned().thresholds == Thresholds()
    changed = planned(validity__drift_warn=0.3, validity__foreign_daemon_invalid=False).thresholds
    assert changed == Thresholds(drift_warn=0.3, foreign_daemon_invalid=False)


def test_what_is_read_and_traced_is_planned() -> None:
    plan = planned(trace__iterations=7, trace__min_s=0.5, trace__timeout_s=9.0, telemetry__interval_s=0.25)
    assert plan.trace == TracePlan(iterations=7, min_s=0.5, timeout_s=9.0)
    assert plan.telemetry_interval_s == 0.25


def test_exclusive_process_needs_root_on_a_gpu() -> None:
    mode = {"mps__compute_mode": ComputeMode.exclusive_process}
    assert refused(ON_GPU, SOMEBODY, **mode).startswith("mps.compute_mode=exclusive_process: ")
    assert planned(ON_GPU, ROOT, **mode).mps.exclusive_process
    assert planned(ON_CPU, SOMEBODY, **mode).mps.exclusive_process  # the cell is skipped, not refused


def test_a_plan_says_all_that_a_run_needs() -> None:
    plan = planned(ON_GPU, procs=3, times=7, workers__cpu_affinity=CpuAffinity.none)
    assert (plan.name, plan.worker_count, plan.iterations_per_worker) == ("mps=on procs=3 times=7", 3, 7)
    assert len(plan.workloads) == 3
    assert not plan.workers.pinned
    assert plan.device.gpu == GPU
    assert plan.paths.worker_log(2) == Path("/run/worker-2.log")
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan.worker_count = 4  # type: ignore[misc]


def test_the_number_of_the_repeat_is_planned_and_changes_nothing_else() -> None:
    first, third = planned(), planned(repeat=2)
    assert (first.repeat, third.repeat) == (0, 2)
    assert dataclasses.replace(third, repeat=0) == first


def test_the_small_model_replaces_the_large_one_on_the_cpu_only() -> None:
    models: dict[str, Any] = {"workload__model": "large", "workload__cpu_model": "small"}
    assert planned(ON_CPU, **models).workloads[0].model == "small"
    assert planned(ON_GPU, **models).workloads[0].model == "large"
    assert planned(ON_CPU, workload__model="large").workloads[0].model == "large"


def test_weights_are_an_absolute_path_or_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    assert planned(workload__weights="w.pth").workloads[0].weights == str(tmp_path / "w.pth")
    assert planned(workload__weights="default").workloads[0].weights == "default"


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ("missing.pth", "No such file or directory"),
        (".", "Is a directory"),
        ("", "Is a directory"),
        ("x" * 300, "File name too long"),
        ("~nobody-has-this-name/w.pth", "home directory"),
        ("a\0b", "null"),
    ],
)
def test_weights_that_cannot_be_read_are_refused(weights: str, reason: str) -> None:
    line = refused(workload__weights=weights)
    assert line.startswith("workload.weights")
    assert reason in line
    assert line.endswith("give random, default or the path of a .pth state dict")


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
    assert refused(**values, workload__factory="mine:nope").startswith("workload.factory=mine:nope: ")


def test_a_factory_without_the_custom_workload_is_refused() -> None:
    assert refused(workload__factory="mine:build") == "workload.factory=mine:build: needs workload=custom"
    assert refused(workload__options={"a": 1}) == "workload.options={'a': 1}: needs workload=custom"
