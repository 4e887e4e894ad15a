"""Stored runs against the same runs of now, cell by cell; pure."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from mps_experiments.analysis.estimates import Estimate, change_interval, compare, t_half_width, throughput
from mps_experiments.analysis.keys import differences, differing_keys, frozen
from mps_experiments.analysis.numbers import width
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.axes import name_of
from mps_experiments.record.measurement import Cell, Measurement, times_order
from mps_experiments.record.verdict import Status
from mps_experiments.run.fingerprint import of_record
from mps_experiments.sweep.export.experiment import axes_of
from mps_experiments.sweep.export.values import StoredRun, typed

_NAMED = ("mps.enabled", "procs", "times", "fault.kind")  # in every label
_TELLS_NOTHING = 0.5  # from an interval that reaches further than this on nothing can be told
_NO_CIRCUMSTANCE = ("input", "weights", "repeat", "trial", "twin")  # files are told by their digests


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One cell, then and now.

    Attributes:
        change: Throughput of now over that stored; None without a number on both sides, or with a fault.
        why_not: Why nothing is compared; empty if something is.
    """

    label: str
    stored: tuple[Measurement, ...]
    now: tuple[Measurement, ...]
    change: Estimate | None = None
    why_not: str = ""

    @property
    def differs(self) -> bool:
        """Tell if the interval holds no 1; with a fault, if the others finish more or less often."""
        if self.change and self.change.interval:
            return not self.change.interval[0] <= 1 <= self.change.interval[1]
        shares = {finished / trials for finished, trials in map(survived, (self.stored, self.now)) if trials}
        return len(shares) > 1


def compared(stored: Sequence[StoredRun], now: Sequence[StoredRun]) -> list[Compared]:
    """Put the repeats of each stored cell beside those of now; the order is that of tables."""
    axes = axes_of([run.values | {"repeat": 0} for run in stored])
    found: dict[str, tuple[list[StoredRun], list[StoredRun]]] = {}
    for side, runs in enumerate((stored, now)):
        for run in runs:
            key = frozen({axis: run.values[axis] for axis in axes})
            found.setdefault(key, ([], []))[side].append(run)
    others = [axis for axis in axes if axis not in _NAMED]
    cells = [_compared(_label(then[0], others), then, here) for then, here in found.values() if then]
    return sorted(cells, key=lambda each: _place(each.stored[0].cell))


def _place(cell: Cell) -> tuple[str, float, int]:
    return cell.mps, times_order(cell.times), cell.procs


def _label(run: StoredRun, axes: Sequence[str]) -> str:
    return name_of(run.measurement.cell.axes, [f"{axis}={typed(run.values[axis])}" for axis in axes])


def _compared(label: str, then: Sequence[StoredRun], here: Sequence[StoredRun]) -> Compared:
    stored, now = (tuple(run.measurement for run in side) for side in (then, here))
    change, why_not = None, _why_not(stored, now)
    if not why_not and stored[0].is_ordinary:
        change = change_of(Group.of(now), Group.of(stored))
        why_not = "" if change.interval else change.why
    return Compared(label=label, stored=stored, now=now, change=change, why_not=why_not)


def _why_not(stored: Sequence[Measurement], now: Sequence[Measurement]) -> str:
    if not now:
        return "not measured now"
    if others := differing_keys(_work(stored[0]), _work(now[0])):
        return f"other work: {', '.join(others)}"
    for when, side in (("stored", stored), ("now", now)):
        if all(m.verdict.status is not Status.VALID for m in side):
            return f"{when} {side[0].verdict.status.value}: {side[0].verdict.reason}"
    return ""


def _work(m: Measurement) -> dict[str, object]:
    """Return what is computed; files count by content, not by place."""
    cell = m.cell
    return {
        **cell.work,
        "weights": m.weights_file_sha256 or cell.weights,
        "input": [f"{image.sha256} {image.read_as}".strip() for image in cell.inputs],
        "device": "cpu" if cell.device == "cpu" else "a GPU",
        "window": cell.window,
        "window_s": cell.window_s,
    }


