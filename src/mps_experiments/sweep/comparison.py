"""Compare two sets of runs cell by cell, A and B: two sweeps, two days, two machines; pure.

Cells are matched by their factors, and by what else a side varies. What is computed must be equal, and the
machine may differ: `circumstances` names how.
"""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.estimates import Estimate, compare, t_half_width, throughput, welch
from mps_experiments.analysis.keys import differences, differing_keys, frozen
from mps_experiments.analysis.numbers import per_cent, width
from mps_experiments.analysis.repeats import Group
from mps_experiments.config.schema import AUTO
from mps_experiments.record.axes import FACTORS, name_of
from mps_experiments.record.cell import Cell, times_order
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.fingerprint import of_record
from mps_experiments.sweep.export.experiment import axes_of
from mps_experiments.sweep.export.values import StoredRun, Values, typed
from mps_experiments.sweep.unused import unused_line

_NAMED = ("mps.enabled", "procs", "times", "fault.kind")  # in every label
_ALWAYS = dict.fromkeys([*(axis.option for axis in FACTORS), "fault.kind"])
_FEW = 0.25  # of the runs with the usual window; up to so many with another are left out
_TELLS_NOTHING = 0.5  # from an interval that reaches further than this on nothing can be told
_NO_CIRCUMSTANCE = ("input", "weights", "repeat", "trial", "twin")  # files are told by their digests
_NONE_FOUND = "no warning"
CORES_TAKEN = "workers' CPU cores used by others"
Names = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One cell in A and in B; one of the two may lack it.

    Attributes:
        change: Throughput of B over that of A; None without a number on both sides, or with a fault.
        why_not: Why nothing is compared; empty if something is.
    """

    label: str
    a: tuple[Measurement, ...]
    b: tuple[Measurement, ...]
    change: Estimate | None = None
    why_not: str = ""

    @property
    def differs(self) -> bool:
        """Tell if the interval holds no 1; with a fault, if the others finish more or less often."""
        if self.change and self.change.interval:
            return not self.change.interval[0] <= 1 <= self.change.interval[1]
        shares = {finished / trials for finished, trials in map(survived, (self.a, self.b)) if trials}
        return len(shares) > 1

    @property
    def reach(self) -> float:
        """Return how large a change could hide in the interval, relative."""
        ends = self.change.interval if self.change and self.change.interval else (1.0,)
        return max(max(end, 1 / end) for end in ends) - 1


def of_one_window(runs: Sequence[StoredRun]) -> tuple[list[StoredRun], list[str]]:
    """Leave out the few runs of one side that differ from the others in the window only, and say so.

    Such is the pilot run of a search for p99; a choice among stored runs leaves it out as well. A window with
    several runs, and more than a quarter as many as another has, stays: it is no pilot.
    """
    watched: dict[str, dict[str, list[StoredRun]]] = {}
    for run in runs:
        if run.measurement.cell.times == AUTO:
            own = of_record(run.measurement).without("repeat", *(axis.name for axis in FACTORS))
            alike = watched.setdefault(own.without("window_s").digest, {})
            alike.setdefault(own.digest, []).append(run)
    left, lines = set[str](), list[str]()
    for alike in watched.values():
        most = max(alike.values(), key=len)
        at_most = min(max(1, _FEW * len(most)), len(most) - 1)
        if few := [own for own in alike.values() if len(own) <= at_most]:
            left |= {run.measurement.record_id for own in few for run in own}
            told = [(of_record(own[0].measurement), len(own)) for own in few]
            lines.append(unused_line(told, [of_record(most[0].measurement)]))
    return [run for run in runs if run.measurement.record_id not in left], lines


def compared(a: Sequence[StoredRun], b: Sequence[StoredRun], names: Names = ("A", "B")) -> list[Compared]:
    """Put the repeats of each cell of A beside those of B; the order is that of tables.

    Windows of two lengths may be compared, but are never pooled: see `of_one_window`.
    """
    sides = [[(run, _settings(run)) for run in runs] for runs in (a, b)]
    varied = [axes_of([settings for _, settings in side]) for side in sides if side]
    keys = list(_ALWAYS | {name: None for axes in varied for name in axes})
    found: dict[str, tuple[list[StoredRun], list[StoredRun]]] = {}
    for number, side in enumerate(sides):
        for run, settings in side:
            key = frozen({name: settings.get(name) for name in keys})
            found.setdefault(key, ([], []))[number].append(run)
    others = [name for name in keys if any(name in axes for axes in varied) and name not in _NAMED]
    cells = [
        _compared(others + more, left, right, names)
        for sides in found.values()
        for more, left, right in _by_window(*sides)
    ]
    return sorted(cells, key=lambda each: _place((each.a or each.b)[0].cell))


def _by_window(
    a: Sequence[StoredRun], b: Sequence[StoredRun]
) -> Iterator[tuple[list[str], Sequence[StoredRun], Sequence[StoredRun]]]:
    """Yield both sides of a cell; where one has several windows, those of each, and what names them."""
    name = "window_s"
    windows = [dict.fromkeys(run.values[name] for run in side) for side in (a, b)]
    if max(map(len, windows)) < 2:
        yield [], a, b
        return
    for window in windows[0] | windows[1]:
        left, right = ([run for run in side if run.values[name] == window] for side in (a, b))
        yield [name], left, right


def _settings(run: StoredRun) -> Values:
    """Return what tells a run's cell from others; files count by content, not by place."""
    work, weights = _work(run.measurement), run.measurement.weights_file_sha256
    values = run.values | {"repeat": 0, "device": work["device"]}
    if run.measurement.cell.times == AUTO:
        values["window_s"] = None  # how long it was watched; `circumstances` tells it
    if run.measurement.cell.inputs:
        values["workload.input"] = work["input"]
    return values | ({"workload.weights": weights} if weights else {})


