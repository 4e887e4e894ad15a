"""Records of this machine that a search of the same cells finds, with the truth that a test gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mps_experiments.config.cells import Grid, parse
from mps_experiments.config.composer import recorded
from mps_experiments.config.schema import Config
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record.measurement import Measurement, write_measurement
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.telemetry import GpuSample, Telemetry
from mps_experiments.run.plan import RunPlan, build_plan
from mps_experiments.run.recorder import cell_of
from mps_experiments.sweep.recommend.aim import Aim
from mps_experiments.sweep.recommend.study import Study
from tests.records import make_measurement

_START_NS = 5_000_000_000
_NOISE = 0.002  # of a run; iterations of a run differ by 1 %


@dataclass(frozen=True)
class Truth:
    """A cell as it is; each of its workers does so many iterations."""

    latency_ms: float
    memory_gib: float = 1.0
    power_w: float = 100.0
    iterations: int = 1000


@dataclass(frozen=True)
class Cells:
    """The cells of a command line, planned, and how to measure them without a run."""

    grid: Grid
    varied: frozenset[str]
    plans: Sequence[RunPlan]
    likes: Sequence[Measurement]

    @classmethod
    def of(cls, arguments: Sequence[str], probe: GpuProbe) -> "Cells":
        request = parse(["-m", *arguments, "repeat=0"])
        assert request.grid is not None
        plans = [build_plan(cell.config, probe, cell.folder) for cell in request.grid.cells]
        likes = [
            _record(plan, probe, recorded(cell.composed()))
            for plan, cell in zip(plans, request.grid.cells, strict=True)
        ]
        return cls(request.grid, request.varied, plans, likes)

    def study(self, aim: Aim, truth: Callable[[Config], Truth] | None = None, blocks: int = 4) -> Study:
        """A study that knows so many blocks of each cell."""
        study = Study(aim, self.grid.cells, self.plans, self.varied)
        for arm in range(len(self.plans) if truth else 0):
            for block in range(blocks):
                assert truth is not None
                study.add_stored(arm, self.run(arm, truth, block), Path())
        return study

    def run(self, arm: int, truth: Callable[[Config], Truth], block: int = 0) -> Measurement:
        draw = np.random.default_rng([arm, block])
        return _measured(self.likes[arm], truth(self.grid.cells[arm].config), block, draw)

    def store(self, folder: Path, truth: Callable[[Config], Truth], blocks: int = 4) -> int:
        """Write a record for each cell and block; returns how many."""
        for arm in range(len(self.plans)):
            for block in range(blocks):
                write_measurement(
                    self.run(arm, truth, block), folder / f"{arm}" / f"{block}" / "measurement.json"
                )
        return len(self.plans) * blocks


def _record(plan: RunPlan, probe: GpuProbe, config: dict[str, object]) -> Measurement:
    cell = cell_of(plan)
    made = make_measurement(mps=cell.mps, procs=cell.procs, times=cell.times)
    workers = tuple(replace(each, workload=plan.workloads[0]) for each in made.workers)
    machine = collect_facts(probe, plan.device.gpu)
    return replace(made, name=plan.name, cell=cell, config=config, machine=machine, workers=workers)


def _measured(like: Measurement, truth: Truth, block: int, draw: np.random.Generator) -> Measurement:
    """The record as another repeat, all its workers at one pace; the energy is that of the whole window."""
    mean_ns = truth.latency_ms * 1e6 * draw.lognormal(0, _NOISE)
    latencies_ns = np.round(mean_ns * draw.lognormal(0, 0.01, truth.iterations)).astype(int)
    end_ns = _START_NS + int(latencies_ns.sum())
    memory_bytes = int(truth.memory_gib * 2**30)
    workers = tuple(
        replace(
            each,
            gpu_memory_bytes=memory_bytes // len(like.workers),
            samples=WorkerSamples(
                rank=each.rank, start_ns=_START_NS, latencies_ns=tuple(map(int, latencies_ns))
            ),
        )
        for each in like.workers
    )
    readings = tuple(
        GpuSample(
            at_ns=at_ns,
            memory_used_bytes=memory_bytes,
            energy_j=truth.power_w * (at_ns - _START_NS) / 1e9,
        )
        for at_ns in (_START_NS, end_ns)
    )
    return replace(
        like,
        record_id=f"{like.name} {block}",
        cell=like.cell.moved(repeat=block),
        wall_s=(end_ns - _START_NS) / 1e9 + 8,
        workers=workers,
        telemetry=Telemetry(gpu=readings),
    )
