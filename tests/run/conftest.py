"""Cells with a fault, and what became of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.faults import FaultTrial
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Status
from mps_experiments.run.plan import RunPlan
from tests.conftest import command_of
from tests.fakes.plans import attaching, fault_plan, run_plan
from tests.fakes.running import Lab, Witness, assert_nothing_is_left, open_lab


@dataclass
class Gate(Witness):
    """Lets the workers of a `cell` go on once the fault has happened: only then progress is told."""

    path: Path = Path("/nowhere")

    def progress(self, finished: int) -> None:
        super().progress(finished)
        self.path.touch()


def cell(
    lab: Lab,
    folder: Path,
    kind: str,
    *,
    enabled: bool = True,
    times: int = 40,
    neighbour: dict[str, Any] | None = None,
    fault: dict[str, Any] | None = None,
    gate_at: int | None = None,
    **more: Any,
) -> RunPlan:
    """Plan a cell of two workers, of which the first is hit; both wait in mid-window for the fault.

    Args:
        lab: Where it is to run; `run_trial` runs it.
        folder: The test's.
        kind: What goes wrong.
        enabled: MPS.
        times: Iterations of each, 10 ms long.
        neighbour: Options of the second worker's workload.
        fault: Fields of the plan of the fault.
        gate_at: The call that waits; by default one soon after the fault is due.
        more: For `run_plan`.
    """
    planned = fault_plan(kind, **(fault or {}))
    options = {
        "sleep_s": 0.01,
        "gate": str(folder / "gate"),
        "gate_at": gate_at or planned.after_iterations + 5,
    }
    workloads = [attaching(**options), attaching(**(options | (neighbour or {})))]
    mps = {"enabled": enabled}
    return run_plan(folder / "run", *workloads, gpu=lab.gpu, times=times, mps=mps, fault=planned, **more)


def run_trial(lab: Lab, plan: RunPlan) -> Measurement:
    return lab.run(plan, Gate(path=plan.paths.folder.parent / "gate")).measurement


def watched(measurement: Measurement) -> FaultTrial:
    """Return the trial of a run, which must be VALID and leave nothing behind."""
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert measurement.fault is not None
    assert measurement.proof is not None
    assert measurement.proof.failure is None
    assert_all_are_gone(measurement)
    return measurement.fault


def assert_all_are_gone(measurement: Measurement) -> None:
    """Assert that daemon, server, workers and later clients are gone."""
    assert_nothing_is_left(measurement)
    for child in psutil.Process().children():
        if "multiprocessing.forkserver" in command_of(child):
            assert child.children() == []


@pytest.fixture
def real_lab(guardian: Guardian) -> Iterator[Lab]:
    """Yield a lab on the first real GPU, for tests that are marked gpu."""
    with open_lab(guardian, real=True) as opened:
        yield opened
