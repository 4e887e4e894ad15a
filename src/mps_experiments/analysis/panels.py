"""Divide runs into sets of tables and charts: one machine, one workload, one setting; pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from textwrap import shorten

from mps_experiments.analysis.comparison import Ratio, groups, ratios
from mps_experiments.analysis.keys import comparison_keys, differing_keys, frozen, shared_settings, table_key
from mps_experiments.analysis.machines import machine_line
from mps_experiments.analysis.repeats import Group
from mps_experiments.analysis.runs import ReportRun
from mps_experiments.record.axes import FACTORS, varied_factors
from mps_experiments.record.cell import Times, times_order
from mps_experiments.record.measurement import Measurement

ARMS = ("off", "on")
_MAX_VALUE = 60  # characters of what sets a panel apart


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """The ordinary runs that differ in nothing but factors and repeat.

    Attributes:
        varied: What sets it apart from the sweep's other panels, as overrides; empty if nothing does.
        stratum: Likewise from the other `strata` of its panel.
        precision: The goal of the sweep that the report is of, whatever sweep the runs are from; 0 for none.
        is_cut_off: True if a signal ended that sweep before all of its runs were made.
    """

    runs: tuple[ReportRun, ...]
    varied: str = ""
    stratum: str = ""
    precision: float = 0.0
    is_cut_off: bool = False

    @cached_property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(run.measurement for run in self.runs)

    @property
    def first(self) -> Measurement:
        return self.measurements[0]

    @property
    def title(self) -> str:
        return " · ".join(filter(None, (self.first.cell.model, self._options, self.varied, self.stratum)))

    @property
    def _options(self) -> str:
        """Return the options of a workload of the user's own, unless `varied` tells them."""
        if "workload.options" in self.varied:
            return ""
        text = " ".join(f"{name}={value}" for name, value in sorted(self.first.cell.options.items()))
        return shorten(text, _MAX_VALUE, placeholder=" ...")

    @cached_property
    def strata(self) -> tuple["Panel", ...]:
        """Return a panel for each value of the other factors: an answer never pools them."""
        by_value: dict[tuple[object, ...], list[ReportRun]] = {}
        for run in self.runs:
            by_value.setdefault(run.measurement.cell.extras, []).append(run)
        if len(by_value) == 1:
            return (self,)
        return tuple(
            replace(self, runs=tuple(by_value[value]), stratum=self._words_of(by_value[value][0]))
            for value in sorted(by_value)
        )

    def _words_of(self, run: ReportRun) -> str:
        axes = run.measurement.cell.axes
        varied = varied_factors([m.cell.axes for m in self.measurements])
        return " ".join(f"{axis.option}={axes[axis.name]}" for axis in varied)

    @property
    def on_gpu(self) -> bool:
        return self.first.machine.gpu is not None

    @cached_property
    def ratios(self) -> dict[str, Ratio]:
        """Return record id -> ratio."""
        return ratios(self.measurements)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """Group its VALID runs, repeats together."""
        return tuple(groups(self.measurements))

    @cached_property
    def times(self) -> Times | None:
        """Return the iterations that answer and charts are made of; None if there are none.

        Of several the one with the most cells of several processes, and of those the longest.
        """
        cells = Counter(group.first.cell.times for group in self.alike if group.first.cell.procs > 1)
        cells = cells or Counter(group.first.cell.times for group in self.alike)
        return max(cells, key=lambda times: (cells[times], times_order(times)), default=None)

    @property
    def other_times(self) -> list[Times]:
        """List the iterations of VALID runs that are neither in the answer nor in the charts."""
        return sorted({group.first.cell.times for group in self.alike} - {self.times}, key=times_order)

    @cached_property
    def _settings(self) -> list[list[Group]]:
        """List its groups, those together that may be compared; the most first."""
        found: dict[str, list[Group]] = {}
        for group in self.groups:
            found.setdefault(frozen(_setting(group.first)), []).append(group)
        return sorted(found.values(), key=len, reverse=True)

    @property
    def alike(self) -> list[Group]:
        """List the groups of answer and charts: of several settings the one with the most cells."""
        return self._settings[0] if self._settings else []

    @property
    def left_out(self) -> list[str]:
        """List what sets the other groups apart; empty if there are none."""
        others = self._settings[1:]
        texts = [differing_keys(_setting(each[0].first), _setting(self.alike[0].first)) for each in others]
        return list(dict.fromkeys(text for several in texts for text in several))

    def arm(self, mps: str) -> dict[int, Group]:
        """Return processes -> VALID repeats at `times`, in ascending order; of a panel with one stratum."""
        found = {
            group.first.cell.procs: group
            for group in self.alike
            if (group.first.cell.mps, group.first.cell.times) == (mps, self.times)
        }
        return dict(sorted(found.items()))

    def ratio(self, group: Group) -> Ratio:
        return self.ratios[group.first.record_id]

    @property
    def answered(self) -> list[Measurement]:
        """List the runs that the answer is made of, equal runs of a block (A/A) included."""
        if not self.alike:
            return []
        own = frozen(_setting(self.alike[0].first))
        return [m for m in self.measurements if m.cell.times == self.times and frozen(_setting(m)) == own]


def panels(runs: Sequence[ReportRun], precision: float = 0.0, is_cut_off: bool = False) -> list[Panel]:
    """Divide the ordinary runs by machine, workload and setting, in the order in which they came.

    Those of a single cell, which leaves nothing to choose, come last.
    """
    by_key: dict[str, list[ReportRun]] = {}
    for run in runs:
        if run.measurement.is_ordinary:
            key = frozen([machine_line(run.measurement.machine), str(table_key(run.measurement))])
            by_key.setdefault(key, []).append(run)
    by_key = {key: together for key, together in by_key.items() if not _are_references(together, runs)}
    found = [
        Panel(
            runs=tuple(together),
            varied=shared_settings([run.measurement for run in together]),
            precision=precision,
            is_cut_off=is_cut_off,
        )
        for together in by_key.values()
    ]
    found.sort(key=lambda panel: len(panel.groups) == 1)
    return [_told_apart(panel, [each for each in found if _place(each) == _place(panel)]) for panel in found]


def _are_references(together: Sequence[ReportRun], runs: Sequence[ReportRun]) -> bool:
    """Tell whether these runs are only there for runs with a fault to be compared with."""
    with_faults = {run.measurement.sweep_id for run in runs if not run.measurement.is_ordinary}
    own = [run.measurement for run in together]
    return all(m.cell.procs == 1 and m.sweep_id in with_faults for m in own)


def _setting(measurement: Measurement) -> dict[str, object]:
    """Return what two runs must agree in before they may stand in one chart."""
    factors = {axis.name for axis in FACTORS}
    return {key: v for key, v in comparison_keys(measurement).items() if key not in factors}


def _place(panel: Panel) -> tuple[str, str]:
    return machine_line(panel.first.machine), panel.title


def _told_apart(panel: Panel, namesakes: Sequence[Panel]) -> Panel:
    """Add to the title what differs, where another panel of the same machine has the same title."""
    if len(namesakes) == 1:
        return panel
    settings = [_setting(each.first) for each in namesakes]
    own = _setting(panel.first)
    differing = [key for key in own if len({frozen(each.get(key)) for each in settings}) > 1]
    words = [f"{key} {shorten(str(own[key]), _MAX_VALUE, placeholder=' ...')}" for key in differing]
    return replace(panel, varied=" ".join(filter(None, (panel.varied, ", ".join(words)))))
