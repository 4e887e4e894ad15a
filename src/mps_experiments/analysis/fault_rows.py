"""Take together the trials of one fault in one MPS state; pure."""

import itertools
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mps_experiments.analysis.comparison import groups
from mps_experiments.analysis.keys import comparison_keys, frozen, table_key
from mps_experiments.analysis.parity import survivor_differences
from mps_experiments.analysis.repeats import Group
from mps_experiments.record.faults import FaultTrial, Outcome, SurvivorFigures
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import OutputDifference


@dataclass(frozen=True, kw_only=True)
class FaultRow:
    """The trials of one cell, in their order; only VALID ones count. `reference` is one process alone."""

    measurements: tuple[Measurement, ...]
    reference: Group | None

    @property
    def first(self) -> Measurement:
        return self.measurements[0]

    @property
    def valid(self) -> list[Measurement]:
        return [m for m in self.measurements if m.verdict.is_valid]

    @property
    def trials(self) -> list[FaultTrial]:
        return [m.fault for m in self.valid if m.fault is not None]

    @property
    def survivors(self) -> list[SurvivorFigures]:
        return [figures for m in self.valid if (figures := m.survivor_figures())]

    @property
    def elapsed_s(self) -> float | None:
        """Return the slowest survivor's time, the median over the trials."""
        return median(figures.elapsed_s for figures in self.survivors)

    @property
    def ratio(self) -> float | None:
        """Return `elapsed_s` / the one-process time: 1.0 if the survivor was as fast as one that is alone."""
        elapsed = self.elapsed_s
        return elapsed / self.reference.median_s if elapsed is not None and self.reference else None

    @property
    def blips_s(self) -> list[float]:
        return sorted(figures.blip_s for figures in self.survivors if figures.blip_s is not None)

    @property
    def served_s(self) -> list[float]:
        """List the times from a new client's asking to its first operation, of those served."""
        newcomers = [trial.newcomer for trial in self.trials if trial.newcomer]
        return [(n.served_ns - n.asked_ns) / 1e9 for n in newcomers if n.served_ns is not None]

    @property
    def leftover_bytes(self) -> int | None:
        """Return the most device memory that was left over; None where NVML did not tell."""
        return max((t.leftover_bytes for t in self.trials if t.leftover_bytes is not None), default=None)

    def server_states(self) -> Counter[str]:
        """Count what became of the server after the fault, in words, over the trials."""
        return Counter(_states_in_words(trial) for trial in self.trials if trial.server_states)

    def output_differences(self) -> list[OutputDifference]:
        """Compare each survivor's output afterwards with that of a process that is alone."""
        if self.reference is None:
            return []
        alone = self.reference.first
        return [difference for m in self.valid for difference in survivor_differences(alone, m)]

    def texts(self) -> dict[str, Counter[str]]:
        """Count by who saw it what ended the worker that was hit and others, and refused new clients."""
        unfinished = [f for t in self.trials for f in t.neighbours if f.outcome is not Outcome.FINISHED]
        return {
            "the worker that was hit": Counter(trial.culprit.text for trial in self.trials if trial.culprit),
            "other workers": Counter(
                f"{fate.outcome.value}: {fate.text}" if fate.outcome is Outcome.STALLED else fate.text
                for fate in unfinished
            ),
            "refused new clients": Counter(
                text for trial in self.trials if trial.newcomer for text in trial.newcomer.failures
            ),
        }


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


def fault_settings(measurements: Sequence[Measurement]) -> list[list[FaultRow]]:
    """Put the rows together that differ in nothing but fault and MPS state."""
    found: dict[str, list[FaultRow]] = defaultdict(list)
    for row in fault_rows(measurements):
        cell = row.first.cell
        found[frozen((table_key(row.first), cell.procs, cell.times, cell.extras))].append(row)
    return list(found.values())


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


def median(values: Iterable[float | None]) -> float | None:
    """Return the median of the values that are known; None if none is."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
