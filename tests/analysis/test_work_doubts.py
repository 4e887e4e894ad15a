"""Doubts about the work behind numbers, from the findings of runs."""

from dataclasses import replace

from mps_experiments.analysis.work_doubts import work_doubts
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from tests.records import make_measurement


def run(*checks: str) -> Measurement:
    findings = tuple(Finding(check=check, severity=Severity.WARNING, text="") for check in checks)
    return replace(make_measurement(), findings=findings)


def test_runs_whose_work_was_proved_have_no_doubts() -> None:
    assert work_doubts([run(), run("drift", "foreign_gpu")]) == []


def test_each_doubt_is_told_once() -> None:
    assert work_doubts([run("gpu_work"), run("descendants", "gpu_work")]) == [
        "GPU work not proved",
        "with more processes on the GPU than procs",
    ]
    assert work_doubts([run("little_gpu_work")]) == ["with work that hardly touches the GPU"]
