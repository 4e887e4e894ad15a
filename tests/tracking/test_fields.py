"""What of a record goes to MLflow: units in the names, and nothing that is not known."""

import math
from dataclasses import replace
from typing import Any

import pytest
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

from mps_experiments.record.axes import BY_NAME
from mps_experiments.record.faults import DeviceMemory, Newcomer, ServerState
from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.outputs import OutputDifference
from mps_experiments.record.telemetry import POWER_CAP, GpuSample, Telemetry
from mps_experiments.record.verdict import Verdict
from mps_experiments.tracking import fields
from mps_experiments.tracking.fields import metrics_of, params_of, sweep_params, sweep_tags, tags_of
from tests.evidence_records import EPOCH_OFFSET_NS, traced_run, with_core_waits
from tests.fault_records import make_trial
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement, samples

START_NS = 5_000_000_000  # of every record's window
SECOND_NS = 1_000_000_000
READING: dict[str, Any] = {
    "utilization": 0.9,
    "memory_utilization": 0.4,
    "memory_used_bytes": 3 * 2**30,
    "power_w": 350.0,
    "sm_clock_mhz": 1700,
    "memory_clock_mhz": 2619,
    "temperature_c": 41,
    "sm_activity": 0.6,
    "sm_occupancy": 0.3,
    "dram_activity": 0.2,
}
UNITS = ("_s", "_ms", "_us", "_per_s", "_mib", "_j", "_w", "_mhz", "_share", "_mean", "_switches")
COUNTS = (
    "cell/batch",
    "cell/procs",
    "cell/times",
    "cores_used",
    "kernels_per_iteration",
    "active_workers",
    "_items",
)


def measured(mps: str = "on", **parts: Any) -> Measurement:
    """Two workers, 100 iterations of 20 ms each: a window of 2 s."""
    values = {"iteration_ms": 20.0, "running_ms": 8.0, "behind_ms": 3.0, "idle_ms": 1.0}
    return traced_run(mps=mps, **(values | parts))


def reading(at_s: float, **values: Any) -> GpuSample:
    """A reading so many seconds after the window's start; the counter moves by 100 J/s."""
    energy_j = 5000 + 100 * at_s
    return GpuSample(at_ns=START_NS + round(at_s * SECOND_NS), **({"energy_j": energy_j} | READING | values))


def with_readings(run: Measurement, *readings: GpuSample) -> Measurement:
    return replace(run, telemetry=Telemetry(epoch_offset_ns=EPOCH_OFFSET_NS, gpu=readings))


def watched() -> Measurement:
    """Two readings outside the window, which would change every mean, and two inside."""
    outside = dict.fromkeys(READING, 0) | {"clock_event_reasons": ("hw_slowdown", POWER_CAP)}
    return with_readings(
        measured(),
        reading(-0.1, **outside),
        reading(0.5, sm_clock_mhz=1500, memory_used_bytes=2**30, clock_event_reasons=(POWER_CAP,)),
        reading(1.5, clock_event_reasons=()),
        reading(2.1, **outside),
    )


def parity(largest: float, compared: int = 8) -> OutputDifference:
    return OutputDifference(identical=False, largest=largest, excess=0.1, where="0.boxes", compared=compared)


def named(run: Measurement, *beginnings: str) -> dict[str, float]:
    return {name: value for name, value in metrics_of(run).items() if name.startswith(beginnings)}


def test_metrics_are_the_figures_of_the_run() -> None:
    metrics = metrics_of(make_measurement(procs=2, times=4, makespan_s=2.0))
    expected = {
        "cell/batch": 1.0,
        "cell/procs": 2.0,
        "cell/times": 4.0,
        "workers/peak_rss_max_mib": 3072.0,
        "workers/torch_peak_max_mib": 2048.0,
        "makespan_s": 2.0,
        "throughput_per_s": 4.0,
        "start_skew_ms": 0.0,
        "latency/mean_ms": 500.0,
        "latency/p50_ms": 500.0,
        "latency/max_ms": 500.0,
        "overhead/total_s": 2.0,
        "overhead/environment_s": 0.5,
        "overhead/workers_s": 1.5,
        "worker_0/elapsed_s": 2.0,
        "worker_1/elapsed_s": 2.0,
    }
    assert metrics == pytest.approx(expected)


