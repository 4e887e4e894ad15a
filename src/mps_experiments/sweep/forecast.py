"""Estimate how long a sweep takes, from its plans and from the runs that are done."""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from mps_experiments.record.measurement import Measurement
from mps_experiments.run.plan import RunPlan, WindowPlan
from mps_experiments.run.skip import reason_to_skip
from mps_experiments.run.trials import runs_of

LONG_S = 3600.0
HINT = "this takes an hour or more: Ctrl-C keeps what is done, resume=true goes on"
_BESIDE_WINDOW_S = 5.0  # loading, warm-up, evidence; until runs have told (ResNet-50 on an H200: 3.7 s)
_Kind = tuple[int, WindowPlan]  # number of workers, window


@dataclass
class Forecast:
    """What is left of a sweep.

    A window of given length is known. Of one with a number of iterations each worker is taken to need as long
    as in the runs so far, times the number of workers, as if they ran one after another: an upper end.
    """

    _left: Counter[_Kind] = field(default_factory=Counter)
    _added: int = 0
    _per_iteration_s: list[float] = field(default_factory=list)
    _beside_s: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, plans: Sequence[RunPlan]) -> "Forecast":
        """Expect the runs of these cells; a run that is skipped takes no time."""
        runs = [run.plan for plan in plans if reason_to_skip(plan) is None for run in runs_of(plan, {}, ())]
        return cls(_left=Counter(map(_kind, runs)))

    def expect(self, runs: int) -> None:
        """Expect runs that nobody asked for: twins, added blocks."""
        self._added += runs

    def finish(self, plan: RunPlan, measurement: Measurement | None = None, took_s: float = 0.0) -> str:
        """Strike a run off, and learn from what it took; one that was resumed or refused teaches nothing.

        Returns a line to print if it is only now known that an hour or more is left.
        """
        if reason_to_skip(plan) is not None:
            return ""
        knew = self.left_s is not None
        self._strike_off(plan, measurement, took_s)
        is_news = not knew and self.left_s is not None and self.left_s >= LONG_S
        return f"{self.words}: {HINT}" if is_news else ""

    @property
    def words(self) -> str:
        """Return what is left in words; empty if nothing is, or nothing tells."""
        return f"{in_words(self.left_s)} left" if self.left_s else ""

    def _strike_off(self, plan: RunPlan, measurement: Measurement | None, took_s: float) -> None:
        kind = _kind(plan)
        if self._left[kind] > 0:
            self._left[kind] -= 1
        else:
            self._added = max(0, self._added - 1)
        figures = measurement.statistics() if measurement is not None else None
        if figures is None:
            return
        self._beside_s.append(max(0.0, took_s - figures.makespan_s))
        if (iterations := plan.iteration_count) is not None:
            self._per_iteration_s.append(figures.makespan_s / iterations)

    @property
    def left_s(self) -> float | None:
        """Return how many seconds are left; None if nothing tells."""
        count = self._left.total()
        each = [(self._of(kind), number) for kind, number in self._left.items() if number]
        known = [(seconds, number) for seconds, number in each if seconds is not None]
        if len(known) < len(each):
            return None
        total = sum(seconds * number for seconds, number in known)
        usual = total / count if count else statistics.fmean(self._beside_s or [_BESIDE_WINDOW_S])
        return total + self._added * usual

    def _of(self, kind: _Kind) -> float | None:
        workers, window = kind
        beside_s = statistics.median(self._beside_s or [_BESIDE_WINDOW_S])
        if window.seconds is not None:
            return window.seconds + beside_s
        if not self._per_iteration_s or window.iterations is None:
            return None
        return workers * window.iterations * statistics.median(self._per_iteration_s) + beside_s


def _kind(plan: RunPlan) -> _Kind:
    return plan.worker_count, plan.window


def in_words(seconds: float) -> str:
    """Return a length of time as people say it.

    >>> in_words(42), in_words(750), in_words(9000)
    ('about 40 s', 'about 12 min', 'about 2.5 h')
    """
    if seconds < 90:
        return f"about {max(10, round(seconds, -1)):.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < LONG_S else f"about {seconds / 3600:.1f} h"


def opening_line(
    runs: int, forecast: Forecast, budget_min: float | None, resumes: bool = False, twins: int = 0
) -> str:
    """Say before a sweep how many runs come and how long they take.

    Args:
        runs: Their number.
        forecast: Of these runs.
        budget_min: The time within which blocks are added; None if none are.
        resumes: Whether records of earlier sweeps may stand for some of them.
        twins: How many of them run twice.
    """
    left_s = forecast.left_s
    runs_text = f"{runs} runs, {twins} of them twice (A/A)" if twins else f"{runs} runs"
    parts = [runs_text, "how long is known after the first" if left_s is None else in_words(left_s)]
    if resumes:
        parts.append("less what is measured already")
    if budget_min is not None:
        parts.append(f"then more blocks, {budget_min:g} min in all at most")
    return ", ".join(parts) + (f"; {HINT}" if left_s is not None and left_s >= LONG_S else "")
