"""What explains a run's numbers, or makes them INVALID: whole cells with real worker processes."""

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image

from mps_experiments.errors import Interrupted
from mps_experiments.mps.control import CONTROL_PROGRAM
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement, read_measurement, write_measurement
from mps_experiments.record.verdict import Status
from mps_experiments.run.plan import RunPlan
from tests.fakes.meters import MeteredProbe, ScriptedMeter
from tests.fakes.plans import FAKE_GPU, attaching, own_mps_processes, run_plan, running, wait_until
from tests.fakes.running import Lab, Witness, assert_nothing_is_left

TIMES = 10
WINDOW = TIMES + 1  # calls of a worker until its window has ended, the warm-up included


def plan_of(lab: Lab, tmp_path: Path, *workers: dict[str, Any], **more: Any) -> RunPlan:
    """Plan workers with these options: 20 ms per call, a fixed number of calls, by default with MPS."""
    workloads = [attaching(**({"sleep_s": 0.02} | options)) for options in workers]
    more = {"kept": False} | more  # calls are counted
    return run_plan(tmp_path / "run", *workloads, gpu=lab.gpu, times=TIMES, **more)


def measured(lab: Lab, plan: RunPlan, status: Status = Status.VALID, **more: Any) -> Measurement:
    """Run a plan to this verdict with all its iterations; return its record as read from disk."""
    measurement = lab.run(plan, **more).measurement
    assert measurement.verdict.status is status, measurement.verdict.reason
    assert [len(w.samples.latencies_ns) for w in measurement.workers if w.samples] == [TIMES] * len(
        plan.workloads
    )
    assert_nothing_is_left(measurement)
    write_measurement(measurement, plan.paths.measurement)
    assert repr(read_measurement(plan.paths.measurement)) == repr(measurement)
    return measurement


def finding(measurement: Measurement, check: str) -> Finding:
    (found,) = (each for each in measurement.findings if each.check == check)
    return found


def missing(measurement: Measurement, what: str) -> str:
    """Return the reason why this piece of evidence is missing; empty if it is there."""
    return "; ".join(text for text in measurement.missing if text.startswith(what))


# Outputs


def test_equal_replicas_compute_the_same_and_the_record_says_so(lab: Lab, tmp_path: Path) -> None:
    measurement = measured(lab, plan_of(lab, tmp_path, {}, {}, {}))
    assert measurement.parity is not None
    assert (measurement.parity.identical, measurement.parity.largest) == (True, 0.0)
    assert measurement.parity.compared == 64
    outputs = [worker.output for worker in measurement.workers]
    assert outputs[0]
    assert outputs == [outputs[0]] * 3
    assert missing(measurement, "outputs") == ""


def test_a_worker_whose_output_differs_makes_the_run_invalid(lab: Lab, tmp_path: Path) -> None:
    plan = plan_of(lab, tmp_path, {}, {"add": 0.25}, {"add": 0.125})
    measurement = measured(lab, plan, Status.INVALID)
    assert measurement.parity is not None
    assert measurement.parity.largest == 0.25
    grave = finding(measurement, "parity")
    assert grave.severity is Severity.INVALID
    assert "replicas computed different outputs: they differ by 0.25" in measurement.verdict.reason
    assert measurement.statistics() is None


def test_what_is_allowed_to_differ_is_what_the_plan_says(fake_lab: Lab, tmp_path: Path) -> None:
    strict = {"output_rtol": 0.0, "output_atol": 1e-5}
    plan = plan_of(fake_lab, tmp_path, {}, {"add": 5e-5}, strict=strict)
    measurement = measured(fake_lab, plan, Status.INVALID)
    assert measurement.parity is not None
    assert not measurement.parity.identical
    assert measurement.parity.largest == pytest.approx(5e-5, rel=0.01)
    assert "allowed: 1e-05" in measurement.verdict.reason


def test_a_worker_that_returns_no_tensor_where_another_does_makes_the_run_invalid(
    fake_lab: Lab, tmp_path: Path
) -> None:
    plan = plan_of(fake_lab, tmp_path, {"output": False}, {})
    measurement = measured(fake_lab, plan, Status.INVALID)
    assert finding(measurement, "parity").severity is Severity.INVALID
    assert [bool(worker.output) for worker in measurement.workers] == [False, True]


def test_a_model_that_returns_no_tensors_cannot_be_compared(fake_lab: Lab, tmp_path: Path) -> None:
    measurement = measured(fake_lab, plan_of(fake_lab, tmp_path, *[{"output": False}] * 2))
    assert missing(measurement, "outputs") == "outputs: the model returns no tensors to compare"
    assert measurement.parity is None


# Windows, clocks, others