def test_tails_and_the_interval_of_the_throughput_are_told_of_enough_iterations() -> None:
    some, many = (metrics_of(make_measurement(times=n, makespan_s=n / 100)) for n in (100, 1000))
    assert some["latency/p95_ms"] == pytest.approx(10.0)
    assert "latency/p99_ms" not in some
    assert many["latency/p99_ms"] == pytest.approx(10.0)
    assert (many["throughput_low_per_s"], many["throughput_high_per_s"]) == pytest.approx((100.0, 100.0))
    assert "throughput_low_per_s" not in metrics_of(make_measurement(times=7))


def test_the_gpus_figures_are_of_the_window_and_in_the_units_of_their_names() -> None:
    assert named(watched(), "gpu/") == pytest.approx(
        {
            "gpu/energy_j": 200.0,
            "gpu/energy_per_item_j": 1.0,  # 200 iterations of both workers
            "gpu/kwh_per_million_items": 1 / 3.6,
            "gpu/power_w": 100.0,  # 200 J in 2 s
            "gpu/power_mean_w": 350.0,
            "gpu/utilization_mean": 0.9,
            "gpu/sm_activity_mean": 0.6,
            "gpu/sm_occupancy_mean": 0.3,
            "gpu/dram_activity_mean": 0.2,
            "gpu/sm_clock_mean_mhz": 1600.0,
            "gpu/sm_clock_min_mhz": 1500.0,
            "gpu/memory_clock_mean_mhz": 2619.0,
            "gpu/memory_used_max_mib": 3072.0,
            "gpu/throttled_share": 0.0,
            "gpu/power_capped_share": 0.5,
        }
    )


@pytest.mark.parametrize(
    ("telemetry", "told"),
    [
        (None, {}),
        (Telemetry(gpu=(reading(-1.0), reading(9.0))), {}),
        (Telemetry(gpu=(GpuSample(at_ns=START_NS), GpuSample(at_ns=START_NS + SECOND_NS))), {}),
        (
            Telemetry(gpu=(GpuSample(at_ns=START_NS, power_w=70.0),)),
            {"gpu/power_w": 70.0, "gpu/power_mean_w": 70.0},
        ),
    ],
)
def test_what_the_gpu_does_not_tell_is_no_metric(telemetry: Telemetry | None, told: dict[str, float]) -> None:
    assert named(replace(measured(), telemetry=telemetry), "gpu/") == told


def test_the_traced_passs_figures_are_means_over_workers_in_the_units_of_their_names() -> None:
    run = measured()
    assert run.activity is not None
    first, second = run.activity.workers
    slow = replace(second, operations=400.0, operations_s=0.016, iteration_s=0.040, behind_others_s=0.0)
    unlike = replace(run, activity=replace(run.activity, workers=(first, slow)))
    assert named(unlike, "trace/") == pytest.approx(
        {
            "trace/gpu_busy_share": 0.75,
            "trace/overlap_share": 0.125,
            "trace/mean_active_workers": 1.125,
            "trace/gaps_per_s": 500.0,
            "trace/gap_p50_us": 25.0,
            "trace/kernel_time_per_iteration_ms": 12.0,
            "trace/kernels_per_iteration": 300.0,
            "trace/behind_others_ms": 1.5,
            "trace/waiting_idle_ms": 1.0,
            "trace/iteration_ms": 30.0,
        }
    )


def test_each_worker_tells_its_use_of_the_cpu_and_a_sum_needs_each_of_them() -> None:
    run = with_core_waits(measured(), 0.25, None)  # of the second the kernel did not tell
    assert {
        name: value for name, value in named(run, "worker").items() if "_mib" not in name
    } == pytest.approx(
        {"worker_0/cores_used": 0.75, "worker_1/cores_used": 0.75, "worker_0/core_wait_s": 0.5}
        | {"worker_0/elapsed_s": 2.0, "worker_1/elapsed_s": 2.0}
        | {"workers/cpu_s": 3.0, "workers/voluntary_switches": 60, "workers/involuntary_switches": 8}
    )
    first, second = run.workers
    assert second.done is not None
    silent = replace(run, workers=(first, replace(second, done=replace(second.done, cpu=None))))
    assert "worker_0/cores_used" in metrics_of(silent)
    assert "workers/cpu_s" not in metrics_of(silent)


