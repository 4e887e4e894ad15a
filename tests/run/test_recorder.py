"""What is known of a run becomes its record."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mps_experiments.config.schema import Thresholds
from mps_experiments.machine.facts import collect_facts
from mps_experiments.machine.gpus import FixedProbe
from mps_experiments.record.findings import Severity
from mps_experiments.record.gpu_work import GpuWork
from mps_experiments.record.machine import Gpu, GpuProcess
from mps_experiments.record.measurement import FailureRecord, Measurement, read_measurement, write_measurement
from mps_experiments.record.outputs import OutputDifference
from mps_experiments.record.proof import ForeignDaemon, Observation
from mps_experiments.record.telemetry import GpuSample, Telemetry
from mps_experiments.record.verdict import Status, Verdict
from mps_experiments.record.worker import Done, WorkerFacts
from mps_experiments.run.environment import Environment
from mps_experiments.run.recorder import make_measurement
from mps_experiments.run.run_state import RunState
from mps_experiments.workers.child import WorkerSpec
from mps_experiments.workers.messages import Ready
from mps_experiments.workers.worker import Worker
from tests.fakes.plans import FAKE_GPU, attaching, fault_plan, run_plan
from tests.fault_records import make_trial

SKIPPED = Verdict(status=Status.SKIPPED, reason="no MPS here", for_want_of_hardware=True)

# Evidence: a run of two workers without MPS that measured all it should

MS = 1_000_000
LATENCIES_MS = (100,) * 10
OFF = Observation(
    from_ns=400 * MS,
    to_ns=401 * MS,
    server_status={},
    client_pids=(),
    nvml_mps_pids=None,
    foreign_daemons=(),
)
ALL_TOLD = GpuSample(
    at_ns=500 * MS,
    power_w=300.0,
    clock_event_reasons=(),
    energy_j=1.0,
    sm_activity=0.5,
    dram_activity=0.5,
)
TOLD = Telemetry(gpu=(ALL_TOLD,), gpu_share_by_pid={100: 0.9})
DIFFERENT = OutputDifference(identical=False, largest=1.0, excess=9.0, where="0", compared=1)


def finished_worker(rank: int, latencies_ms: tuple[int, ...] = LATENCIES_MS) -> Worker:
    """Make a worker with pid 100 + rank and a window from 100 ms on; other iterations were not measured."""
    ends = [100 * MS + sum(latencies_ms[:count]) * MS for count in range(len(latencies_ms) + 1)]
    facts = WorkerFacts(cpu_cores=(rank,), phases_s={}, torch_facts={}, weights_sha256=None, output_shape="1")
    spec = WorkerSpec(
        rank=rank,
        device="cpu",
        workload=attaching(),
        iterations=10,
        warmup_iterations=0,
        cpu_cores=(rank,),
        environment={},
        verbose=False,
        log_path="",
        go_timeout_s=1.0,
    )
    process: Any = SimpleNamespace(pid=100 + rank)
    channel: Any = None
    return Worker(
        spec=spec,
        process=process,
        keeper=None,
        channel=channel,
        boundaries_ns=ends + [0] * (10 - len(latencies_ms)),
        measured=[0, 0],
        ready=Ready(facts=facts),
        done=Done(peak_memory_allocated_bytes=None, peak_memory_reserved_bytes=None, peak_rss_bytes=1),
    )


def new_state() -> RunState:
    return RunState(on_phase=lambda _: None)


def finished_state(telemetry: Telemetry | None = TOLD, **fields: Any) -> RunState:
    state = new_state()
    state.environment = Environment(
        variables={},
        scratch=Path("/nowhere"),
        foreign_daemons=fields.pop("daemons", ()),
        foreign_processes=tuple(on_gpu(*fields.pop("before", ()))),
        daemon=None,
        _probe=FixedProbe(),
        _gpu_uuid=None,
        _pipe_dir=Path("/nowhere"),
    )
    state.observations = [OFF]
    state.workers = [finished_worker(0), finished_worker(1)]
    state.telemetry = telemetry
    state.gpu_work = [GpuWork(rank=rank, method="traced", iterations=3, with_work=3) for rank in (0, 1)]
    for name, value in fields.items():
        setattr(state, name, value)
    return state


def on_gpu(*pids: int) -> tuple[GpuProcess, ...]:
    return tuple(GpuProcess(pid=pid, memory_bytes=1) for pid in pids)


def measured(
    folder: Path,
    state: RunState,
    gpu: Gpu | None = FAKE_GPU,
    skipped: Verdict | None = None,
    kept: bool = False,
    **changed: Any,
) -> Measurement:
    """Record a run of this state; `changed` are fields of its plan."""
    plan = run_plan(folder, attaching(), attaching(), times=10, gpu=gpu, mps={"enabled": False}, kept=kept)
    values: dict[str, Any] = {"telemetry_interval_s": 0.1, "thresholds": Thresholds()} | changed
    plan = replace(plan, **values)
    return make_measurement(
        plan,
        state,
        skipped,
        sweep_id="a sweep",
        machine=collect_facts(FixedProbe(), gpu),
        started_at=1_700_000_000.0,
        wall_s=2.0,
    )


def test_a_skipped_run_has_its_reason_and_claims_nothing(tmp_path: Path) -> None:
    measurement = measured(tmp_path, new_state(), gpu=None, skipped=SKIPPED)
    assert measurement.verdict == SKIPPED
    assert (measurement.notes, measurement.proof, measurement.workers) == ((), None, ())
    assert measurement.contended == ()


def test_a_run_that_never_got_to_its_proof_is_invalid(tmp_path: Path) -> None:
    measurement = measured(tmp_path, new_state())
    assert measurement.verdict.status is Status.INVALID
    assert "ended before attachment could be observed" in measurement.verdict.reason


def test_a_run_with_all_its_evidence_is_valid_and_misses_nothing(tmp_path: Path) -> None:
    measurement = measured(tmp_path, finished_state())
    assert measurement.verdict == Verdict(
        status=Status.VALID, reason="all iterations measured, attachment proved"
    )
    assert (measurement.findings, measurement.missing) == ((), ())
    figures = measurement.statistics()
    assert figures is not None
    assert figures.makespan_s == pytest.approx(1.0)


def test_how_a_weights_file_was_read_is_a_note(tmp_path: Path) -> None:
    state = finished_state()
    for worker in state.workers:
        assert worker.ready is not None
        read = {"weights_read": "holds float16, runs as float32"}
        worker.ready = Ready(facts=replace(worker.ready.facts, torch_facts=read))
    assert measured(tmp_path, state).notes == ("workload.weights: holds float16, runs as float32",)


def test_a_cpu_quota_below_the_number_of_workers_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for quota, told in ((1.5, True), (2.0, False), (None, False)):
        monkeypatch.setattr("mps_experiments.machine.facts.cpu_limit", lambda limit=quota: limit)
        measurement = measured(tmp_path, finished_state())
        assert measurement.machine.cpu_quota_cores == quota
        notes = "".join(measurement.notes)
        assert ("a CPU quota allows 1.5 cores of CPU time, fewer than procs=2" in notes) == told


def test_what_workers_could_not_find_out_is_missing_and_costs_no_number(tmp_path: Path) -> None:
    state = finished_state()
    for worker, more in zip(state.workers, ({}, {"shape of the output": "no"}), strict=True):
        assert worker.ready is not None
        missing = {"digest of the weights": f"E: {worker.pid}"} | more
        worker.ready = Ready(facts=replace(worker.ready.facts, missing=missing))
    measurement = measured(tmp_path, state)
    assert measurement.verdict.status is Status.VALID
    assert measurement.missing == (
        "digest of the weights: worker 0: E: 100",
        "shape of the output: worker 1: no",
    )


def with_sample(**values: Any) -> Telemetry:
    return replace(TOLD, gpu=(replace(ALL_TOLD, **values),))


REASONS, DRAM, ENERGY, SM, PIDS = (
    "clock is held",
    "its memory is",
    "energy it takes",
    "multiproc",
    "which process",
)
NOTHING, GONE = "NVML cannot read this GPU", "some readings of the GPU are missing: OSError: gone"
MISSING: dict[str, tuple[Telemetry | None, tuple[str, ...]]] = {
    "no readings": (Telemetry(), (NOTHING,)),
    "no GPM": (with_sample(sm_activity=None, dram_activity=None), (DRAM, SM)),
    "no clock reasons": (with_sample(clock_event_reasons=None), (REASONS,)),
    "no energy": (with_sample(energy_j=None), (ENERGY,)),
    "no process utilisation": (replace(TOLD, gpu_share_by_pid=None), (PIDS,)),
    "no reading inside the window": (with_sample(at_ns=1), ("window was too short for a reading",)),
    "a reading failed": (replace(TOLD, problem="OSError: gone"), (GONE,)),
    "all readings failed": (Telemetry(problem="OSError: gone"), (GONE, NOTHING)),
    "readings without any value": (
        Telemetry(gpu=(GpuSample(at_ns=500 * MS),)),
        (REASONS, DRAM, ENERGY, SM, PIDS),
    ),
    "GPM from the second reading on": (
        replace(TOLD, gpu=(GpuSample(at_ns=200 * MS, energy_j=1.0, clock_event_reasons=()), ALL_TOLD)),
        (),
    ),
    "the run ended before its telemetry": (None, ()),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_gpu_does_not_tell_is_missing_and_the_numbers_stand(name: str, tmp_path: Path) -> None:
    telemetry, missing = MISSING[name]
    measurement = measured(tmp_path, finished_state(telemetry))
    assert len(measurement.missing) == len(missing)
    for text, part in zip(measurement.missing, missing, strict=True):
        assert text.startswith("telemetry: ")
        assert part in text
    assert measurement.verdict.status is Status.VALID
    assert measurement.telemetry == telemetry


def test_telemetry_that_nobody_asked_for_is_not_missing(tmp_path: Path) -> None:
    assert measured(tmp_path, finished_state(Telemetry()), telemetry_interval_s=0.0).missing == ()


def test_a_run_on_the_cpu_misses_nothing_of_a_gpu(tmp_path: Path) -> None:
    measurement = measured(tmp_path, finished_state(Telemetry()), gpu=None)
    assert measurement.missing == ()
    assert measurement.verdict.reason.endswith("on the CPU, where there is nothing to attach to")


def test_what_other_evidence_misses_comes_before_the_telemetry(tmp_path: Path) -> None:
    state = finished_state(Telemetry(), missing=["traced pass: no profiler"])
    first, second = measured(tmp_path, state).missing
    assert (first, NOTHING in second) == ("traced pass: no profiler", True)


def test_a_finding_makes_a_complete_run_invalid_and_takes_its_statistics(tmp_path: Path) -> None:
    measurement = measured(tmp_path, finished_state(parity=DIFFERENT))
    assert [(each.check, each.severity) for each in measurement.findings] == [("parity", Severity.INVALID)]
    assert measurement.verdict == Verdict(status=Status.INVALID, reason=measurement.findings[0].text)
    assert measurement.statistics() is None
    assert measurement.overhead_s() is None


def test_a_warning_leaves_the_statistics_and_is_named_in_the_verdict(tmp_path: Path) -> None:
    state = finished_state()
    state.workers[1] = finished_worker(1, (90,) * 10)
    measurement = measured(tmp_path, state)
    assert [each.check for each in measurement.findings] == ["common_window"]
    assert measurement.verdict.reason == (
        "all iterations measured, attachment proved; warnings: common_window"
    )
    assert measurement.statistics() is not None


def test_load_that_was_kept_up_is_in_the_samples_and_no_worker_was_done_early(tmp_path: Path) -> None:
    """Worker 1 needs 90 ms; three further iterations, one of them beyond its room, end after worker 0."""
    state = finished_state()
    busy = finished_worker(1, (90,) * 12)
    busy.spec = replace(busy.spec, kept=True)
    assert busy.done is not None
    busy.done = replace(busy.done, measured=10, beyond=1, beyond_ns=90 * MS, core_speed_per_us=50.0)
    busy.measured = [10, 10]
    state.workers[1] = busy
    measurement = measured(tmp_path, state, kept=True)
    assert measurement.findings == ()
    samples = measurement.workers[1].samples
    assert samples is not None
    assert (samples.latencies_ns, samples.kept_ns) == ((90 * MS,) * 10, (90 * MS,) * 2)
    assert (samples.beyond, samples.beyond_ns) == (1, 90 * MS)
    assert samples.at_work_s == pytest.approx(1.17)
    figures = measurement.statistics()
    assert figures is not None
    assert figures.makespan_s == pytest.approx(1.0)
    assert figures.common_window_s == pytest.approx(1.0)
    assert (measurement.cell.window, measurement.cell.window_s) == ("kept", None)


def test_a_worker_that_was_cut_short_did_not_finish_early(tmp_path: Path) -> None:
    """The checks are for runs that measured all they should; this one has its failure."""
    failure = FailureRecord(reason="worker 1 was killed by SIGKILL", rank=1, traceback="")
    state = finished_state(failure=failure, parity=DIFFERENT)
    state.workers[1] = replace(finished_worker(1, (100,) * 5), done=None)
    measurement = measured(tmp_path, state)
    assert measurement.findings == ()
    assert measurement.verdict.reason == failure.reason


def test_an_iteration_that_is_missing_makes_the_run_invalid_without_findings(tmp_path: Path) -> None:
    state = finished_state()
    state.workers[1] = replace(finished_worker(1, (100,) * 9), done=None)
    measurement = measured(tmp_path, state)
    assert measurement.findings == ()
    assert measurement.verdict.reason == "only 19 of 20 iterations were measured"


def test_a_record_with_findings_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    infinite = replace(DIFFERENT, largest=float("inf"), excess=float("inf"))
    state = finished_state(replace(TOLD, problem="OSError: gone"), parity=infinite)
    state.workers[1] = finished_worker(1, (90,) * 10)
    measurement = measured(tmp_path, state)
    assert [each.check for each in measurement.findings] == ["parity", "common_window"]
    path = tmp_path / "measurement.json"
    write_measurement(measurement, path)
    assert read_measurement(path) == measurement


# Who else was there


THEIRS = ForeignDaemon(pid=5, pipe_dir="/tmp/nvidia-mps", client_pids=())
ELSEWHERE = replace(THEIRS, gpu_uuids=("GPU-of-another-sweep",))
HERE = replace(THEIRS, pipe_dir="/here", gpu_uuids=("GPU-of-another-sweep", FAKE_GPU.uuid))
UNKNOWN = ForeignDaemon(pid=6, pipe_dir=None, client_pids=None)
BEFORE, SERVES = "process 7 was on the GPU before the workers", "a foreign MPS daemon (pid 5) serves "


def seen(*pids: int, **fields: Any) -> Observation:
    """Look once, at these processes on the GPU."""
    return replace(OFF, gpu_processes=on_gpu(*pids), **fields)


@pytest.mark.parametrize(
    ("observations", "fields", "contended"),
    [
        ([OFF], {"before": (7,)}, [BEFORE]),
        ([seen(7, 100, 101, 8)], {"before": (7,)}, [BEFORE, "process 8 came to the GPU during the run"]),
        # What the workers started, and our server, are no strangers.
        ([seen(100, 8, 9, descendant_pids=(8,), server_status={9: "ACTIVE"})], {}, []),
        # In a container NVML may count pids of the host: then none of ours is among them.
        ([seen(99)], {}, []),
        # A daemon is told once however often it was seen.
        ([seen(foreign_daemons=(THEIRS,))] * 2, {"daemons": (THEIRS,)}, [f"{SERVES}/tmp/nvidia-mps"]),
        ([OFF, seen(foreign_daemons=(HERE, ELSEWHERE))], {}, [f"{SERVES}/here"]),
        (
            [OFF, seen(foreign_daemons=(UNKNOWN,))],
            {},
            ["a foreign MPS daemon (pid 6) serves an unknown directory"],
        ),
    ],
)
def test_who_else_was_there_is_told_once(
    tmp_path: Path, observations: list[Observation], fields: dict[str, Any], contended: list[str]
) -> None:
    state = finished_state(observations=observations, **fields)
    measurement = measured(tmp_path, state)
    assert list(measurement.contended) == contended
    found = [each.text.removeprefix("mps=off, but ") for each in measurement.findings]
    assert all(any(text in each for each in found) for text in contended)
    on_cpu = measured(tmp_path, state, gpu=None)
    assert (on_cpu.contended, on_cpu.findings) == ((), ())


def test_who_used_the_gpu_is_a_finding_though_nobody_saw_it(tmp_path: Path) -> None:
    telemetry = replace(TOLD, gpu_share_by_pid={100: 0.5, 101: 0.4, 7: 0.2})
    measurement = measured(tmp_path, finished_state(telemetry))
    assert measurement.contended == ()
    assert measurement.verdict.reason == "other processes (pid 7) used 20 % of the GPU"


def test_our_own_mps_server_is_nobody_else(tmp_path: Path) -> None:
    telemetry = replace(TOLD, gpu_share_by_pid={100: 0.5, 4242: 0.5})
    state = finished_state(telemetry, observations=[replace(OFF, server_status={4242: "ACTIVE"})])
    assert measured(tmp_path, state).findings == ()


def test_a_foreign_daemon_makes_a_run_without_mps_invalid_unless_it_is_accepted(tmp_path: Path) -> None:
    state = finished_state(observations=[seen(foreign_daemons=(THEIRS,))])
    measurement = measured(tmp_path, state)
    assert [(each.check, each.severity) for each in measurement.findings] == [
        ("foreign_daemon", Severity.INVALID)
    ]
    assert f"{SERVES}/tmp/nvidia-mps" in measurement.verdict.reason
    accepted = measured(tmp_path, state, thresholds=Thresholds(foreign_daemon_invalid=False))
    assert accepted.verdict.status is Status.VALID


# A run with a fault at 600 ms


def with_fault(folder: Path, *observations: Observation) -> Measurement:
    """Record a run whose worker 0 was killed after five of ten iterations, with these observations."""
    state = finished_state(fault=make_trial(injected_ms=600), observations=list(observations))
    state.workers = [finished_worker(0, LATENCIES_MS[:5]), finished_worker(1)]
    return measured(folder, state, fault=fault_plan("kill", after_iterations=5))


BEFORE_START = replace(OFF, from_ns=50 * MS, to_ns=60 * MS)
AFTER_FAULT = replace(OFF, from_ns=590 * MS, to_ns=610 * MS, nvml_mps_pids=(101,))


def test_a_run_with_a_fault_is_valid_though_one_worker_did_not_finish(tmp_path: Path) -> None:
    measurement = with_fault(tmp_path, BEFORE_START, OFF)
    assert (measurement.verdict.status, measurement.cell.fault) == (Status.VALID, "kill")
    assert measurement.proof is not None
    assert measurement.proof.method == "during"
    assert measurement.statistics() is None


def test_a_look_that_was_not_over_before_the_fault_is_no_part_of_the_proof(tmp_path: Path) -> None:
    """The runner may be late: what it then sees is the fault's doing."""
    measurement = with_fault(tmp_path, BEFORE_START, AFTER_FAULT)
    assert measurement.verdict.status is Status.VALID, measurement.verdict.reason
    assert measurement.proof is not None
    assert measurement.proof.method == "before"
    assert measurement.proof.observations == (BEFORE_START,)


def test_a_claim_that_did_not_hold_before_the_fault_makes_the_trial_invalid(tmp_path: Path) -> None:
    attached = replace(BEFORE_START, nvml_mps_pids=(101,))
    measurement = with_fault(tmp_path, attached, OFF)
    assert measurement.verdict.status is Status.INVALID
    assert "NVML lists workers [101] as MPS clients" in measurement.verdict.reason