def _place(cell: Cell) -> tuple[str, float, int]:
    return cell.mps, times_order(cell.times), cell.procs


def _compared(
    others: Sequence[str], left: Sequence[StoredRun], right: Sequence[StoredRun], names: Names
) -> Compared:
    run = (*left, *right)[0]
    label = name_of(run.measurement.cell.axes, [f"{name}={typed(run.values[name])}" for name in others])
    a, b = (tuple(each.measurement for each in side) for side in (left, right))
    change, why_not = None, _why_not(a, b, names)
    if not why_not and a[0].is_ordinary:
        change = _change_of(Group.of(b), Group.of(a))
        why_not = "" if change.interval else change.why
    return Compared(label=label, a=a, b=b, change=change, why_not=why_not)


def _why_not(a: Sequence[Measurement], b: Sequence[Measurement], names: Names) -> str:
    if not a or not b:
        return f"only in {names[0] if a else names[1]}"
    if others := differing_keys(_work(a[0]), _work(b[0])):
        return f"other work: {', '.join(others)}"
    for name, side in zip(names, (a, b), strict=True):
        if not any(m.verdict.is_valid for m in side):
            return f"{name} is {side[0].verdict.status.value}: {side[0].verdict.reason}"
    return ""


def _work(m: Measurement) -> dict[str, object]:
    """Return what must be equal: what is computed, on what kind of device, and in which window."""
    cell = m.cell
    return {
        **cell.work,
        "weights": m.weights_file_sha256 or cell.weights,
        "input": [f"{image.sha256} {image.read_as}".strip() for image in cell.inputs],
        "device": "cpu" if cell.device == "cpu" else "a GPU",
        "window": cell.window,
    }


def _change_of(b: Group, a: Group) -> Estimate:
    """Divide the throughput of B by that of A, whose runs nothing pairs: Welch's t of the logarithms.

    A lone run is taken to spread as the others do. Of two lone runs their own intervals are all there is.
    """
    logs = [[math.log(value) for value in group.throughputs_per_s] for group in (b, a)]
    few, many = sorted(logs, key=len)
    if len(many) < 2:
        return compare(b, a, throughput)
    if len(few) > 1:
        return welch(b, a, throughput)
    middle = statistics.fmean(logs[0]) - statistics.fmean(logs[1])
    half = t_half_width(many) * math.sqrt(len(many) + 1)
    return Estimate(
        value=math.exp(middle),
        interval=(math.exp(middle - half), math.exp(middle + half)),
        half_width=math.expm1(half),
        blocks=0,
        rough=True,
        why="one run: taken to spread as the others",
    )


def survived(runs: Sequence[Measurement]) -> tuple[int, int]:
    """Return in how many VALID trials of a fault all others finished, and of how many."""
    trials = [m.fault for m in runs if m.fault and m.verdict.is_valid]
    return sum(len(trial.survivors) == len(trial.neighbours) for trial in trials), len(trials)


