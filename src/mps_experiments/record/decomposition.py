"""Split the makespan of one run into parts, by what the traced pass saw. Pure.

The makespan is the path of the worker that ends last::

    makespan = its late start + iterations * iteration,   iteration = run + behind + idle + host

The traced pass gives, as means over workers, three times per iteration: a worker's operations ran (``run``),
a launched one waited while another worker's ran (``behind``), or waited although nothing ran (``idle``: for
its time slice). Tracing slows down the host, but hardly these three. So they are taken over in seconds, and
the rest of the *timed* iteration is ``host``: Python, launching and its latency, synchronising. While an
operation waits the host may work on; that time counts as waiting. If tracing saw more waiting than fits
into the timed iteration, ``behind`` and ``idle`` are scaled down to fit, and ``host`` is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mps_experiments.record.overlap import Activity
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.statistics import whole_window_ns


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Parts of the makespan.

    Attributes:
        makespan_s: Last worker's end minus first worker's start.
        pace_s: See `statistics.Statistics`.
        iteration_s: Mean timed iteration of the slowest worker; the sum of the next four.
        run_s: The worker's own operations ran.
        behind_s: An operation waited while another worker's ran.
        idle_s: An operation waited although none ran.
        host_s: The rest: Python, launching, synchronising.
        late_start_share: Share of the makespan before the last worker began.
        tail_share: Share of the makespan in which a worker was already done, mean over workers.
        trace_slowdown: Traced iteration / timed iteration, mean over workers: the cost of tracing.
    """

    makespan_s: float
    pace_s: float
    iteration_s: float
    run_s: float
    behind_s: float
    idle_s: float
    host_s: float
    late_start_share: float
    tail_share: float
    trace_slowdown: float

    def share(self, seconds: float) -> float:
        """Return a part of an iteration as a share of the makespan."""
        return seconds / self.iteration_s * (1 - self.late_start_share)


def decompose(samples: Sequence[WorkerSamples], activity: Activity) -> Decomposition:
    """Split the makespan of one run.

    Args:
        samples: Samples of all workers, by rank; each with at least one iteration.
        activity: Activity of the same workers in the traced pass.
    """
    first_ns, end_ns = whole_window_ns(samples)
    makespan_s = (end_ns - first_ns) / 1e9
    last = max(samples, key=lambda worker: (worker.end_ns - first_ns) / worker.iteration_count)
    timed = [worker.elapsed_s / worker.iteration_count for worker in samples]
    slowdowns = [each.iteration_s / own for each, own in zip(activity.workers, timed, strict=True)]
    iteration_s = last.elapsed_s / last.iteration_count
    run, behind, idle, host = _parts(iteration_s, activity)
    return Decomposition(
        makespan_s=makespan_s,
        pace_s=(last.end_ns - first_ns) / 1e9 / last.iteration_count,
        iteration_s=iteration_s,
        run_s=run,
        behind_s=behind,
        idle_s=idle,
        host_s=host,
        late_start_share=(last.start_ns - first_ns) / 1e9 / makespan_s,
        tail_share=float(np.mean([end_ns - worker.end_ns for worker in samples])) / 1e9 / makespan_s,
        trace_slowdown=float(np.mean(slowdowns)),
    )


def _parts(iteration_s: float, activity: Activity) -> tuple[float, float, float, float]:
    """Return ``run``, ``behind``, ``idle`` and ``host`` of a timed iteration, in seconds."""
    traced = activity.workers
    run = min(float(np.mean([worker.running_s for worker in traced])), iteration_s)
    behind = float(np.mean([worker.behind_others_s for worker in traced]))
    idle = float(np.mean([worker.waiting_idle_s for worker in traced]))
    waited = behind + idle
    fits = min(1.0, (iteration_s - run) / waited) if waited else 1.0
    return run, behind * fits, idle * fits, max(0.0, iteration_s - run - waited * fits)
