"""The record of one run: what `measurement.json` holds, and how it gets to disk and back."""

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from mps_experiments.disk import write_atomically
from mps_experiments.errors import RecordError
from mps_experiments.machine.facts import MachineFacts
from mps_experiments.machine.gpus import GpuProcess
from mps_experiments.measurement.faults import FaultTrial, SurvivorFigures, survivor_figures
from mps_experiments.measurement.findings import Finding
from mps_experiments.measurement.gpu_work import GpuWork
from mps_experiments.measurement.outputs import OutputDifference, OutputDigest
from mps_experiments.measurement.overlap import Activity
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.statistics import Statistics, summarise, whole_window_ns
from mps_experiments.measurement.telemetry import Telemetry, TelemetrySummary, summarise_telemetry
from mps_experiments.measurement.verdict import Status, Verdict
from mps_experiments.mps.attachment import ForeignDaemon, Proof
from mps_experiments.workers.messages import Done, WorkerFacts
from mps_experiments.workloads.spec import ImageInput, WorkloadSpec

SCHEMA_VERSION = 4
_READABLE = (1, 2, 3, 4)  # what versions 2 to 4 added has defaults that say what earlier runs did
Times = int | Literal["auto"]


def times_order(times: Times) -> float:
    """Return what sorts cells by their iterations, ``auto`` last."""
    return math.inf if times == "auto" else times


FILE_NAME = "measurement.json"
_ANY_NAME = re.compile(r"measurement(\.\d+)?\.json")  # an earlier record kept aside has a number


@dataclass(frozen=True, kw_only=True)
class WorkerRecord:
    """What one worker did.

    Attributes:
        samples: None if it never started its measured window.
        gpu_memory_bytes: What NVML counted for the process, CUDA context included; None if it does not tell.
        ready_s: Seconds from its start until it was ready.
        output: What it computed for the first input after its window; None if it was not asked.
        product_errors: Relative errors of matrix products, by type; empty where it sees the whole GPU.
    """

    rank: int
    pid: int
    workload: WorkloadSpec
    cpu_cores_planned: tuple[int, ...]
    ready_s: float | None
    facts: WorkerFacts | None
    done: Done | None
    samples: WorkerSamples | None
    gpu_memory_bytes: int | None = None
    output: OutputDigest | None = None
    product_errors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FailureRecord:
    """Why a run is INVALID, as it was raised; `rank` is None where no worker was at fault."""

    reason: str
    rank: int | None
    traceback: str


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The coordinates of a run in its sweep, and what a comparison must hold equal.

    Attributes:
        times: Iterations of each worker, or ``auto``: as many as `window_s` seconds held.
        repeat: Number of the block.
        window: ``kept``: workers that are done keep up the load; ``fixed``: they stop.
        rotated: Whether the workers moved on from core to core.
        twin: 1 for the second of two equal one-process runs of a block (A/A), else 0.
    """

    mps: str
    procs: int
    times: Times
    model: str
    weights: str
    inputs: tuple[ImageInput, ...]
    device: str
    start_method: str
    pinned: bool
    verbose: bool
    compute_mode: str
    options: dict[str, Any]
    seed: int
    warmup: Times
    repeat: int = 0
    fault: str = "none"
    trial: int = 0
    window: str = "fixed"
    window_s: float | None = None
    rotated: bool = False
    twin: int = 0

    @property
    def is_twin(self) -> bool:
        """Whether it is the second of two equal runs (A/A), there only to show what equal runs differ by."""
        return self.twin > 0


def affinity_of(cell: Cell) -> str:
    """Return the option ``workers.cpu_affinity`` that the cell was run with."""
    return "none" if not cell.pinned else "rotate" if cell.rotated else "auto"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Everything known of one run; statistics are derived from it, never stored.

    Attributes:
        record_id: Unique, the key under which MLflow knows it.
        sweep_id: The same for all runs of one command line.
        started_at: Seconds since the epoch.
        wall_s: From the start of the run to the end of its clean-up.
        phases_s: Seconds per phase of the run, in order.
        config: The whole configuration, as Hydra composed it.
        contended: What else was on the GPU or served MPS; empty if nothing was seen.
        notes: What a reader should know, for example that cores were shared.
        findings: What the checks of the verdict found, the grave ones first.
        missing: Evidence that could not be had, and why.
        activity: What the traced pass showed.
        telemetry: What GPU and CPU did in the measured window.
        parity: The largest difference between the workers' outputs.
        fault: What happened in a run with a fault; such a run has no figures of an ordinary one.
        gpu_work: What was seen of each worker's work on the GPU; empty in earlier records.
    """

    schema_version: int
    record_id: str
    sweep_id: str
    name: str
    cell: Cell
    started_at: float
    wall_s: float
    phases_s: dict[str, float]
    overrides: tuple[str, ...]
    config: dict[str, Any]
    machine: MachineFacts
    weights_file_sha256: str | None
    workers: tuple[WorkerRecord, ...]
    proof: Proof | None
    foreign_daemons: tuple[ForeignDaemon, ...]
    foreign_processes: tuple[GpuProcess, ...]
    contended: tuple[str, ...]
    notes: tuple[str, ...]
    failure: FailureRecord | None
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()
    activity: Activity | None = None
    telemetry: Telemetry | None = None
    parity: OutputDifference | None = None
    fault: FaultTrial | None = None
    gpu_work: tuple[GpuWork, ...] = ()

    @property
    def is_ordinary(self) -> bool:
        """Whether nothing was made to go wrong: only such runs are compared with each other."""
        return self.cell.fault == "none"

    @property
    def was_interrupted(self) -> bool:
        """Whether a signal to the runner cut the run short."""
        failure = self.failure
        return failure is not None and failure.rank is None and failure.reason.startswith("interrupted by ")

    def statistics(self) -> Statistics | None:
        """The figures of a VALID ordinary run; None for any other, which has no numbers."""
        if self.verdict.status is not Status.VALID or not self.is_ordinary:
            return None
        samples = [worker.samples for worker in self.workers if worker.samples is not None]
        return summarise(samples, self.cell.window == "kept")

    def survivor_figures(self) -> SurvivorFigures | None:
        """What the survivors of a VALID run with a fault went through; None if there is none."""
        if self.fault is None or self.verdict.status is not Status.VALID:
            return None
        samples = {worker.rank: worker.samples for worker in self.workers if worker.samples is not None}
        return survivor_figures(self.fault, samples)

    def window_ns(self) -> tuple[int, int] | None:
        """First worker's start and last worker's end, of the monotonic clock; None if none was measured."""
        samples = [worker.samples for worker in self.workers if worker.samples is not None]
        if not samples:
            return None
        return whole_window_ns(samples)

    def telemetry_summary(self) -> TelemetrySummary | None:
        """The GPU inside the window; None if nothing was read or measured there."""
        window = self.window_ns()
        return summarise_telemetry(self.telemetry, window) if self.telemetry and window else None

    def overhead_s(self) -> float | None:
        """Seconds of the run outside the measured window; None unless VALID."""
        figures = self.statistics()
        return None if figures is None else self.wall_s - figures.makespan_s


