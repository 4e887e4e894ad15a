"""Show what breaks and what survives: a table for each setting, a line for each fault and MPS state."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.table import Table as RichTable

from mps_experiments.analysis.fault_rows import FaultRow, fault_settings, median
from mps_experiments.analysis.numbers import milliseconds, seconds
from mps_experiments.analysis.panels import ARMS
from mps_experiments.analysis.parity import difference_text
from mps_experiments.record.axes import factor_words
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.report.content import Table
from mps_experiments.report.lines import shortened

_COLUMNS = (
    "fault",
    "mps",
    "trials",
    "others finished",
    "survivor",
    "/ one process",
    "latency before, at, after",
    "blip",
    "server",
    "new client",
    "without MPS",
    "left over",
)
_MATRIX_NOTE = (
    "others: trials in which all other workers finished; new client: in which one was served afterwards; "
    "without MPS: how many of those were, silently."
)
_NONE = "-"
_MIB = 2**20
_MAX_TEXTS = 3


def fault_tables(measurements: Sequence[Measurement]) -> Iterator[RichTable]:
    """Yield the tables for the terminal; none if nothing was made to go wrong."""
    yield from (table.rich() for table in fault_figures(measurements))


def fault_figures(measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Yield for each setting all figures of each fault, and what each process saw."""
    for rows in fault_settings(measurements):
        yield Table(
            title=f"FAULTS · {_setting(rows)}",
            header=_COLUMNS,
            rows=tuple(tuple(_cells(row)) for row in rows),
            notes=tuple(_lines(rows)),
            holds_text=True,
        )


def fault_matrices(measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Yield for each setting what each fault did without MPS and with it."""
    for rows in fault_settings(measurements):
        found: dict[str, dict[str, list[str]]] = {}  # fault -> MPS state -> a text for each who and when
        for row in rows:
            states = found.setdefault(row.first.cell.fault, {"off": [], "on": []})
            states[row.first.cell.mps].append(_outcome(row))
        shown = [mps for mps in ARMS if any(states[mps] for states in found.values())]
        yield Table(
            title=_setting(rows),
            header=("fault", *(f"MPS {mps}" for mps in shown)),
            rows=tuple(
                (fault, *("\n".join(states[mps]) for mps in shown)) for fault, states in found.items()
            ),
            notes=(_MATRIX_NOTE,),
            holds_text=True,
        )


def _setting(rows: Sequence[FaultRow]) -> str:
    cell = rows[0].first.cell
    processes = f"{cell.procs} process{'es' if cell.procs > 1 else ''}"
    return f"{cell.model} · {', '.join([processes, f'times={cell.times}', *factor_words(cell.axes)])}"


def _outcome(row: FaultRow) -> str:
    """Return the fate of the others and of a new client, a line each; the verdict if no trial is VALID."""
    trials = row.trials
    if not trials:
        return row.first.verdict.status.value
    lines = []
    if any(trial.neighbours for trial in trials):
        finished = sum(len(trial.survivors) == len(trial.neighbours) for trial in trials)
        lines.append(f"others: {finished} of {len(trials)}")
    served = len(row.served_s)
    lines.append(f"new client: {served} of {len(trials)}")
    if row.first.cell.mps == "on" and (fell_back := sum(bool(trial.fell_back_silently) for trial in trials)):
        lines.append(f"without MPS: {fell_back} of {served}")
    return "\n".join(lines)


def _cells(row: FaultRow) -> Iterator[str]:
    cell, count = row.first.cell, len(row.trials)
    yield cell.fault
    yield cell.mps
    if not count:
        yield row.first.verdict.status.value
        yield from [_NONE] * (len(_COLUMNS) - 3)
        return
    yield str(count) if count == len(row.measurements) else f"{count} VALID of {len(row.measurements)}"
    finished = sum(len(trial.survivors) == len(trial.neighbours) for trial in row.trials)
    yield f"{finished} of {count}" if any(trial.neighbours for trial in row.trials) else _NONE
    yield _NONE if row.elapsed_s is None else f"{seconds(row.elapsed_s)} s"
    yield _NONE if row.ratio is None else f"{row.ratio:.2f}"
    known = [(f.before_s, f.at_s, f.after_s) for f in row.survivors]
    middles = [median(values) for values in zip(*known, strict=True)]
    yield f"{', '.join(milliseconds(each) or _NONE for each in middles)} ms" if known else _NONE
    yield _blip(row)
    yield _most_common(row.server_states(), count) if cell.mps == "on" else _NONE
    served_s = row.served_s
    yield f"{len(served_s)} of {count}" + (f", {median(served_s):.2f} s" if served_s else "")
    fell_back = sum(bool(trial.fell_back_silently) for trial in row.trials)
    yield f"{fell_back} of {len(served_s)}" if cell.mps == "on" else _NONE
    left = row.leftover_bytes
    yield _NONE if left is None else f"{left / _MIB:.0f} MiB"


def _blip(row: FaultRow) -> str:
    """Return the median blip and the largest."""
    blips = row.blips_s
    if not blips:
        return _NONE
    return f"{milliseconds(median(blips))} (max {milliseconds(blips[-1])}) ms"


def _most_common(texts: Counter[str], count: int) -> str:
    if not texts:
        return _NONE
    ((text, times),) = texts.most_common(1)
    return text if times == count else f"{text} ({times} of {count})"


def _lines(rows: Sequence[FaultRow]) -> Iterator[str]:
    """Say what each process saw, and how to read the columns."""
    for row in rows:
        name = f"fault={row.first.cell.fault} mps={row.first.cell.mps}"
        for status in (Status.SKIPPED, Status.INVALID):
            reasons = Counter(m.verdict.reason for m in row.measurements if m.verdict.status is status)
            yield from (f"{name}: {status.value}: {text}{_times(n)}" for text, n in reasons.items())
        for who, texts in row.texts().items():
            found = _alike(texts).most_common(_MAX_TEXTS)
            yield from (f"{name}: {who}: {shortened(text)}{_times(n)}" for text, n in found)
        yield from (f"{name}: {text}" for text in _outputs(row))
    if any(row.elapsed_s is not None for row in rows):
        yield (
            "survivor: median over trials of the slowest other worker's time, and that time over the time of "
            "a process that is alone (same mps); blip: longest iteration from the fault until the new client "
            "asked, less the median before; new client: median from its asking to its first operation on the "
            "device, its start included"
        )


def _outputs(row: FaultRow) -> Iterator[str]:
    """Say whether the survivors still compute what they should."""
    differences = row.output_differences()
    wrong = [each for each in differences if not each.within_tolerance]
    if wrong:
        yield (
            f"SURVIVORS COMPUTED SOMETHING ELSE in {len(wrong)} of {len(differences)} cases: "
            f"{difference_text(max(wrong, key=lambda each: each.excess))}"
        )
    elif differences:
        same = sum(each.identical for each in differences)
        yield f"survivors' outputs afterwards: {same} of {len(differences)} as those of a process alone"


def _alike(texts: Counter[str]) -> Counter[str]:
    """Take texts together that differ in numbers and addresses only, under the first."""
    first: dict[str, str] = {}
    found: Counter[str] = Counter()
    for text, count in texts.items():
        shape = re.sub(r"0x[0-9a-f]+|\d+", "#", text)
        found[first.setdefault(shape, text)] += count
    return found


def _times(count: int) -> str:
    return f" ({count} times)" if count > 1 else ""
