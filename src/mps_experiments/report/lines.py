"""One line for one finished cell."""

from mps_experiments.record import Measurement


def cell_line(measurement: Measurement) -> str:
    """The cell's name, its verdict, and its main figures or the reason why it has none."""
    figures = measurement.statistics()
    status = measurement.verdict.status.value
    if figures is None:
        return f"{measurement.name}: {status}: {measurement.verdict.reason}"
    text = (
        f"{measurement.name}: {status}  makespan {figures.makespan_s:.2f} s  "
        f"throughput {figures.throughput_per_s:.1f}/s  "
        f"latency p50 {figures.latency_p50_s * 1e3:.1f} ms, p99 {figures.latency_p99_s * 1e3:.1f} ms"
    )
    return text + ("  CONTENDED" if measurement.contended else "")