# JSON has no NaN and no infinity, what a model computes may have both.
_adapter: TypeAdapter[Measurement] = TypeAdapter(
    with_config(ConfigDict(ser_json_inf_nan="strings"))(Measurement)
)


def write_measurement(measurement: Measurement, path: Path) -> None:
    """Write the record so that a reader sees all of it or nothing; an earlier record there is kept aside.

    Raises:
        RecordError: If the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_json(measurement), keep_earlier=True)
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror}") from error


def rewrite_measurement(measurement: Measurement, path: Path) -> None:
    """Replace this run's own record, of which something was learned since.

    Raises:
        RecordError: If there is no room for it; the record is as it was.
    """
    try:
        write_atomically(path, to_json(measurement))
    except OSError as error:
        raise RecordError(f"{path} cannot be written: {error.strerror}") from error


def to_json(measurement: Measurement) -> bytes:
    """The record as it is on disk."""
    return _adapter.dump_json(measurement, indent=1)


def find_measurements(folder: Path) -> list[Path]:
    """Every record below a folder, also those kept aside when a folder was used again."""
    return sorted(path for path in folder.rglob("measurement*.json") if _ANY_NAME.fullmatch(path.name))


def read_measurement(path: Path) -> Measurement:
    """Read one record.

    Raises:
        RecordError: If it is missing, damaged or of another version.
    """
    try:
        measurement = _adapter.validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        what = f"{where}: {first['msg']}{more}"
        raise RecordError(f"{path} is not a record of version {SCHEMA_VERSION}: {what}") from error
    if measurement.schema_version not in _READABLE:
        raise RecordError(f"{path} is a record of version {measurement.schema_version}, not {SCHEMA_VERSION}")
    return measurement
