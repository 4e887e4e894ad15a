"""Run a cell inside a test, and act at a moment of it."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import pytest

from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import FixedProbe, GpuProbe, open_probe
from mps_experiments.mps.guardian import Guardian
from mps_experiments.record.machine import Gpu
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.worker import Forward
from mps_experiments.run.plan import RunPlan
from mps_experiments.run.runner import Outcome, Surroundings, run_cell
from mps_experiments.workers.context import process_context
from tests.fakes.plans import FAKE_GPU, own_mps_processes, stray_mps_processes, use_fakes, wait_until


@dataclass
class Witness:
    """A `runner.Watcher` that remembers, and acts when a phase begins.

    Attributes:
        at: What to do when a phase of this name begins for the first time.
    """

    at: dict[str, Callable[[], object]] = field(default_factory=dict)
    phases: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    forwards: list[tuple[int, int, int]] = field(default_factory=list)
    tick_s: float = 0.1

    def phase(self, name: str) -> None:
        act = self.at.get(name) if name not in self.phases else None
        self.phases.append(name)
        if act is not None:
            act()

    def progress(self, finished: int) -> None:
        self.counts.append(finished)

    def forward(self, rank: int, pid: int, message: Forward) -> None:
        self.forwards.append((rank, pid, message.iteration))


@dataclass(frozen=True)
class Lab:
    """What the cells of a test module share: a GPU, what tells of it, the guardian, the fork server."""

    gpu: Gpu
    probe: GpuProbe
    guardian: Guardian

    def run(self, plan: RunPlan, witness: Witness | None = None, **surroundings: Any) -> Outcome:
        """Run one cell as `outcome` does, and write its files."""
        outcome = self.outcome(plan, witness, **surroundings)
        missing = outcome.artifacts.write() if outcome.artifacts else ()
        complete = replace(outcome.measurement, missing=(*outcome.measurement.missing, *missing))
        return replace(outcome, measurement=complete)

    def outcome(
        self,
        plan: RunPlan,
        witness: Witness | None = None,
        *,
        probe: GpuProbe | None = None,
        cores: tuple[int, ...] | None = None,
        own_cores: tuple[int, ...] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
        is_quiet: Callable[[float], bool] = lambda _: True,
    ) -> Outcome:
        """Run one cell; `cores` stands in for those of this machine, `own_cores` for those of a sweep."""
        facts = collect_facts(probe or self.probe, plan.device.gpu)
        surroundings = Surroundings(
            sweep_id="a sweep",
            machine=facts if cores is None else replace(facts, usable_cores=cores),
            probe=probe or self.probe,
            guardian=self.guardian,
            context=process_context,
            watcher=witness or Witness(),
            meanwhile=meanwhile,
            is_quiet=is_quiet,
            cores=own_cores,
        )
        return run_cell(plan, surroundings)


@contextlib.contextmanager
def open_lab(guardian: Guardian, real: bool) -> Iterator[Lab]:
    """The stand-ins on the CPU, or the first real GPU; PATH is as it was afterwards."""
    if real:
        with open_probe() as probe:
            yield Lab(probe.gpus()[0], probe, guardian)
    else:
        with pytest.MonkeyPatch.context() as patch:
            use_fakes(patch)
            yield Lab(FAKE_GPU, FixedProbe((FAKE_GPU,)), guardian)


def assert_nothing_is_left(measurement: Measurement) -> None:
    """No daemon, no server and no worker of this run."""
    assert own_mps_processes() == []
    # Those that another test is just ending go by themselves; a stray one stays.
    wait_until(lambda: not stray_mps_processes(), "no MPS process without a pipe directory is left")
    assert not [worker.pid for worker in measurement.workers if psutil.pid_exists(worker.pid)]
