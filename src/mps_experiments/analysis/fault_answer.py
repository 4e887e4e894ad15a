"""Say what a fault in one process, or in MPS itself, does to the others; pure."""

from collections.abc import Iterator, Sequence

from mps_experiments.analysis.fault_rows import FaultRow, fault_settings
from mps_experiments.record.axes import factor_words
from mps_experiments.record.measurement import Measurement

_CAUSES = {
    "kill": "a SIGKILL",
    "terminate": "a terminated client",
    "exit": "an exit",
    "exception": "an exception",
    "oom": "running out of memory",
    "device_assert": "a device-side assertion",
    "illegal_address": "a bad address",
    "server_kill": "a dead server",
    "daemon_kill": "a dead daemon",
    "hang": "a hung worker",
}
_STATES = {"on": "Under MPS", "off": "Without MPS"}


def fault_answers(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Yield the answer of each setting that has a VALID trial, its workload first."""
    for rows in fault_settings(measurements):
        cell = rows[0].first.cell
        sentences = [text for mps in _STATES for text in _sentences(mps, rows)]
        if sentences:
            yield f"{' '.join([cell.model, *factor_words(cell.axes)])}: {' '.join(sentences)}"


def _sentences(mps: str, rows: Sequence[FaultRow]) -> Iterator[str]:
    """Yield a sentence for each finding in an MPS state, which the first one names."""
    found = list(_findings([row for row in rows if row.first.cell.mps == mps and row.trials]))
    state = _STATES[mps] if rows[0].first.machine.gpu else "On the CPU"
    for place, text in enumerate(found):
        yield f"{text[0].upper()}{text[1:]}." if place else f"{state} {text}."


def _findings(rows: Sequence[FaultRow]) -> Iterator[str]:
    deadly, harmless, mixed = [], [], []
    for row in rows:
        trials = [trial for trial in row.trials if trial.neighbours]
        spared = sum(len(trial.survivors) == len(trial.neighbours) for trial in trials)
        if trials and not any(trial.survivors for trial in trials):
            deadly.append(_cause(row))
        elif spared < len(trials):
            mixed.append(f"{_cause(row)} stops others in {len(trials) - spared} of {len(trials)} trials")
        elif trials:
            harmless.append(_cause(row))
    if deadly:
        yield f"{_listed(deadly)} kills all other workers"
    yield from mixed
    for row in rows:
        yield from _afterwards(row)
    if harmless:
        yield f"the others finish after {_listed(harmless)}"


def _afterwards(row: FaultRow) -> Iterator[str]:
    """Say what is wrong after the fault: new clients without MPS or not served, survivors' wrong outputs."""
    asked, served = sum(trial.newcomer is not None for trial in row.trials), len(row.served_s)
    fell_back = sum(bool(trial.fell_back_silently) for trial in row.trials)
    if row.first.cell.mps == "on" and fell_back:
        yield f"after {_cause(row)} new clients run without MPS ({fell_back} of {served})"
    if served < asked:
        yield f"after {_cause(row)} {asked - served} of {asked} new clients are not served"
    differences = row.output_differences()
    if wrong := sum(not each.within_tolerance for each in differences):
        yield f"after {_cause(row)} survivors compute something else ({wrong} of {len(differences)})"


def _cause(row: FaultRow) -> str:
    fault = row.first.cell.fault
    return _CAUSES.get(fault, fault)


def _listed(texts: Sequence[str]) -> str:
    *first, last = dict.fromkeys(texts)
    return f"{', '.join(first)} or {last}" if first else last
