"""The ratio of each cell to its one-process partner; pure, and the same whatever the order of the cells."""

import json
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from mps_experiments.measurement.verdict import Status
from mps_experiments.record import Cell, Measurement


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How much longer N processes take than one, everything else equal.

    Attributes:
        value: Makespan of the cell / makespan of its partner: 1.0 is free concurrency, N is serial. None if
            there is no number.
        partner_ids: Record ids of the one-process runs compared with; of several, the median makespan counts.
        reason: Why there is no number; empty if there is one.
    """

    value: float | None
    partner_ids: tuple[str, ...] = ()
    reason: str = ""


def ratios(measurements: Sequence[Measurement]) -> dict[str, Ratio]:
    """Record id -> ratio, over VALID runs that agree in all but the number of processes."""
    partners: dict[object, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        if measurement.cell.procs == 1 and measurement.verdict.status is Status.VALID:
            partners[comparison_key(measurement)].append(measurement)
    return {m.record_id: _ratio(m, partners[comparison_key(m)]) for m in measurements}


def _ratio(measurement: Measurement, partners: Sequence[Measurement]) -> Ratio:
    own = measurement.statistics()
    if own is None:
        return Ratio(value=None, reason=f"the run is {measurement.verdict.status.value}")
    makespans = [figures.makespan_s for partner in partners if (figures := partner.statistics())]
    if not makespans:
        cell = measurement.cell
        return Ratio(value=None, reason=f"no VALID one-process run with mps={cell.mps} times={cell.times}")
    return Ratio(
        value=own.makespan_s / statistics.median(makespans),
        partner_ids=tuple(partner.record_id for partner in partners),
    )


def comparison_key(measurement: Measurement) -> tuple[object, ...]:
    """What two runs must agree in before the number of processes may be called the cause."""
    machine = measurement.machine
    return (
        *table_key(measurement),
        measurement.cell.mps,
        measurement.cell.times,
        machine.hostname,
        machine.driver_version,
        machine.gpu.uuid if machine.gpu else None,
        machine.mps_experiments,
    )


def table_key(measurement: Measurement) -> tuple[object, ...]:
    """What all cells of one table have in common: all of the cell but mps, procs and times."""
    rest: Cell = replace(measurement.cell, mps="", procs=0, times=0)
    packages = measurement.machine.packages
    settings = json.dumps(asdict(rest), sort_keys=True, default=str)
    return (settings, packages.get("torch"), packages.get("torchvision"))
