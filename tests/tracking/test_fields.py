"""What of a record goes to MLflow."""

import math
from dataclasses import replace
from typing import Any

import pytest
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

from mps_experiments.record.findings import Finding, Severity
from mps_experiments.record.measurement import Measurement
from mps_experiments.record.verdict import Verdict
from mps_experiments.tracking.fields import metrics_of, params_of, sweep_tags, tags_of
from tests.evidence_records import traced_run, with_core_waits, with_telemetry
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement

UNITS = ("_s", "_ms", "_us", "_per_s", "_mib", "_j", "_w", "_mhz")
SHARES = ("_share", "utilization_mean", "activity_mean", "occupancy_mean")
COUNTS = (
    "cell/batch",
    "cell/procs",
    "cell/times",
    "cores_used",
    "_switches",
    "kernels_per_iteration",
    "mean_active_workers",
)


def evident() -> Measurement:
    """A run of which all is known."""
    run = with_core_waits(traced_run(mps="on", iteration_ms=20.0), 0.1, 0.2)
    gpu: dict[str, Any] = {
        "power_w": 300.0,
        "sm_clock_mhz": 1700,
        "memory_clock_mhz": 2619,
        "memory_used_bytes": 2**30,
    }
    gpu |= dict.fromkeys(("utilization", "sm_activity", "sm_occupancy", "dram_activity"), 0.5)
    return with_telemetry(run, capped=0.5, **gpu)


def test_every_metric_has_its_unit_in_its_name() -> None:
    assert [name for name in metrics_of(evident()) if not name.endswith((*UNITS, *SHARES, *COUNTS))] == []


def test_evidence_is_among_the_metrics_and_tags() -> None:
    metrics = metrics_of(evident())
    assert metrics["makespan_s"] == pytest.approx(2.0)
    assert (metrics["gpu/power_mean_w"], metrics["gpu/power_capped_share"]) == (300.0, 0.5)
    assert metrics["trace/overlap_share"] == 0.125
    assert metrics["worker_1/core_wait_s"] == pytest.approx(0.4)
    finding = Finding(check="drift", severity=Severity.WARNING, text="slower")
    tags = tags_of(replace(evident(), findings=(finding,), missing=("outputs: none",)))
    assert (tags["findings"], tags["missing"]) == ("warning: slower", "outputs: none")


def test_mlflow_takes_all_of_it() -> None:
    run = evident()
    for name, value in metrics_of(run).items():
        assert math.isfinite(value), name
        _validate_metric(name, value, 0, 0)
    for name, text in params_of(run).items():
        _validate_param(name, text)
    for name, text in tags_of(run).items():
        _validate_tag(name, text)


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
    }
    for rank in range(2):
        expected |= {
            f"worker_{rank}/elapsed_s": 2.0,
        }
    assert metrics == pytest.approx(expected)


def test_tails_and_the_interval_of_the_throughput_are_told_of_enough_iterations() -> None:
    some, many = (metrics_of(make_measurement(times=n, makespan_s=n / 100)) for n in (100, 1000))
    assert some["latency/p95_ms"] == pytest.approx(10.0)
    assert "latency/p99_ms" not in some
    assert many["latency/p99_ms"] == pytest.approx(10.0)
    assert (many["throughput_low_per_s"], many["throughput_high_per_s"]) == pytest.approx((100.0, 100.0))
    assert "throughput_low_per_s" not in metrics_of(make_measurement(times=7))


def test_a_window_of_given_seconds_has_no_number_of_iterations_among_its_coordinates() -> None:
    run = make_measurement(times="auto", window="kept", window_s=10.0)
    assert "cell/times" not in metrics_of(run)
    assert params_of(run)["times"] == "auto"
    assert params_of(run)["window"] == "kept"


def test_the_second_of_two_equal_runs_is_told_from_the_first() -> None:
    assert "twin" not in params_of(make_measurement())
    assert params_of(make_measurement(twin=1))["twin"] == "1"


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_a_run_that_is_not_valid_has_no_metrics_whatever_is_known_of_it(verdict: Verdict) -> None:
    assert metrics_of(replace(make_measurement(), verdict=verdict)) == {}
    assert metrics_of(replace(evident(), verdict=verdict)) == {}


