"""Cells with a fault, and what became of them."""

from collections.abc import Iterator
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
from tests.fakes.running import Lab, assert_nothing_is_left, open_lab


def cell(
    lab: Lab,
    folder: Path,
    kind: str,
    *,
    enabled: bool = True,
    times: int = 60,
    neighbour: dict[str, Any] | None = None,
    fault: dict[str, Any] | None = None,
    **more: Any,
) -> RunPlan:
    """Plan a cell of two workers, of which the first is hit.

    Args:
        lab: Where it is to run.
        folder: The test's.
        kind: What goes wrong.
        enabled: MPS.
        times: Iterations of each, 20 ms long.
        neighbour: Options of the second worker's workload.
        fault: Fields of the plan of the fault.
        more: For `run_plan`.
    """
    # A command of the control program takes seconds on a busy machine: its victim must not be done by then.
    hit_s = 0.2 if kind == "terminate" else 0.02
    workloads = [attaching(sleep_s=hit_s), attaching(sleep_s=0.02, **(neighbour or {}))]
    return run_plan(
        folder / "run",
        *workloads,
        gpu=lab.gpu,
        times=times,
        mps={"enabled": enabled},
        fault=fault_plan(kind, **(fault or {})),
        **more,
    )


def watched(measurement: Measurement) -> FaultTrial:
    """Run a trial, which must be VALID and leave nothing behind."""
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
