"""Read the CPU time that a worker has used so far."""

import resource
from pathlib import Path

from mps_experiments.record.telemetry import CpuUsage

_SCHEDSTAT = Path("/proc/self/schedstat")


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
    except (OSError, IndexError, ValueError):
        return None
