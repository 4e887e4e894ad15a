"""The typed schema of everything a user can set: the one place that knows an option.

An option is a field: its type, its default, the bounds of its numbers, and under it the text that ``--help``
prints. Hydra checks types when it merges; a `Config` checks bounds when it is made, and is frozen.
What options cannot mean together, or on this machine, `run.plan.build_plan` refuses.
"""

import functools
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from hydra.core.config_store import ConfigStore
from omegaconf import DictConfig, OmegaConf

from mps_experiments.config.option import Option, number, options_of
from mps_experiments.config.places import user_folder
from mps_experiments.errors import ConfigError
from mps_experiments.record.outputs import ATOL, RTOL

CONFIG_NAME = "config"
AUTO: Final = "auto"
STORE_VARIABLE: Final = "MLFLOW_TRACKING_URI"
EXPERIMENT_VARIABLE: Final = "MLFLOW_EXPERIMENT_NAME"
MAX_TRACED: Final = 1000  # a traced iteration may have thousands of kernels, and all are kept in memory
_MOST = 10_000_000  # iterations
_LEAST_S, _MOST_S = 0.001, 1_000_000  # seconds; the kernel's poll takes at most 2**31 milliseconds
_NOISE = "noise refuses no number, it widens the interval"
_DEADLINE = "this deadline is fixed now"
# Options of earlier versions, and why they went. Records that name them are read and replayed without them.
NO_LONGER: Final = {
    "validity.common_window_invalid": _NOISE,
    "validity.start_skew_invalid": _NOISE,
    "validity.drift_invalid": _NOISE,
    "validity.foreign_cpu_invalid": _NOISE,
    "mps.start_timeout_s": _DEADLINE,
    "mps.command_timeout_s": _DEADLINE,
    "mps.quit_timeout_s": _DEADLINE,
    "mps.foreign_timeout_s": _DEADLINE,
    "mps.compute_mode_timeout_s": _DEADLINE,
    "mps.guardian_timeout_s": _DEADLINE,
    "workers.stop_timeout_s": _DEADLINE,
    "workers.kill_timeout_s": _DEADLINE,
    "trace.timeout_s": _DEADLINE,
    "telemetry.reading_timeout_s": _DEADLINE,
    "fault.newcomer_timeout_s": _DEADLINE,
}


# Member names are what a user types, hence the lower case; the options below say what they mean.
class ComputeMode(Enum):
    keep = "keep"
    exclusive_process = "exclusive_process"


class StartMethod(Enum):
    forkserver = "forkserver"
    spawn = "spawn"


class CpuAffinity(Enum):
    auto = "auto"
    rotate = "rotate"
    none = "none"


class Window(Enum):
    kept = "kept"
    fixed = "fixed"


class Order(Enum):
    blocks = "blocks"
    as_given = "as_given"


class WorkloadKind(Enum):
    torchvision = "torchvision"
    custom = "custom"


class NormLayer(Enum):
    auto = "auto"
    batch = "batch"
    frozen = "frozen"


class Synchronize(Enum):
    stream = "stream"
    device = "device"


class FaultKind(Enum):
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


@dataclass(frozen=True, kw_only=True)
class MpsConfig:
    """The state of NVIDIA MPS in one cell."""

    enabled: bool = True
    """Run the workers as clients of a private MPS daemon (mps=on) or without MPS (mps=off)."""
    compute_mode: ComputeMode = ComputeMode.keep
    """keep: leave it alone; exclusive_process: set it for the run (needs root), then put it back."""

    @property
    def exclusive_process(self) -> bool:
        return self.compute_mode is ComputeMode.exclusive_process


@dataclass(frozen=True, kw_only=True)
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
    batch: int = number(1, low=1, high=65_536)
    """Images in each forward, filled from the inputs in turn. With kind=custom the items in each iteration:
    above 1 the factory is called as build(device, options, batch=N)."""
    seed: int = number(0, low=0, high=2**63 - 1)
    """Seed of the random weights, the same in every replica."""
    synchronize: Synchronize = Synchronize.stream
    """What ends an iteration: the worker's own stream, or all of its work on the device."""
    factory: str | None = None
    """With kind=custom: my_module:build, called as build(device, options), returns (model, input)."""
    options: dict[str, Any] = field(default_factory=dict)
    """With kind=custom: handed to the factory as a dict."""


