"""Findings about the driver and the permissions to use it."""

import os
import re
from collections.abc import Iterator

from mps_experiments.doctor.finding import Finding, fail, ok, warn
from mps_experiments.doctor.gpu import Sight
from mps_experiments.doctor.roots import Roots

_NVIDIA = "0x10de"
_DISPLAY = "0x03"  # PCI class of display controllers, GPUs without a display included


def driver_findings(sight: Sight, roots: Roots) -> Iterator[Finding]:
    """The driver; nothing where there is neither a driver nor a GPU that would need one."""
    module = _kernel_module(roots)
    if sight.problem:
        yield fail(
            "driver",
            f"NVML does not tell of the GPUs ({sight.problem})",
            "see what `nvidia-smi` and `dmesg | grep NVRM` say; a GPU that is lost needs a restart",
        )
    elif sight.driver_version is not None:
        yield _running(sight.driver_version, sight.cuda_version, module)
    elif module:
        yield fail(
            "driver",
            f"the kernel has driver {module}, but its library does not answer",
            "run `nvidia-smi`: after an update restart the machine; in a container use --gpus all",
        )
    elif count := _nvidia_gpus_on_pci(roots):
        yield warn(
            "driver",
            f"none, although {count} NVIDIA GPU{'s are' if count > 1 else ' is'} on the PCI bus",
            "install NVIDIA's driver with its compute part (nvidia-smi, nvidia-cuda-mps-control)",
        )


def _running(version: str, cuda: str | None, module: str) -> Finding:
    if module and module != version:
        return fail("driver", f"library {version}, kernel {module}", "restart the machine after the update")
    return ok("driver", f"{version}, CUDA up to {cuda or 'an unknown version'}")


def _kernel_module(roots: Roots) -> str:
    """The version of the kernel's part of the driver; empty where it is not loaded."""
    try:
        text = (roots.proc / "driver" / "nvidia" / "version").read_text()
    except OSError:
        return ""
    found = re.search(r"Kernel Module\b.*?\s(\d+\.[\d.]+)", text)
    return found[1] if found else "of an unknown version"


def _nvidia_gpus_on_pci(roots: Roots) -> int:
    count = 0
    for folder in (roots.sys / "bus" / "pci" / "devices").glob("*"):
        try:
            vendor, kind = ((folder / name).read_text().strip() for name in ("vendor", "class"))
        except OSError:
            continue
        count += vendor == _NVIDIA and kind.startswith(_DISPLAY)
    return count


def permission_findings(roots: Roots) -> Iterator[Finding]:
    """Whether this user may open the driver's device files; for a machine with a GPU."""
    gpus, shared = [*roots.dev.glob("nvidia[0-9]*")], [roots.dev / "nvidiactl", roots.dev / "nvidia-uvm"]
    closed = [path for path in (*shared, *gpus) if path.exists() and not os.access(path, os.R_OK | os.W_OK)]
    if closed:
        names = ", ".join(sorted(path.name for path in closed))
        found = f"not to be read and written by this user: {names} in {roots.dev}"
        todo = "join the group that owns them (see `ls -l /dev/nvidia*`), or ask an administrator"
        is_another_gpu = not set(closed) & set(shared) and len(closed) < len(gpus)
        yield warn("permissions", found, todo) if is_another_gpu else fail("permissions", found, todo)
    elif not (roots.dev / "nvidia-uvm").exists():
        yield warn(
            "permissions",
            f"there is no {roots.dev / 'nvidia-uvm'}, which CUDA needs",
            "run `nvidia-modprobe -u -c=0` (root), or give the device to the container",
        )
    else:
        yield ok("permissions", f"user {os.geteuid()} may use the GPU; no root is needed")
