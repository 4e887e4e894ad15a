"""Say how sure an answer is: what stands in its own sentence, and what after it; pure."""

from collections.abc import Iterator, Mapping, Sequence

from mps_experiments.analysis.estimates import ENOUGH_BLOCKS
from mps_experiments.analysis.gains import Gain, gains, sensitivity
from mps_experiments.analysis.numbers import difference, width
from mps_experiments.analysis.panels import Panel
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.measurement import Measurement

_MATTERS = 0.1  # share that others took, from which the answer's own sentence says so
_DOUBTS = {
    "gpu_work": "GPU work not proved",
    "descendants": "with more processes on the GPU than procs",
    "little_gpu_work": "with work that hardly touches the GPU",
}
_OF_OTHERS = {
    "foreign_cpu": "of the workers' CPU cores",
    "foreign_gpu": "of the GPU",
}


def caveats(groups: Sequence[Group]) -> list[str]:
    """List what makes comparisons of these cells doubtful, as parts of a sentence."""
    doubts = _work_doubts([m for group in groups for m in group.measurements])
    return [*doubts, *_taken_by_others(groups)]


def certainty_lines(panel: Panel, arms: Mapping[str, Mapping[int, Group]]) -> Iterator[str]:
    """Say after the answer how many blocks it rests on, what it could have shown, and what stayed open."""
    used = [group for arm in arms.values() for group in arm.values()]
    if not used:
        return
    found = gains(panel.answered)
    yield from _blocks(panel, used)
    yield from _smallest(panel, used)
    yield from _open(panel, found)
    yield from _tail(used)


def _work_doubts(measurements: Sequence[Measurement]) -> list[str]:
    """Return each doubt about the work of these runs once, as parts of a sentence."""
    found = {finding.check for m in measurements for finding in m.findings}
    return [words for check, words in _DOUBTS.items() if check in found]


def _taken_by_others(groups: Sequence[Group]) -> Iterator[str]:
    runs = [m for group in groups for m in group.measurements]
    for check, what in _OF_OTHERS.items():
        shares = [finding.value for m in runs for finding in m.findings if finding.check == check]
        largest = max((share for share in shares if share is not None), default=0.0)
        if largest >= _MATTERS:
            yield f"while others took up to {largest * 100:.0f} % {what}"
    if any(m.contended for m in runs):
        yield "on a GPU or with an MPS daemon that others used, too"


def _blocks(panel: Panel, used: Sequence[Group]) -> Iterator[str]:
    counts = [len(group) for group in used]
    gains_known = [gain for group in used if group.first.cell.procs > 1 and (gain := panel.ratio(group).gain)]
    if max(counts) == 1 and gains_known and not any(gain.interval for gain in gains_known):
        yield f"One block, and {gains_known[0].why}."
    elif max(counts) == 1:
        yield (
            "One block: the intervals cover what happened within the runs, not between them. "
            f"Add repeat={','.join(map(str, range(ENOUGH_BLOCKS)))} before you act on it."
        )
    elif min(counts) == 1:
        yield "Some cells have only one run: their intervals cover what happened within it."
    elif min(counts) < ENOUGH_BLOCKS:
        yield f"With {min(counts)} blocks the intervals are rough; {ENOUGH_BLOCKS} would do."


def _smallest(panel: Panel, used: Sequence[Group]) -> Iterator[str]:
    """Say which difference would have shown; nothing for a single block without two equal runs."""
    found = sensitivity(panel.answered)
    if found.twins is None and any(m.cell.is_twin for m in panel.measurements):
        yield "How much two equal runs (A/A) differ is not known: no two are VALID and comparable."
    if found.smallest is None or (found.twins is None and max(map(len, used)) == 1):
        return
    twins = "" if found.twins is None else f"; two equal runs (A/A) differed by {difference(found.twins)}"
    smallest = difference(found.smallest)
    yield f"The smallest difference that this could have shown in every comparison is {smallest}{twins}."


def _open(panel: Panel, found: Sequence[Gain]) -> Iterator[str]:
    stayed = [gain for gain in found if gain.half_width is None or gain.half_width > panel.precision]
    if panel.precision and stayed:
        listed = ", ".join(f"{gain.name} ({_half(gain)})" for gain in stayed)
        yield f"Not within precision={panel.precision:g}: {listed}."


def _tail(used: Sequence[Group]) -> Iterator[str]:
    """Say of windows that are not kept up how long all were at work in them."""
    runs = [m for group in used if group.first.cell.procs > 1 for m in group.measurements]
    shares = [finding.value for m in runs for finding in m.findings if finding.check == "common_window"]
    known = [share for share in shares if share is not None]
    if known:
        yield (
            f"window=fixed: in {len(known)} of {len(runs)} runs of several processes a worker was done "
            f"early, at the earliest after {min(known) * 100:.0f} % of the makespan. Throughput, latency and "
            "gain are partly those of fewer processes."
        )


def _half(gain: Gain) -> str:
    return "interval unknown" if gain.half_width is None else width(gain.half_width, digits=1)