@dataclass(frozen=True, kw_only=True)
class WorkersConfig:
    """How worker processes are started, placed and waited for."""

    start_method: StartMethod = StartMethod.forkserver
    """forkserver: torch is imported once for the sweep; spawn: every worker imports it again."""
    cpu_affinity: CpuAffinity = CpuAffinity.none
    """none: where the kernel puts them, like processes in production; auto: one CPU core for each process
    where there are enough; rotate: so, and all move on by one core every rotate_s, so that fast and slow
    cores are shared out: steadier, but on a virtual machine one process is slower than left alone."""
    rotate_s: float = number(0.05, low=0.001, high=60)
    """With cpu_affinity=rotate: seconds between two moves."""
    warmup: Any = number(AUTO, low=0, high=_MOST, word=AUTO)
    """Iterations before the measured window, the slow first one included; auto: until latency is steady."""
    preload: Any = "auto"
    """Modules that the fork server imports once for all workers; auto: what the factory's module imports."""
    verbose: bool = False
    """Print a line per forward (pid, stream, shape). It costs time inside the measured window."""
    ready_timeout_s: float = number(300.0, low=_LEAST_S, high=_MOST_S)
    """Seconds from start until every worker is loaded, warm and ready."""
    stall_timeout_s: float = number(120.0, low=_LEAST_S, high=_MOST_S)
    """Seconds without one finished iteration in any worker before the run is given up."""

    @property
    def pinned(self) -> bool:
        return self.cpu_affinity is not CpuAffinity.none

    @property
    def rotates(self) -> bool:
        return self.cpu_affinity is CpuAffinity.rotate

    @property
    def warmup_iterations(self) -> int | None:
        """Return the number of iterations; None until latency is steady."""
        return None if self.warmup == AUTO else self.warmup

    @property
    def modules(self) -> tuple[Any, ...] | None:
        """Return what the fork server imports; None for what the factory's module imports."""
        if self.preload == AUTO:
            return None
        return tuple(self.preload) if isinstance(self.preload, list | tuple) else (self.preload,)


@dataclass(frozen=True, kw_only=True)
class TraceConfig:
    """The traced pass after the measured window: which kernels ran together."""

    iterations: int = number(3, low=0, high=MAX_TRACED)
    """Traced iterations per process, after the measured window and never inside it; 0: no traced pass."""
    min_s: float = number(0.1, low=0, high=10)
    """Trace at least as many iterations as took this many seconds in the measured window."""


@dataclass(frozen=True, kw_only=True)
class TelemetryConfig:
    """What is read of GPU and CPU while the workers are measured."""

    interval_s: float = number(0.1, low=0.005, high=60, zero_is_off=True)
    """Seconds between two readings of the GPU through NVML; 0: none."""


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """When a run is INVALID, and when its numbers come with a warning. Shares lie between 0 and 1."""

    common_window_warn: float = number(0.95, low=0, high=1)
    """Warn, with window=fixed, if all workers were at work together in a smaller share of the makespan."""
    start_skew_warn: float = number(0.01, low=0)
    """Warn if the last worker started later than the first by more than this share of the makespan."""
    unequal_workers_warn: float = number(1.25, low=0)
    """Warn if the slowest worker's median latency is more than this many times the fastest's."""
    throttled_invalid: float = number(0.05, low=0)
    """INVALID if heat, a power brake or other hardware held the clock down in more of the readings."""
    power_capped_warn: float = number(0.05, low=0)
    """Warn if the power limit lowered the clock in more than this share of the readings."""
    drift_warn: float = number(0.1, low=0)
    """Warn if a worker's median latency changed by more than this from the first third to the last."""
    outliers_warn: float = number(0.02, low=0)
    """Warn if more than this share of the iterations took over twice the median."""
    foreign_gpu_invalid: float = number(0.05, low=0)
    """INVALID if other processes used more than this share of the GPU."""
    foreign_cpu_warn: float = number(0.05, low=0)
    """Warn if others (processes, hypervisor) used more than this share of the workers' cores."""
    core_wait_warn: float = number(0.05, low=0)
    """Warn if a worker was ready to run but had no core for more than this share of its window."""
    foreign_daemon_invalid: bool = True
    """INVALID if an MPS daemon of others was there during an mps=off run; false: warn."""
    output_rtol: float = number(RTOL, low=0)
    """Outputs of replicas may differ by atol + rtol * |value|; INVALID above."""
    output_atol: float = number(ATOL, low=0)
    """See output_rtol."""
    nonfinite_outputs: bool = False
    """Accept outputs with NaN or infinity; false: INVALID, since a broken model may be fast."""


