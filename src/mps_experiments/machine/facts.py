"""The facts of the machine that a reader needs to judge or repeat a measurement."""

import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import psutil

from mps_experiments import __version__
from mps_experiments.machine.cell_variables import not_passed_on, passed_on
from mps_experiments.machine.cgroup import cpu_limit
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.machine.topology import hyperthreads
from mps_experiments.record.disk import digest_of_files
from mps_experiments.record.machine import Gpu, MachineFacts

_PACKAGES = ("torch", "torchvision", "mlflow", "hydra-core", "omegaconf", "numpy", "pillow", "nvidia-ml-py")
_TELLING = ("CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_TF32", "PYTORCH_", "TORCH_", "OMP_", "MKL_", "KMP_")


def collect_facts(probe: GpuProbe, gpu: Gpu | None, usable_cores: Iterable[int] = ()) -> MachineFacts:
    """Collect the facts of this machine.

    `usable_cores` are those before this program locked its own; empty asks the kernel.
    """
    package = Path(__file__).parents[1]
    usable = tuple(sorted(usable_cores or os.sched_getaffinity(0)))
    commit, dirty = _git_state(Path(__file__).parent)
    return MachineFacts(
        hostname=socket.gethostname(),
        os=platform.platform(),
        cpu=_cpu_model(),
        logical_cores=os.cpu_count() or 1,
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=usable,
        memory_total_bytes=psutil.virtual_memory().total,
        driver_version=probe.driver_version(),
        cuda_driver_version=probe.cuda_driver_version(),
        gpu=gpu,
        python=sys.version.split()[0],
        packages={name: version for name in _PACKAGES if (version := _version(name))},
        mps_experiments=__version__,
        git_commit=commit,
        git_dirty=dirty,
        environment={k: v for k, v in sorted(passed_on(os.environ).items()) if k.startswith(_TELLING)},
        not_passed_on=not_passed_on(os.environ),
        cpu_quota_cores=cpu_limit(),
        hyperthreads=hyperthreads(usable),
        source_sha256=digest_of_files(package, package.rglob("*.py")),
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return the commit of this program's checkout and whether it was edited; (None, None) if installed."""
    try:
        _git(folder, "ls-files", "--error-unmatch", __file__)
        return _git(folder, "rev-parse", "HEAD"), bool(_git(folder, "status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return None, None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    # No option: if git is slower than this, the record only lacks the commit.
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
