"""Find cells that cannot run here, with the reason: the sweep goes on without them."""

from pathlib import Path

from mps_experiments.mps.control import CONTROL_PROGRAM, control_program
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.run.plan import FaultPlan, RunPlan

_KERNEL_RELEASE = Path("/proc/sys/kernel/osrelease")


def reason_to_skip(plan: RunPlan) -> Verdict | None:
    """Return the verdict for a cell that cannot run on this machine; None if it can."""
    if plan.fault is not None and (verdict := _cannot_go_wrong_here(plan, plan.fault)):
        return verdict
    if plan.mps.enabled and (missing := _missing_for_mps(plan)):
        return _lacking(missing)
    return _ruled_out_by_compute_mode(plan)


def _cannot_go_wrong_here(plan: RunPlan, fault: FaultPlan) -> Verdict | None:
    """Return the verdict for a fault of something that is not there; None if it can happen."""
    if fault.needs_gpu and plan.device.is_cpu:
        return _lacking(f"fault={fault.kind} happens on an NVIDIA GPU: this run is on the CPU")
    if fault.needs_mps and not plan.mps.enabled:
        reason = f"fault={fault.kind} needs an MPS daemon: there is none with mps=off"
        return Verdict(status=Status.SKIPPED, reason=reason, not_applicable=True)
    return None


def _missing_for_mps(plan: RunPlan) -> str | None:
    gpu = plan.device.gpu
    if gpu is None:
        why = "device=cpu (mps=off runs here)" if plan.device.chosen else "none here (mps=off runs)"
        return f"MPS needs an NVIDIA GPU: {why}"
    if "microsoft" in _KERNEL_RELEASE.read_text().lower():
        return "MPS is not available under WSL"
    if gpu.mig_enabled:
        return f"MIG is enabled on {gpu.name}: MPS is measured on whole GPUs only"
    if control_program() is None:
        return f"{CONTROL_PROGRAM} is not on PATH: this driver installation has no MPS"
    return None


def _ruled_out_by_compute_mode(plan: RunPlan) -> Verdict | None:
    """Return the verdict for a cell that the compute mode forbids; None if it allows it.

    Without MPS an exclusive GPU takes one process; a prohibited one takes none.
    """
    gpu = plan.device.gpu
    if gpu is None:
        return None
    mode = gpu.compute_mode.upper()
    if mode == "PROHIBITED":
        return _lacking(f"{gpu.name} is in compute mode Prohibited")
    exclusive = plan.mps.exclusive_process or mode.startswith("EXCLUSIVE")
    if exclusive and not plan.mps.enabled and plan.worker_count > 1:
        reason = "in compute mode Exclusive_Process only one process can use the GPU without MPS"
        return _lacking(reason, of_hardware=not plan.mps.exclusive_process)
    return None


def _lacking(reason: str, of_hardware: bool = True) -> Verdict:
    return Verdict(status=Status.SKIPPED, reason=reason, for_want_of_hardware=of_hardware)
