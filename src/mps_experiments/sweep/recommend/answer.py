"""Say which cell to use, which are as good, and why the others are not."""

import math
from collections.abc import Iterator

from mps_experiments.analysis.metrics import BY_NAME
from mps_experiments.analysis.numbers import difference, short
from mps_experiments.analysis.repeats import Group
from mps_experiments.analysis.moderated import Interval
from mps_experiments.analysis.search import ZONE, Fate, Standing
from mps_experiments.record.axes import BY_NAME as AXIS
from mps_experiments.report.pareto import Point, front
from mps_experiments.sweep.recommend.aim import Goal
from mps_experiments.sweep.recommend.study import Study

_PERCENTILES = (99, 50)


class Answer:
    """The outcome of a search in words; see `lines`."""

    def __init__(self, study: Study) -> None:
        self._study = study
        self.standing = study.search.standing()

    @property
    def chosen(self) -> int | None:
        """Return the cell to use; None if none is known to keep the limits."""
        return self.standing.chosen

    def lines(self) -> Iterator[str]:
        """Yield the answer: the cell to use, what it was compared with, and how sure that is."""
        study, standing, chosen = self._study, self.standing, self.chosen
        if chosen is None:
            yield from self._without_choice()
        else:
            yield f"USE {study.names[chosen]}: {self._figures(chosen)}"
            yield from self._beside(chosen)
            yield from self._about_batches(chosen)
        tied = [arm for arm in standing.of(Fate.TIED) + self._leaders if arm != chosen]
        yield from (f"tied: {study.names[arm]}: {self._against(arm)}" for arm in tied)
        shown = {chosen, *tied}
        for arm, name in enumerate(study.names):
            if arm not in shown:
                yield f"{_word(standing, arm)}: {name}: {self._why(arm)}"
        yield from self._front_in_words()
        yield from self._certainty()

    @property
    def _leaders(self) -> list[int]:
        return [] if self.standing.leader is None else [self.standing.leader]

    def _figures(self, arm: int) -> str:
        runs = self._study.runs[arm]
        blocks = f"{len(runs)} block" + ("s" if len(runs) > 1 else "")
        return f"{self._study.aim.figures(runs)} ({blocks})"

    def _without_choice(self) -> Iterator[str]:
        study = self._study
        measured = [arm for arm, runs in enumerate(study.runs) if runs and study.aim.limits]
        if not measured:
            yield "NO ANSWER: no cell has a VALID run"
            return
        is_open = bool(self.standing.of(Fate.OPEN) or self.standing.of(Fate.UNKNOWABLE))
        yield f"NO ANSWER: no cell {'is known to keep' if is_open else 'keeps'} the limits"
        nearest = min(measured, key=self._worst_excess)
        if math.isfinite(self._worst_excess(nearest)):
            yield f"nearest: {study.names[nearest]}: {self._figures(nearest)}"

    def _worst_excess(self, arm: int) -> float:
        means = [of_limit[arm].mean for of_limit in self.standing.excess]
        return math.inf if any(math.isnan(mean) for mean in means) else max(means)

    def _beside(self, chosen: int) -> Iterator[str]:
        """Compare the cell with the one that does a little better, and with the smallest one."""
        study, leader, reference = self._study, self.standing.leader, self._study.reference
        if leader is not None and leader != chosen:
            yield (f"it is the cheapest within {short(100 * ZONE)} % of the best, {study.names[leader]}")
        if chosen != reference and study.runs[reference]:
            over = study.search.over(reference)[chosen]
            if over.blocks:
                yield f"{_times(over, study.aim.goal)} of {study.names[reference]}"

    def _about_batches(self, chosen: int) -> Iterator[str]:
        """Say whether one process with larger batches beats several, or that it was not tried."""
        study = self._study
        batches = [cell.config.workload.batch for cell in study.cells]
        if len(set(batches)) == 1:
            if study.plans[chosen].worker_count > 1:
                option = AXIS["batch"].option
                yield f"larger batches in one process were not tried: {option}=1,2,4,8 adds them"
            return
        packed = [arm for arm in range(len(batches)) if study.plans[arm].worker_count > 1 and study.runs[arm]]
        if study.plans[chosen].worker_count > 1 or not packed:
            return
        effects = study.search.effects()
        best = max(packed, key=lambda arm: effects[arm])
        yield (
            f"one process with larger batches beats packing: the best pack, {study.names[best]}, has "
            f"{self._against(best)}"
        )

    def _against(self, arm: int) -> str:
        """Compare a cell with the one to use, or with the best."""
        chosen = self.chosen
        if chosen is None:
            return "no cell to compare with"
        over = self._study.search.over(chosen)[arm]
        return f"{_times(over, self._study.aim.goal)} of {self._study.names[chosen]}"

    def _why(self, arm: int) -> str:
        """Say why a cell is not the one, in one line."""
        study, fate = self._study, self.standing.fates[arm]
        if arm in study.reasons:
            return study.reasons[arm]
        if not study.runs[arm]:
            return f"not measured: {study.search.stopped or 'no budget'}"
        limits = list(zip(study.aim.limits, self.standing.excess, strict=True))
        if fate is Fate.BROKEN:
            broken = [(limit, of[arm]) for limit, of in limits if of[arm].low > 0]
            return "; ".join(
                f"{limit.text(limit.most * math.exp(each.mean))}, {limit.flag} is {short(limit.most)}"
                for limit, each in broken
            )
        if fate is Fate.UNKNOWABLE:
            unknown = [limit.flag for limit, of in limits if not of[arm].blocks]
            why = (
                "p99 takes 1,000 iterations in a run: give a longer window_s" if "--p99-ms" in unknown else ""
            )
            return "; ".join(filter(None, (f"{', '.join(unknown)} is not known", why)))
        if fate is Fate.WORSE:
            return self._against(arm)
        near = [limit for limit, of in limits if of[arm].high > 0]
        values = [limit.text(limit.most * math.exp(of[arm].mean)) for limit, of in limits if limit in near]
        if values:
            return f"{', '.join(values)}: too near to the limit to tell"
        return self._against(arm)

    @property
    def points(self) -> tuple[str, list[Point]]:
        """Return the percentile that two cells have at least, p99 rather than p50, and the cells."""
        found: list[Point] = []
        for percent in _PERCENTILES:
            found = []
            for arm, runs in enumerate(self._study.runs):
                group = Group.of(runs) if runs else None
                value_ms = BY_NAME[f"latency/p{percent}_ms"].of(group) if group else None
                if group is not None and value_ms is not None:
                    found.append(
                        Point(
                            name=self._study.names[arm],
                            mps=group.first.cell.mps,
                            latency_s=value_ms / 1e3,
                            per_s=group.throughput_median_per_s,
                            is_chosen=arm == self.chosen,
                        )
                    )
            if len(found) > 1:
                break
        return f"p{percent}", found

    def _front_in_words(self) -> Iterator[str]:
        percentile, points = self.points
        if len(points) > 1:
            values = "; ".join(point.text for point in front(points))
            yield f"throughput over {percentile}, cells that no other beats in both: {values}"

    def _certainty(self) -> Iterator[str]:
        study, noise = self._study, self._study.search.noise()
        counts = f"{study.measured} runs were made, {len(study.stored)} stored ones read"
        spread = "" if noise is None else f"; equal runs differ by {difference(noise)}"
        yield f"{counts}{spread}; {study.search.stopped or 'the search did not end'}"


def _word(standing: Standing, arm: int) -> str:
    """Return the word before a cell that is not recommended."""
    if standing.fates[arm] in (Fate.OPEN, Fate.UNKNOWABLE):
        return "not known"
    return "worse" if standing.fates[arm] is Fate.WORSE else "excluded"


def _times(over: Interval, goal: Goal) -> str:
    """Write a difference of scores as so many times the throughput, latency, energy or cost."""
    if not over.blocks:
        return f"not compared in {goal.name} yet with that"
    sign = 1 if goal is Goal.throughput else -1
    value = f"{math.exp(sign * over.mean):.2f}"
    if math.isfinite(over.half):
        low, high = sorted((math.exp(sign * over.low), math.exp(sign * over.high)))
        value += f" [{low:.2f} to {high:.2f}]"
    return f"{value} times the {goal.name}"
