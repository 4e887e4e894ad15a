"""The typed schema of everything a user can set.

The classes are mutable because Hydra merges into them; `plan.build_plan` turns one composed
configuration into a frozen plan and refuses what cannot work. The text under each field is what
``--help`` prints.
"""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

CONFIG_NAME = "config"
AUTO: Final = "auto"
STORE_VARIABLE: Final = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE: Final = "MLFLOW_EXPERIMENT_NAME"
OR_AUTO = ("times", "workers.warmup")  # options that take a whole number or auto
# Options of earlier versions: what they refused is noise, which now widens the interval instead.
NO_LONGER = tuple(
    f"validity.{name}_invalid" for name in ("common_window", "start_skew", "drift", "foreign_cpu")
)


# Member names are what a user types, hence the lower case.
class ComputeMode(Enum):
    """What to do with the GPU's compute mode."""

    keep = "keep"
    exclusive_process = "exclusive_process"


class StartMethod(Enum):
    """How worker processes are started."""

    forkserver = "forkserver"
    spawn = "spawn"


class CpuAffinity(Enum):
    """How workers are placed on CPU cores."""

    auto = "auto"
    rotate = "rotate"
    none = "none"


class Window(Enum):
    """What a worker does that has measured its own iterations before the others have."""

    kept = "kept"
    fixed = "fixed"


class Order(Enum):
    """The order in which the cells of a sweep run."""

    blocks = "blocks"
    as_given = "as_given"


class WorkloadKind(Enum):
    """Where the model comes from."""

    torchvision = "torchvision"
    custom = "custom"


class NormLayer(Enum):
    """Which batch normalisation a torchvision model has."""

    auto = "auto"
    batch = "batch"
    frozen = "frozen"


class Synchronize(Enum):
    """What ends an iteration."""

    stream = "stream"
    device = "device"


class FaultKind(Enum):
    """What goes wrong on purpose."""

    none = "none"
    kill = "kill"
    terminate = "terminate"
    exit = "exit"
    exception = "exception"
    oom = "oom"
    device_assert = "device_assert"
    illegal_address = "illegal_address"
    server_kill = "server_kill"
    daemon_kill = "daemon_kill"
    hang = "hang"


@dataclass(kw_only=True)
class MpsConfig:
    """The state of NVIDIA MPS in one cell."""

    enabled: bool = True
    """Run the workers as clients of a private MPS daemon (mps=on) or without MPS (mps=off)."""
    compute_mode: ComputeMode = ComputeMode.keep
    """keep: leave it alone; exclusive_process: set it for the run (needs root), then put it back."""
    start_timeout_s: float = 10.0
    """Seconds for the daemon to answer its first command."""
    command_timeout_s: float = 5.0
    """Seconds for the daemon to answer any later command."""
    quit_timeout_s: float = 5.0
    """Seconds for the daemon to go after `quit`, and again after each signal that follows."""
    foreign_timeout_s: float = 2.0
    """Seconds for an MPS daemon of others to tell its clients; it counts as there if it does not."""
    compute_mode_timeout_s: float = 30.0
    """Seconds for nvidia-smi to change the compute mode."""
    guardian_timeout_s: float = 60.0
    """Seconds for the guardian process to put back what is left when the sweep ends."""


@dataclass(kw_only=True)
class WorkloadConfig:
    """What each worker executes once per iteration."""

    kind: WorkloadKind = WorkloadKind.torchvision
    """torchvision: a model by name; custom: a factory of yours."""
    model: str = AUTO
    """A torchvision model by name; auto: maskrcnn_resnet50_fpn, on a CPU ssdlite320_mobilenet_v3_large."""
    weights: str = "random"
    """random: seeded, no download; default or a name such as IMAGENET1K_V1: torchvision's pretrained; or the
    path of a checkpoint: safetensors, or what torch.load(weights_only=True) reads."""
    weights_key: str | None = None
    """Where in a checkpoint the weights are, for example model_ema; null: the one set that fits the model."""
    norm_layer: NormLayer = NormLayer.auto
    """auto: as in torchvision's pretrained model, whatever the weights; batch: BatchNorm2d, as in the first
    experiment; frozen: FrozenBatchNorm2d. Only for models with batch normalisation."""
    input: Any = "sample"
    """sample: a photo that scikit-learn ships; or the path of an image, or a list of paths used in turn."""
    batch: int = 1
    """Images in each forward, filled from the inputs in turn. With kind=custom the items in each iteration:
    above 1 the factory is called as build(device, options, batch=N)."""
    seed: int = 0
    """Seed of the random weights, the same in every worker."""
    synchronize: Synchronize = Synchronize.stream
    """What ends an iteration: the worker's own stream, or all of its work on the device."""
    factory: str | None = None
    """With kind=custom: my_module:build, called as build(device, options), returns (model, input)."""
    options: dict[str, Any] = field(default_factory=dict)
    """With kind=custom: handed to the factory as a dict."""


