"""What makes two runs the same for `resume`: derived from a plan and from a record alike."""

import math
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from mps_experiments.analysis.keys import comparison_keys
from mps_experiments.config.schema import Config, CpuAffinity, FaultKind, WorkloadKind, options
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.axes import EXTRA_FACTORS, PLACES
from mps_experiments.record.machine import Gpu, MachineFacts
from mps_experiments.record.measurement import Measurement, read_measurement, write_measurement
from mps_experiments.run.fingerprint import Fingerprint, of_plan, of_record
from mps_experiments.run.plan import RunPlan, build_plan
from mps_experiments.run.recorder import make_measurement as record_of
from mps_experiments.run.run_state import RunState
from mps_experiments.workloads.inputs import sample_photo
from tests.planned import ON_CPU, ON_GPU, ROOT, config_with, one
from tests.records import MACHINE, make_measurement

CUSTOM = {"workload__kind": WorkloadKind.custom, "workload__factory": "tests.fakes.moody:build"}
NAMES = [option.name for option in options()]
OTHER: dict[str, Any] = {  # a value that is allowed where the rule of the type gives none
    "workload.model": "resnet50",
    "workload.weights": "default",
    "workload.input": str(sample_photo()),
    "workload.options": {"depth": 2},
    "workload.factory": "tests.fakes.attaching:build",
    "workload.kind": WorkloadKind.torchvision,
    "device": "cpu",
    "validity.common_window_warn": 0.5,
    "times": "auto",
    "workers.warmup": 2,
    "workers.preload": ["numpy"],
}


