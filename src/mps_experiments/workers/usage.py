"""What a worker has taken from the CPU so far."""

import resource
from pathlib import Path

from mps_experiments.measurement.telemetry import CpuUsage

_SCHEDSTAT = Path("/proc/self/schedstat")


def cpu_usage() -> CpuUsage:
    """What this process has used since it began."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return CpuUsage(
        user_s=used.ru_utime,
        system_s=used.ru_stime,
        voluntary_switches=used.ru_nvcsw,
        involuntary_switches=used.ru_nivcsw,
        run_queue_wait_s=_run_queue_wait_s(),
    )


def _run_queue_wait_s() -> float | None:
    """The second field of schedstat, in nanoseconds (Linux, Documentation/scheduler/sched-stats.rst)."""
    try:
        return int(_SCHEDSTAT.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return None
