"""One line per finished cell."""

from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.record.faults import FaultTrial
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import FailureRecord, Measurement
from mps_experiments.report.lines import cell_line
from tests.fault_records import FAILED, KILLED, TOO_LATE, faulty_run, make_trial, newcomer
from tests.records import INVALID, SKIPPED, make_measurement, with_latencies


@pytest.mark.parametrize(
    ("measurement", "expected"),
    [
        (
            make_measurement(procs=2, times=4, makespan_s=2.0),
            "mps=off procs=2 times=4: VALID  makespan 2.00 s  throughput 4.0 images/s  latency p50 500.0 ms",
        ),
        (
            make_measurement(contended=("process 9",)),
            "mps=off procs=1 times=2: VALID  makespan 1.00 s  throughput 2.0 images/s  "
            "latency p50 500.0 ms  CONTENDED",
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


def test_a_line_has_the_interval_of_its_throughput_and_the_tail_of_enough_iterations() -> None:
    long = with_latencies(make_measurement(times=1000), *[10.0, 30.0] * 500)
    assert "throughput 50.0 images/s [49.8, 50.2]  latency p50 10.0 ms, p99 30.0 ms" in cell_line(long)


def test_a_line_ends_with_the_checks_that_warn_and_leaves_noise_to_the_end_of_the_sweep() -> None:
    checks = (
        ("power_cap", "warning"),
        ("common_window", "warning"),
        ("drift", "warning"),
        ("grave", "invalid"),
    )
    findings = tuple(Finding(check=c, severity=Severity(s), text="text") for c, s in checks)
    warned = replace(make_measurement(), findings=findings)
    assert cell_line(warned) == f"{cell_line(make_measurement())}  WARNING: power_cap, common_window"
    contended = replace(warned, contended=("process 9",))
    assert cell_line(contended).endswith("  CONTENDED  WARNING: power_cap, common_window")
    assert "WARNING" not in cell_line(replace(warned, verdict=INVALID))


def of_fault(trial: FaultTrial, kind: str = "kill", mps: str = "on") -> str:
    line = cell_line(faulty_run("one", kind, mps=mps, number=3, trial=trial))
    start = f"mps={mps} procs=2 times=4 fault={kind} trial=3: VALID  "
    assert line.startswith(start)
    return line.removeprefix(start)


CAME = newcomer(1000, 1400)


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        (
            make_trial(came=CAME),
            "worker 0 was killed by SIGKILL; 1 of 1 others finished (slowest 0.5 s); "
            "a new client was served after 0.20 s",
        ),
        (
            make_trial("kill", KILLED, FAILED),
            "worker 0 was killed by SIGKILL; 0 of 1 others finished; no new client was served",
        ),
        (
            make_trial("kill", KILLED, came=replace(CAME, served_ns=None, attached=None)),
            "worker 0 was killed by SIGKILL; no new client was served",
        ),
        (
            make_trial("server_kill", replace(FAILED, rank=0), FAILED, came=replace(CAME, attached=False)),
            "0 of 2 others finished; a new client was served after 0.20 s WITHOUT MPS, silently",
        ),
    ],
    ids=["a survivor", "nobody", "it was alone", "MPS was hit"],
)
def test_a_trial_tells_what_became_of_everybody(trial: FaultTrial, expected: str) -> None:
    assert of_fault(trial, trial.kind) == expected


def test_without_mps_nobody_does_without_it_silently() -> None:
    assert "WITHOUT MPS" not in of_fault(make_trial(came=replace(CAME, attached=False)), mps="off")


def test_a_trial_that_is_not_valid_tells_why() -> None:
    late = faulty_run("late", verdict=TOO_LATE, trial=make_trial())
    assert cell_line(late) == f"{late.name}: INVALID: {TOO_LATE.reason}"


def test_a_traceback_is_named_with_its_folder() -> None:
    failure = FailureRecord(reason="worker 0 failed", rank=0, traceback="Traceback ...")
    failed = replace(make_measurement(verdict=INVALID), failure=failure)
    assert cell_line(failed, Path("outputs/a")).endswith(" (traceback: outputs/a/worker-0.log)")


def test_a_long_error_is_cut() -> None:
    text = of_fault(make_trial("kill", replace(KILLED, text="CUDA error " * 100)))
    assert " ...; no new client" in text
    assert len(text.partition(";")[0]) < 160
