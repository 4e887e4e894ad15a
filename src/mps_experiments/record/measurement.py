"""The record of one run: what `measurement.json` holds, and how it gets to disk and back."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError, with_config

from mps_experiments.errors import RecordError
from mps_experiments.record.axes import COORDINATES, name_of, without
from mps_experiments.record.cell import Cell, cell_of_any_version
from mps_experiments.record.disk import write_or_refuse
from mps_experiments.record.faults import FaultTrial, SurvivorFigures, survivor_figures
from mps_experiments.record.findings import Finding
from mps_experiments.record.gpu_work import GpuWork
from mps_experiments.record.machine import GpuProcess, MachineFacts
from mps_experiments.record.outputs import OutputDifference, OutputDigest
from mps_experiments.record.overlap import Activity
from mps_experiments.record.proof import ForeignDaemon, Proof
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.soundness import contradiction
from mps_experiments.record.statistics import Statistics, summarise, whole_window_ns
from mps_experiments.record.telemetry import Telemetry, TelemetrySummary, summarise_telemetry
from mps_experiments.record.verdict import Verdict
from mps_experiments.record.worker import Done, WorkerFacts
from mps_experiments.record.workload import WorkloadSpec

SCHEMA_VERSION = 5
_READABLE = (1, 2, 3, 4, 5)  # what versions 2 to 5 added has defaults that say what earlier runs did
_VARIED_SINCE = 5
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
class Measurement:
    """Everything known of one run; statistics are derived from it, never stored.

    Attributes:
        record_id: Unique, the key under which MLflow knows it.
        sweep_id: The same for all runs of one command line.
        started_at: Seconds since the epoch.
        wall_s: From the start of the run to the end of its clean-up.
        phases_s: Seconds per phase of the run, in order.
        overrides: What was typed for this run's cell.
        varied: Those of them in which the cells of its sweep differ, beyond the coordinates of every name.
        config: The whole configuration, as Hydra composed it.
        contended: What else was on the GPU or served MPS; empty if nothing was seen.
        notes: What a reader should know, for example that cores were shared.
        findings: What the checks of the verdict found, the grave ones first.
        missing: Evidence that could not be had, and why.
        telemetry: What GPU and CPU did in the measured window.
        parity: The largest difference between the workers' outputs.
        fault: What happened in a run with a fault; such a run has no figures of an ordinary one.
        gpu_work: What was seen of each worker's work on the GPU; empty in earlier records.
    """

    schema_version: int
    record_id: str
    sweep_id: str
    name: str
    cell: Annotated[Cell, BeforeValidator(cell_of_any_version)]
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
    varied: tuple[str, ...] = ()

    @property
    def settings(self) -> tuple[str, ...]:
        """Return what its name says beyond coordinates and block."""
        return without(self.varied, "repeat")

    @property
    def cell_name(self) -> str:
        """Return the name that all repeats, trials and twins of its cell share."""
        return name_of(self.cell.axes, self.settings)

    @property
    def is_ordinary(self) -> bool:
        """Tell if nothing was made to go wrong: only such runs are compared with each other."""
        return self.cell.fault == "none"

    @property
    def has_figures(self) -> bool:
        """Tell if it is VALID and ordinary: no other run has figures."""
        return self.verdict.is_valid and self.is_ordinary

    @property
    def tells_of_its_cell(self) -> bool:
        """Tell if its figures are its cell's; a twin (A/A) would count its block twice."""
        return self.has_figures and not self.cell.is_twin

    @property
    def was_interrupted(self) -> bool:
        """Tell if a signal to the runner cut the run short."""
        failure = self.failure
        return failure is not None and failure.rank is None and failure.reason.startswith("interrupted by ")

    @property
    def samples(self) -> list[WorkerSamples]:
        """Return the samples of the workers that started their window."""
        return [worker.samples for worker in self.workers if worker.samples is not None]

    def statistics(self) -> Statistics | None:
        """Return the figures of a VALID ordinary run; None for any other, which has no numbers."""
        if not self.has_figures:
            return None
        return summarise(self.samples, self.cell.window == "kept", self.cell.items)

    def survivor_figures(self) -> SurvivorFigures | None:
        """Return the survivors' figures of a VALID run with a fault; None if there is none."""
        if self.fault is None or not self.verdict.is_valid:
            return None
        return survivor_figures(self.fault, {samples.rank: samples for samples in self.samples})

    def window_ns(self) -> tuple[int, int] | None:
        """Return the first start and the last end, of the monotonic clock; None if no worker was measured."""
        return whole_window_ns(self.samples) if self.samples else None

    def telemetry_summary(self) -> TelemetrySummary | None:
        """Summarise the GPU's readings inside the window; None if there are none."""
        window = self.window_ns()
        return summarise_telemetry(self.telemetry, window) if self.telemetry and window else None

    def overhead_s(self) -> float | None:
        """Return the run's seconds outside the measured window; None unless VALID."""
        figures = self.statistics()
        return None if figures is None else self.wall_s - figures.makespan_s


