"""Find samples that contradict the rest of a record, which would falsify numbers silently; pure."""

from collections.abc import Sequence

from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.verdict import Verdict


def contradiction(
    verdict: Verdict, wall_s: float, samples: Sequence[WorkerSamples], procs: int | None, times: int | None
) -> str:
    """Return the first contradiction between a VALID run and its samples; empty if there is none.

    Args:
        verdict: Only VALID runs have numbers.
        wall_s: Seconds that the whole run took.
        samples: Those of the workers that were measured.
        procs: Number of workers that must have been; None where a fault may have stopped some.
        times: Iterations that each must have done; None likewise, and with times=auto.
    """
    if not verdict.is_valid:
        return ""
    counts = [worker.iteration_count for worker in samples]
    if procs is not None and len(counts) != procs:
        return f"VALID with {len(counts)} workers of procs={procs}"
    if times is not None and any(count != times for count in counts):
        return f"VALID with {min(counts)} to {max(counts)} iterations of times={times}"
    if any(0 in (*worker.latencies_ns, *worker.kept_ns) for worker in samples):
        return "an iteration that took no time"
    longest_s = max((worker.at_work_s for worker in samples), default=0.0)
    if longest_s > wall_s:
        return f"a worker's iterations took {longest_s:.2f} s, the whole run {wall_s:.2f} s"
    return ""