def test_a_worker_that_finishes_early_is_a_warning_unless_it_keeps_up_the_load(
    lab: Lab, tmp_path: Path
) -> None:
    workers: tuple[dict[str, Any], ...] = ({}, {"sleep_s": 0.06})
    measurement = measured(lab, plan_of(lab, tmp_path, *workers))
    warned = finding(measurement, "common_window")
    assert warned.severity is Severity.WARNING
    first, last = (worker.samples for worker in measurement.workers)
    assert first is not None
    assert last is not None
    started_ns = first.start_ns, last.start_ns
    common = (first.end_ns - max(started_ns)) / (last.end_ns - min(started_ns))
    assert warned.value == pytest.approx(common)
    assert "worker 0 finished early" in warned.text
    kept = measured(lab, plan_of(lab, tmp_path, *workers, kept=True))
    assert "common_window" not in {each.check for each in kept.findings}
    assert finding(kept, "unequal_workers").severity is Severity.WARNING


def test_a_throttled_clock_and_another_process_on_the_gpu_make_the_run_invalid(
    fake_lab: Lab, tmp_path: Path
) -> None:
    def shares() -> dict[int, float]:
        return dict.fromkeys((p.pid for p in psutil.Process().children(recursive=True)), 0.0) | {4711: 0.3}

    meter = ScriptedMeter(reasons=("hw_thermal_slowdown", "gpu_idle"), shares=shares)
    probe = MeteredProbe(meter, listed=(4711,))
    measurement = measured(fake_lab, plan_of(fake_lab, tmp_path, {}), Status.INVALID, probe=probe)
    throttled, foreign = (finding(measurement, name) for name in ("throttling", "foreign_gpu"))
    assert (throttled.value, foreign.severity) == (1.0, Severity.INVALID)
    assert "(hw_thermal_slowdown) in 100 %" in throttled.text
    assert "down to 1200 MHz of 1980 MHz" in throttled.text
    assert "(pid 4711) used 30 % of the GPU" in foreign.text
    assert meter.closed


# The traced pass

TRACE = {"iterations": 3}


def test_a_traced_pass_is_kept_as_a_file_and_a_picture(lab: Lab, tmp_path: Path) -> None:
    beacon = {"beacon": str(tmp_path)}
    plan = plan_of(lab, tmp_path, beacon, beacon, trace=TRACE)
    measurement = measured(lab, plan)
    assert missing(measurement, "traced pass") == missing(measurement, "files of the traced pass") == ""
    activity = measurement.activity
    assert activity is not None
    assert (activity.iterations, activity.on_gpu) == (3, lab.gpu is not FAKE_GPU)
    assert activity.window_s >= 0.06 * 0.5
    assert 0 < activity.busy_share < 0.5, "the workers sleep most of the time"
    assert [worker.rank for worker in activity.workers] == [0, 1]
    assert all(worker.operations >= 1 and worker.iteration_s >= 0.02 for worker in activity.workers)

    events = json.loads(gzip.decompress(plan.paths.trace.read_bytes()))["traceEvents"]
    pids = {worker.pid for worker in measurement.workers}
    assert {event["pid"] for event in events} == pids
    for pid in pids:
        own = [event for event in events if event["pid"] == pid and event["ph"] == "X"]
        assert sum(event["cat"] == "iteration" for event in own) == 3
        assert any(event["cat"] in ("kernel", "cpu operator") for event in own)
    with Image.open(plan.paths.timeline) as image:
        image.load()
        assert image.format == "PNG"
        assert image.width > 1000

    scratch = {Path((tmp_path / str(pid)).read_text()).parent for pid in pids}
    assert not any(folder.exists() for folder in scratch)
    logs = {f"worker-{rank}.log" for rank in range(2)} | {"control.log", "server.log"}
    names = {path.name for path in plan.paths.folder.iterdir()}
    assert names - logs == {"measurement.json", "trace.json.gz", "timeline.png"}


def test_without_a_traced_pass_nothing_is_traced_and_nothing_is_missing(lab: Lab, tmp_path: Path) -> None:
    plan = plan_of(lab, tmp_path, {"exit_at": WINDOW + 2}, trace={"iterations": 0})
    measurement = measured(lab, plan)
    assert measurement.activity is None
    assert missing(measurement, "traced pass") == missing(measurement, "outputs") == ""
    assert missing(measurement, "GPU work") == "GPU work: worker 0 exited with code 3 without a word"
    assert finding(measurement, "gpu_work").severity is Severity.WARNING
    assert not plan.paths.trace.exists()
    assert not plan.paths.timeline.exists()


def test_the_pass_of_short_iterations_is_long_enough_to_span_time_slices(
    fake_lab: Lab, tmp_path: Path
) -> None:
    plan = plan_of(fake_lab, tmp_path, {"sleep_s": 0.005}, trace={"iterations": 1, "min_s": 0.1})
    measurement = measured(fake_lab, plan)
    assert measurement.activity is not None
    (worker,) = measurement.workers
    assert (measurement.parity, bool(worker.output)) == (None, True), "nobody to compare with"
    samples = worker.samples
    assert samples is not None
    assert measurement.activity.iterations == pytest.approx(0.1 / (samples.elapsed_s / TIMES), abs=1)


