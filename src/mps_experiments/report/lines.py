"""Write one line for one finished cell."""

import textwrap
from pathlib import Path

from mps_experiments.analysis.numbers import milliseconds, seconds
from mps_experiments.record.faults import FaultTrial
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.statistics import Statistics
from mps_experiments.report.captions import warnings_of

_MAX_ERROR = 140  # characters


def cell_line(measurement: Measurement, folder: Path = Path()) -> str:
    """Return the cell's name, its verdict, and its main figures or the reason why it has none.

    Args:
        measurement: The run.
        folder: Its folder, for the place of a traceback.
    """
    if measurement.fault is not None and measurement.verdict.is_valid:
        return f"{measurement.name}: VALID  {_fault_text(measurement.fault, measurement)}"
    figures = measurement.statistics()
    status = measurement.verdict.status.value
    if figures is None:
        failure = measurement.failure
        file = folder / f"worker-{failure.rank}.log" if failure and failure.traceback else None
        log = f" (traceback: {file})" if file else ""
        return f"{measurement.name}: {status}: {measurement.verdict.reason}{log}"
    text = (
        f"{measurement.name}: {status}  makespan {seconds(figures.makespan_s)} s  "
        f"throughput {figures.throughput_per_s:.1f} {measurement.cell.item}s/s{_interval(figures)}  "
        f"latency p50 {milliseconds(figures.latency_p50_s)} ms{_tail(figures)}"
    )
    checks = dict.fromkeys(finding.check for finding in warnings_of(measurement))
    warning = f"  WARNING: {', '.join(checks)}" if checks else ""
    return text + ("  CONTENDED" if measurement.contended else "") + warning


def _interval(figures: Statistics) -> str:
    found = figures.throughput_interval_per_s
    return f" [{found[0]:.1f}, {found[1]:.1f}]" if found else ""


def _tail(figures: Statistics) -> str:
    """Return p99; nothing without one: the end of the sweep says once why."""
    return "" if figures.latency_p99_s is None else f", p99 {milliseconds(figures.latency_p99_s)} ms"


def shortened(text: str) -> str:
    """Return the beginning of what may be a long error; the record has all of it."""
    return textwrap.shorten(text, _MAX_ERROR, placeholder=" ...")


def _fault_text(trial: FaultTrial, measurement: Measurement) -> str:
    """Say what became of the worker that was hit, of the others and of the client that came afterwards."""
    culprit, others = trial.culprit, len(trial.neighbours)
    parts = [f"worker {culprit.rank} {shortened(culprit.text)}"] if culprit else []
    figures = measurement.survivor_figures()
    if others:
        took = f" (slowest {seconds(figures.elapsed_s)} s)" if figures else ""
        parts.append(f"{len(trial.survivors)} of {others} others finished{took}")
    newcomer = trial.newcomer
    if newcomer is None or newcomer.served_ns is None:
        parts.append("no new client was served")
    else:
        silently = measurement.cell.mps == "on" and trial.fell_back_silently
        how = " WITHOUT MPS, silently" if silently else ""
        parts.append(
            f"a new client was served after {(newcomer.served_ns - newcomer.asked_ns) / 1e9:.2f} s{how}"
        )
    return "; ".join(parts)
