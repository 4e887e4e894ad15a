"""Two sweeps at the same time on two GPUs of one host: neither spoils the other."""

import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from mps_experiments.machine.gpus import open_probe
from mps_experiments.record.measurement import Measurement, find_measurements, read_measurement
from mps_experiments.record.verdict import Status
from tests.fakes.plans import CHECKOUT, FAKE_GPU, SECOND_GPU, path_with_fakes
from tests.test_death import Scene, measuring

DEADLINE_S = 300.0
CELLS = ["-m", "mps=off,on", "procs=1,2"]


def records(folder: Path) -> list[Measurement]:
    return [read_measurement(path) for path in find_measurements(folder)]


def cores_of(measurements: Iterable[Measurement]) -> set[int]:
    """All cores on which the workers might run."""
    facts = [worker.facts for each in measurements for worker in each.workers]
    return {core for each in facts if each is not None for core in each.cpu_cores}


@dataclass
class Beside:
    """A sweep on the second GPU while another measured on the first.

    Attributes:
        first: The other one.
        cores_of_first: Of its workers.
        records: Of the second, and what it `said`.
    """

    first: Scene
    cores_of_first: set[int]
    records: list[Measurement]
    said: str


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Beside:
    outputs = tmp_path_factory.mktemp("beside")
    with measuring(outputs, real=False) as scene:
        cores = {core for pid in scene.workers for core in psutil.Process(pid).cpu_affinity()}
        done = subprocess.run(
            [
                *[sys.executable, str(CHECKOUT / "tests" / "fakes" / "cli_runner.py"), *CELLS],
                *["device=cuda:1", "times=3", "tracking=none", f"output_dir={outputs / 'second'}"],
                *["workload=custom", "workload.factory=tests.fakes.attaching:build", "trace.iterations=0"],
                "validity.foreign_daemon_invalid=false",  # those of other test sessions
            ],
            cwd=CHECKOUT,
            env=os.environ
            | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "src"), *sys.path])}
            | {"TMPDIR": str(scene.temporary), "PATH": path_with_fakes()},
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
    assert done.returncode == 0, done
    return Beside(scene, cores, records(outputs / "second"), done.stdout)


def test_every_cell_beside_another_sweep_is_valid(beside: Beside) -> None:
    assert len(beside.records) == 4
    assert {each.verdict.status for each in beside.records} == {Status.VALID}
    assert {each.cell.device for each in beside.records} == {SECOND_GPU.uuid}


def test_the_daemon_of_the_other_sweep_is_seen_and_not_foreign(beside: Beside) -> None:
    place = str(beside.first.temporary)
    for measurement in beside.records:
        (daemon,) = (each for each in measurement.foreign_daemons if (each.pipe_dir or "").startswith(place))
        assert daemon.gpu_uuids == (FAKE_GPU.uuid,)
        assert len(daemon.client_pids or ()) == 2, (
            "it was asked: no worker of this sweep is among its clients"
        )
        assert place not in " ".join(measurement.contended)


def test_no_worker_is_on_a_core_of_the_other_sweep_while_there_are_others(beside: Beside) -> None:
    assert beside.cores_of_first
    shared = cores_of(beside.records) & beside.cores_of_first
    assert bool(shared) == (beside.cores_of_first == os.sched_getaffinity(0))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) > 3, reason="the other sweep leaves some of these cores")
def test_a_sweep_for_which_no_core_is_left_says_so_once_and_shares_them(beside: Beside) -> None:
    assert beside.said.count("CPU cores are free, other sweeps have the rest") == 1
    assert cores_of(beside.records) == os.sched_getaffinity(0)


def why_not_two() -> str:
    with open_probe() as probe:
        return "" if len(probe.gpus()) > 1 else f"this machine has {len(probe.gpus())} GPU, two are needed"


@pytest.mark.gpu
def test_two_sweeps_on_two_real_gpus_are_valid_on_cores_of_their_own(tmp_path: Path) -> None:
    if reason := why_not_two():
        pytest.skip(reason)
    sweeps = [
        subprocess.Popen(
            [
                *[sys.executable, "-m", "mps_experiments", *CELLS, f"device=cuda:{number}", "tracking=none"],
                *["workload.model=resnet18", "times=300", f"output_dir={tmp_path / str(number)}"],
            ],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(CHECKOUT / "src"), *sys.path])},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in (0, 1)
    ]
    try:
        said = [sweep.communicate(timeout=DEADLINE_S)[0] for sweep in sweeps]
    finally:
        for sweep in sweeps:
            sweep.kill()
    both = [records(tmp_path / str(number)) for number in (0, 1)]
    for measurements, text in zip(both, said, strict=True):
        assert [each.verdict.status for each in measurements] == [Status.VALID] * 4, text
    first, second = map(cores_of, both)
    assert first
    assert second
    assert first.isdisjoint(second)
    daemons = {daemon.gpu_uuids for each in both[0] + both[1] for daemon in each.foreign_daemons}
    assert daemons, "the two sweeps ran at the same time"
