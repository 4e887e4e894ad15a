"""What is known of a run becomes its record."""

from dataclasses import replace
from pathlib import Path

import pytest

from mps_experiments.environment import Environment
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import FixedProbe, Gpu, GpuProcess
from mps_experiments.measurement.verdict import Status, Verdict
from mps_experiments.mps.attachment import Observation
from mps_experiments.record import Measurement
from mps_experiments.recorder import Origin, RunState, make_measurement
from tests.fakes.plans import FAKE_GPU, run_plan

SKIPPED = Verdict(status=Status.SKIPPED, reason="no MPS here", for_want_of_hardware=True)


def recorded(
    folder: Path, state: RunState, gpu: Gpu | None = FAKE_GPU, skipped: Verdict | None = None
) -> Measurement:
    origin = Origin(sweep_id="a sweep", machine=collect_facts(FixedProbe(), gpu))
    return make_measurement(run_plan(folder, gpu=gpu), origin, state, skipped, 1_700_000_000.0, 2.0)


def new_state(folder: Path, *seen: Observation) -> RunState:
    """What is known of a run before whose workers process 7 was on the GPU."""
    environment = Environment(
        variables={},
        scratch=folder,
        foreign_daemons=(),
        foreign_processes=(GpuProcess(pid=7, memory_bytes=None),),
        _control=None,
        _probe=FixedProbe(),
        _gpu_uuid=None,
        _pipe_dir=folder,
    )
    return RunState(on_phase=lambda _: None, environment=environment, observations=list(seen))


def test_a_phase_entered_twice_adds_up_and_is_told_each_time() -> None:
    told: list[str] = []
    state = RunState(on_phase=told.append)
    for _ in range(2):
        with state.phase("proof"):
            pass
    first = state.phases_s["proof"]
    with pytest.raises(ValueError, match="inside"), state.phase("proof"):
        raise ValueError("inside")
    assert state.phases_s["proof"] > first > 0
    assert told == ["proof"] * 3


def test_a_skipped_run_has_its_reason_and_claims_nothing(tmp_path: Path) -> None:
    measurement = recorded(tmp_path, RunState(on_phase=lambda _: None), gpu=None, skipped=SKIPPED)
    assert measurement.verdict == SKIPPED
    assert (measurement.notes, measurement.proof, measurement.workers) == ((), None, ())


def test_a_run_that_never_got_to_its_proof_is_invalid(tmp_path: Path) -> None:
    measurement = recorded(tmp_path, RunState(on_phase=lambda _: None))
    assert measurement.verdict.status is Status.INVALID
    assert "never got to its proof" in measurement.verdict.reason


def test_who_was_on_the_gpu_before_the_workers_marks_the_run(tmp_path: Path) -> None:
    assert recorded(tmp_path, new_state(tmp_path)).contended == (
        "process 7 was on the GPU before the workers",
    )


def test_a_run_on_the_cpu_contends_with_nobody_on_a_gpu(tmp_path: Path) -> None:
    assert recorded(tmp_path, new_state(tmp_path), gpu=None).contended == ()


def test_pids_of_another_namespace_are_nobodys_strangers(tmp_path: Path) -> None:
    """In a container NVML may count pids of the host: then none of ours is among them."""
    seen = Observation(
        from_ns=1,
        to_ns=2,
        server_status={},
        client_pids=(),
        nvml_mps_pids=None,
        foreign_daemons=(),
        gpu_processes=(GpuProcess(pid=99, memory_bytes=1),),
    )
    state = new_state(tmp_path, seen, replace(seen, from_ns=3, to_ns=4))
    assert recorded(tmp_path, state).contended == ("process 7 was on the GPU before the workers",)