@dataclass(kw_only=True)
class WorkersConfig:
    """How worker processes are started, placed and waited for."""

    start_method: StartMethod = StartMethod.forkserver
    """forkserver: torch is imported once for the sweep; spawn: every worker imports it again."""
    cpu_affinity: CpuAffinity = CpuAffinity.none
    """none: where the kernel puts them, like processes in production; auto: one CPU core for each worker
    where there are enough; rotate: so, and all move on by one core every rotate_s, so that fast and slow
    cores are shared out: steadier, but on a virtual machine one process is slower than left alone."""
    rotate_s: float = 0.05
    """With cpu_affinity=rotate: seconds between two moves."""
    warmup: Any = "auto"
    """Iterations before the measured window, the slow first one included; auto: until latency is steady."""
    preload: Any = "auto"
    """Modules that the fork server imports once for all workers; auto: what the factory's module imports."""
    verbose: bool = False
    """Print a line per forward (pid, stream, shape). It costs time inside the measured window."""
    ready_timeout_s: float = 300.0
    """Seconds from start until every worker is loaded, warm and ready."""
    stall_timeout_s: float = 120.0
    """Seconds without one finished iteration in any worker before the run is given up."""
    stop_timeout_s: float = 10.0
    """Seconds for the workers to exit before they are killed."""
    kill_timeout_s: float = 30.0
    """Seconds for a worker that was killed or has died to be gone."""


@dataclass(kw_only=True)
class TraceConfig:
    """The traced pass after the measured window: which kernels ran together."""

    iterations: int = 3
    """Traced iterations per worker, after the measured window and never inside it; 0: no traced pass."""
    min_s: float = 0.1
    """Trace at least as many iterations as took this many seconds in the measured window."""
    timeout_s: float = 120.0
    """Seconds for the workers to start tracing, and again to run and write the pass."""


@dataclass(kw_only=True)
class TelemetryConfig:
    """What is read of GPU and CPU while the workers are measured."""

    interval_s: float = 0.1
    """Seconds between two readings of the GPU through NVML; 0: none."""
    reading_timeout_s: float = 10.0
    """Seconds for the reading under way at the end of the window to come back."""


@dataclass(kw_only=True)
class ValidityConfig:
    """When a run is INVALID, and when its numbers come with a warning. Shares lie between 0 and 1."""

    common_window_warn: float = 0.95
    """Warn, with window=fixed, if all workers were at work together in a smaller share of the makespan."""
    start_skew_warn: float = 0.01
    """Warn if the last worker started later than the first by more than this share of the makespan."""
    unequal_workers_warn: float = 1.25
    """Warn if the slowest worker's median latency is more than this many times the fastest's."""
    throttled_invalid: float = 0.05
    """INVALID if heat, a power brake or other hardware held the clock down in more of the readings."""
    power_capped_warn: float = 0.05
    """Warn if the power limit lowered the clock in more than this share of the readings."""
    drift_warn: float = 0.1
    """Warn if a worker's median latency changed by more than this from the first third to the last."""
    outliers_warn: float = 0.02
    """Warn if more than this share of the iterations took over twice the median."""
    foreign_gpu_invalid: float = 0.05
    """INVALID if other processes used more than this share of the GPU."""
    foreign_cpu_warn: float = 0.05
    """Warn if others (processes, hypervisor) used more than this share of the workers' cores."""
    core_wait_warn: float = 0.05
    """Warn if a worker was ready to run but had no core for more than this share of its window."""
    foreign_daemon_invalid: bool = True
    """INVALID if an MPS daemon of others was there during an mps=off run; false: warn."""
    output_rtol: float = 1e-3
    """Outputs of replicas may differ by atol + rtol * |value|; INVALID above."""
    output_atol: float = 1e-4
    """See output_rtol."""
    nonfinite_outputs: bool = False
    """Accept outputs with NaN or infinity; false: INVALID, since a broken model may be fast."""


@dataclass(kw_only=True)
class FaultConfig:
    """What goes wrong on purpose in the middle of the measured window, and how its effect is watched."""

    kind: FaultKind = FaultKind.none
    """What happens to one worker, to the MPS server or to its daemon; see conf/fault."""
    worker: int = 0
    """Rank of the worker that is hit; with server_kill and daemon_kill its progress sets the moment."""
    at: float = 0.5
    """The share of that worker's iterations that are done when it happens, from 0 up to below 1."""
    trials: int = 1
    """How many times to try, each with new workers and, with mps=on, a new daemon."""
    newcomer_after_s: float = 1.0
    """Seconds from the fault until a new client asks to be served; at once if no worker is left."""
    newcomer_timeout_s: float = 60.0
    """Seconds for a new client to be served, over all its attempts."""


