"""Where the makespan of one run went: the measured window split by what the traced pass saw. Pure.

The traced pass tells for each worker and iteration how long its own operations ran (``run``), how long they
waited while another worker's ran (``behind``), and how long they waited although nothing ran (``idle``:
for a time slice, or for the launch to arrive). None of the three includes the host's own work, which tracing
slows down; so they are taken over as seconds per iteration, and what is left of the *timed* iteration is the
host's share::

    makespan = mean over workers of (iterations * (run + behind + idle + host)) + start skew and tail

Where tracing saw more waiting than the timed iteration is long, ``behind`` and ``idle`` are scaled down to
fit and ``host`` is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mps_experiments.measurement.overlap import Activity, WorkerActivity
from mps_experiments.measurement.samples import WorkerSamples
from mps_experiments.measurement.statistics import summarise


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Parts of the makespan; seconds per iteration, mean over workers, and shares of the makespan.

    Attributes:
        makespan_s: Last worker's end minus first worker's start.
        iteration_s: Mean timed iteration: the sum of the next four.
        run_s: Own operations ran.
        behind_s: Own operations waited while another worker's ran.
        idle_s: Own operations waited although none ran.
        host_s: The rest: Python, launching, synchronising.
        outside_share: Share of the makespan in which a worker had not yet begun or was already done: start
            skew and tail, mean over workers.
        trace_slowdown: Traced iteration / timed iteration: how much tracing slowed the host.
    """

    makespan_s: float
    iteration_s: float
    run_s: float
    behind_s: float
    idle_s: float
    host_s: float
    outside_share: float
    trace_slowdown: float

    def share(self, seconds: float) -> float:
        """A part of an iteration as share of the makespan."""
        return seconds / self.iteration_s * (1 - self.outside_share)


def decompose(samples: Sequence[WorkerSamples], activity: Activity) -> Decomposition:
    """Split the makespan of one run.

    Args:
        samples: Of all workers, by rank.
        activity: Of the same workers.
    """
    makespan_s = summarise(samples).makespan_s
    pairs = list(zip(samples, activity.workers, strict=True))
    run, behind, idle, host = np.mean([_parts(timed, traced) for timed, traced in pairs], axis=0)
    iteration_s = float(np.mean([_iteration_s(timed) for timed, _ in pairs]))
    slowdowns = [traced.iteration_s / _iteration_s(timed) for timed, traced in pairs]
    return Decomposition(
        makespan_s=makespan_s,
        iteration_s=iteration_s,
        run_s=float(run),
        behind_s=float(behind),
        idle_s=float(idle),
        host_s=float(host),
        outside_share=1 - float(np.mean([timed.elapsed_s for timed, _ in pairs])) / makespan_s,
        trace_slowdown=float(np.mean(slowdowns)),
    )


def _iteration_s(timed: WorkerSamples) -> float:
    return timed.elapsed_s / len(timed.latencies_ns)


def _parts(timed: WorkerSamples, traced: WorkerActivity) -> tuple[float, float, float, float]:
    """run, behind, idle and host of one worker's timed iteration, in seconds."""
    iteration_s = _iteration_s(timed)
    run = min(traced.running_s, iteration_s)
    waited = traced.behind_others_s + traced.waiting_idle_s
    fits = min(1.0, (iteration_s - run) / waited) if waited else 1.0
    behind, idle = traced.behind_others_s * fits, traced.waiting_idle_s * fits
    return run, behind, idle, max(0.0, iteration_s - run - behind - idle)