def change_of(now: Group, stored: Group) -> Estimate:
    """Compare two days, whose runs nothing pairs: Welch's t of the logarithms.

    A lone run is taken to spread as the others do. Of two lone runs their own intervals are all there is.
    """
    logs = [[math.log(value) for value in group.throughputs_per_s] for group in (now, stored)]
    few, many = sorted(logs, key=len)
    if len(many) < 2:
        return compare(now, stored, throughput)
    middle = statistics.fmean(logs[0]) - statistics.fmean(logs[1])
    if len(few) < 2:
        half, why = t_half_width(many) * math.sqrt(len(many) + 1), "one run: taken to spread as the others"
    else:
        low, high = change_interval(*logs)
        half, why = math.log(high / low) / 2, "Welch's t"
    return Estimate(
        value=math.exp(middle),
        interval=(math.exp(middle - half), math.exp(middle + half)),
        half_width=math.expm1(half),
        blocks=0,
        rough=len(few) < 2,
        why=why,
    )


def survived(runs: Sequence[Measurement]) -> tuple[int, int]:
    """Return in how many VALID trials of a fault all others finished, and of how many."""
    trials = [m.fault for m in runs if m.fault and m.verdict.status is Status.VALID]
    return sum(len(trial.survivors) == len(trial.neighbours) for trial in trials), len(trials)


def verdict_line(cells: Sequence[Compared]) -> str:
    """Say in one line whether now is as it was."""
    told = [each for each in cells if not each.why_not]
    tail = f"; {len(cells) - len(told)} of {len(cells)} cells cannot be compared"
    return _judged(told) + (tail if len(told) < len(cells) else "")


def _judged(told: Sequence[Compared]) -> str:
    if not told:
        return "cannot tell"
    if differing := [each for each in told if each.differs]:
        first = max(differing, key=lambda each: abs(math.log(each.change.value)) if each.change else math.inf)
        seems = "seems to differ" if first.change and first.change.rough else "differs"
        return f"{seems}: {first.label}: {_shown(first)} ({len(differing)} of {len(told)} cells differ)"
    changes = [each.change for each in told if each.change]
    if not changes:
        return "the same: the others finish as often"
    reach = max(max(end, 1 / end) for change in changes for end in change.interval or ()) - 1
    if reach > _TELLS_NOTHING:
        return f"cannot tell: a change of up to {width(reach)} would not show; add --repeats N"
    seems = "seems " if any(change.rough for change in changes) else ""
    return f"{seems}the same within {width(reach, digits=1)}"


def _shown(cell: Compared) -> str:
    if cell.change:
        return f"now / stored {cell.change.text}"
    before, after = ("{} of {}".format(*survived(side)) for side in (cell.stored, cell.now))
    return f"all others finish in {after} trials, stored {before}"


def circumstances(cells: Sequence[Compared], missing: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """Return what differs around the runs, each once: name, stored, now.

    Args:
        cells: The runs.
        missing: Options that the stored records do not have, with the values of now.
    """
    rows: dict[tuple[str, str, str], None] = {}
    for stored, now in ((of_record(cell.stored[0]), of_record(cell.now[0])) for cell in cells if cell.now):
        known = stored.configuration.keys() & now.configuration.keys() - set(_NO_CIRCUMSTANCE)
        then, here = (
            side.circumstances | {name: value for name, value in side.configuration.items() if name in known}
            for side in (stored, now)
        )
        rows |= dict.fromkeys(differences(then, here))
    loads = [
        "; ".join(dict.fromkeys(text for side in sides for m in side for text in m.contended))
        for sides in ([cell.stored for cell in cells], [cell.now for cell in cells])
    ]
    rows |= {("foreign load", loads[0], loads[1]): None} if any(loads) else {}
    return [*rows, *([("options that the record lacks", "", ", ".join(missing))] if missing else [])]
