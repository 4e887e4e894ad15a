"""The trials of one fault in one MPS state, taken together; pure."""

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import groups
from mps_experiments.analysis.keys import comparison_keys, frozen
from mps_experiments.analysis.parity import survivor_differences
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.faults import FaultTrial, Outcome, SurvivorFigures
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import OutputDifference
from mps_experiments.record.verdict import Status


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    """The trials of one cell.

    Attributes:
        measurements: All of them, in order of their trial.
        reference: The comparable one-process runs; None if there is none.
    """

    measurements: tuple[Measurement, ...]
    reference: Group | None

    @property
    def first(self) -> Measurement:
        return self.measurements[0]

    @property
    def trials(self) -> tuple[FaultTrial, ...]:
        """List the VALID trials."""
        return tuple(m.fault for m in self._valid if m.fault is not None)

    @property
    def _valid(self) -> list[Measurement]:
        return [m for m in self.measurements if m.verdict.status is Status.VALID]

    @property
    def all_others_finished(self) -> int:
        """Count the trials in which every worker that did nothing wrong did all of its iterations."""
        return sum(len(trial.survivors) == len(trial.neighbours) for trial in self.trials)

    @property
    def has_others(self) -> bool:
        """Tell whether any worker did nothing wrong."""
        return any(trial.neighbours for trial in self.trials)

    def _survivors(self) -> list[SurvivorFigures]:
        return [figures for m in self._valid if (figures := m.survivor_figures())]

    @property
    def elapsed_s(self) -> float | None:
        """Return the median over the trials of the slowest survivor's time."""
        return _median(figures.elapsed_s for figures in self._survivors())

    @property
    def ratio(self) -> float | None:
        """Return `elapsed_s` / the one-process time: 1.0 if the survivor was as fast as one that is alone."""
        elapsed = self.elapsed_s
        return elapsed / self.reference.median_s if elapsed is not None and self.reference else None

    @property
    def latencies_s(self) -> tuple[float | None, float | None, float | None]:
        """Return the median over the trials of the survivors' latency before, at and after the fault."""
        figures = self._survivors()
        return (
            _median(f.before_s for f in figures),
            _median(f.at_s for f in figures),
            _median(f.after_s for f in figures),
        )

    @property
    def blips_s(self) -> tuple[float, ...]:
        """Return the survivors' blip in each trial that tells one, sorted."""
        return tuple(sorted(f.blip_s for f in self._survivors() if f.blip_s is not None))

    def server_states(self) -> Counter[str]:
        """Count what became of the server after the fault, in words, over the trials."""
        return Counter(_states_in_words(trial) for trial in self.trials if trial.server_states)

    @property
    def served(self) -> int:
        """Count the trials in which a new client was served."""
        return sum(t.newcomer is not None and t.newcomer.served_ns is not None for t in self.trials)

    @property
    def served_after_s(self) -> float | None:
        """Return the median time from a new client's asking to its first operation, over those served."""
        newcomers = [trial.newcomer for trial in self.trials if trial.newcomer]
        return _median((n.served_ns - n.asked_ns) / 1e9 for n in newcomers if n.served_ns is not None)

    @property
    def fell_back(self) -> int:
        """Count the trials with MPS in which the new client was silently served without it."""
        return sum(bool(trial.fell_back_silently) for trial in self.trials)

    @property
    def leftover_bytes(self) -> int | None:
        """Return the most device memory that was left over; None where NVML did not tell."""
        return max((t.leftover_bytes for t in self.trials if t.leftover_bytes is not None), default=None)

    def output_differences(self) -> list[OutputDifference]:
        """Compare each survivor's output afterwards with that of a process that is alone."""
        if self.reference is None:
            return []
        alone = self.reference.first
        return [difference for m in self._valid for difference in survivor_differences(alone, m)]

    def culprit_ends(self) -> Counter[str]:
        """Count how the worker that was hit ended, over the trials."""
        return Counter(trial.culprit.text for trial in self.trials if trial.culprit)

    def other_ends(self) -> Counter[str]:
        """Count how workers ended that did nothing wrong and did not finish."""
        return Counter(
            f"{fate.outcome.value}: {fate.text}" if fate.outcome is Outcome.STALLED else fate.text
            for trial in self.trials
            for fate in trial.neighbours
            if fate.outcome is not Outcome.FINISHED
        )

    def refused(self) -> Counter[str]:
        """Count what new clients saw that were not served, over their attempts."""
        return Counter(text for trial in self.trials if trial.newcomer for text in trial.newcomer.failures)


def fault_rows(measurements: Sequence[Measurement]) -> list[FaultRow]:
    """Make a row for each fault, MPS state and setting, in the order in which they were first measured."""
    references = {
        frozen(comparison_keys(group.first)): group
        for group in groups(measurements)
        if group.first.cell.procs == 1
    }
    by_cell: dict[object, list[Measurement]] = defaultdict(list)
    for m in sorted(measurements, key=lambda m: m.started_at):
        if not m.is_ordinary:
            by_cell[m.cell.fault, m.cell.procs, _hit(m), _settings(m)].append(m)
    return [
        FaultRow(
            measurements=tuple(sorted(trials, key=lambda m: (m.cell.repeat, m.cell.trial, m.started_at))),
            reference=next((r for m in trials if (r := references.get(frozen(comparison_keys(m))))), None),
        )
        for trials in by_cell.values()
    ]


def _settings(m: Measurement) -> str:
    """Return what the trials of a row agree in, less what only workers tell: a trial may have had none."""
    told_by_workers = ("cuda", "cudnn")
    return frozen({name: value for name, value in comparison_keys(m).items() if name not in told_by_workers})


def _hit(m: Measurement) -> str:
    """Return who is hit and when: trials that differ in it are not taken together."""
    fault = m.config.get("fault") or {}
    return frozen({name: value for name, value in fault.items() if name != "trials"})


def _states_in_words(trial: FaultTrial) -> str:
    """Return the server's states from the fault on, such as ``ACTIVE > no server > ACTIVE (new)``."""
    before = [state for state in trial.server_states if state.at_ns <= trial.injected_ns]
    after = [state for state in trial.server_states if state.at_ns > trial.injected_ns]
    known = set(before[-1].servers) if before else set()
    words = [
        f"{state.in_words} (new)" if set(state.servers) - known else state.in_words
        for state in [*before[-1:], *after]
    ]
    return " > ".join(word for word, _ in itertools.groupby(words))


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