def test_params_are_what_one_filters_by() -> None:
    params = params_of(make_measurement(mps="on", procs=4, times=50, options={"b": 2, "a": 1}))
    assert params["mps"] == "on"
    assert (params["procs"], params["times"]) == ("4", "50")
    assert (params["model"], params["input"]) == ("maskrcnn_resnet50_fpn", "sample")
    assert params["device"] == "NVIDIA H100"
    assert params["options"] == '{"a": 1, "b": 2}'
    assert params_of(make_measurement(machine=replace(MACHINE, gpu=None)))["device"] == "cpu"


def test_a_long_param_is_cut_to_what_mlflow_takes() -> None:
    options = params_of(make_measurement(options={"text": "x" * 10_000}))["options"]
    assert len(options) == 500
    assert options.startswith('{"text": "xxx')
    assert options.endswith("xxx... (cut, 10012 characters)")
    whole = params_of(make_measurement(options={"text": "x" * 488}))["options"]
    assert (len(whole), whole[-2:]) == (500, '"}')


def test_a_tag_that_is_cut_says_so() -> None:
    tags = tags_of(replace(make_measurement(), notes=("y" * 9000,)))
    assert len(tags["notes"]) == 5000
    assert tags["notes"].endswith("yyy... (cut, 9000 characters)")


def test_tags_explain_verdict_proof_machine_and_origin() -> None:
    tags = tags_of(make_measurement(mps="on", contended=("process 9", "a daemon")))
    assert (tags["record_id"], tags["sweep_id"]) == ("record", "sweep")
    assert (tags["verdict"], tags["proof"]) == ("VALID", "on, seen during")
    assert tags["contended"] == "process 9; a daemon"
    assert (tags["gpu_uuid"], tags["driver"], tags["torch"]) == ("GPU-1", "580.1", "2.11")
    assert (tags["git_commit"], tags["git_dirty"]) == ("c0ffee", "False")
    assert tags["weights_sha256"] == "cd" * 32


def test_the_norm_layer_is_a_tag_where_the_record_has_it() -> None:
    measurement = make_measurement()
    (worker,) = measurement.workers
    assert worker.facts is not None
    assert "norm_layer" not in tags_of(measurement)
    facts = replace(worker.facts, torch_facts={"norm_layer": "FrozenBatchNorm2d"})
    told = replace(measurement, workers=(replace(worker, facts=facts),))
    assert tags_of(told)["norm_layer"] == "FrozenBatchNorm2d"


def test_what_is_not_known_has_no_tag() -> None:
    machine = replace(MACHINE, gpu=None, driver_version=None, git_commit=None, git_dirty=None)
    tags = tags_of(make_measurement(verdict=SKIPPED, machine=machine))
    assert (tags["gpu"], tags["contended"]) == ("none", "no")
    assert not {"gpu_uuid", "driver", "git_commit", "git_dirty", "proof", "weights_sha256"} & set(tags)
    assert tags["verdict_reason"] == "MPS needs an NVIDIA GPU"


def test_a_sweep_has_its_runs_machine_and_the_number_of_each_verdict() -> None:
    other = replace(MACHINE, driver_version="590.2", git_commit=None)
    cells = [
        make_measurement("a"),
        make_measurement("b"),
        make_measurement("c", verdict=SKIPPED, machine=other),
    ]
    assert sweep_tags(cells) == {
        "gpu": "NVIDIA H100",
        "driver": "580.1, 590.2",
        "torch": "2.11",
        "host": "host",
        "mps_experiments": "0.1.0",
        "git_commit": "c0ffee",
        "verdict": "2 VALID, 1 SKIPPED",
    }
    assert sweep_tags([]) == {}


def test_a_factor_is_a_param_and_its_number_a_metric() -> None:
    run = make_measurement(batch=8)
    assert params_of(run)["batch"] == "8"
    assert metrics_of(run)["cell/batch"] == 8
    assert metrics_of(run)["throughput_per_s"] == pytest.approx(
        8 * metrics_of(make_measurement())["throughput_per_s"]
    )