def test_the_workers_largest_difference_is_a_metric_where_values_were_compared() -> None:
    name = "output/largest_difference"
    assert named(replace(make_measurement(), parity=parity(1e-5)), "output/") == {name: 1e-5}
    assert named(replace(make_measurement(), parity=parity(0.0, compared=0)), "output/") == {}


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_never_logged(value: float) -> None:
    odd = with_readings(replace(measured(), parity=parity(value)), reading(0.5, sm_activity=value))
    assert not {"output/largest_difference", "gpu/sm_activity_mean"} & metrics_of(odd).keys()
    assert all(math.isfinite(each) for each in metrics_of(odd).values())


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_a_run_that_is_not_valid_has_no_metrics_whatever_is_known_of_it(verdict: Verdict) -> None:
    assert metrics_of(replace(watched(), verdict=verdict)) == {}


def test_of_the_factors_only_numbers_are_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    factors = tuple(BY_NAME[name] for name in ("mps", "procs", "verbose"))
    monkeypatch.setattr(fields, "FACTORS", factors)
    assert [name for name in metrics_of(measured()) if name.startswith("cell/")] == ["cell/procs"]


def test_every_metric_has_its_unit_in_its_name_and_mlflow_takes_all() -> None:
    run = with_core_waits(watched(), 0.1, 0.2)
    assert [name for name in metrics_of(run) if not name.endswith((*UNITS, *COUNTS))] == []
    for name, value in metrics_of(run).items():
        _validate_metric(name, value, 0, 0)
    for name, text in params_of(make_measurement(options={"what?": 1, "x" * 300: 2})).items():
        _validate_param(name, text)
    for name, text in tags_of(run).items():
        _validate_tag(name, text)


def test_params_are_what_one_filters_by() -> None:
    params = params_of(make_measurement(mps="on", procs=4, times=50, batch=8, options={"b": 2, "a": [1]}))
    expected = {"mps": "on", "procs": "4", "times": "50", "batch": "8", "repeat": "0", "window": "fixed"}
    expected |= {"model": "maskrcnn_resnet50_fpn", "input": "sample", "fault": "none"}
    expected |= {"gpu": "NVIDIA H100", "driver": "580.1", "options.a": "[1]", "options.b": "2"}
    assert {name: params.get(name) for name in expected} == expected
    assert not {"options", "device", "twin", "fault_trial"} & params.keys()
    assert params_of(make_measurement(machine=replace(MACHINE, gpu=None)))["gpu"] == "none"
    assert params_of(make_measurement(twin=1))["twin"] == "1"


def test_a_window_of_given_seconds_has_no_number_of_iterations_among_its_coordinates() -> None:
    run = make_measurement(times="auto", window="kept", window_s=10.0)
    assert "cell/times" not in metrics_of(run)
    assert (params_of(run)["times"], params_of(run)["window"]) == ("auto", "kept")


def test_a_long_param_and_a_long_tag_are_cut_to_what_mlflow_takes_and_say_so() -> None:
    text = params_of(make_measurement(options={"text": "x" * 10_000}))["options.text"]
    assert len(text) == 500
    assert text.endswith("xxx... (cut, 10000 characters)")
    tags = tags_of(replace(make_measurement(), notes=("y" * 9000,)))
    assert len(tags["notes"]) == 5000
    assert tags["notes"].endswith("yyy... (cut, 9000 characters)")


def test_tags_explain_verdict_proof_machine_and_origin() -> None:
    run = make_measurement(mps="on", contended=("process 9", "a daemon"))
    (worker,) = run.workers
    assert worker.facts is not None
    facts = replace(worker.facts, torch_facts={"norm_layer": "FrozenBatchNorm2d"})
    finding = Finding(check="drift", severity=Severity.WARNING, text="slower")
    run = replace(
        run, workers=(replace(worker, facts=facts),), findings=(finding,), missing=("outputs: none",)
    )
    assert tags_of(run) == {
        "record_id": "record",
        "sweep_id": "sweep",
        "kind": "run",
        "verdict": "VALID",
        "verdict_reason": "all iterations measured, attachment proved",
        "proof": "on, seen during",
        "contended": "process 9; a daemon",
        "host": "host",
        "gpu_uuid": "GPU-1",
        "torch": "2.11",
        "mps_experiments": "0.1.0",
        "git_commit": "c0ffee",
        "git_dirty": "False",
        "overrides": "mps=on procs=1",
        "weights_sha256": "cd" * 32,
        "norm_layer": "FrozenBatchNorm2d",
        "findings": "warning: slower",
        "missing": "outputs: none",
    }


def test_what_is_not_known_has_no_tag() -> None:
    machine = replace(MACHINE, gpu=None, driver_version=None, git_commit=None, git_dirty=None)
    tags = tags_of(make_measurement(verdict=SKIPPED, machine=machine))
    assert tags["contended"] == "no"
    assert not {"gpu_uuid", "git_commit", "git_dirty", "proof", "weights_sha256", "norm_layer"} & set(tags)


