"""Records as the program writes them, with the values that a test does not name filled in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mps_experiments.record.axes import AXES, BY_NAME
from mps_experiments.record.cell import Cell, Times
from mps_experiments.record.machine import Gpu, GpuProcess, MachineFacts
from mps_experiments.record.measurement import SCHEMA_VERSION, FailureRecord, Measurement, WorkerRecord
from mps_experiments.record.proof import ForeignDaemon, Observation, Proof
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.record.worker import Done, WorkerFacts
from mps_experiments.record.workload import ImageInput, WorkloadSpec

MODEL = "maskrcnn_resnet50_fpn"
INPUTS = (ImageInput(name="sample", sha256="ab" * 32),)
GPU = Gpu(index=0, uuid="GPU-1", name="NVIDIA H100", memory_total_bytes=80 * 2**30, local_cores=(0, 1))
MACHINE = MachineFacts(
    hostname="host",
    os="Linux",
    cpu="a CPU",
    logical_cores=16,
    physical_cores=8,
    usable_cores=(0, 1, 2),
    memory_total_bytes=2**37,
    driver_version="580.1",
    cuda_driver_version="13.0",
    gpu=GPU,
    python="3.11.9",
    packages={"torch": "2.11", "torchvision": "0.26"},
    mps_experiments="0.1.0",
    git_commit="c0ffee",
    git_dirty=False,
)
AUTO_ITERATIONS = 10
VALID = Verdict(status=Status.VALID, reason="all iterations measured, attachment proved")
SKIPPED = Verdict(status=Status.SKIPPED, reason="MPS needs an NVIDIA GPU", for_want_of_hardware=True)
INVALID = Verdict(status=Status.INVALID, reason="worker 1 was killed by SIGKILL")


def make_measurement(
    record_id: str = "record",
    *,
    mps: str = "off",
    procs: int = 1,
    times: Times = 2,
    makespan_s: float = 1.0,
    verdict: Verdict = VALID,
    machine: MachineFacts = MACHINE,
    sweep_id: str = "sweep",
    output_dir: Path | None = None,
    failure: FailureRecord | None = None,
    contended: tuple[str, ...] = (),
    **cell: Any,
) -> Measurement:
    """A record; its workers start together and each takes `makespan_s` for `times` equal iterations.

    With `times` auto these are 10.
    """
    iterations = AUTO_ITERATIONS if times == "auto" else times
    spec = WorkloadSpec(kind="torchvision", model=cell.get("model", MODEL), inputs=INPUTS)
    workers = () if verdict.status is Status.SKIPPED else _workers(spec, procs, iterations, makespan_s)
    return Measurement(
        schema_version=SCHEMA_VERSION,
        record_id=record_id,
        sweep_id=sweep_id,
        name=f"mps={mps} procs={procs} times={times}",
        cell=_cell(mps=mps, procs=procs, times=times, **cell),
        started_at=1_700_000_000.0,
        wall_s=makespan_s + 2.0,
        phases_s={"environment": 0.5, "workers": 1.5, "measured_window": makespan_s},
        overrides=(f"mps={mps}", f"procs={procs}"),
        config={"procs": procs, "output_dir": str(output_dir or "outputs"), "tracking": {"uri": None}},
        machine=machine,
        weights_file_sha256=None,
        workers=workers,
        proof=_proof(mps, tuple(worker.pid for worker in workers)) if workers else None,
        foreign_daemons=(ForeignDaemon(pid=7, pipe_dir="/tmp/nvidia-mps", client_pids=(8,)),),
        foreign_processes=(GpuProcess(pid=9, memory_bytes=None),),
        contended=contended,
        notes=(),
        failure=failure,
        verdict=verdict,
    )


def with_latencies(run: Measurement, *latencies_ms: float) -> Measurement:
    """The record, each of its workers with these iterations."""
    ns = tuple(round(each * 1e6) for each in latencies_ms)
    workers = tuple(
        replace(each, samples=replace(each.samples, latencies_ns=ns)) for each in run.workers if each.samples
    )
    return replace(run, workers=workers)


def interrupted(record_id: str) -> Measurement:
    """A record of a run that a signal to the runner cut short."""
    reason = "interrupted by SIGINT"
    return make_measurement(
        record_id,
        verdict=Verdict(status=Status.INVALID, reason=reason),
        failure=FailureRecord(reason=reason, rank=None, traceback=""),
    )


def read_json(path: Path) -> Any:
    """A JSON file's content."""
    return json.loads(path.read_bytes())


def samples(rank: int, start_ms: int, *latencies_ms: int) -> WorkerSamples:
    """Samples in milliseconds."""
    latencies_ns = tuple(each * 1_000_000 for each in latencies_ms)
    return WorkerSamples(rank=rank, start_ns=start_ms * 1_000_000, latencies_ns=latencies_ns)


def _workers(spec: WorkloadSpec, count: int, times: int, makespan_s: float) -> tuple[WorkerRecord, ...]:
    latencies_ns = (round(makespan_s * 1e9 / times),) * times
    return tuple(
        WorkerRecord(
            rank=rank,
            pid=100 + rank,
            workload=spec,
            cpu_cores_planned=(rank,),
            ready_s=1.25,
            facts=WorkerFacts(
                cpu_cores=(rank,),
                phases_s={"load": 0.5},
                torch_facts={"torch": "2.11"},
                weights_sha256="cd" * 32,
                output_shape="100x4",
            ),
            done=Done(
                peak_memory_allocated_bytes=2**30,
                peak_memory_reserved_bytes=2**31,
                peak_rss_bytes=3 * 2**30,
            ),
            samples=WorkerSamples(rank=rank, start_ns=5_000_000_000, latencies_ns=latencies_ns),
        )
        for rank in range(count)
    )


def _proof(mps: str, pids: tuple[int, ...]) -> Proof:
    seen = Observation(
        from_ns=5_100_000_000,
        to_ns=5_200_000_000,
        server_status={4242: "ACTIVE"} if mps == "on" else {},
        client_pids=pids if mps == "on" else (),
        nvml_mps_pids=None,
        foreign_daemons=(),
    )
    return Proof(expected=mps, worker_pids=pids, observations=(seen,), method="during", failure=None)


def _cell(inputs: tuple[ImageInput, ...] = INPUTS, **given: Any) -> Cell:
    assert given.keys() <= BY_NAME.keys()
    usual = {axis.name: axis.usual for axis in AXES}
    return Cell(axes=usual | _AXES | given, inputs=inputs)


_AXES = {
    "model": MODEL,
    "weights": "random",
    "device": GPU.uuid,
    "start_method": "forkserver",
    "cpu_affinity": "auto",
    "verbose": False,
    "compute_mode": "keep",
    "seed": 0,
    "warmup": 2,
}