def verdict_line(cells: Sequence[Compared], names: Names = ("A", "B")) -> str:
    """Say in one line whether B is as A was."""
    told = [each for each in cells if not each.why_not]
    parts = _judged(told, names) if told else ["cannot tell: no cell can be compared"]
    if told and (left_out := len(cells) - len(told)):
        parts.append(f"{_cells(left_out)} cannot be compared")
    loaded = [
        name
        for name, side in zip(names, ([c.a for c in cells], [c.b for c in cells]), strict=True)
        if any(m.contended for runs in side for m in runs)
    ]
    if loaded:
        parts.append(f"foreign load during {' and '.join(loaded)}")
    return "; ".join(parts)


def _judged(told: Sequence[Compared], names: Names) -> list[str]:
    a, b = names
    measured = [each for each in told if each.change]
    same = [each for each in measured if not each.differs]
    moved = {"slower": list[Estimate](), "faster": list[Estimate]()}
    for change in (each.change for each in measured if each.differs):
        if change is not None:
            moved["slower" if change.value < 1 else "faster"].append(change)
    parts, found = [], [(word, changes) for word, changes in moved.items() if changes]
    if found:
        word, changes = found[0]
        verb = "seems" if all(change.rough for change in changes) else "is"
        among = f"{len(changes)} of {_cells(len(measured))}"
        also = "".join(f" and {_span(other)} {word} in {len(other)}" for word, other in found[1:])
        parts.append(f"{b} {verb} {_span(changes)} {word} than {a} in {among}{also}")
    vague = [each for each in same if each.reach > _TELLS_NOTHING]
    if vague:
        widest = width(max(each.reach for each in vague))
        parts.append(f"cannot tell in {len(vague)}: a change of up to {widest} would not show; repeat more")
    if equal := [each for each in same if each.reach <= _TELLS_NOTHING]:
        within = width(max(each.reach for each in equal), digits=1)
        rough = " (rough)" if any(each.change and each.change.rough for each in equal) else ""
        do = "does" if len(equal) == 1 else "do"
        start = f"{len(equal)} {do}" if parts else f"{b} and {a}: {_cells(len(equal))} {do}"
        parts.append(f"{start} not differ within {within}{rough}")
    if faulty := [each for each in told if not each.change]:
        count = sum(each.differs for each in faulty)
        parts.append(
            f"with a fault the others finish as often in {len(faulty) - count} of {_cells(len(faulty))}"
        )
    return parts


def _span(changes: Sequence[Estimate]) -> str:
    """Return by how many per cent the throughput changed, from the least to the most."""
    ends = [abs(change.value - 1) * 100 for change in changes]
    shown = dict.fromkeys(f"{end:.0f}" if end >= 9.5 else f"{end:.1f}" for end in (min(ends), max(ends)))
    return f"{' to '.join(shown)} %"


def _cells(count: int) -> str:
    return f"{count} cell" if count == 1 else f"{count} cells"


def circumstances(cells: Sequence[Compared], missing: Sequence[str] = ()) -> list[tuple[str, str, str]]:
    """Return what differs around the runs, each once: name, in A, in B.

    Args:
        cells: The cells.
        missing: Options that the records of A do not have, with the values of B.
    """
    rows: dict[tuple[str, str, str], None] = {}
    both = [cell for cell in cells if cell.a and cell.b]
    for a, b in ((of_record(cell.a[0]), of_record(cell.b[0])) for cell in both):
        known = a.configuration.keys() & b.configuration.keys() - set(_NO_CIRCUMSTANCE)
        left, right = (
            side.circumstances | {name: value for name, value in side.configuration.items() if name in known}
            for side in (a, b)
        )
        rows |= dict.fromkeys(differences(left, right))
    loads = [
        "; ".join(dict.fromkeys(text for runs in side for m in runs for text in m.contended))
        for side in ([cell.a for cell in cells], [cell.b for cell in cells])
    ]
    rows |= {("foreign load", loads[0], loads[1]): None} if any(loads) else {}
    taken = [_cores_taken(side) for side in ([cell.a for cell in both], [cell.b for cell in both])]
    rows |= {(CORES_TAKEN, taken[0], taken[1]): None} if set(taken) != {_NONE_FOUND} else {}
    return [*rows, *([("options that the record lacks", "", ", ".join(missing))] if missing else [])]


def _cores_taken(cells: Sequence[Sequence[Measurement]]) -> str:
    """Say how much of the workers' cores others took, from the least to the most, and in how many runs."""
    runs = [m for cell in cells for m in cell if m.has_figures]
    found = [f.value or 0.0 for m in runs for f in m.findings if f.check == "foreign_cpu"]
    if not found:
        return _NONE_FOUND
    span = " to ".join(dict.fromkeys(per_cent(share) for share in (min(found), max(found))))
    return span if len(found) == len(runs) else f"{span} in {len(found)} of {len(runs)} runs"