@dataclass(frozen=True, kw_only=True)
class FaultConfig:
    """What goes wrong on purpose in the middle of the measured window, and how its effect is watched."""

    kind: FaultKind = FaultKind.none
    """What happens to one worker, to the MPS server or to its daemon; see conf/fault."""
    worker: int = number(0, low=0, high=1023)
    """Rank of the worker that is hit; with server_kill and daemon_kill its progress sets the moment."""
    at: float = number(0.5, low=0, high=0.999)
    """The share of that worker's iterations that are done when it happens."""
    trials: int = number(1, low=1, high=1000)
    """How many times to try, each with new workers and, with mps=on, a new daemon."""
    newcomer_after_s: float = number(1.0, low=0, high=_MOST_S)
    """Seconds from the fault until a new client asks to be served; at once if no worker is left."""


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """Where finished runs are logged for browsing."""

    enabled: bool = True
    """Log to MLflow. The record on disk is written in any case."""
    uri: str | None = None
    """An MLflow tracking address; null: mlflow.db in the output directory. Where none is given, that of
    MLFLOW_TRACKING_URI, unless tracking=sqlite."""
    experiment: str = "mps_experiments"
    """Name of the MLflow experiment. Where none is given, that of MLFLOW_EXPERIMENT_NAME."""
    timeout_s: float = number(30.0, low=_LEAST_S, high=_MOST_S)
    """Seconds for MLflow to take one run."""
    connect_timeout_s: float = number(10.0, low=_LEAST_S, high=_MOST_S)
    """Seconds for an MLflow server to say that it is there, before anything starts."""


@dataclass(frozen=True, kw_only=True)
class CostConfig:
    """The price of the machine, for the cost of its work; it changes no run."""

    gpu_hour: float = number(0.0, low=0, high=1_000_000)
    """Price of one hour of the GPU, in any currency, for the cost of a million items; 0: tell none."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """One cell of a sweep."""

    mps: MpsConfig = field(default_factory=MpsConfig)
    workload: WorkloadConfig = field(default_factory=WorkloadConfig)
    workers: WorkersConfig = field(default_factory=WorkersConfig)
    trace: TraceConfig = field(default_factory=TraceConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    validity: Thresholds = field(default_factory=Thresholds)
    fault: FaultConfig = field(default_factory=FaultConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cost: CostConfig = field(default_factory=CostConfig)
    procs: int = number(1, low=1, high=1024)
    """Number of worker processes, each with a replica of the model."""
    times: Any = number(50, low=1, high=_MOST, word=AUTO)
    """Iterations per process in the measured window; auto: as many as window_s seconds hold."""
    window: Window = Window.kept
    """kept: a process that finishes early keeps up the load, unmeasured, until all have finished; fixed: it
    stops and leaves the GPU to the others, as in the first experiment."""
    window_s: float = number(10.0, low=0.01, high=86_400)
    """With times=auto: seconds that each process is measured."""
    repeat: int = number(0, low=0, high=_MOST)
    """Number of the repeat, or block: repeat=0,1,2 measures each cell three times, with new processes."""
    order: Order = Order.blocks
    """blocks: every cell once per repeat, in an order drawn from order_seed; as_given: as it was typed."""
    order_seed: int = number(0, low=0, high=2**32 - 1)
    """Seed of the order of the cells within each block."""
    precision: float = number(0.0, low=0, high=1)
    """Add blocks until the answer's intervals are within this share, for example 0.05; 0: add none."""
    budget_min: float = number(30.0, low=_LEAST_S, high=100_000)
    """With precision: minutes that the sweep may take; no block is begun that would not be done by then."""
    device: str = "auto"
    """auto, cuda, cuda:N (as nvidia-smi numbers them), a GPU UUID, or cpu."""
    gpu_wait_s: float = number(0.0, low=0, high=_MOST_S)
    """Seconds to wait for a GPU that another sweep is using; 0: refuse at once."""
    report: bool = True
    """At the end of a sweep write report.html, report.md and figures/ into its folder."""
    resume: bool = False
    """Skip runs that have a VALID record under output_dir of the same configuration, code and machine."""
    allow_code: bool = False
    """On the command line only: let the configuration name code to run (_target_, logging classes, ...)."""
    output_dir: str = "outputs"
    """Folder of run folders and of the embedded MLflow store."""
    min_free_disk_mb: int = number(200, low=0, high=2**40)
    """Refuse to start with less free space than this under output_dir."""

    @property
    def output_path(self) -> Path:
        """Return the whole path of `output_dir`."""
        return user_folder(self.output_dir).absolute()

    def __post_init__(self) -> None:
        """Refuse the first number that is out of its bounds."""
        for option in options():
            if not option.allows(value := attrgetter(option.name)(self)):
                raise ConfigError(option.name, value, f"must be {option.wanted}")


@functools.cache
def options() -> tuple[Option, ...]:
    """Return every option, those of groups in place, in source order."""
    return tuple(options_of(Config))


def register_schema() -> None:
    """Make the schema known to Hydra, under the name that conf/config.yaml starts from."""
    schema = OmegaConf.structured(Config)
    for node in (schema, *schema.values()):
        if isinstance(node, DictConfig):
            OmegaConf.set_readonly(node, None)  # frozen is what comes out, not what is merged
    OmegaConf.set_struct(schema.workload.options, False)  # its keys are the user's own
    ConfigStore.instance().store(name="schema", node=schema)


def conf_dir() -> Path:
    """Return the folder of the Hydra tree: inside an installed package, or at the top of the checkout."""
    packaged = Path(__file__).parents[1] / "conf"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "conf"
