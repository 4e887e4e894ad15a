"""Workloads that are not what they seem are INVALID, honest ones are VALID: whole cells, real workers."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.machine.gpus import FixedProbe, GpuProbe
from mps_experiments.record.findings import Severity
from mps_experiments.record.machine import GpuProcess
from mps_experiments.record.measurement import Measurement, read_measurement, write_measurement
from mps_experiments.record.verdict import Status
from mps_experiments.record.workload import WorkloadSpec
from mps_experiments.run import runner
from mps_experiments.run.environment import Environment, open_environment
from tests.conftest import command_of
from tests.fakes.misleading import CHILD
from tests.fakes.plans import CHECKOUT, FAKE_GPU, daemon_of_somebody_else, run_plan, short_folder
from tests.fakes.running import Lab, assert_nothing_is_left

TRACED, UNTRACED = {"iterations": 4}, {"iterations": 0}
STARTED = "processes that the workers started were on the GPU (pid "


class SeeingProbe(FixedProbe):
    """The stand-in for NVML lists the workers' own processes, as the real one does."""

    def compute_processes(self, uuid: str) -> tuple[GpuProcess, ...]:  # noqa: ARG002
        found = psutil.Process().children(recursive=True)
        pids = [process.pid for process in found if str(CHILD) in command_of(process)]
        return tuple(GpuProcess(pid=pid, memory_bytes=None) for pid in pids)


def probe_of(lab: Lab) -> GpuProbe:
    return SeeingProbe((FAKE_GPU,)) if lab.gpu is FAKE_GPU else lab.probe


def workload(kind: str, **options: Any) -> WorkloadSpec:
    return WorkloadSpec(
        kind="custom",
        model=kind,
        synchronize="device",
        factory="tests.fakes.misleading:build",
        import_path=str(CHECKOUT),
        options={"kind": kind} | options,
    )


def run(
    lab: Lab,
    folder: Path,
    *kinds: str,
    procs: int = 2,
    trace: dict[str, int] = TRACED,
    mps: bool = True,
    **options: Any,
) -> Measurement:
    """A cell of such workers, as it comes back from disk; no process of it is left.

    Args:
        kinds: One for each worker, or one for all.
        procs: How many workers there are of one kind.
        options: Of the workload.
    """
    specs = [workload(kind, **options) for kind in (kinds if len(kinds) > 1 else kinds * procs)]
    plan = run_plan(folder, *specs, gpu=lab.gpu, trace=trace, mps={"enabled": mps})
    measurement = lab.run(plan, probe=probe_of(lab)).measurement
    assert_nothing_is_left(measurement)
    write_measurement(measurement, plan.paths.measurement)
    assert repr(read_measurement(plan.paths.measurement)) == repr(measurement)
    return measurement


def assert_is_invalid(measurement: Measurement, *reasons: str) -> None:
    assert measurement.verdict.status is Status.INVALID, measurement.verdict.reason
    for reason in reasons:
        assert reason in measurement.verdict.reason
    assert measurement.statistics() is None


def checks(measurement: Measurement) -> dict[str, Severity]:
    """What was found of the workers' work."""
    about = ("gpu_work", "descendants", "parity", "nonfinite_outputs", "wrong_products")
    return {each.check: each.severity for each in measurement.findings if each.check in about}


HONEST = [
    "eager",
    pytest.param("graph", marks=pytest.mark.gpu),
    pytest.param("stream", marks=pytest.mark.gpu),
]


@pytest.mark.parametrize("trace", [TRACED, UNTRACED], ids=["traced", "untraced"])
@pytest.mark.parametrize("kind", HONEST)
def test_honest_workers_are_valid_and_their_work_is_proved(
    lab: Lab, tmp_path: Path, kind: str, trace: dict[str, int]
) -> None:
    if kind != "eager" and lab.gpu is FAKE_GPU:
        pytest.skip("the stand-in has neither graphs nor streams")
    measurement = run(lab, tmp_path, kind, trace=trace)
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert checks(measurement) == {}
    method = "traced" if trace is TRACED else "operators"
    assert [(work.rank, work.method, work.proved) for work in measurement.gpu_work] == [
        (0, method, True),
        (1, method, True),
    ]
    assert not [text for text in measurement.missing if text.startswith(("GPU work", "traced pass"))]


