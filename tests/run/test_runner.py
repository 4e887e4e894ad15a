"""Whole cells with real worker processes: with the stand-ins on the CPU, and on a real GPU."""

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.errors import Interrupted
from mps_experiments.mps.control import CONTROL_PROGRAM, SERVER_PROGRAM
from mps_experiments.mps.guardian import Guardian
from mps_experiments.mps.logs import client_limit, cuda_version
from mps_experiments.record.verdict import Status
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.runner import Outcome
from mps_experiments.workloads.inputs import resolve_inputs
from tests.fakes.plans import attaching, own_mps_processes, run_plan, running, wait_until
from tests.fakes.running import Lab, Witness, assert_nothing_is_left, open_lab

NAMES = {SERVER_PROGRAM: "server", CONTROL_PROGRAM: "daemon"}


def two_workers(lab: Lab, tmp_path: Path, *, enabled: bool = True, **more: Any) -> RunPlan:
    workloads = [attaching(sleep_s=0.02, **more.pop("options", {}))] * 2
    return run_plan(tmp_path / "run", *workloads, gpu=lab.gpu, mps={"enabled": enabled}, **more)


def end(program: str) -> None:
    """Kill the daemon or the server of this run."""
    found = [psutil.Process(each.pid) for each in own_mps_processes() if each.program == program]
    assert found
    for process in found:
        process.kill()
    wait_until(lambda: not running(found), f"{program} is dead")


@pytest.mark.parametrize("enabled", [True, False])
def test_a_cell_is_valid_with_a_proof_taken_while_the_workers_were_measured(
    lab: Lab, tmp_path: Path, enabled: bool
) -> None:
    plan = two_workers(lab, tmp_path, enabled=enabled, times=300)
    witness = Witness()
    measurement = lab.run(plan, witness).measurement
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    proof = measurement.proof
    assert proof is not None
    assert (proof.expected, proof.method, proof.failure) == ("on" if enabled else "off", "during", None)
    assert proof.worker_pids == tuple(worker.pid for worker in measurement.workers)
    for seen in proof.observations:
        assert set(seen.client_pids) == (set(proof.worker_pids) if enabled else set())
        assert list(seen.server_status.values()) == (["ACTIVE"] if enabled else [])
    assert [len(w.samples.latencies_ns) for w in measurement.workers if w.samples] == [300, 300]
    assert witness.counts == sorted(witness.counts)
    assert_nothing_is_left(measurement)


def test_the_phases_come_in_order_and_their_times_are_kept(lab: Lab, tmp_path: Path) -> None:
    witness, other_work = Witness(), list[list[str]]()
    plan = two_workers(lab, tmp_path)
    measurement = lab.run(plan, witness, meanwhile=lambda: other_work.append([*witness.phases])).measurement
    assert other_work == [["environment", "workers"]]
    order = ["environment", "workers", "afterwork", "proof", "measured_window", "proof", "outputs"]
    order += ["traced_pass", "workers_teardown", "environment_teardown"]
    assert witness.phases == order
    assert set(measurement.phases_s) == set(order)
    assert sum(measurement.phases_s.values()) <= measurement.wall_s


def test_no_worker_is_released_before_the_run_before_is_wholly_done(fake_lab: Lab, tmp_path: Path) -> None:
    seen: list[tuple[float, list[str]]] = []
    witness = Witness()

    def is_quiet(timeout_s: float) -> bool:
        seen.append((timeout_s, list(witness.phases)))
        return len(seen) == 1

    plan = two_workers(fake_lab, tmp_path, workers={"ready_timeout_s": 33.0})
    measurement = fake_lab.run(plan, witness, is_quiet=is_quiet).measurement
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert seen == [(33.0, ["environment", "workers", "afterwork"])]

    late = fake_lab.run(plan, Witness(), is_quiet=is_quiet).measurement
    assert late.verdict.status is Status.INVALID
    assert late.verdict.reason == ("the files of the previous run were not written and logged within 33 s")
    assert [worker.samples for worker in late.workers] == [None, None], "none was released"
    assert_nothing_is_left(late)


def test_a_window_too_short_to_look_into_is_proved_from_both_sides(lab: Lab, tmp_path: Path) -> None:
    plan = run_plan(tmp_path / "run", attaching(), gpu=lab.gpu, times=1)
    measurement = lab.run(plan).measurement
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert measurement.proof is not None
    assert measurement.proof.method == "bracketed"


