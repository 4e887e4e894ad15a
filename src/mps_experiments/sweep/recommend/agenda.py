"""The order of a search's runs, as the sweep asks for them, within a budget of time."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from mps_experiments.analysis.numbers import difference, short
from mps_experiments.analysis.search import MOST_BLOCKS, NONE_FITS
from mps_experiments.analysis.standing import Fate
from mps_experiments.config.cells import Grid
from mps_experiments.config.composer import Cell
from mps_experiments.record.axes import key_of
from mps_experiments.record.machine import MachineFacts
from mps_experiments.record.measurement import Measurement
from mps_experiments.sweep.agenda import Agenda, Announce, Job
from mps_experiments.sweep.recommend.study import Study

_FIRST_OVERHEAD_S = 15.0  # what a run takes beside its window, before one was seen
_UNSEEN = 1.5  # times what the longest cell took besides its window, for one that was not seen
_FINALISTS = 4  # cells that are expected to share what is left after the first pass


@dataclass(kw_only=True)
class SearchAgenda(Agenda):
    """The jobs of a search.

    Attributes:
        machine: The facts of this machine.
        budget_s: Seconds after `started` by which the last run is to be done.
        begin: Called before the first job.
        window_s: The window of the runs to come, where it is not that of the command line.
        adapts_window: Whether the window is made long enough for p99 first.
    """

    study: Study
    machine: MachineFacts
    budget_s: float
    begin: Callable[[], None] = lambda: None
    window_s: float | None = None
    adapts_window: bool = False
    _overheads_s: dict[int, float] = field(default_factory=dict)
    _composed: set[int] = field(default_factory=set)
    _count: int = 0
    _last: Callable[[], None] = lambda: None

    def arrange(self, measurements: Sequence[Measurement], announce: Announce) -> Iterator[Job]:
        """Yield jobs until the search needs no more, each run being among `measurements` before the next."""
        study, search = self.study, self.study.search
        self.begin()
        announce(-len(study.plans), "")  # the sweep expects each cell once; a search may do with less
        if self.adapts_window and self.fits(search.reference):
            yield from self._pilot(measurements, announce)
        said, rounds = "", 0
        for arm, block in search.trials(self.fits):
            if not said and (arm != search.reference or search.rounds):
                announce(0, said := self.noise_line())
            if search.rounds != rounds:
                announce(0, self._round_line())
            rounds = search.rounds
            yield from self._measure(arm, block, measurements, announce)
        self.say_what_would_fit()

    def _pilot(self, measurements: Sequence[Measurement], announce: Announce) -> Iterator[Job]:
        """Run the reference once, and go on with the window that p99 takes."""
        study, block, before = self.study, self.study.search.first_block, len(measurements)
        yield self._job(study.search.reference, block, announce)
        study.search.begun = True
        pilot = measurements[-1] if len(measurements) > before else None
        self.window_s = study.window_s(pilot, self.budget_s) if pilot is not None else None
        if self.window_s is None:
            study.add(study.search.reference, block, pilot)
        else:
            announce(0, f"p99 takes 1,000 iterations in a run: window_s={self.window_s:g} from here on")

    def _measure(
        self, arm: int, block: int, measurements: Sequence[Measurement], announce: Announce
    ) -> Iterator[Job]:
        began, before = time.monotonic(), len(measurements)
        self._last = lambda: self._keep_valid(arm, block, measurements[before:])
        yield self._job(arm, block, announce)
        self._last = lambda: None
        overhead_s = time.monotonic() - began - self._window_of(arm)
        self._overheads_s[arm] = max(overhead_s, self._overheads_s.get(arm, 0.0))
        self.study.add(arm, block, measurements[-1] if len(measurements) > before else None)
        self.study.exclude_on_paper(self.machine)

    def take_last(self) -> None:
        """Add the last run if a signal came when it was done and VALID, so that `arrange` did not go on."""
        last, self._last = self._last, lambda: None
        last()

    def _keep_valid(self, arm: int, block: int, made: Sequence[Measurement]) -> None:
        if made and made[-1].verdict.is_valid:
            self.study.add(arm, block, made[-1])

    def _job(self, arm: int, block: int, announce: Announce) -> Job:
        announce(1, "")
        if block == 0 and self.window_s is None and arm not in self._composed:
            self._composed.add(arm)  # as it was composed and planned before the first run
            return Job(number=arm, cell=arm, block=block)
        number = len(self.study.cells) + self._count
        self._count += 1
        return Job(number=number, cell=arm, block=block)

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self.started

    def _window_of(self, arm: int) -> float:
        return self.window_s or self.study.plans[arm].window.seconds or 0.0

    def _expected_s(self, arm: int) -> float:
        """Return the seconds that a run of the cell will take, as far as earlier runs tell."""
        stored = [run.wall_s - self._window_of(arm) for run in self.study.runs[arm]]
        unseen = _UNSEEN * max(self._overheads_s.values(), default=_FIRST_OVERHEAD_S / _UNSEEN)
        return self._window_of(arm) + self._overheads_s.get(arm, max(stored, default=unseen))

    def fits(self, arm: int) -> bool:
        """Tell whether a run of the cell is done before the time is up."""
        return self._elapsed_s + self._expected_s(arm) <= self.budget_s

    def say_what_would_fit(self) -> None:
        """Add to the reason that no run fits into the budget which one would do, as far as is known."""
        search = self.study.search
        if search.stopped == NONE_FITS:
            runs, arms = search.least_runs(), set(search.all_arms) - search.excluded
            least_s = self._elapsed_s + runs * max(map(self._expected_s, arms))
            first = f"the first {runs} runs" if runs > 1 else "one"
            search.stopped = f"{NONE_FITS}; --budget-min {math.ceil(least_s / 60)} should do for {first}"

    def opening_line(self) -> str:
        """Say how much there is to measure."""
        search = self.study.search
        cells, runs = len(search.arms) - len(search.excluded), search.least_runs()
        what = f"{cells} cell{'s' if cells > 1 else ''}, {runs} run{'s' if runs > 1 else ''} at least"
        return f"{what}, {short(self.budget_s / 60)} min at most"

    def noise_line(self) -> str:
        """Say how much equal runs differ, and what cannot be told therefore; empty if it is not known."""
        study, noise = self.study, self.study.search.noise()
        if noise is None:
            return ""
        runs = (self.budget_s - self._elapsed_s) / self._expected_s(study.search.reference)
        new = sum(not each and arm not in study.search.excluded for arm, each in enumerate(study.runs))
        blocks = min(MOST_BLOCKS, max(1, int((runs - new) / _FINALISTS)))
        smallest = study.search.detectable(blocks)
        assert smallest is not None  # noqa: S101 - the noise is known
        return (
            f"noise: equal runs differ by {difference(noise)} (standard deviation); "
            f"differences under {difference(smallest)} cannot be told with this budget"
        )

    def _round_line(self) -> str:
        standing = self.study.search.standing()
        leader = "none yet" if standing.leader is None else self.study.names[standing.leader]
        names = ", ".join(self.study.names[arm] for arm in standing.of(Fate.OPEN))
        return f"best so far: {leader}; open: {names}"


@dataclass(frozen=True, kw_only=True)
class SearchGrid(Grid):
    """Cells that are composed again with the window that the search has come to."""

    agenda: SearchAgenda

    def again(self, number: int, of: int, repeat: int) -> Cell:
        """Compose the cell with number `of` once more, as another repeat and perhaps with another window."""
        window_s = self.agenda.window_s
        anew = {"repeat": f"repeat={repeat}"}
        if window_s is not None:
            anew["window_s"] = f"window_s={window_s:g}"
        overrides = [text for text in self.cells[of].overrides if key_of(text) not in anew]
        return self.composer.cell([*overrides, *anew.values()], number)