@pytest.mark.parametrize("mps", [True, False])
@pytest.mark.parametrize("kind", ["on_cpu", "kept"])
def test_workers_that_run_nothing_on_the_gpu_are_invalid(
    lab: Lab, tmp_path: Path, kind: str, mps: bool
) -> None:
    measurement = run(lab, tmp_path, kind, mps=mps)
    assert_is_invalid(measurement, *(f"worker {rank} ran no GPU operation in 4 of 4" for rank in (0, 1)))
    assert checks(measurement) == {"gpu_work": Severity.INVALID}
    copying = kind == "on_cpu" and lab.gpu is not FAKE_GPU
    assert [work.copies > 0 for work in measurement.gpu_work] == [copying] * 2


def test_one_worker_that_runs_nothing_on_the_gpu_is_named(lab: Lab, tmp_path: Path) -> None:
    measurement = run(lab, tmp_path, "eager", "kept")
    assert_is_invalid(measurement, "worker 1 ran no GPU operation in 4 of 4")
    assert "worker 0" not in measurement.verdict.reason
    assert [work.proved for work in measurement.gpu_work] == [True, False]
    assert measurement.activity is not None, "the pass is shown all the same"


def test_workers_that_compute_now_and_then_are_invalid(lab: Lab, tmp_path: Path) -> None:
    measurement = run(lab, tmp_path, "sometimes", procs=1)
    assert_is_invalid(measurement, "worker 0 ran no GPU operation in 2 of 4 traced iterations")


@pytest.mark.parametrize("kind", ["on_cpu", "kept", "sometimes"])
def test_without_a_traced_pass_less_is_claimed(lab: Lab, tmp_path: Path, kind: str) -> None:
    measurement = run(lab, tmp_path, kind, procs=1, trace=UNTRACED)
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert checks(measurement) == {"gpu_work": Severity.WARNING}
    assert [each.text for each in measurement.findings if each.check == "gpu_work"] == [
        "GPU work not proved for worker 0"
    ]
    assert [text for text in measurement.missing if text.startswith("GPU work: not proved")]


@pytest.mark.parametrize("trace", [TRACED, UNTRACED], ids=["traced", "untraced"])
@pytest.mark.parametrize("mps", [True, False])
def test_work_of_a_process_that_a_worker_started_is_not_the_worker_s(
    lab: Lab, tmp_path: Path, mps: bool, trace: dict[str, int]
) -> None:
    """With MPS it is attached to our server; what the worker's own iterations run is nothing."""
    measurement = run(lab, tmp_path, "child", procs=1, mps=mps, trace=trace)
    assert_is_invalid(measurement, STARTED)
    assert checks(measurement) == {"gpu_work": Severity.INVALID}
    assert measurement.proof is not None
    assert measurement.proof.failure is None
    assert "foreign_gpu" not in {each.check for each in measurement.findings}
    assert not [text for text in measurement.contended if text.startswith("process ")]


def test_a_process_that_helps_a_worker_through_our_server_is_a_warning(lab: Lab, tmp_path: Path) -> None:
    measurement = run(lab, tmp_path, "helper", procs=1)
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert checks(measurement) == {"descendants": Severity.WARNING}


@pytest.mark.parametrize("mps", [True, False])
def test_the_process_of_a_data_loader_changes_nothing(lab: Lab, tmp_path: Path, mps: bool) -> None:
    measurement = run(lab, tmp_path, "loader", mps=mps)
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert checks(measurement) == {}
    assert measurement.proof is not None
    assert all(len(seen.descendant_pids) >= 2 for seen in measurement.proof.observations)


@pytest.mark.gpu
@pytest.mark.parametrize("mps", [True, False])
def test_a_process_of_an_executor_that_is_on_the_gpu_is_seen(lab: Lab, tmp_path: Path, mps: bool) -> None:
    if lab.gpu is FAKE_GPU:
        pytest.skip("the stand-in for NVML lists processes of subprocess only")
    measurement = run(lab, tmp_path, "pool", procs=1, mps=mps)
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert checks(measurement) == {"descendants": Severity.WARNING}


