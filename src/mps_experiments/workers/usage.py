"""Read the CPU time that a worker has used so far, and the current speed of its core."""

import resource
import time
from pathlib import Path

from mps_experiments.record.telemetry import CpuUsage

_SCHEDSTAT = Path("/proc/self/schedstat")
_STEPS, _ROUNDS = 5000, 8


def cpu_usage() -> CpuUsage:
    """Return the CPU use of this process since it began."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return CpuUsage(
        user_s=used.ru_utime,
        system_s=used.ru_stime,
        voluntary_switches=used.ru_nvcsw,
        involuntary_switches=used.ru_nivcsw,
        run_queue_wait_s=_run_queue_wait_s(),
    )


def _run_queue_wait_s() -> float | None:
    """Return the second field of schedstat, in seconds (Linux, Documentation/scheduler/sched-stats.rst)."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1]) / 1e9
    except OSError:  # a kernel built without it
        return None


def core_speed_per_us() -> float:
    """Return the steps per microsecond that the core does of an empty loop. Takes about a millisecond.

    Virtual cores differ by a factor of two and change within seconds.
    """
    best_ns = min(_loop_ns() for _ in range(_ROUNDS))  # the least disturbed round
    return _STEPS * 1e3 / best_ns


def _loop_ns() -> int:
    started = time.perf_counter_ns()
    for _ in range(_STEPS):
        pass
    return time.perf_counter_ns() - started