@dataclass(kw_only=True)
class TrackingConfig:
    """Where finished runs are logged for browsing."""

    enabled: bool = True
    """Log to MLflow. The record on disk is written in any case."""
    uri: str | None = None
    """An MLflow tracking address; null: mlflow.db in the output directory. Where none is given, that of
    MLFLOW_TRACKING_URI, unless tracking=sqlite."""
    experiment: str = "mps_experiments"
    """Name of the MLflow experiment. Where none is given, that of MLFLOW_EXPERIMENT_NAME."""
    timeout_s: float = 30.0
    """Seconds for MLflow to take one cell."""
    connect_timeout_s: float = 10.0
    """Seconds for an MLflow server to say that it is there, before anything starts."""


@dataclass(kw_only=True)
class Config:
    """One cell of a sweep."""

    mps: MpsConfig = field(default_factory=MpsConfig)
    workload: WorkloadConfig = field(default_factory=WorkloadConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    validity: ValidityConfig = field(default_factory=ValidityConfig)
    fault: FaultConfig = field(default_factory=FaultConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    procs: int = 1
    """Number of worker processes, each with a replica of the model."""
    times: Any = 50
    """Iterations per worker in the measured window; auto: as many as window_s seconds hold."""
    window: Window = Window.kept
    """kept: a worker that is done goes on, unmeasured, until all are; fixed: it stops and leaves the GPU to
    the others, as in the first experiment."""
    window_s: float = 10.0
    """With times=auto: seconds that each worker is measured."""
    repeat: int = 0
    """Number of the repeat, or block: repeat=0,1,2 measures each cell three times, each with new workers."""
    order: Order = Order.blocks
    """blocks: every cell once per repeat, in an order drawn from order_seed; as_given: as it was typed."""
    order_seed: int = 0
    """Seed of the order of the cells within each block."""
    precision: float = 0.0
    """Add blocks until the answer's intervals are within this share, for example 0.05; 0: add none."""
    budget_min: float = 30.0
    """With precision: minutes that the sweep may take; no block is begun that would not be done by then."""
    device: str = "auto"
    """auto, cuda, cuda:N (as nvidia-smi numbers them), a GPU UUID, or cpu."""
    gpu_wait_s: float = 0.0
    """Seconds to wait for a GPU that another sweep is using; 0: refuse at once."""
    report: bool = True
    """At the end of a sweep write report.html, report.md and figures/ into its folder."""
    resume: bool = False
    """Skip cells that have a VALID record under output_dir of the same configuration, code and machine."""
    allow_code: bool = False
    """On the command line only: let the configuration name code to run (_target_, logging classes, ...)."""
    output_dir: str = "outputs"
    """Folder of run folders and of the embedded MLflow store."""
    min_free_disk_mb: int = 200
    """Refuse to start with less free space than this under output_dir."""


def register_schema() -> None:
    """Make the schema known to Hydra, under the name that conf/config.yaml starts from."""
    schema = OmegaConf.structured(Config)
    OmegaConf.set_struct(schema.workload.options, False)  # its keys are the user's own
    ConfigStore.instance().store(name="schema", node=schema)


def conf_dir() -> Path:
    """The folder of the Hydra tree: inside an installed package, or at the top of the checkout."""
    packaged = Path(__file__).parent / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "conf"


@dataclass(frozen=True)
class Option:
    """One settable field: its dotted name, the type's name, its default and its description."""

    name: str
    type_name: str
    default: object
    description: str

    @property
    def default_text(self) -> str:
        """The default as it is written on the command line."""
        if self.default is None:
            return "null"
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)


def options(schema: type = Config, prefix: str = "") -> Iterator[Option]:
    """Every settable field of the schema, groups flattened, in source order."""
    instance = schema()
    described = _field_descriptions(schema)
    for name, annotation in inspect.get_annotations(schema).items():
        value = getattr(instance, name)
        if hasattr(value, "__dataclass_fields__"):
            yield from options(type(value), f"{prefix}{name}.")
            continue
        type_name = getattr(annotation, "__name__", str(annotation))
        if isinstance(value, Enum):
            type_name, value = "|".join(type(value).__members__), value.name
        if f"{prefix}{name}" in OR_AUTO:
            type_name = "int or auto"
        yield Option(f"{prefix}{name}", type_name, value, described[name])


def _field_descriptions(schema: type) -> dict[str, str]:
    """Field name -> the string literal under it. Raises KeyError later if a field has none."""
    body = ast.parse(inspect.getsource(schema)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - inspect.getsource of a class
    found: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found
