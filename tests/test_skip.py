"""Each reason for which a cell cannot run here, and when there is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mps_experiments.config import FaultKind
from mps_experiments.machine.device import Device
from mps_experiments.machine.gpus import Gpu
from mps_experiments.measurement.verdict import Status
from mps_experiments.plan import RunPlan
from mps_experiments.skip import reason_to_skip
from tests.fakes.plans import FAKE_GPU, attaching, fault_plan, run_plan, use_fakes


@pytest.fixture(autouse=True)
def fake_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    use_fakes(monkeypatch)


def plan(
    tmp_path: Path, gpu: Gpu | None = FAKE_GPU, *, procs: int = 1, chosen: bool = True, **mps: Any
) -> RunPlan:
    planned = run_plan(tmp_path, *[attaching()] * procs, gpu=gpu, mps=mps)
    return replace(planned, device=Device(gpu=gpu, chosen=chosen))


EXCLUSIVE = replace(FAKE_GPU, compute_mode="Exclusive_Process")
PROHIBITED = replace(FAKE_GPU, compute_mode="Prohibited")
MIG = replace(FAKE_GPU, mig_enabled=True)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_gpu_with_mps_runs_every_cell(tmp_path: Path, enabled: bool) -> None:
    assert reason_to_skip(plan(tmp_path, procs=4, enabled=enabled)) is None


@pytest.mark.parametrize(
    ("gpu", "chosen", "reason"),
    [
        (None, True, "MPS needs an NVIDIA GPU: device=cpu (mps=off runs here)"),
        (None, False, "MPS needs an NVIDIA GPU: none here (mps=off runs)"),
        (MIG, True, "MIG is enabled on Stand-in"),
        (PROHIBITED, True, "Stand-in is in compute mode Prohibited"),
    ],
)
def test_mps_on_is_skipped_for_want_of_hardware(
    tmp_path: Path, gpu: Gpu | None, chosen: bool, reason: str
) -> None:
    verdict = reason_to_skip(plan(tmp_path, gpu, chosen=chosen, enabled=True))
    assert verdict is not None
    assert verdict.status is Status.SKIPPED
    assert verdict.reason.startswith(reason)
    assert verdict.for_want_of_hardware


def test_without_the_control_program_mps_on_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    verdict = reason_to_skip(plan(tmp_path, enabled=True))
    assert verdict is not None
    assert "nvidia-cuda-mps-control is not on PATH" in verdict.reason
    assert verdict.is_success


def test_under_wsl_mps_on_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    release = tmp_path / "osrelease"
    release.write_text("5.15.153.1-microsoft-standard-WSL2\n")
    monkeypatch.setattr("mps_experiments.skip._KERNEL_RELEASE", release)
    verdict = reason_to_skip(plan(tmp_path, enabled=True))
    assert verdict is not None
    assert verdict.reason == "MPS is not available under WSL"


@pytest.mark.parametrize("gpu", [None, MIG])
def test_what_keeps_mps_away_does_not_keep_mps_off_from_running(tmp_path: Path, gpu: Gpu | None) -> None:
    assert reason_to_skip(plan(tmp_path, gpu, procs=2, enabled=False)) is None


def test_without_mps_a_prohibited_gpu_is_skipped_too(tmp_path: Path) -> None:
    verdict = reason_to_skip(plan(tmp_path, PROHIBITED, enabled=False))
    assert verdict is not None
    assert verdict.is_success


@pytest.mark.parametrize(("gpu", "asked_for", "success"), [(EXCLUSIVE, False, True), (FAKE_GPU, True, False)])
def test_several_processes_without_mps_on_an_exclusive_gpu_are_skipped(
    tmp_path: Path, gpu: Gpu, asked_for: bool, success: bool
) -> None:
    verdict = reason_to_skip(plan(tmp_path, gpu, procs=2, enabled=False, exclusive_process=asked_for))
    assert verdict is not None
    assert verdict.status is Status.SKIPPED
    assert "only one process can use the GPU without MPS" in verdict.reason
    assert verdict.is_success is success


@pytest.mark.parametrize(("procs", "enabled"), [(1, False), (1, True), (4, True)])
def test_an_exclusive_gpu_runs_one_process_or_mps(tmp_path: Path, procs: int, enabled: bool) -> None:
    exclusive = plan(tmp_path, EXCLUSIVE, procs=procs, enabled=enabled, exclusive_process=True)
    assert reason_to_skip(exclusive) is None


NEED_MPS = ("terminate", "server_kill", "daemon_kill")
NEED_A_GPU = ("oom", "device_assert", "illegal_address")
NEED_NOTHING = ("kill", "exit", "exception", "hang")


def faulty(tmp_path: Path, kind: str, gpu: Gpu | None, *, enabled: bool) -> RunPlan:
    return replace(plan(tmp_path, gpu, procs=2, enabled=enabled), fault=fault_plan(kind))


@pytest.mark.parametrize("kind", NEED_MPS)
def test_a_fault_of_mps_has_no_meaning_without_it_and_a_sweep_over_both_succeeds(
    tmp_path: Path, kind: str
) -> None:
    verdict = reason_to_skip(faulty(tmp_path, kind, FAKE_GPU, enabled=False))
    assert verdict is not None
    assert verdict.status is Status.SKIPPED
    assert verdict.reason == f"fault={kind} needs an MPS daemon: there is none with mps=off"
    assert (verdict.not_applicable, verdict.for_want_of_hardware) == (True, False)
    assert verdict.is_success


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("kind", [*NEED_A_GPU, *NEED_MPS])
def test_on_the_cpu_a_fault_of_the_gpu_is_skipped_for_want_of_one(
    tmp_path: Path, kind: str, enabled: bool
) -> None:
    verdict = reason_to_skip(faulty(tmp_path, kind, None, enabled=enabled))
    assert verdict is not None
    assert verdict.reason == f"fault={kind} happens on an NVIDIA GPU: this run is on the CPU"
    assert verdict.for_want_of_hardware
    assert verdict.is_success


@pytest.mark.parametrize("kind", NEED_NOTHING)
def test_a_fault_of_a_process_happens_on_the_cpu_too(tmp_path: Path, kind: str) -> None:
    assert reason_to_skip(faulty(tmp_path, kind, None, enabled=False)) is None


@pytest.mark.parametrize("kind", [*NEED_NOTHING, *NEED_A_GPU, *NEED_MPS])
def test_with_mps_on_a_gpu_every_fault_happens(tmp_path: Path, kind: str) -> None:
    assert reason_to_skip(faulty(tmp_path, kind, FAKE_GPU, enabled=True)) is None


def test_every_kind_of_fault_is_in_one_of_these_lists() -> None:
    kinds = {kind.value for kind in FaultKind} - {"none"}
    assert {*NEED_NOTHING, *NEED_A_GPU, *NEED_MPS} == kinds


def test_what_keeps_an_ordinary_cell_from_running_keeps_one_with_a_fault_too(tmp_path: Path) -> None:
    verdict = reason_to_skip(faulty(tmp_path, "kill", EXCLUSIVE, enabled=False))
    assert verdict is not None
    assert "only one process can use the GPU without MPS" in verdict.reason
