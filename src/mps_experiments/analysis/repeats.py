"""The VALID repeats of one cell; pure."""

import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from mps_experiments.record.latencies import Latencies
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.statistics import Statistics

_TOGETHER_S = 3600.0  # between the starts of two sweeps' runs that may share a block


@dataclass(frozen=True, kw_only=True)
class Group:
    """The VALID repeats of one cell, each of them in a block of its own; at least one.

    Their order does not depend on the order in which they were read.
    """

    measurements: tuple[Measurement, ...]
    figures: tuple[Statistics, ...] = field(compare=False, repr=False)

    @classmethod
    def of(cls, measurements: Sequence[Measurement]) -> "Group":
        """Take the repeats of one cell; those that are not VALID have no figures and are left out."""
        ordered = sorted(measurements, key=lambda m: (m.cell.repeat, m.started_at, m.record_id))
        valid = [(m, figures) for m in ordered if (figures := m.statistics())]
        return cls(
            measurements=tuple(measurement for measurement, _ in valid),
            figures=tuple(figures for _, figures in valid),
        )

    def __post_init__(self) -> None:
        if not self.measurements:
            raise ValueError("a group needs at least one VALID run")

    @property
    def first(self) -> Measurement:
        return self.measurements[0]

    @property
    def procs(self) -> int:
        return self.first.cell.procs

    @property
    def makespans_s(self) -> tuple[float, ...]:
        return tuple(figures.makespan_s for figures in self.figures)

    @property
    def paces_s(self) -> tuple[float, ...]:
        """Return the seconds per iteration of each one's slowest worker."""
        return tuple(figures.pace_s for figures in self.figures)

    @property
    def throughputs_per_s(self) -> tuple[float, ...]:
        """Return the throughput of each, in items of all workers per second."""
        return tuple(figures.throughput_per_s for figures in self.figures)

    @property
    def median_s(self) -> float:
        """Return the median makespan."""
        return statistics.median(self.makespans_s)

    @property
    def latencies(self) -> Latencies:
        """Pool the latencies of all workers and blocks."""
        return Latencies.pooled([figures.latencies for figures in self.figures])

    @property
    def throughput_median_per_s(self) -> float:
        return statistics.median(self.throughputs_per_s)

    def __len__(self) -> int:
        return len(self.measurements)


def paired(one: Group, other: Group) -> list[tuple[int, int]]:
    """Return the positions of the runs that share a block, in order of the blocks.

    A block is a repeat of a sweep. Runs of two sweeps share one only where the second went on with what the
    first had begun: they are of the same repeat, began within `_TOGETHER_S`, and neither cell ran in another
    block in between.
    """
    return [pair for repeat in sorted(_blocks(one)) for pair in _pairs(one, other, repeat)]


def _pairs(one: Group, other: Group, repeat: int) -> Iterator[tuple[int, int]]:
    every = (*one.measurements, *other.measurements)
    others = [m.started_at for m in every if m.cell.repeat != repeat]
    ours, theirs = _blocks(one)[repeat], _blocks(other)[repeat]
    for share_block in (_are_of_one_sweep, partial(_went_on, others)):
        for place in list(ours):
            run = one.measurements[place]
            partners = [each for each in theirs if share_block(run, other.measurements[each])]
            if partners:
                partner = min(partners, key=lambda each: _apart_s(run, other.measurements[each]))
                ours.remove(place)
                theirs.remove(partner)
                yield place, partner


def _are_of_one_sweep(one: Measurement, other: Measurement) -> bool:
    return one.sweep_id == other.sweep_id


def _went_on(others: Sequence[float], one: Measurement, other: Measurement) -> bool:
    """Tell whether two runs of one repeat are close, given when runs of other repeats started."""
    first, last = sorted((one.started_at, other.started_at))
    return last - first <= _TOGETHER_S and not any(first < each < last for each in others)


def _apart_s(one: Measurement, other: Measurement) -> float:
    return abs(one.started_at - other.started_at)


def _blocks(group: Group) -> dict[int, list[int]]:
    """Return number of the repeat -> positions of its runs."""
    found: dict[int, list[int]] = defaultdict(list)
    for place, measurement in enumerate(group.measurements):
        found[measurement.cell.repeat].append(place)
    return found