def test_a_daemon_lost_before_the_first_client_makes_a_silent_fallback_invalid(
    lab: Lab, tmp_path: Path
) -> None:
    witness = Witness({"workers": lambda: end(CONTROL_PROGRAM)})
    measurement = lab.run(two_workers(lab, tmp_path), witness).measurement
    assert measurement.verdict.status is Status.INVALID
    assert re.match(
        r"MPS ended: its daemon \(pid \d+\) is gone; .*MPS falls back silently",
        measurement.verdict.reason,
    )
    assert all(worker.facts is not None for worker in measurement.workers), "the workers noticed nothing"
    assert "measured_window" not in witness.phases
    assert_nothing_is_left(measurement)


class Late(Witness):
    """Acts as soon as iterations were measured."""

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.act: Callable[[], object] | None = act

    def progress(self, finished: int) -> None:
        super().progress(finished)
        if finished > 0 and self.act is not None:
            act, self.act = self.act, None
            act()


def test_a_process_that_outlives_its_worker_is_ended(lab: Lab, tmp_path: Path) -> None:
    plan = run_plan(tmp_path / "run", attaching(leave_behind=str(tmp_path / "pid")), gpu=lab.gpu)
    measurement = lab.run(plan).measurement
    left = int((tmp_path / "pid").read_text())
    assert left in measurement.proof.observations[-1].descendant_pids if measurement.proof else False
    assert not running([psutil.Process(left)] if psutil.pid_exists(left) else [])


@pytest.mark.parametrize("program", [SERVER_PROGRAM, CONTROL_PROGRAM])
def test_a_server_or_daemon_lost_before_the_window_is_named(lab: Lab, tmp_path: Path, program: str) -> None:
    witness = Witness({"measured_window": lambda: end(program)})
    measurement = lab.run(two_workers(lab, tmp_path, times=400), witness).measurement
    assert measurement.verdict.status is Status.INVALID
    assert re.match(rf"MPS ended: its {NAMES[program]} \(pid \d+\)", measurement.verdict.reason)
    assert_nothing_is_left(measurement)


@pytest.mark.parametrize("program", [SERVER_PROGRAM, CONTROL_PROGRAM])
def test_a_server_or_daemon_lost_while_measuring_makes_the_run_invalid_and_is_named(
    lab: Lab, tmp_path: Path, program: str
) -> None:
    measurement = lab.run(two_workers(lab, tmp_path, times=4000), Late(lambda: end(program))).measurement
    assert measurement.verdict.status is Status.INVALID
    reason = measurement.verdict.reason
    assert re.match(rf"MPS ended: its {NAMES[program]} \(pid \d+\).*; worker [01] ", reason), reason
    if program == SERVER_PROGRAM:
        assert re.search(r"control\.log: .*Server \d+ exited", reason)
    assert measurement.failure is not None
    assert measurement.failure.reason.startswith("worker "), "the record keeps the worker's own error apart"
    assert_nothing_is_left(measurement)


def test_the_next_cell_after_a_lost_daemon_is_valid(lab: Lab, tmp_path: Path) -> None:
    lost = lab.run(two_workers(lab, tmp_path), Witness({"workers": lambda: end(CONTROL_PROGRAM)}))
    following = lab.run(two_workers(lab, tmp_path))
    assert [each.measurement.verdict.status for each in (lost, following)] == [Status.INVALID, Status.VALID]


