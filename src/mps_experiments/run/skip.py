"""Find cells that cannot run here, with the reason: the sweep goes on without them."""

from pathlib import Path

from mps_experiments.mps.control import CONTROL_PROGRAM, control_program
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.run.plan import RunPlan

_KERNEL_RELEASE = Path("/proc/sys/kernel/osrelease")
_ONE_PROCESS = "in compute mode Exclusive_Process only one process can use the GPU without MPS"


def reason_to_skip(plan: RunPlan) -> Verdict | None:
    """Return the verdict for a cell that cannot run on this machine; None if it can."""
    fault = plan.fault
    if fault is not None and fault.needs_mps and not plan.mps.enabled and not plan.device.is_cpu:
        reason = f"fault={fault.kind} needs an MPS daemon: there is none with mps=off"
        return Verdict(status=Status.SKIPPED, reason=reason, not_applicable=True)
    missing = _missing(plan)
    if missing is None:
        return None
    # A compute mode that the user asked for is no lack of hardware.
    chosen = missing == _ONE_PROCESS and plan.mps.exclusive_process
    return Verdict(status=Status.SKIPPED, reason=missing, for_want_of_hardware=not chosen)


def _missing(plan: RunPlan) -> str | None:
    """Return what this machine lacks for the cell."""
    gpu = plan.device.gpu
    if plan.fault is not None and plan.fault.needs_gpu and gpu is None:
        return f"fault={plan.fault.kind} happens on an NVIDIA GPU: this run is on the CPU"
    if plan.mps.enabled:
        if gpu is None:
            why = "this run is on device=cpu" if plan.device.chosen else "there is none here"
            return f"mps=on needs an NVIDIA GPU, and {why}; add mps=off to measure on the CPU"
        if "microsoft" in _KERNEL_RELEASE.read_text().lower():
            return "MPS is not available under WSL"
        if gpu.mig_enabled:
            return f"MIG is enabled on {gpu.name}: MPS is measured on whole GPUs only"
        if control_program() is None:
            return f"{CONTROL_PROGRAM} is not on PATH: this driver installation has no MPS"
    if gpu is None:
        return None
    mode = gpu.compute_mode.upper()
    if mode == "PROHIBITED":
        return f"{gpu.name} is in compute mode Prohibited"
    exclusive = plan.mps.exclusive_process or mode.startswith("EXCLUSIVE")
    return _ONE_PROCESS if exclusive and not plan.mps.enabled and plan.worker_count > 1 else None