def plain(config: Config) -> dict[str, Any]:
    """As the sweep hands it to a record."""
    found = OmegaConf.to_container(OmegaConf.structured(config), resolve=True, enum_to_str=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def planned(probe: FixedProbe = ON_GPU, folder: Path = Path("/run"), **values: Any) -> tuple[RunPlan, Config]:
    config = config_with(**values)
    return build_plan(config, probe, folder, ROOT), config


def fingerprint(probe: FixedProbe = ON_GPU, machine: MachineFacts = MACHINE, **values: Any) -> Fingerprint:
    plan, config = planned(probe, **values)
    return of_plan(plan, plain(config), machine, None)


def read_back(
    plan: RunPlan, config: Config, machine: MachineFacts, tmp_path: Path, weights_sha256: str | None
) -> Measurement:
    """The record of a run of this plan, written and read."""
    made = record_of(
        plan,
        RunState(on_phase=lambda _: None),
        None,
        sweep_id="s",
        machine=machine,
        started_at=0.0,
        wall_s=0.0,
        config=plain(config),
        weights_file_sha256=weights_sha256,
    )
    worker = replace(make_measurement().workers[0], workload=plan.workloads[0])
    write_measurement(replace(made, workers=(worker,)), tmp_path / "measurement.json")
    return read_measurement(tmp_path / "measurement.json")


@pytest.mark.parametrize(
    ("probe", "values"),
    [
        (ON_GPU, {}),
        (ON_CPU, {"procs": 3, "workers__verbose": True, "validity__drift_warn": math.inf}),
        (ON_CPU, CUSTOM | {"workload__options": {"deep": {"b": (1, 2.5)}, "a": -math.inf, "none": None}}),
        (ON_GPU, {"fault__kind": FaultKind.kill, "procs": 2}),
    ],
    ids=["defaults", "cpu", "custom", "fault"],
)
@pytest.mark.parametrize("weights_sha256", [None, "ef" * 32])
def test_plan_and_record_of_one_run_have_one_fingerprint(
    tmp_path: Path, probe: FixedProbe, values: dict[str, Any], weights_sha256: str | None
) -> None:
    plan, config = planned(probe, **values)
    machine = collect_facts(probe, plan.device.gpu)
    record = read_back(plan, config, machine, tmp_path, weights_sha256)
    expected = of_plan(plan, plain(config), machine, weights_sha256)
    assert of_record(record) == expected
    assert of_record(record).digest == expected.digest


def other_value(name: str, value: object) -> object:
    """A value of the option that is not its default."""
    if name in OTHER:
        return OTHER[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, Enum):
        return next(member for member in type(value) if member is not value)
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value + 0.125
    return "another"


def base_of(name: str) -> dict[str, Any]:
    """The cell in which an option has a meaning."""
    if name in ("workload.options", "workload.factory", "workload.kind"):
        return CUSTOM
    if name == "window_s":
        return {"times": "auto"}
    if name == "workload.weights_key":
        return {"workload__weights": str(sample_photo())}  # any file: what it holds is seen later
    if name == "workers.rotate_s":
        return {"workers__cpu_affinity": CpuAffinity.rotate}
    return {"procs": 2, "fault__kind": FaultKind.kill} if name.startswith("fault.") else {}


@pytest.mark.parametrize("name", NAMES)
def test_every_option_counts_or_is_known_to_change_no_number(name: str) -> None:
    """A new option counts, unless somebody says that it does not."""
    base = base_of(name)
    group, _, field = name.rpartition(".")
    key = f"{group}__{field}" if group else field
    default = getattr(getattr(Config(), group) if group else Config(), field)
    changed = base | {key: other_value(name, base.get(key, default))}
    if name == "workload.kind":
        changed = {"workload__model": "tests.fakes.moody:build"}
    if name == "fault.kind":
        changed["fault__kind"] = FaultKind.exit
    same = fingerprint(**changed).digest == fingerprint(**base).digest
    ordinary = base.get("fault__kind") is None
    gives_up = ordinary and name.endswith("timeout_s")
    assert same == (name in PLACES or gives_up)


def test_what_is_ignored_exists() -> None:
    assert set(NAMES) >= PLACES


def test_with_a_fault_its_trials_are_told_apart_and_deadlines_count() -> None:
    base: dict[str, Any] = {"procs": 2, "fault__kind": FaultKind.hang}
    plan, config = planned(**base)
    assert plan.fault is not None
    second = replace(plan, fault=replace(plan.fault, trial=1))
    first_print, second_print = (of_plan(each, plain(config), MACHINE, None) for each in (plan, second))
    assert first_print.configuration_digest != second_print.configuration_digest
    assert fingerprint(**base, fault__trials=9) == first_print
    assert fingerprint(**base, workers__stall_timeout_s=1.0) != first_print


def test_without_a_fault_its_options_do_not_count() -> None:
    assert fingerprint(fault__at=0.25) == fingerprint()


def test_seconds_do_not_count_where_nothing_lasts_as_long() -> None:
    stay = one("workers__cpu_affinity", CpuAffinity.auto)
    assert fingerprint(**stay, window_s=3.0, workers__rotate_s=1.0) == fingerprint(**stay)


def test_the_second_of_two_equal_runs_does_not_stand_for_the_first() -> None:
    plan, config = planned()
    first, twin = (of_plan(each, plain(config), MACHINE, None) for each in (plan, replace(plan, twin=1)))
    assert first.configuration_digest != twin.configuration_digest


def test_auto_is_the_gpu_that_it_is_today() -> None:
    other = Gpu(index=0, uuid="GPU-2", name="NVIDIA H100", memory_total_bytes=1)
    named = fingerprint(device="GPU-1")
    assert named == fingerprint(device="auto")
    assert named.digest != fingerprint(FixedProbe((other,)), replace(MACHINE, gpu=other)).digest


def edited(**machine: Any) -> Measurement:
    return make_measurement("other", machine=replace(MACHINE, **machine))


ONE = make_measurement("one")
RECORDS = {  # name in `comparison_keys` -> a record that differs in it
    "mps": make_measurement("other", mps="on"),
    "times": make_measurement("other", times=3),
    "gpu": edited(gpu=replace(MACHINE.gpu, uuid="GPU-2") if MACHINE.gpu else None),
    "host": edited(hostname="another"),
    "cpu": edited(usable_cores=(0, 1)),
    "driver": edited(driver_version="581.0"),
    "torch": edited(packages=MACHINE.packages | {"torch": "2.12"}),
    "torchvision": edited(packages=MACHINE.packages | {"torchvision": "0.27"}),
    "python": edited(python="3.12.0"),
    "mps_experiments": edited(mps_experiments="0.2.0"),
    "environment": edited(environment={"OMP_NUM_THREADS": "1"}),
    "model": make_measurement("other", model="resnet50"),
    "weights": replace(ONE, weights_file_sha256="12" * 32),
    "input": make_measurement("other", inputs=(replace(ONE.cell.inputs[0], sha256="cd" * 32),)),
    "options": make_measurement("other", options={"depth": 2}),
    "seed": make_measurement("other", seed=1),
    "workload.synchronize": replace(ONE, config=ONE.config | {"workload": {"synchronize": "device"}}),
    "workload.norm_layer": replace(ONE, config=ONE.config | {"workload": {"norm_layer": "batch"}}),
    "telemetry.interval_s": replace(ONE, config=ONE.config | {"telemetry": {"interval_s": 0.5}}),
    "cpu_affinity": make_measurement("other", cpu_affinity="none"),
    "start_method": make_measurement("other", start_method="spawn"),
    "compute_mode": make_measurement("other", compute_mode="exclusive_process"),
    "verbose": make_measurement("other", verbose=True),
    "warmup": make_measurement("other", warmup=3),
    "window": make_measurement("other", window="kept"),
    "window_s": make_measurement("other", window_s=3.0),
    **{axis.name: make_measurement("other", **one(axis.name, 8)) for axis in EXTRA_FACTORS},
}
KNOWN_IN_WORKERS_ONLY = {"cuda", "cudnn"}  # they come with the package torch, which counts


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_runs_that_are_not_comparable_have_different_fingerprints(name: str) -> None:
    assert comparison_keys(RECORDS[name])[name] != comparison_keys(ONE).get(name)
    assert of_record(RECORDS[name]).digest != of_record(ONE).digest


def test_every_key_of_a_comparison_is_covered() -> None:
    known = {name for record in (ONE, *RECORDS.values()) for name in comparison_keys(record)}
    assert set(RECORDS) == known - KNOWN_IN_WORKERS_ONLY


@pytest.mark.parametrize(
    "other",
    [
        edited(environment={"CUDA_VISIBLE_DEVICES": "0"}),
        edited(git_commit="beef", git_dirty=True),
        make_measurement("other", sweep_id="another", makespan_s=9.0, output_dir=Path("/elsewhere")),
    ],
    ids=["which GPU is visible", "a commit of the same source", "when and where to"],
)
def test_what_changes_no_number_does_not_count(other: Measurement) -> None:
    assert of_record(other).digest == of_record(ONE).digest


def test_an_edited_program_is_another_program() -> None:
    assert of_record(edited(source_sha256="34" * 32)).digest != of_record(ONE).digest


def test_the_differences_name_what_differs_with_the_earlier_value_first() -> None:
    then, now = of_record(ONE), of_record(edited(driver_version="581.0", python="3.12.0"))
    assert then.differences(now) == ["driver (580.1 against 581.0)", "python (3.11.9 against 3.12.0)"]


def test_runs_that_differ_in_an_option_alone_are_the_same_without_it() -> None:
    first, second = fingerprint(repeat=0), fingerprint(repeat=1)
    assert first.digest != second.digest
    assert first.without("repeat").digest == second.without("repeat").digest
    assert first.without("repeat").digest != fingerprint(repeat=0, procs=3).without("repeat").digest