FAULTS = [
    pytest.param(
        {"raise_at": 4}, r"failed \(measured window\): RuntimeError: call 4 went wrong", id="raises"
    ),
    pytest.param({"raise_at": 1}, r"failed \(warmup\): RuntimeError: call 1 went wrong", id="raises early"),
    pytest.param({"memory_error_at": 4}, r"failed \(measured window\): \w*MemoryError", id="out of memory"),
    pytest.param({"kill_at": 4}, "was killed by SIGKILL", id="killed"),
    pytest.param({"kill_at": 1}, "was killed by SIGKILL", id="killed early"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_worker_that_fails_ends_the_run_with_its_rank_and_log(
    lab: Lab, tmp_path: Path, fault: dict[str, int], reason: str
) -> None:
    plan = run_plan(
        tmp_path / "run",
        attaching(sleep_s=0.02),
        attaching(sleep_s=0.02, print_line="hello from the model", **fault),
        gpu=lab.gpu,
        times=400,
    )
    measurement = lab.run(plan).measurement
    assert measurement.verdict.status is Status.INVALID
    assert re.match(f"worker 1 {reason}", measurement.verdict.reason), measurement.verdict.reason
    assert measurement.failure is not None
    assert measurement.failure.rank == 1
    assert measurement.statistics() is None
    samples = measurement.workers[1].samples
    assert len(samples.latencies_ns if samples else ()) == max(0, min(fault.values()) - 2), "one is warm-up"
    log = plan.paths.worker_log(1).read_text()
    assert "hello from the model" in log
    if "kill_at" not in fault:
        assert measurement.failure.traceback.startswith("Traceback")
        assert measurement.failure.traceback.strip().splitlines()[-1] in log
    assert_nothing_is_left(measurement)


@pytest.mark.parametrize(
    ("fault", "workers", "reason"),
    [
        ({"never_ready": True}, {"ready_timeout_s": 1.0}, "was not ready within 1 s"),
        ({"hang_at": 4}, {"stall_timeout_s": 3.0}, "hangs: no iteration finished for 3 s, 2 of 5 done"),
    ],
)
def test_a_worker_that_does_not_go_on_is_given_up(
    fake_lab: Lab, tmp_path: Path, fault: dict[str, Any], workers: dict[str, Any], reason: str
) -> None:
    plan = run_plan(tmp_path / "run", attaching(**fault), workers=workers)
    measurement = fake_lab.run(plan).measurement
    assert measurement.verdict.reason == f"worker 0 {reason}"
    assert_nothing_is_left(measurement)


def test_a_worker_for_which_the_server_has_no_place_names_the_limit(
    fake_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "max_clients=1")
    measurement = fake_lab.run(two_workers(fake_lab, tmp_path)).measurement
    assert measurement.verdict.status is Status.INVALID
    assert re.match(
        r"the MPS server takes no more clients \(.*Client limit reached.*\); "
        r"worker [01] failed \(load\): RuntimeError: CUDA error: .* busy or unavailable",
        measurement.verdict.reason,
    )
    assert_nothing_is_left(measurement)


@pytest.mark.gpu
def test_one_worker_more_than_a_real_server_takes_names_the_limit(guardian: Guardian, tmp_path: Path) -> None:
    """Without the check beforehand, which refuses such a cell."""
    with open_lab(guardian, real=True) as lab:
        limit = client_limit(cuda_version(lab.probe.cuda_driver_version()))
        plan = run_plan(tmp_path / "run", *[attaching()] * (limit + 1), gpu=lab.gpu)
        measurement = lab.run(plan).measurement
    assert measurement.verdict.status is Status.INVALID
    assert re.match(r"(the|an) MPS server takes .* clients", measurement.verdict.reason)
    assert_nothing_is_left(measurement)


def test_an_interruption_ends_the_cell_in_order_and_is_handed_on(lab: Lab, tmp_path: Path) -> None:
    def interrupt() -> None:
        raise Interrupted(signal.SIGTERM)

    outcome: Outcome = lab.run(two_workers(lab, tmp_path), Witness({"measured_window": interrupt}))
    assert outcome.measurement.verdict.reason == "interrupted by SIGTERM"
    assert outcome.interruption is not None
    assert outcome.interruption.signal_number == signal.SIGTERM
    assert_nothing_is_left(outcome.measurement)


def test_a_cell_that_cannot_run_is_skipped_and_starts_nothing(
    fake_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    witness = Witness()
    measurement = fake_lab.run(two_workers(fake_lab, tmp_path), witness).measurement
    assert measurement.verdict.status is Status.SKIPPED
    assert (witness.phases, measurement.workers, measurement.proof) == ([], (), None)


@pytest.mark.parametrize(
    ("daemon", "workers", "reason"),
    [
        ("exit=1", 0, "the MPS daemon ended at once with code 1"),
        ("drop_clients", 2, "they ran without MPS"),
    ],
)
def test_a_daemon_that_ends_or_does_not_list_those_it_serves_makes_the_run_invalid(
    fake_lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, daemon: str, workers: int, reason: str
) -> None:
    monkeypatch.setenv("FAKE_MPS", daemon)
    measurement = fake_lab.run(two_workers(fake_lab, tmp_path)).measurement
    assert measurement.verdict.status is Status.INVALID
    assert reason in measurement.verdict.reason
    assert len(measurement.workers) == workers


@pytest.mark.gpu
@pytest.mark.parametrize("enabled", [True, False])
def test_a_real_model_on_a_real_gpu_is_proved_by_nvml_too(
    guardian: Guardian, tmp_path: Path, enabled: bool
) -> None:
    resnet = WorkloadSpec(kind="torchvision", model="resnet18", inputs=resolve_inputs("sample"))
    with open_lab(guardian, real=True) as lab:
        plan = run_plan(tmp_path / "run", resnet, resnet, gpu=lab.gpu, times=300, mps={"enabled": enabled})
        measurement = lab.run(plan).measurement
        left = {process.pid for process in lab.probe.compute_processes(lab.gpu.uuid)}
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert measurement.proof is not None
    assert measurement.proof.method == "during"
    pids = set(measurement.proof.worker_pids)
    for seen in measurement.proof.observations:
        assert pids & set(seen.nvml_mps_pids or ()) == (pids if enabled else set())
    digests = {worker.facts.weights_sha256 for worker in measurement.workers if worker.facts}
    assert len(digests) == 1
    assert not left & pids
    assert_nothing_is_left(measurement)
