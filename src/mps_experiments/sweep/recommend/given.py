"""The cells of stored runs that a user names: a choice among them measures nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from mps_experiments.analysis.runs import Condensed, condensed
from mps_experiments.errors import ConfigError
from mps_experiments.record.axes import FACTORS
from mps_experiments.record.measurement import Measurement
from mps_experiments.run.fingerprint import Fingerprint, of_record
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.known import KnownCells
from mps_experiments.sweep.recommend.unused import main_differences

FLAG = "--stored"
_SHORT = ("procs", "mps", "times")  # known by their names rather than by their options


def cells_of(aim: Aim, records: Sequence[Measurement]) -> KnownCells:
    """Return the cells of the VALID ordinary runs, which must be of one machine and one setting.

    Raises:
        ConfigError: If there is no such run, or they are of several settings, or lack what the aim needs.
    """
    runs = [condensed(run) for run in records if run.tells_of_its_cell]
    if not runs:
        what = f"there is no VALID ordinary run among {len(records)} records; give RUNs that hold one"
        raise ConfigError(FLAG, "", what)
    _refuse_several(runs)
    if runs[0].cell.device == "cpu":
        aim.refuse_without_gpu()
    by_cell: dict[tuple[Any, ...], list[Condensed]] = {}
    for run in runs:
        by_cell.setdefault(tuple(run.cell.axes[axis.name] for axis in FACTORS), []).append(run)
    axes = [own[0].cell.axes for own in by_cell.values()]
    known = KnownCells(aim, axes, _names(axes))
    known.longer_window = "measure with a longer window_s"
    known.search.stopped = "stored runs only"
    for arm, own in enumerate(by_cell.values()):
        for run in own:
            known.take(arm, run)
    return known


def _refuse_several(runs: Sequence[Measurement]) -> None:
    by_setting: dict[str, list[Fingerprint]] = {}
    for run in runs:
        setting = of_record(run).without("repeat", *(axis.name for axis in FACTORS))
        by_setting.setdefault(setting.digest, []).append(setting)
    first, *others = sorted(by_setting.values(), key=len, reverse=True)
    if others:
        left = [(own[0], len(own)) for own in others]
        apart = "; ".join(main_differences(left, first[:1]))
        what = f"the runs are of {len(by_setting)} settings: beside {len(first)} alike, {apart}"
        raise ConfigError(FLAG, "", f"{what}; give runs of one")


def _names(axes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each cell by the factors in which they differ; one alone by the usual three."""
    varied = [axis for axis in FACTORS if len({each[axis.name] for each in axes}) > 1]
    shown = varied or [axis for axis in FACTORS if axis.name in _SHORT]
    ordered = sorted(shown, key=lambda axis: axis.name != "procs")
    return [
        " ".join(f"{axis.name if axis.name in _SHORT else axis.option}={each[axis.name]}" for axis in ordered)
        for each in axes
    ]
