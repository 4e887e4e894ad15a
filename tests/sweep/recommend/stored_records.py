"""Stored records of this machine that a search of the same cells finds, with the truth that a test gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mps_experiments.config.cells import parse
from mps_experiments.config.schema import Config
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import GpuProbe
from mps_experiments.record.measurement import Measurement, write_measurement
from mps_experiments.record.samples import WorkerSamples
from mps_experiments.record.telemetry import GpuSample, Telemetry
from mps_experiments.run.plan import RunPlan, build_plan
from mps_experiments.run.recorder import cell_of
from mps_experiments.sweep.recommend.stored import _options
from tests.records import make_measurement

_START_NS = 5_000_000_000


@dataclass(frozen=True)
class Truth:
    """A cell as it is.

    Attributes:
        iterations: Of each worker.
    """

    latency_ms: float
    memory_gib: float = 1.0
    power_w: float = 100.0
    iterations: int = 1000


def store(
    folder: Path,
    arguments: Sequence[str],
    probe: GpuProbe,
    truth: Callable[[Config], Truth],
    blocks: int = 4,
    noise: float = 0.002,
) -> int:
    """Write a record for each cell of a command line and each block; returns how many."""
    request = parse(["-m", *arguments, "repeat=0"])
    assert request.grid is not None
    count = 0
    for cell in request.grid.cells:
        plan = build_plan(cell.config, probe, cell.folder)
        like = _record(plan, probe, _options(cell))
        for block in range(blocks):
            draw = np.random.default_rng(count)
            run = _measured(like, truth(cell.config), block, draw, noise)
            write_measurement(run, folder / f"record-{count}" / "measurement.json")
            count += 1
    return count


def _record(plan: RunPlan, probe: GpuProbe, config: dict[str, object]) -> Measurement:
    cell = cell_of(plan)
    made = make_measurement(mps=cell.mps, procs=cell.procs, times=cell.times)
    workers = tuple(replace(each, workload=plan.workloads[0]) for each in made.workers)
    machine = collect_facts(probe, plan.device.gpu)
    return replace(made, cell=cell, config=config, machine=machine, workers=workers)


def _measured(
    like: Measurement, truth: Truth, block: int, draw: np.random.Generator, noise: float
) -> Measurement:
    """The record as another repeat, all its workers at one pace; the energy is that of the whole window."""
    mean_ns = truth.latency_ms * 1e6 * draw.lognormal(0, noise)
    latencies_ns = np.round(mean_ns * draw.lognormal(0, 0.01, truth.iterations)).astype(int)
    end_ns = _START_NS + int(latencies_ns.sum())
    workers = tuple(
        replace(
            each,
            gpu_memory_bytes=int(truth.memory_gib * 2**30 / len(like.workers)),
            samples=WorkerSamples(
                rank=each.rank, start_ns=_START_NS, latencies_ns=tuple(map(int, latencies_ns))
            ),
        )
        for each in like.workers
    )
    readings = tuple(
        GpuSample(
            at_ns=at_ns,
            memory_used_bytes=int(truth.memory_gib * 2**30),
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
