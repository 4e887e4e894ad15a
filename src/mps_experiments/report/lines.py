"""One line for one finished cell."""

from mps_experiments.record import Measurement
from mps_experiments.report.captions import warnings_of
from mps_experiments.report.numbers import milliseconds, seconds


def cell_line(measurement: Measurement) -> str:
    """The cell's name, its verdict, and its main figures or the reason why it has none."""
    figures = measurement.statistics()
    status = measurement.verdict.status.value
    if figures is None:
        failure = measurement.failure
        log = f" (traceback: worker-{failure.rank}.log)" if failure and failure.traceback else ""
        return f"{measurement.name}: {status}: {measurement.verdict.reason}{log}"
    text = (
        f"{measurement.name}: {status}  makespan {seconds(figures.makespan_s)} s  "
        f"throughput {figures.throughput_per_s:.1f}/s  "
        f"latency p50 {milliseconds(figures.latency_p50_s)} ms, "
        f"p99 {milliseconds(figures.latency_p99_s)} ms"
    )
    checks = dict.fromkeys(finding.check for finding in warnings_of(measurement))
    warning = f"  WARNING: {', '.join(checks)}" if checks else ""
    return text + ("  CONTENDED" if measurement.contended else "") + warning
