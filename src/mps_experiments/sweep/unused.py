"""Say how many stored runs do not count for some cells, and in what they differ from them; pure."""

from collections import Counter
from collections.abc import Sequence

from mps_experiments.analysis.keys import differences
from mps_experiments.record.cell import Cell
from mps_experiments.run.fingerprint import Fingerprint

_TOLD = 3  # differences that are named, and values of each
_FIRST = ("model", "gpu", "host")  # other circumstances follow from these
_NO_GPU = "cpu"


def unused_line(left: Sequence[tuple[Fingerprint, int]], wanted: Sequence[Fingerprint]) -> str:
    """Say how many runs of the cells' models are not used, and why; empty if there are none.

    Args:
        left: The fingerprints of runs that are not used, and how many runs each has.
        wanted: Those of the cells.
    """
    models = {each.configuration["model"] for each in wanted}
    alike = [(own, count) for own, count in left if own.configuration["model"] in models]
    return _line(main_differences(alike, wanted), sum(count for _, count in alike))


def other_windows_line(left: Sequence[tuple[Cell, Cell]]) -> str:
    """Say how many runs are not used since their configuration is judged by those of another window.

    Args:
        left: The cell of each such run, and that of the others.
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for own, used in left:
        name = "window_s" if own.times == used.times else "times"
        pairs.setdefault(name, []).append((str(own.axes[name]), str(used.axes[name])))
    return _line([_part(len(found), _values(name, found)) for name, found in pairs.items()], len(left))


def _line(parts: Sequence[str], total: int) -> str:
    """Return the whole line; a single part is that of all runs."""
    if not total:
        return ""
    what = "1 stored run is not used" if total == 1 else f"{total} stored runs are not used"
    if len(parts) > 1:
        return f"{what}: {'; '.join(parts)}"
    words = parts[0].partition(" in ")[2]
    return f"{what}: {'it differs' if total == 1 else 'they differ'} in {words}"


def main_differences(left: Sequence[tuple[Fingerprint, int]], wanted: Sequence[Fingerprint]) -> list[str]:
    """Say of how many runs what is the main difference from the cells, the most frequent first."""
    counts: Counter[str] = Counter()
    owns: dict[str, list[Fingerprint]] = {}
    for own, count in left:
        name = _main_difference(own, wanted)
        counts[name] += count
        owns.setdefault(name, []).append(own)
    told = counts.most_common(_TOLD)
    parts = [_part(number, _words(name, owns[name], wanted)) for name, number in told]
    if rest := counts.total() - sum(number for _, number in told):
        parts.append(f"{rest} in something else")
    return parts


def _part(number: int, words: str) -> str:
    return f"{number} differ{'s' if number == 1 else ''} in {words}"


def _main_difference(own: Fingerprint, wanted: Sequence[Fingerprint]) -> str:
    """Name what keeps runs from standing for those of the cell that is most like them."""
    nearest = min(wanted, key=lambda each: _count_unlike(own, each))
    names = [name for name, *_ in differences(own.circumstances, nearest.circumstances)]
    configurations = (each.without("repeat").configuration for each in (own, nearest))
    names += [name for name, *_ in differences(*configurations)]
    return next((name for name in _FIRST if name in names), names[0])


def _count_unlike(own: Fingerprint, other: Fingerprint) -> int:
    one, two = own.configuration, other.configuration
    return sum(one.get(name) != two.get(name) for name in one.keys() | two.keys())


def _words(name: str, owns: Sequence[Fingerprint], wanted: Sequence[Fingerprint]) -> str:
    """Write what differs, with the values of the runs and of the cells."""
    pairs = [
        (ours, theirs)
        for own in owns
        for each in wanted
        for _, ours, theirs in differences(_named(own, name), _named(each, name))
    ]
    return _values(name, pairs)


def _values(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Write what differs, with the values of the ones and of the others."""
    ours, theirs = (list(dict.fromkeys(values)) for values in zip(*pairs, strict=True))
    if name == "gpu":
        short = [[_gpu_name(value) for value in values] for values in (ours, theirs)]
        if not set(short[0]) & set(short[1]):
            ours, theirs = (list(dict.fromkeys(values)) for values in short)
    return f"{'GPU' if name == 'gpu' else name} ({_listed(ours)} against {_listed(theirs)})"


def _listed(values: Sequence[str]) -> str:
    more = len(values) - _TOLD
    return ", ".join(values[:_TOLD]) + (f" and {more} more" if more > 0 else "")


def _named(fingerprint: Fingerprint, name: str) -> dict[str, object]:
    everything = fingerprint.configuration | fingerprint.circumstances
    return {name: everything[name]} if name in everything else {}


def _gpu_name(text: str) -> str:
    """Return the name without the UUID behind it."""
    return "none" if text == _NO_GPU else text.rpartition(" ")[0]
