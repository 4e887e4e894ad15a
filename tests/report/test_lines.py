"""One line per finished cell."""

from dataclasses import replace

import pytest

from mps_experiments.measurement.findings import Finding, Severity
from mps_experiments.record import Measurement
from mps_experiments.report.lines import cell_line
from tests.records import INVALID, SKIPPED, make_measurement


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        (
            make_measurement(procs=2, times=4, makespan_s=2.0),
            "mps=off procs=2 times=4: VALID  makespan 2.00 s  throughput 4.0/s  "
            "latency p50 500.0 ms, p99 500.0 ms",
        ),
        (
            make_measurement(contended=("process 9",)),
            "mps=off procs=1 times=2: VALID  makespan 1.00 s  throughput 2.0/s  "
            "latency p50 500.0 ms, p99 500.0 ms  CONTENDED",
        ),
        (
            make_measurement(mps="on", verdict=SKIPPED),
            "mps=on procs=1 times=2: SKIPPED: MPS needs an NVIDIA GPU",
        ),
    ],
    ids=["valid", "contended", "skipped"],
)
def test_a_line_holds_the_name_the_verdict_and_figures_or_reason(
    measurement: Measurement, expected: str
) -> None:
    assert cell_line(measurement) == expected


def test_a_line_ends_with_the_checks_that_warn() -> None:
    checks = (("skew", "warning"), ("drift", "warning"), ("skew", "warning"), ("grave", "invalid"))
    findings = tuple(Finding(check=c, severity=Severity(s), text="text") for c, s in checks)
    warned = replace(make_measurement(), findings=findings)
    assert cell_line(warned) == f"{cell_line(make_measurement())}  WARNING: skew, drift"
    contended = replace(warned, contended=("process 9",))
    assert cell_line(contended).endswith("  CONTENDED  WARNING: skew, drift")
    assert "WARNING" not in cell_line(replace(warned, verdict=INVALID))
