"""Name the resource of the GPU that is used up, by the telemetry of the timed window; pure."""

import math
from enum import StrEnum

import numpy as np

from mps_experiments.analysis.growth import Growth
from mps_experiments.analysis.numbers import per_cent
from mps_experiments.record.telemetry import POWER_CAP

# Shares from which a resource counts as used up. On an H100, copies reach 0.88 of the memory's peak and large
# matrix products 0.99 of the multiprocessors' time.
_DRAM_USED_UP = 0.6
_SM_USED_UP = 0.8
# Coarser figures, for GPUs without GPM.
_NVML_MEMORY_USED_UP = 0.8
_LAUNCHES_FILL = 0.8
_ALWAYS_BUSY = 0.9
_CLOCK_FELL = 1.03
_CAPPED = 0.5  # share of the readings in which the power limit held the clock down


class Cause(StrEnum):
    """The reason why N processes do not take the time of one, or why there is room for them."""

    HOST = "host-limited"
    TIME_SLICED = "time-sliced"
    CPU = "CPU-starved"
    MULTIPROCESSORS = "SM-limited"
    MEMORY = "memory-bandwidth-limited"
    POWER = "power-limited"
    CONTENTION = "GPU-contended"
    """Multiprocessors and memory have room, and yet operations delay each other."""
    GPU = "GPU-limited"
    """Which resource is used up was not read."""
    UNDECIDED = "undecided"


def gpu_limit(growth: Growth) -> tuple[Cause, str]:
    """Return the resource that N workers use up, and the sentences that show it."""
    cause, text = _by_gpm(growth) or _by_nvml(growth)
    return cause, " ".join([text, *lower_clock(growth)])


def is_power_limited(growth: Growth) -> bool:
    """Tell whether the power limit held the clock down and that alone explains most of the growth."""
    explained = min(growth.one.run_s * (growth.clock_factor - 1), growth.kernels_s)
    fell = growth.clock_factor > _CLOCK_FELL and _capped_share(growth) >= _CAPPED
    return fell and growth.is_mostly(explained)


def lower_clock(growth: Growth) -> list[str]:
    """Return a sentence if the clock was lower than with one process; else none."""
    if growth.clock_factor <= _CLOCK_FELL:
        return []
    capped = _capped_share(growth)
    why = f", the power limit held it down in {per_cent(capped)} of the readings" if capped else ""
    return [f"The SM clock was {growth.clock_factor:.2f} times as high with one process{why}."]


def _capped_share(growth: Growth) -> float:
    return growth.gpu.reason_shares.get(POWER_CAP, 0.0) if growth.gpu else 0.0


def _by_gpm(growth: Growth) -> tuple[Cause, str] | None:
    mean = growth.gpu.mean if growth.gpu else {}
    sm, dram = mean.get("sm_activity"), mean.get("dram_activity")
    if sm is None or dram is None or not math.isfinite(sm + dram):
        return None
    if dram >= _DRAM_USED_UP:
        cause, conclusion = Cause.MEMORY, "memory bandwidth is used up"
    elif sm >= _SM_USED_UP:
        cause, conclusion = Cause.MULTIPROCESSORS, "the multiprocessors are used up"
    else:
        cause = Cause.CONTENTION
        conclusion = "neither is used up, so something else makes the operations delay each other"
    return cause, (
        f"In the timed window the multiprocessors were active {per_cent(sm)} of the time and the device "
        f"memory moved {per_cent(dram)} of its peak: {conclusion}."
    )


def _by_nvml(growth: Growth) -> tuple[Cause, str]:
    memory = growth.gpu.mean.get("memory_utilization") if growth.gpu else None
    if memory is not None and memory >= _NVML_MEMORY_USED_UP:
        text = f"NVML counted the device memory as in use {per_cent(memory)} of the time (a coarse figure)."
        return Cause.MEMORY, text
    fills = [worker.sm_fill for worker in growth.activity.workers if worker.sm_fill is not None]
    fill, busy = float(np.mean(fills)) if fills else 0.0, growth.activity.busy_share
    if fill >= _LAUNCHES_FILL and busy >= _ALWAYS_BUSY:
        return Cause.MULTIPROCESSORS, (
            f"In the traced pass operations ran {per_cent(busy)} of the time, and their launches reach "
            f"{per_cent(fill)} of the multiprocessors (by their size: how active these were was not read)."
        )
    return Cause.GPU, (
        "How active the multiprocessors were and how much the device memory moved was not read: "
        "which is used up is unknown."
    )
