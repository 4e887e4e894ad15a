"""The machine of a run and its GPU, as data."""

from dataclasses import dataclass, field

ON_THE_CPU = "ran on the CPU: the numbers say nothing about MPS or a GPU"  # of a run or of several


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One physical GPU.

    Attributes:
        index: Number in PCI order, as in nvidia-smi.
        uuid: ``GPU-...``, to which plans refer.
        compute_mode: ``Default``, ``Exclusive_Process``, ``Prohibited`` or ``Exclusive_Thread``.
        mig_enabled: Whether the GPU is split into MIG instances.
        compute_capability: For example ``9.0``.
        local_cores: CPU cores nearest to the GPU; empty if NVML does not tell.
        torch_device: The name that a worker passes to torch. No other GPU is visible to it.
        multiprocessors: Number on the whole GPU; None if NVML does not tell, and in early records.
    """

    index: int
    uuid: str
    name: str
    memory_total_bytes: int
    compute_mode: str = "Default"
    mig_enabled: bool = False
    compute_capability: str = ""
    local_cores: tuple[int, ...] = ()
    torch_device: str = "cuda:0"
    multiprocessors: int | None = None


@dataclass(frozen=True, kw_only=True)
class GpuProcess:
    """A process with a compute context on a GPU.

    Attributes:
        memory_bytes: Device memory that it uses; None if NVML does not tell.
    """

    pid: int
    memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """The machine, its driver and the versions in use.

    Attributes:
        usable_cores: CPU cores that this program may use.
        git_commit: Commit of this program's checkout; None if it is installed.
        git_dirty: Whether that checkout was edited; None if it is installed.
        environment: Variables that can change the speed of CUDA, PyTorch or OpenMP. Workers inherit them.
        source_sha256: Digest of this program's modules. It differs in an edited checkout, whose version and
            commit do not.
        not_passed_on: Variables of the shell that reached no process of the run and so changed nothing.
        cpu_quota_cores: CPU quota of the container or service, in cores; None without a limit.
        hyperthreads: Groups of usable cores that share a physical core, as far as the kernel tells.
    """

    hostname: str
    os: str
    cpu: str
    logical_cores: int
    physical_cores: int | None
    usable_cores: tuple[int, ...]
    memory_total_bytes: int
    driver_version: str | None
    cuda_driver_version: str | None
    gpu: Gpu | None
    python: str
    packages: dict[str, str]
    mps_experiments: str
    git_commit: str | None
    git_dirty: bool | None
    environment: dict[str, str] = field(default_factory=dict)
    source_sha256: str | None = None
    not_passed_on: dict[str, str] = field(default_factory=dict)
    cpu_quota_cores: float | None = None
    hyperthreads: tuple[tuple[int, ...], ...] = ()
