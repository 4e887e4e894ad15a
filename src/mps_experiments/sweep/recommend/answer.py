"""Say which cell to use, which are as good, and why the others are not."""

import math
from collections.abc import Iterable, Iterator

from mps_experiments.analysis.comparison import is_impossible, output_refusal
from mps_experiments.analysis.gains import Gain
from mps_experiments.analysis.metrics import BY_NAME
from mps_experiments.analysis.moderated import Interval
from mps_experiments.analysis.numbers import difference, per_cent
from mps_experiments.analysis.repeats import Group
from mps_experiments.analysis.standing import LOG_ZONE, ZONE, Fate
from mps_experiments.record.axes import BY_NAME as AXES
from mps_experiments.record.machine import ON_THE_CPU
from mps_experiments.report.pareto import Point, front
from mps_experiments.sweep.recommend.known import KnownCells

_APART = ("procs", "mps", "times", "window_s")  # in which cells that are compared with one process may differ
_WORDS = {
    Fate.LEADER: "tied",
    Fate.TIED: "tied",
    Fate.OPEN: "not known",
    Fate.UNKNOWABLE: "not known",
    Fate.WORSE: "worse",
    Fate.BROKEN: "excluded",
    Fate.EXCLUDED: "excluded",
}


class Answer:
    """The outcome of a search in words.

    Attributes:
        study: What was searched.
        chosen: The cell to use; None if none is known to keep the limits.
    """

    def __init__(self, study: KnownCells) -> None:
        self.study = study
        self._standing = study.search.standing(is_final=True)
        self.chosen = self._standing.chosen
        self._slowed = self._find_slowed()

    def lines(self) -> Iterator[str]:
        """Yield the answer: the cell to use, each other cell with the reason, and how sure that is."""
        study, chosen, fates = self.study, self.chosen, self._standing.fates
        if any(run.cell.device == "cpu" for runs in study.runs for run in runs):
            yield f"these runs {ON_THE_CPU}"
        if chosen is None:
            yield from self._without_choice()
        else:
            yield f"USE {study.names[chosen]}{self._guess()}: {self._figures(chosen)}"
            yield from self._not_settled()
            yield from self._beside(chosen)
            for arm, shown in self._slowed.items():
                yield (
                    f"no gain over {study.names[arm]} is told: {shown}, which is impossible. Something "
                    "slowed the one-process run: measure all again, with another output_dir"
                )
            yield from self._about_batches(chosen)
            yield from self._about_outputs(chosen)
        order = list(dict.fromkeys(_WORDS.values()))
        words = self._words()
        for arm in sorted(range(len(fates)), key=lambda arm: order.index(words[arm])):
            if arm != chosen:
                yield f"{words[arm]}: {study.names[arm]}: {self._why(arm)}"
        percentile, points = self.points()
        if len(points) > 1:
            values = "; ".join(point.text for point in front(points))
            yield f"throughput over {percentile}, cells that no other beats in both: {values}"
        noise = study.search.noise()
        spread = "" if noise is None else f"; equal runs differ by {difference(noise)} (standard deviation)"
        counts = f"runs: {study.measured} measured, {study.taken} stored"
        yield "; ".join([f"{counts}{spread}", *self._unknown_p99(), study.search.stopped])

    def _words(self) -> list[str]:
        """Return what each cell is called."""
        fates = enumerate(self._standing.fates)
        return [_WORDS[Fate.OPEN if arm in self._slowed else fate] for arm, fate in fates]

    def _guess(self) -> str:
        """Say that the choice is a guess where every other cell that can be used may be better."""
        fates = self._standing.fates
        others = [
            word
            for arm, word in enumerate(self._words())
            if arm != self.chosen and fates[arm] is not Fate.EXCLUDED
        ]
        if not others or set(others) != {_WORDS[Fate.OPEN]}:
            return ""
        what = f"none of the {len(others)} other cells is" if len(others) > 1 else "the other cell is not"
        return f" (a guess: {what} ruled out)"

    def _not_settled(self) -> Iterator[str]:
        """Say which cells may be better, and which were not measured."""
        study, still_open = self.study, self._standing.of(Fate.OPEN)
        measured, lacking = (
            [study.names[arm] for arm in still_open if bool(study.runs[arm]) is has_runs]
            for has_runs in (True, False)
        )
        parts = []
        if measured:
            parts.append(f"{', '.join(measured)} may do as well or better")
        if lacking:
            parts.append(f"{', '.join(lacking)} {'were' if len(lacking) > 1 else 'was'} not measured")
        if parts:
            yield f"not settled: {'; '.join([*parts, study.more_blocks])}"

    def _unknown_p99(self) -> Iterator[str]:
        """Say of how many cells p99 is not known, with which windows, and what would help."""
        study, unknown = self.study, self._standing.of(Fate.UNKNOWABLE)
        for limit, excess in zip(study.aim.limits, self._standing.excess, strict=True):
            arms = [arm for arm in unknown if not excess[arm].blocks]
            if limit.flag == "--p99-ms" and arms:
                cells = [run.cell for arm in arms for run in study.runs[arm]]
                windows = dict.fromkeys(
                    f"times={cell.times}" if cell.window_s is None else f"window_s={cell.window_s:g}"
                    for cell in cells
                )
                what = f"p99 of {len(arms)} cell{'s' if len(arms) > 1 else ''} cannot be known"
                yield f"{what} with {', '.join(windows)}: {study.longer_window}"

    def _figures(self, arm: int) -> str:
        runs = self.study.runs[arm]
        return f"{self.study.aim.figures(runs)} ({len(runs)} block{'s' if len(runs) > 1 else ''})"

    def _without_choice(self) -> Iterator[str]:
        """Say that nothing is known to keep the limits, and what comes nearest."""
        study, standing = self.study, self._standing
        if not any(study.runs):
            yield "NO ANSWER: no cell has a VALID run"
            return
        maybe = [arm for arm in (*standing.of(Fate.OPEN), *standing.of(Fate.UNKNOWABLE)) if study.runs[arm]]
        if not maybe:
            yield "NO ANSWER: no cell keeps the limits"
        else:
            yield f"NO ANSWER: no cell is known to keep the limits; {study.more_blocks}"
        likely = [arm for arm in maybe if not any(of_limit[arm].mean > 0 for of_limit in standing.excess)]
        if (best := self._best(likely)) is not None:
            yield f"likely: {study.names[best]}: {self._figures(best)}"
            return
        worst = {
            arm: max(of_limit[arm].mean for of_limit in standing.excess)
            for arm in range(len(study.runs))
            if all(of_limit[arm].blocks for of_limit in standing.excess)
        }
        if worst:
            nearest = min(worst, key=worst.__getitem__)
            yield f"nearest: {study.names[nearest]}: {self._figures(nearest)}"

    def _beside(self, chosen: int) -> Iterator[str]:
        """Compare the cell with the best one and with the smallest one."""
        study, leader, reference = self.study, self._standing.leader, self.study.search.reference
        if leader is not None and leader != chosen:
            yield f"it is the cheapest within {per_cent(ZONE)} of the best, {study.names[leader]}"
        without = self._best_without_mps(chosen)
        for arm in dict.fromkeys([reference, reference if without is None else without]):
            over = -study.search.difference(arm, chosen)  # the same as in the other lines
            if over.blocks and arm not in (chosen, *self._slowed):
                what = f", the best without MPS{self._within()}" if arm == without else ""
                yield f"{self._times(over)} of {study.names[arm]}{what}"

    def _find_slowed(self) -> dict[int, str]:
        """Return the cells of one process that something slowed, and the clearest sign of it."""
        axes, found = self.study.axes, dict[int, str]()
        groups = {arm: Group.of(runs) for arm, runs in enumerate(self.study.runs) if runs}
        for one in (arm for arm in groups if axes[arm]["procs"] == 1):
            alike = {name: axes[one][name] for name in axes[one] if name not in _APART}
            many = [arm for arm in groups if axes[arm]["procs"] > 1 and axes[arm].items() >= alike.items()]
            gains = {arm: Gain.between(groups[arm], groups[one]) for arm in many}
            signs = [arm for arm in many if is_impossible(groups[arm].procs, gains[arm])]
            if signs:
                clearest = max(signs, key=lambda arm: gains[arm].value / groups[arm].procs)
                found[one] = f"{self.study.names[clearest]} does {gains[clearest].value:.2f} times as much"
        return found

    def _best_without_mps(self, chosen: int) -> int | None:
        """Return the best cell without MPS that seems to keep the limits, for a choice under MPS."""
        study = self.study
        if study.is_off(chosen):
            return None
        over = {arm: study.search.difference(arm, chosen) for arm in self._allowed() if study.is_off(arm)}
        known = {arm: each.mean for arm, each in over.items() if each.blocks}
        return max(known, key=known.__getitem__, default=None)

    def _allowed(self) -> list[int]:
        """List the cells that seem to keep the limits."""
        standing = self._standing
        return [
            arm
            for arm, fate in enumerate(standing.fates)
            if fate is not Fate.EXCLUDED and standing.seems_to_keep(arm)
        ]

    def _within(self) -> str:
        """Return what a best cell is the best of, where limits leave some out."""
        return " seen within the limits" if self.study.aim.limits else ""

    def _best(self, arms: Iterable[int]) -> int | None:
        """Return the best of these cells that has a run; None without any."""
        effects = self.study.search.effects()
        return max((arm for arm in arms if self.study.runs[arm]), key=lambda arm: effects[arm], default=None)

    def _about_batches(self, chosen: int) -> Iterator[str]:
        """Say whether one process with larger batches beats several, or that it was not tried.

        It does as much if no more than what counts as equal can be gained by several.
        """
        study, option = self.study, AXES["batch"].option
        several = [arm for arm, axes in enumerate(study.axes) if axes["procs"] > 1]
        if len({axes["batch"] for axes in study.axes}) == 1:
            if chosen in several:
                yield f"larger batches in one process were not tried: {option}=1,2,4,8 adds them"
            return
        best = self._best(arm for arm in self._allowed() if arm in several)
        if chosen not in several and best is not None:
            most = study.search.difference(best, chosen).high
            if not most <= LOG_ZONE:  # it is NaN where the two were never compared
                what = "it is not known whether packing gains"
            else:
                what = f"one process {'beats' if most < 0 else 'does as much as'} packing"
            pack = f"{study.names[best]}, the best of several processes{self._within()}"
            yield f"{what}: {pack}: {self._against(best)}"

    def _about_outputs(self, chosen: int) -> Iterator[str]:
        """Say in what the outputs of the cell differ from those of one process that does the same work."""
        axes, runs = self.study.axes, self.study.runs
        same = {name: value for name, value in axes[chosen].items() if name not in _APART}
        ones = [arm for arm, own in enumerate(axes) if own["procs"] == 1 and own.items() >= same.items()]
        for one in ones:
            if not runs[one] or one == chosen:
                continue
            if unlike := output_refusal(Group.of(runs[chosen]), Group.of(runs[one])):
                yield f"not comparable with {self.study.names[one]}: {unlike}"

    def _against(self, arm: int) -> str:
        if self.chosen is None:
            return "no cell to compare with"
        over = self.study.search.difference(arm, self.chosen)
        return f"{self._times(over)} of {self.study.names[self.chosen]}"

    def _times(self, over: Interval) -> str:
        """Write a difference of scores as so many times the throughput, latency, energy or cost."""
        aim = self.study.aim
        if not over.blocks:
            return f"not compared with the {aim.goal.name}"
        value = f"{math.exp(aim.sign * over.mean):.2f}"
        if math.isfinite(over.half):
            low, high = sorted((math.exp(aim.sign * over.low), math.exp(aim.sign * over.high)))
            value += f" [{low:.2f} to {high:.2f}]"
        else:
            value += " (one block: no interval)"
        return f"{value} times the {aim.goal.name}"

    def _why(self, arm: int) -> str:
        """Say why a cell is not the one, in one line."""
        study, fate = self.study, self._standing.fates[arm]
        if arm in study.reasons:
            return study.reasons[arm]
        if not study.runs[arm]:
            return f"not measured: {study.search.stopped}"
        if arm in self._slowed:
            return "something slowed it"
        limits = [(each, of[arm]) for each, of in zip(study.aim.limits, self._standing.excess, strict=True)]
        if fate is Fate.UNKNOWABLE:
            return ", ".join(limit.unknown(study.runs[arm]) for limit, excess in limits if not excess.blocks)
        beyond = [
            limit.text(each, study.runs[arm])
            for limit, each in limits
            if each.blocks and (each.low if fate is Fate.BROKEN else each.high) > 0
        ]
        return ", ".join(beyond) if beyond and fate is not Fate.WORSE else self._against(arm)

    def points(self) -> tuple[str, list[Point]]:
        """Return the percentile that two cells have at least, p99 rather than p50, and the cells."""
        groups = {arm: Group.of(runs) for arm, runs in enumerate(self.study.runs) if runs}
        found: list[Point] = []
        for name in ("p99", "p50"):
            values = {arm: BY_NAME[f"latency/{name}_ms"].of(group) for arm, group in groups.items()}
            found = [
                Point(
                    name=self.study.names[arm],
                    mps=group.first.cell.mps,
                    latency_s=value / 1e3,
                    per_s=group.throughput_median_per_s,
                    is_chosen=arm == self.chosen,
                )
                for arm, group in groups.items()
                if (value := values[arm]) is not None
            ]
            if len(found) > 1:
                return name, found
        return "p50", found