def test_a_model_that_runs_a_profiler_itself_cannot_be_traced_and_keeps_its_numbers(
    lab: Lab, tmp_path: Path
) -> None:
    plan = plan_of(lab, tmp_path, {}, {"profile": True}, trace=TRACE)
    measurement = measured(lab, plan)
    assert missing(measurement, "traced pass") == (
        "traced pass: worker 1: the model runs a profiler of its own"
    )
    assert measurement.activity is None
    assert not plan.paths.trace.exists()
    assert measurement.parity is not None
    assert measurement.parity.identical


IN_THE_PASS = WINDOW + 1 + 2  # the output was computed, one iteration of the pass is done


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kill_at": IN_THE_PASS}, "worker 1 was killed by SIGKILL"),
        ({"raise_at": IN_THE_PASS}, f"worker 1: RuntimeError: call {IN_THE_PASS} went wrong"),
        ({"memory_error_at": IN_THE_PASS}, "worker 1: "),
    ],
)
def test_a_worker_that_fails_in_the_traced_pass_keeps_the_runs_numbers(
    lab: Lab, tmp_path: Path, fault: dict[str, int], why: str
) -> None:
    beacon = {"beacon": str(tmp_path)}
    plan = plan_of(lab, tmp_path, beacon, beacon | fault, trace=TRACE)
    measurement = measured(lab, plan)
    assert missing(measurement, "traced pass").startswith(f"traced pass: {why}")
    assert measurement.activity is None
    assert measurement.failure is None
    assert measurement.parity is not None, "the outputs were compared before"
    assert measurement.statistics() is not None
    folders = {Path((tmp_path / str(worker.pid)).read_text()).parent for worker in measurement.workers}
    assert not any(folder.exists() for folder in folders)


def test_a_worker_that_hangs_in_the_traced_pass_is_ended(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_s = 60.0  # which it is not given to leave by itself
    monkeypatch.setattr("mps_experiments.run.runner._STOP_TIMEOUT_S", never_s)
    # CUPTI has to be loaded, and worker 0 has to answer on a busy machine, too.
    for timeout_s in (2.0, 20.0) if lab.gpu is FAKE_GPU else (20.0,):
        monkeypatch.setattr("mps_experiments.run.evidence._TRACE_TIMEOUT_S", timeout_s)
        stall = {"stall_timeout_s": timeout_s}
        folder = tmp_path / f"{timeout_s:g}"
        plan = plan_of(lab, folder, {}, {"hang_at": IN_THE_PASS}, trace=TRACE, workers=stall)
        measurement = measured(lab, plan)
        reason = missing(measurement, "traced pass")
        if "worker 0" not in reason:
            break
    assert reason == f"traced pass: worker 1 did not answer within {timeout_s:g} s"
    assert measurement.phases_s["workers_teardown"] < never_s


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"raise_at": WINDOW + 1}, f"worker 1: RuntimeError: call {WINDOW + 1} went wrong"),
        ({"exit_at": WINDOW + 1}, "worker 1 exited with code 3 without a word"),
    ],
)
def test_a_worker_that_fails_while_its_output_is_computed_keeps_the_runs_numbers(
    lab: Lab, tmp_path: Path, fault: dict[str, int], why: str
) -> None:
    measurement = measured(lab, plan_of(lab, tmp_path, {}, fault, trace=TRACE))
    assert missing(measurement, "outputs") == f"outputs: {why}"
    assert measurement.parity is None
    assert [worker.output for worker in measurement.workers] == [None, None]
    assert (missing(measurement, "traced pass") == "") == ("raise_at" in fault)


def test_a_daemon_lost_before_the_traced_pass_keeps_the_runs_numbers(lab: Lab, tmp_path: Path) -> None:
    def end_daemon() -> None:
        found = [psutil.Process(each.pid) for each in own_mps_processes() if each.program == CONTROL_PROGRAM]
        assert found
        for process in found:
            process.kill()
        wait_until(lambda: not running(found), "the daemon is dead")

    plan = plan_of(lab, tmp_path, {}, {}, trace=TRACE)
    measurement = measured(lab, plan, witness=Witness({"traced_pass": end_daemon}))
    assert missing(measurement, "traced pass")
    assert measurement.parity is not None


@pytest.mark.parametrize("phase", ["outputs", "traced_pass"])
def test_an_interruption_after_the_window_ends_the_sweep_and_keeps_the_numbers(
    lab: Lab, tmp_path: Path, phase: str
) -> None:
    def interrupt() -> None:
        raise Interrupted(signal.SIGTERM)

    plan = plan_of(lab, tmp_path, {}, {}, trace=TRACE)
    outcome = lab.run(plan, Witness({phase: interrupt}))
    assert outcome.measurement.verdict.status is Status.VALID
    assert "evidence: interrupted by SIGTERM" in outcome.measurement.missing
    assert outcome.interruption is not None
    assert_nothing_is_left(outcome.measurement)


def test_a_file_of_the_pass_that_cannot_be_written_keeps_the_figures(fake_lab: Lab, tmp_path: Path) -> None:
    plan = plan_of(fake_lab, tmp_path, {}, {}, trace=TRACE)
    plan.paths.timeline.mkdir()
    measurement = measured(fake_lab, plan)
    assert os.strerror(21) in missing(measurement, "files of the traced pass")
    assert measurement.activity is not None
