"""Find records whose samples contradict the rest of them, which would falsify numbers silently; pure."""

from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status


def contradiction(m: Measurement) -> str:
    """Return the first contradiction between a VALID run and its samples; empty if there is none."""
    if m.verdict.status is not Status.VALID or not m.is_ordinary:
        return ""
    latencies_ns = [worker.samples.latencies_ns if worker.samples else () for worker in m.workers]
    counts = [len(each) for each in latencies_ns]
    if len(counts) != m.cell.procs:
        return f"VALID with {len(counts)} workers of procs={m.cell.procs}"
    if m.cell.times != "auto" and any(count != m.cell.times for count in counts):
        return f"VALID with {min(counts)} to {max(counts)} iterations of times={m.cell.times}"
    if any(latency <= 0 for each in latencies_ns for latency in each):
        return "an iteration that took no time"
    longest_s = max(sum(each) for each in latencies_ns) / 1e9
    if longest_s > m.wall_s:
        return f"a worker's iterations took {longest_s:.3g} s, the whole run {m.wall_s:.3g} s"
    return ""
