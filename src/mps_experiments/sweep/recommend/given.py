"""The cells of stored runs that a user names: a choice among them measures nothing."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mps_experiments.analysis.runs import Condensed, condensed
from mps_experiments.errors import ConfigError
from mps_experiments.record.axes import BY_NAME, COORDINATES, FACTORS
from mps_experiments.record.cell import Cell, Times, times_order
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.fingerprint import Fingerprint, of_record
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.known import KnownCells, whole_name
from mps_experiments.sweep.unused import main_differences, other_windows_line

FLAG = "--stored"
# The coordinates are known by their names rather than by their options.
CHOICES = {axis.name if axis.name in COORDINATES else axis.option: axis for axis in FACTORS} | {
    "window_s": BY_NAME["window_s"]
}

_Window = tuple[Times, float | None]


def cells_of(
    aim: Aim, records: Sequence[Measurement], only: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> KnownCells:
    """Return the cells of the VALID ordinary runs, which must be of one machine and one setting.

    How long is measured is no choice: of a configuration only the runs of one window count. All
    configurations have it in common, or else those that differ in processes and MPS, or else it is its own,
    as where a common one would leave a single run of a configuration that has more. Of several it is the one
    with the most runs of each configuration, and of these the longest.

    Args:
        aim: What is wanted.
        records: Of any runs.
        only: Option of an axis -> the values that cells may have.

    Raises:
        ConfigError: If there is no such run, or they are of several settings, or lack what the aim needs.
    """
    runs = [condensed(run) for run in records if run.tells_of_its_cell]
    if not runs:
        what = f"there is no VALID ordinary run among {len(records)} records; give RUNs that hold one"
        raise ConfigError(FLAG, "", what)
    for option, values in only.items():
        axis = CHOICES[option]
        there = {run.cell.axes[axis.name] for run in runs} - {None}
        runs = [run for run in runs if _typed(run.cell.axes[axis.name]) in values]
        if lacking := [value for value in values if value not in map(_typed, there)]:
            listed = ",".join(map(_typed, sorted(there, key=lambda value: (str(type(value)), value))))
            what = f"no stored run has it; there is {option}={listed}"
            raise ConfigError(option, ",".join(lacking), what)
    _refuse_several_settings(runs)
    if runs[0].cell.device == "cpu":
        aim.refuse_without_gpu()
    kept, unused = _of_one_window_each(runs)
    together = sorted(kept, key=lambda own: (own[0].cell.procs, own[0].cell.mps))
    axes = [own[0].cell.moved(repeat=0).axes for own in together]
    known = KnownCells(aim, axes, _names(axes))
    known.longer_window = "measure with a longer window_s"
    known.more_blocks = "more blocks may tell: the search without --stored measures them"
    known.search.stopped, known.unused = "stored runs only", unused
    for arm, own in enumerate(together):
        for run in own:
            known.take(arm, run)
    return known


def _refuse_several_settings(runs: Sequence[Condensed]) -> None:
    by_setting: dict[str, list[Fingerprint]] = {}
    for run in runs:
        setting = of_record(run).without("repeat", "window_s", *(axis.name for axis in FACTORS))
        by_setting.setdefault(setting.digest, []).append(setting)
    first, *others = sorted(by_setting.values(), key=len, reverse=True)
    if others:
        apart = "; ".join(main_differences([(own[0], len(own)) for own in others], first[:1]))
        what = f"the runs are of {len(by_setting)} settings: beside {len(first)} alike, {apart}"
        raise ConfigError(FLAG, "", f"{what}; give runs of one")


def _of_one_window_each(runs: Sequence[Condensed]) -> tuple[list[list[Condensed]], str]:
    """Return the runs of each configuration that count, and how many do not for their window."""
    windows: dict[tuple[Any, ...], dict[_Window, list[Condensed]]] = {}
    for run in sorted(runs, key=lambda run: _order(_window(run.cell))):
        cell = run.cell
        own = windows.setdefault((cell.extras, cell.procs, cell.mps), {})
        own.setdefault(_window(cell), []).append(run)
    kept, left = [], list[tuple[Cell, Cell]]()
    common = _common_window(list(windows.values()))
    for (extras, *_), own in windows.items():
        partners = [each for (other, *_), each in windows.items() if other == extras]
        chosen = common or next(filter(None, map(_common_window, (partners, [own]))))
        kept.append(own[chosen])
        used = own[chosen][0].cell
        left += [(run.cell, used) for window, others in own.items() if window != chosen for run in others]
    return kept, other_windows_line(left)


def _common_window(several: Sequence[Mapping[_Window, Sequence[Condensed]]]) -> _Window | None:
    """Return the window with the most runs of each, and of these the longest; None if they share none.

    One that leaves a single run of a configuration that has several of another window is none either.
    """
    several_runs = [any(len(runs) > 1 for runs in each.values()) for each in several]
    shared = [
        window
        for window in set.intersection(*map(set, several))
        if all(len(each[window]) > 1 or not more for each, more in zip(several, several_runs, strict=True))
    ]
    return max(
        shared,
        key=lambda window: (
            min(len(each[window]) for each in several),
            max(_measured_s(run) for each in several for run in each[window]),
            _order(window),
        ),
        default=None,
    )


def _order(window: _Window) -> tuple[float, float]:
    times, window_s = window
    return times_order(times), window_s or 0.0


def _measured_s(run: Condensed) -> float:
    figures = run.statistics()
    assert figures is not None  # noqa: S101 - it is VALID
    return figures.makespan_s


def _typed(value: object) -> str:
    """Return a value of an axis as a user types it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _window(cell: Cell) -> _Window:
    return cell.times, cell.window_s


def _names(axes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each cell by processes, MPS, and the other factors and the window in which they differ."""
    shown = {
        word: axis.name
        for word, axis in CHOICES.items()
        if axis.name in ("procs", "mps") or len({each[axis.name] for each in axes}) > 1
    }
    ordered = sorted(shown, key=lambda word: word != "procs")
    return [
        whole_name(each, [f"{word}={each[shown[word]]}" for word in ordered if each[shown[word]] is not None])
        for each in axes
    ]
