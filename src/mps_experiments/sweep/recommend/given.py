"""The cells of stored runs that a user names: a choice among them measures nothing."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from mps_experiments.analysis.runs import Condensed, condensed
from mps_experiments.errors import ConfigError
from mps_experiments.record.axes import FACTORS
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.fingerprint import Fingerprint, of_record
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.known import KnownCells, whole_name
from mps_experiments.sweep.recommend.unused import main_differences, unused_line

FLAG = "--stored"
_SHORT = ("procs", "mps", "times")  # known by their names rather than by their options
CHOICES = {axis.name if axis.name in _SHORT else axis.option: axis for axis in FACTORS}


def cells_of(
    aim: Aim, records: Sequence[Measurement], only: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> KnownCells:
    """Return the cells of the VALID ordinary runs, which must be of one machine and one setting.

    A few runs that differ in the window only are left out, such as the pilot run of a search for p99.

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
        there = {run.cell.axes[axis.name] for run in runs}
        runs = [run for run in runs if str(run.cell.axes[axis.name]) in values]
        if lacking := [value for value in values if value not in map(str, there)]:
            listed = ",".join(map(str, sorted(there, key=lambda value: (str(type(value)), value))))
            what = f"no stored run has it; there is {option}={listed}"
            raise ConfigError(option, ",".join(lacking), what)
    runs, unused = _of_one_setting(runs)
    if runs[0].cell.device == "cpu":
        aim.refuse_without_gpu()
    by_cell: dict[tuple[Any, ...], list[Condensed]] = {}
    for run in runs:
        by_cell.setdefault(tuple(run.cell.axes[axis.name] for axis in FACTORS), []).append(run)
    together = sorted(by_cell.values(), key=lambda own: (own[0].cell.procs, own[0].cell.mps))
    axes = [own[0].cell.axes for own in together]
    known = KnownCells(aim, axes, _names(axes))
    known.longer_window = "measure with a longer window_s"
    known.more_blocks = "more blocks may tell: the search without --stored measures them"
    known.search.stopped, known.unused = "stored runs only", unused
    for arm, own in enumerate(together):
        for run in own:
            known.take(arm, run)
    return known


def _of_one_setting(runs: Sequence[Condensed]) -> tuple[list[Condensed], str]:
    """Return the runs to choose among, and how many are left out and why; refuse several settings."""
    by_setting: dict[str, list[Condensed]] = {}
    for run in runs:
        by_setting.setdefault(_setting(run).digest, []).append(run)
    first, *others = sorted(by_setting.values(), key=len, reverse=True)
    left = [(_setting(own[0]), len(own)) for own in others]
    but_window = {_setting(own[0], "window_s").digest for own in by_setting.values()}
    if len(but_window) == 1 and all(count < len(first) for _, count in left):
        return first, unused_line(left, [_setting(first[0])])
    apart = "; ".join(main_differences(left, [_setting(first[0])]))
    what = f"the runs are of {len(by_setting)} settings: beside {len(first)} alike, {apart}"
    raise ConfigError(FLAG, "", f"{what}; give runs of one")


def _setting(run: Measurement, *free: str) -> Fingerprint:
    """Return what all cells of a choice share; `free` are further keys in which they may differ."""
    return of_record(run).without("repeat", *(axis.name for axis in FACTORS), *free)


def _names(axes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each cell by processes, MPS and the other factors in which they differ."""
    varied = {axis.name for axis in FACTORS if len({each[axis.name] for each in axes}) > 1}
    words = {axis.name: word for word, axis in CHOICES.items() if axis.name in varied | {"procs", "mps"}}
    ordered = sorted(words, key=lambda name: name != "procs")
    return [whole_name(each, [f"{words[name]}={each[name]}" for name in ordered]) for each in axes]