# JSON has no NaN and no infinity, what a model computes may have both.
_adapter: TypeAdapter[Measurement] = TypeAdapter(
    with_config(ConfigDict(ser_json_inf_nan="strings"))(Measurement)
)


def write_measurement(measurement: Measurement, path: Path, keep_earlier: bool = True) -> None:
    """Write the record so that a reader sees all of it or nothing.

    Args:
        measurement: The record.
        path: Its file.
        keep_earlier: Keep an earlier record there aside; False replaces this run's own.

    Raises:
        RecordError: If it cannot be written.
    """
    write_or_refuse(path, to_json(measurement), keep_earlier=keep_earlier)


def to_json(measurement: Measurement) -> bytes:
    """Return the record as it is on disk."""
    return _adapter.dump_json(measurement, indent=1)


def find_measurements(folder: Path) -> list[Path]:
    """List every record below a folder, also those kept aside when a folder was used again."""
    return sorted(path for path in folder.rglob("measurement*.json") if _ANY_NAME.fullmatch(path.name))


def records_in(folder: Path) -> list[Path]:
    """List the records in a folder itself, those kept aside first."""
    return sorted(path for path in folder.glob("measurement*.json") if _ANY_NAME.fullmatch(path.name))


def has_files_of(folder: Path, record_id: str) -> bool:
    """Tell whether the trace, the picture and the logs in a run's folder are of this record.

    Where a later run used the folder again, they are of that one, and this record lies there under a number.
    """

    def holds_it(path: Path) -> bool:
        return f'"{record_id}"'.encode() in path.read_bytes()

    try:
        return holds_it(folder / FILE_NAME)
    except OSError:  # a later run is under way or was killed; or the disk was full, and it lies elsewhere
        return not any(map(holds_it, records_in(folder)))


def read_measurement(path: Path) -> Measurement:
    """Read one record.

    Raises:
        RecordError: If it is missing, damaged, of another version, or contradicts itself.
    """
    try:
        measurement = _adapter.validate_json(path.read_bytes())
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise RecordError(f"{path} is not a record: it is not valid JSON, or was cut off") from error
        where = ".".join(map(str, first["loc"])) or "the file"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        what = f"{where}: {first['msg']}{more}"
        raise RecordError(f"{path} is not a record of version {SCHEMA_VERSION}: {what}") from error
    if measurement.schema_version not in _READABLE:
        raise RecordError(f"{path} is a record of version {measurement.schema_version}, not {SCHEMA_VERSION}")
    if why := _contradiction(measurement):
        raise RecordError(f"{path}: the record of {measurement.name} contradicts itself ({why})")
    if measurement.schema_version < _VARIED_SINCE:
        return replace(measurement, varied=_varied_in_name(measurement))
    return measurement


def _contradiction(m: Measurement) -> str:
    procs = m.cell.procs if m.is_ordinary else None
    times = m.cell.times if m.is_ordinary and m.cell.times != "auto" else None
    return contradiction(m.verdict, m.wall_s, m.samples, procs, times)


def _varied_in_name(measurement: Measurement) -> tuple[str, ...]:
    """Return what an earlier record tells by its name alone: which of its overrides the sweep varied."""
    words = measurement.name.split()
    return tuple(text for text in without(measurement.overrides, *COORDINATES, "fault") if text in words)
