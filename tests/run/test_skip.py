"""Each reason for which a cell cannot run here, and when there is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config.schema import ComputeMode, FaultKind
from mps_experiments.machine.device import Device
from mps_experiments.record.machine import Gpu
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.skip import reason_to_skip
from tests.fakes.plans import FAKE_GPU, attaching, fault_plan, run_plan, use_fakes

EXCLUSIVE = replace(FAKE_GPU, compute_mode="Exclusive_Process")
PROHIBITED = replace(FAKE_GPU, compute_mode="Prohibited")
MIG = replace(FAKE_GPU, mig_enabled=True)
ONE_PROCESS = "in compute mode Exclusive_Process only one process can use the GPU without MPS"
NEED_MPS = ("terminate", "server_kill", "daemon_kill")
NEED_A_GPU = ("oom", "device_assert", "illegal_address")
NEED_NOTHING = ("kill", "exit", "exception", "hang")


@pytest.fixture(autouse=True)
def fake_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fakes(monkeypatch)


def plan(
    folder: Path,
    gpu: Gpu | None = FAKE_GPU,
    *,
    procs: int = 1,
    chosen: bool = True,
    fault: str | None = None,
    **mps: Any,
) -> RunPlan:
    planned = run_plan(folder, *[attaching()] * procs, gpu=gpu, mps=mps)
    device = Device(gpu=gpu, chosen=chosen)
    return replace(planned, device=device, fault=fault_plan(fault) if fault else None)


def skipped(folder: Path, *args: Any, **values: Any) -> Verdict:
    verdict = reason_to_skip(plan(folder, *args, **values))
    assert verdict is not None
    assert verdict.status is Status.SKIPPED
    return verdict


RUN_HERE: list[dict[str, Any]] = [
    {"procs": 4, "enabled": True},
    {"procs": 4, "enabled": False},
    {"gpu": None, "procs": 2, "enabled": False},
    {"gpu": MIG, "procs": 2, "enabled": False},
    {"gpu": EXCLUSIVE, "procs": 1, "enabled": False, "compute_mode": ComputeMode.exclusive_process},
    {"gpu": EXCLUSIVE, "procs": 1, "enabled": True, "compute_mode": ComputeMode.exclusive_process},
    {"gpu": EXCLUSIVE, "procs": 4, "enabled": True, "compute_mode": ComputeMode.exclusive_process},
    *({"fault": kind, "gpu": None, "procs": 2, "enabled": False} for kind in NEED_NOTHING),
    *({"fault": kind, "procs": 2, "enabled": True} for kind in (*NEED_NOTHING, *NEED_A_GPU, *NEED_MPS)),
]


def test_a_cell_that_can_run_here_is_not_skipped(tmp_path: Path) -> None:
    assert [values for values in RUN_HERE if reason_to_skip(plan(tmp_path, **values))] == []


@pytest.mark.parametrize(
    ("gpu", "chosen", "reason"),
    [
        (
            None,
            True,
            "mps=on needs an NVIDIA GPU, and this run is on device=cpu; add mps=off to measure on the CPU",
        ),
        (
            None,
            False,
            "mps=on needs an NVIDIA GPU, and there is none here; add mps=off to measure on the CPU",
        ),
        (MIG, True, "MIG is enabled on Stand-in: MPS is measured on whole GPUs only"),
        (PROHIBITED, True, "Stand-in is in compute mode Prohibited"),
    ],
)
def test_mps_on_is_skipped_for_want_of_hardware(
    tmp_path: Path, gpu: Gpu | None, chosen: bool, reason: str
) -> None:
    verdict = skipped(tmp_path, gpu, chosen=chosen, enabled=True)
    assert verdict == Verdict(status=Status.SKIPPED, reason=reason, for_want_of_hardware=True)


def test_without_the_control_program_mps_on_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = skipped(tmp_path, enabled=True)
    assert "nvidia-cuda-mps-control is not on PATH" in verdict.reason
    assert verdict.is_success


def test_under_wsl_mps_on_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "osrelease"
    release.write_text("5.15.153.1-microsoft-standard-WSL2\n")
    monkeypatch.setattr("mps_experiments.run.skip._KERNEL_RELEASE", release)
    assert skipped(tmp_path, enabled=True).reason == "MPS is not available under WSL"


def test_without_mps_a_prohibited_gpu_is_skipped_too(tmp_path: Path) -> None:
    assert skipped(tmp_path, PROHIBITED, enabled=False).is_success


@pytest.mark.parametrize(
    ("values", "success"),
    [
        ({"gpu": EXCLUSIVE}, True),
        ({"compute_mode": ComputeMode.exclusive_process}, False),
        ({"gpu": EXCLUSIVE, "fault": "kill"}, True),
    ],
)
def test_several_processes_without_mps_on_an_exclusive_gpu_are_skipped(
    tmp_path: Path, values: dict[str, Any], success: bool
) -> None:
    verdict = skipped(tmp_path, procs=2, enabled=False, **values)
    assert (verdict.reason, verdict.is_success) == (ONE_PROCESS, success)


def test_a_fault_of_mps_has_no_meaning_without_it_and_a_sweep_over_both_succeeds(tmp_path: Path) -> None:
    for kind in NEED_MPS:
        verdict = skipped(tmp_path, fault=kind, procs=2, enabled=False)
        assert verdict.reason == f"fault={kind} needs an MPS daemon: there is none with mps=off"
        assert (verdict.not_applicable, verdict.for_want_of_hardware, verdict.is_success) == (
            True,
            False,
            True,
        )


@pytest.mark.parametrize("enabled", [True, False])
def test_on_the_cpu_a_fault_of_the_gpu_is_skipped_for_want_of_one(tmp_path: Path, enabled: bool) -> None:
    for kind in (*NEED_A_GPU, *NEED_MPS):
        verdict = skipped(tmp_path, None, fault=kind, procs=2, enabled=enabled)
        assert verdict.reason == f"fault={kind} happens on an NVIDIA GPU: this run is on the CPU"
        assert verdict.for_want_of_hardware


def test_every_kind_of_fault_is_in_one_of_these_lists() -> None:
    kinds = {kind.value for kind in FaultKind} - {"none"}
    assert {*NEED_NOTHING, *NEED_A_GPU, *NEED_MPS} == kinds