def test_the_second_of_two_equal_runs_is_of_a_kind_of_its_own() -> None:
    assert tags_of(make_measurement(twin=1))["kind"] == "twin"


def test_a_sweep_tells_what_it_measured_and_the_number_of_each_verdict() -> None:
    other = replace(MACHINE, driver_version="590.2", git_commit=None)
    cells = [
        make_measurement("a", procs=16, repeat=1),
        make_measurement("b", procs=2, mps="on", times="auto"),
        make_measurement("c", verdict=SKIPPED, machine=other, window_s=5.0),
    ]
    assert sweep_params(cells) == {
        "model": "maskrcnn_resnet50_fpn",
        "gpu": "NVIDIA H100",
        "driver": "580.1,590.2",
        "mps": "off,on",
        "procs": "1,2,16",
        "times": "2,auto",
        "batch": "1",
        "window_s": "5.0,None",
    }
    assert sweep_tags(cells) == {
        "torch": "2.11",
        "host": "host",
        "mps_experiments": "0.1.0",
        "git_commit": "c0ffee",
        "verdict": "2 VALID, 1 SKIPPED",
    }
    assert not sweep_params(cells).keys() & sweep_tags(cells).keys()


def with_fault(mps: str = "on", **changed: Any) -> Measurement:
    """Worker 0 was killed after one second; a new client asked one second later."""
    newcomer = Newcomer(
        asked_ns=2 * SECOND_NS,
        served_ns=2 * SECOND_NS + SECOND_NS // 4,
        result_ns=3 * SECOND_NS,
        left_ns=4 * SECOND_NS,
        start_s=0.25,
        attached=False,
        failures=(),
    )
    states = (ServerState(at_ns=0, servers={7: "ACTIVE"}), ServerState(at_ns=1, servers={}, no_answer="gone"))
    memory = DeviceMemory(before=0, workers_gone=2**21, end=2**20)
    trial = make_trial(injected_ms=1000, came=newcomer, server_states=states, memory=memory)
    plain = make_measurement(mps=mps, procs=2, fault="kill", trial=3)
    first, second = plain.workers
    workers = (
        replace(first, samples=samples(0, 0, 500, 500)),
        replace(second, samples=samples(1, 0, 500, 500, 600, 500)),
    )
    config = plain.config | {"fault": {"kind": "kill", "worker": 0, "at": 0.5}}
    return replace(plain, workers=workers, fault=replace(trial, **changed), config=config)


def test_a_run_with_a_fault_has_the_metrics_of_the_fault_and_none_of_an_ordinary_run() -> None:
    expected = {
        "fault/others": 1.0,
        "fault/others_finished": 1.0,
        "fault/new_client_served": 1.0,
        "fault/survivor_elapsed_s": 2.1,
        "fault/latency_before_ms": 500.0,
        "fault/latency_at_ms": 600.0,
        "fault/latency_after_ms": 600.0,
        "fault/blip_ms": 100.0,
        "fault/new_client_served_after_s": 0.25,
        "fault/new_client_without_mps": 1.0,
        "fault/leftover_mib": 1.0,
    }
    assert metrics_of(with_fault()) == pytest.approx(expected)
    assert metrics_of(replace(with_fault(), verdict=INVALID)) == {}
    assert metrics_of(with_fault(mps="off")).keys() == expected.keys() - {"fault/new_client_without_mps"}
    newcomer = with_fault().fault.newcomer  # type: ignore[union-attr]
    assert newcomer is not None
    refused = metrics_of(
        with_fault(newcomer=replace(newcomer, served_ns=None, attached=None, failures=("no",)))
    )
    assert refused["fault/new_client_served"] == 0.0
    assert "fault/new_client_served_after_s" not in refused


def test_a_run_with_a_fault_can_be_filtered_and_says_what_became_of_all() -> None:
    params, tags = params_of(with_fault()), tags_of(with_fault())
    found = {name: params[name] for name in ("fault", "fault_trial", "fault_worker", "fault_at")}
    assert found == {"fault": "kill", "fault_trial": "3", "fault_worker": "0", "fault_at": "0.5"}
    assert (tags["kind"], tags["server_states"]) == ("fault", "ACTIVE > no daemon")
    assert (tags["worker_0_end"], tags["worker_1_end"]) == ("died was killed by SIGKILL", "finished")
