"""Say how sure an answer is: what stands in its own sentence, and what after it; pure."""

from collections.abc import Iterator, Mapping, Sequence

from mps_experiments.analysis.estimates import ENOUGH_BLOCKS
from mps_experiments.analysis.gains import Gain, gains, sensitivity
from mps_experiments.analysis.numbers import difference, per_cent, width
from mps_experiments.analysis.panels import Panel
from mps_experiments.analysis.repeats import Group

_MATTERS = 0.1  # share that others took, from which the answer's own sentence says so
_CAVEATS = {
    "gpu_work": "GPU work not proved",
    "descendants": "with more processes on the GPU than procs",
    "little_gpu_work": "with work that hardly touches the GPU",
    "foreign_cpu": "while others took up to {} of the workers' CPU cores",
    "foreign_gpu": "while others took up to {} of the GPU",
}


def caveats(groups: Sequence[Group]) -> Iterator[str]:
    """Yield what makes comparisons of these cells doubtful, as parts of a sentence."""
    runs = [m for group in groups for m in group.measurements]
    for check, words in _CAVEATS.items():
        shares = [finding.value or 0.0 for m in runs for finding in m.findings if finding.check == check]
        if shares and ("{" not in words or max(shares) >= _MATTERS):
            yield words.format(per_cent(max(shares)))
    if any(m.contended for m in runs):
        yield "on a GPU or with an MPS daemon that others used, too"


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


def _blocks(panel: Panel, used: Sequence[Group]) -> Iterator[str]:
    """Say that there are too few blocks, and why some gain has no interval at all."""
    fewest = min(map(len, used))
    if fewest >= ENOUGH_BLOCKS:
        return
    gains_known = [gain for group in used if group.procs > 1 and (gain := panel.ratio(group).gain)]
    unknown = next((gain.why for gain in gains_known if gain.interval is None), "")
    if panel.is_cut_off:
        todo = "The sweep was cut off before its end."
    elif panel.precision:  # it adds blocks by itself, but not where nothing can be compared
        todo = "Raise budget_min for more blocks." if gains_known else ""
    else:
        todo = f"Add repeat={','.join(map(str, range(ENOUGH_BLOCKS)))} before you act on it."
    yield f"{fewest} block{'s' * (fewest > 1)}: {unknown or 'the intervals are rough'}. {todo}".rstrip()


def _smallest(panel: Panel, used: Sequence[Group]) -> Iterator[str]:
    """Say which difference would have shown; nothing for a single block without two equal runs."""
    found = sensitivity(panel.answered)
    if found.twins is None and any(m.cell.is_twin for m in panel.measurements):
        yield "How much two equal runs (A/A) differ is not known: no two are VALID and comparable."
    if found.smallest is None or (found.twins is None and max(map(len, used)) == 1):
        return
    twins = "" if found.twins is None else f"; two equal runs (A/A) differed by {difference(found.twins)}"
    lacking, every = found.without_interval, found.comparisons
    if lacking and lacking == every:
        yield f"No comparison has an interval{twins}."
        return
    have = "has" if lacking == 1 else "have"
    which = f" that has an interval ({lacking} of {every} {have} none)" if lacking else ""
    shown = f"{which} is {difference(found.smallest)}{twins}"
    yield f"The smallest difference that this could have shown in every comparison{shown}."


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
            f"window=fixed: in {len(known)} of {len(runs)} runs of several processes one finished early, at "
            f"the earliest after {per_cent(min(known))} of the makespan. Throughput, latency and gain are "
            "partly those of fewer processes."
        )


def _half(gain: Gain) -> str:
    return "interval unknown" if gain.half_width is None else width(gain.half_width, digits=1)