@pytest.mark.parametrize("kind", ["child", "helper"])
def test_a_process_that_a_worker_started_without_mps_spoils_the_proof(
    lab: Lab, tmp_path: Path, kind: str
) -> None:
    nowhere = tmp_path / "no daemon"
    nowhere.mkdir()
    measurement = run(lab, tmp_path / "run", kind, procs=1, pipe_dir=str(nowhere))
    assert_is_invalid(measurement, "which the workers started, are on the GPU but not in our MPS server's")
    assert measurement.workers[0].samples is None, "a claim that already fails is not worth measuring"


@pytest.mark.parametrize(
    ("mps", "reason"), [(True, "not in our MPS server's"), (False, "of another MPS daemon")]
)
def test_a_process_that_a_worker_started_on_another_daemon_spoils_the_proof(
    lab: Lab, tmp_path: Path, mps: bool, reason: str
) -> None:
    with short_folder() as folder, daemon_of_somebody_else(folder / "pipe"):
        measurement = run(lab, tmp_path, "child", procs=1, mps=mps, pipe_dir=str(folder / "pipe"))
    assert_is_invalid(measurement, reason)


@pytest.mark.parametrize("procs", [1, 2])
def test_workers_that_compute_no_number_are_invalid(lab: Lab, tmp_path: Path, procs: int) -> None:
    measurement = run(lab, tmp_path, "nan", procs=procs)
    assert_is_invalid(measurement, "65536 of 65536 values in the output", "validity.nonfinite_outputs=true")
    assert checks(measurement) == {"nonfinite_outputs": Severity.INVALID}


def test_workers_that_are_not_seeded_are_told_how_to_seed_them(lab: Lab, tmp_path: Path) -> None:
    measurement = run(lab, tmp_path, "unseeded")
    assert_is_invalid(measurement, "in the output (allowed: ", "torch.manual_seed", "validity.output_rtol")
    assert checks(measurement) == {"parity": Severity.INVALID}


# Products under an SM cap


@pytest.mark.parametrize("wrong", [True, False])
def test_a_worker_that_sees_part_of_the_gpu_checks_its_products(
    fake_lab: Lab, tmp_path: Path, wrong: bool
) -> None:
    whole = dataclasses.replace(fake_lab, gpu=dataclasses.replace(FAKE_GPU, multiprocessors=132))
    measurement = run(whole, tmp_path, "capped", procs=1, wrong=wrong)
    (worker,) = measurement.workers
    assert worker.facts is not None
    assert worker.facts.multiprocessors == 98
    assert list(worker.product_errors) == ["float32", "bfloat16", "float16"]
    assert worker.product_errors["float32"] < 1e-5
    assert (worker.product_errors["float16"] > 0.5) is wrong
    if wrong:
        assert_is_invalid(measurement, "worker 0 computes wrong matrix products", "relative error 0.71")
    else:
        assert measurement.verdict.status is Status.VALID, measurement.verdict.reason


def test_a_worker_that_sees_the_whole_gpu_checks_no_products(fake_lab: Lab, tmp_path: Path) -> None:
    whole = dataclasses.replace(fake_lab, gpu=dataclasses.replace(FAKE_GPU, multiprocessors=98))
    measurement = run(whole, tmp_path, "capped", procs=1, wrong=True)
    assert measurement.workers[0].product_errors == {}
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason


@pytest.mark.gpu
@pytest.mark.parametrize("percentage", [100, 75, 50, 42, 25])
def test_a_real_cap_is_seen_and_products_under_it_are_judged(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, percentage: int
) -> None:
    if lab.gpu is FAKE_GPU:
        pytest.skip("the stand-in has no multiprocessors")

    @contextlib.contextmanager
    def capped(*arguments: Any) -> Iterator[Environment]:
        cap = {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(percentage)}
        with open_environment(*arguments) as opened:
            yield dataclasses.replace(opened, variables=opened.variables | cap)

    monkeypatch.setattr(runner, "open_environment", capped)
    measurement = run(lab, tmp_path, "eager", procs=1)
    (worker,) = measurement.workers
    assert worker.facts is not None
    seen, whole = worker.facts.multiprocessors, lab.gpu.multiprocessors
    assert seen is not None
    assert whole is not None, "NVML does not tell, or the compute capability is new"
    assert seen == whole if percentage == 100 else seen <= whole * (percentage + 2) / 100
    assert bool(worker.product_errors) is (seen < whole)
    wrong = any(error > 0.02 for error in worker.product_errors.values())
    assert measurement.verdict.status is (Status.INVALID if wrong else Status.VALID)
