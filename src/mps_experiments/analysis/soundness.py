"""Whether a record agrees with itself: somebody's editor, or another program, may have changed it; pure."""

import math
from collections.abc import Iterator, Mapping

from mps_experiments.analysis.metrics import SHOWN, shown_values
from mps_experiments.analysis.panels import ARMS
from mps_experiments.record.axes import BY_OPTION, PLACES
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status

_GROUPS = {
    name.partition(".")[0]
    for name in (*BY_OPTION, *PLACES, "trace.", "telemetry.", "validity.")
    if "." in name
}
_LATEST = 4_102_444_800.0  # seconds since the epoch: the year 2100


def contradiction(measurement: Measurement) -> str:
    """What cannot be in a record with samples; empty if nothing was found."""
    return next(_contradictions(measurement), "")


def _contradictions(m: Measurement) -> Iterator[str]:
    cell = m.cell
    if cell.mps not in ARMS:
        yield f"mps={cell.mps}"
    if cell.procs < 1 or (cell.times != "auto" and cell.times < 1):
        yield f"procs={cell.procs} times={cell.times}"
    for group in _GROUPS & m.config.keys():
        if not isinstance(m.config[group], Mapping | None):
            yield f"config.{group} is no group of options"
    if not 0 < m.started_at < _LATEST:
        yield f"started_at={m.started_at:g}"
    if not 0 <= m.wall_s < math.inf:
        yield f"wall_s={m.wall_s:g}"
    if m.verdict.status is Status.VALID and m.is_ordinary:
        yield from _of_a_valid_run(m)


def _of_a_valid_run(m: Measurement) -> Iterator[str]:
    counts = [len(worker.samples.latencies_ns) if worker.samples else 0 for worker in m.workers]
    if len(counts) != m.cell.procs:
        yield f"VALID with {len(counts)} workers of procs={m.cell.procs}"
    if m.cell.times != "auto" and any(count != m.cell.times for count in counts):
        yield f"VALID with {min(counts)} to {max(counts)} iterations of times={m.cell.times}"
    if any(worker.samples and min(worker.samples.latencies_ns) <= 0 for worker in m.workers):
        yield "an iteration that took no time"
    values = shown_values(m)
    for metric in SHOWN:
        value, limit = values[metric.name], 100.5 if metric.unit == "%" else math.inf  # readings are rounded
        if value is not None and not 0 <= value < limit:
            yield f"{metric.name} is {value:g}"
