"""Who else was there during a run, in words."""

from dataclasses import replace
from pathlib import Path

from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.machine import GpuProcess
from mps_experiments.record.proof import ForeignDaemon, Observation
from mps_experiments.run.bystanders import foreign_daemons, foreign_load
from mps_experiments.run.environment import Environment
from mps_experiments.run.run_state import RunState
from tests.fakes.plans import FAKE_GPU, run_plan

THEIRS = ForeignDaemon(pid=5, pipe_dir="/tmp/nvidia-mps", client_pids=())
SEEN = Observation(
    from_ns=1, to_ns=2, server_status={}, client_pids=(), nvml_mps_pids=None, foreign_daemons=()
)


def state_of(folder: Path, *seen: Observation, daemons: tuple[ForeignDaemon, ...] = ()) -> RunState:
    """Return the state of a run before whose workers process 7 and these daemons were there."""
    environment = Environment(
        variables={},
        scratch=folder,
        foreign_daemons=daemons,
        foreign_processes=(GpuProcess(pid=7, memory_bytes=None),),
        daemon=None,
        _probe=FixedProbe(),
        _gpu_uuid=None,
        _pipe_dir=folder,
    )
    return RunState(on_phase=lambda _: None, environment=environment, observations=list(seen))


def test_who_was_there_before_the_workers_is_told(tmp_path: Path) -> None:
    assert foreign_load(run_plan(tmp_path), state_of(tmp_path)) == (
        "process 7 was on the GPU before the workers",
    )


def test_what_the_workers_started_is_no_stranger(tmp_path: Path) -> None:
    started = replace(
        SEEN, descendant_pids=(8,), gpu_processes=tuple(GpuProcess(pid=p, memory_bytes=None) for p in (8, 9))
    )
    assert foreign_load(run_plan(tmp_path), state_of(tmp_path, started))[1:] == (
        "process 9 came to the GPU during the run",
    )


def test_pids_of_another_namespace_are_nobodys(tmp_path: Path) -> None:
    """In a container NVML may count pids of the host: then none of ours is among them."""
    listed = replace(SEEN, gpu_processes=(GpuProcess(pid=99, memory_bytes=1),))
    assert foreign_load(run_plan(tmp_path), state_of(tmp_path, listed)) == (
        "process 7 was on the GPU before the workers",
    )


def test_a_daemon_is_told_once_however_often_it_was_seen(tmp_path: Path) -> None:
    seen = replace(SEEN, foreign_daemons=(THEIRS,))
    state = state_of(tmp_path, seen, seen, daemons=(THEIRS,))
    assert foreign_daemons(run_plan(tmp_path), state) == (
        "a foreign MPS daemon (pid 5) serves /tmp/nvidia-mps",
    )


def test_a_daemon_that_came_during_the_run_is_told(tmp_path: Path) -> None:
    unknown = ForeignDaemon(pid=6, pipe_dir=None, client_pids=None)
    state = state_of(tmp_path, SEEN, replace(SEEN, foreign_daemons=(unknown,)))
    assert foreign_daemons(run_plan(tmp_path), state) == (
        "a foreign MPS daemon (pid 6) serves an unknown directory",
    )


def test_on_the_cpu_and_before_the_environment_there_is_nobody(tmp_path: Path) -> None:
    state = state_of(tmp_path, daemons=(THEIRS,))
    assert foreign_load(run_plan(tmp_path, gpu=None), state) == ()
    assert foreign_daemons(run_plan(tmp_path, gpu=None), state) == ()
    assert foreign_daemons(run_plan(tmp_path), RunState(on_phase=lambda _: None)) == ()


def test_a_daemon_on_another_gpu_is_not_foreign(tmp_path: Path) -> None:
    elsewhere = replace(THEIRS, gpu_uuids=("GPU-of-another-sweep",))
    here = replace(THEIRS, pipe_dir="/here", gpu_uuids=("GPU-of-another-sweep", FAKE_GPU.uuid))
    state = state_of(tmp_path, replace(SEEN, foreign_daemons=(elsewhere, here)), daemons=(elsewhere,))
    assert foreign_daemons(run_plan(tmp_path), state) == ("a foreign MPS daemon (pid 5) serves /here",)
