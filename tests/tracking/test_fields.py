"""What of a record goes to MLflow."""

from dataclasses import replace

import pytest

from mps_experiments.tracking.fields import metrics_of, params_of, tags_of
from tests.records import INVALID, MACHINE, SKIPPED, make_measurement

UNITS = ("_s", "_ms", "_per_s", "_mib")


def test_every_metric_has_its_unit_in_its_name() -> None:
    names = metrics_of(make_measurement(procs=2))
    assert [name for name in names if not name.endswith(UNITS)] == []


def test_metrics_are_the_figures_of_the_run() -> None:
    metrics = metrics_of(make_measurement(procs=2, times=4, makespan_s=2.0))
    expected = {
        "makespan_s": 2.0,
        "throughput_per_s": 4.0,
        "start_skew_ms": 0.0,
        "latency/mean_ms": 500.0,
        "latency/p50_ms": 500.0,
        "latency/p95_ms": 500.0,
        "latency/p99_ms": 500.0,
        "latency/max_ms": 500.0,
        "overhead/total_s": 2.0,
        "overhead/environment_s": 0.5,
        "overhead/workers_s": 1.5,
    }
    for rank in range(2):
        expected |= {
            f"worker_{rank}/elapsed_s": 2.0,
            f"worker_{rank}/peak_rss_mib": 3072.0,
            f"worker_{rank}/torch_peak_mib": 2048.0,
        }
    assert metrics == pytest.approx(expected)


@pytest.mark.parametrize("verdict", [INVALID, SKIPPED])
def test_a_run_that_is_not_valid_has_no_metrics(verdict: object) -> None:
    assert metrics_of(replace(make_measurement(), verdict=verdict)) == {}  # type: ignore[arg-type]


def test_params_are_what_one_filters_by() -> None:
    params = params_of(make_measurement(mps="on", procs=4, times=50, options={"b": 2, "a": 1}))
    assert params["mps"] == "on"
    assert (params["procs"], params["times"]) == ("4", "50")
    assert (params["model"], params["input"]) == ("maskrcnn_resnet50_fpn", "sample")
    assert params["device"] == "NVIDIA H100"
    assert params["options"] == '{"a": 1, "b": 2}'
    assert params_of(make_measurement(machine=replace(MACHINE, gpu=None)))["device"] == "cpu"


def test_a_long_param_is_cut_to_what_mlflow_takes() -> None:
    assert len(params_of(make_measurement(options={"text": "x" * 10_000}))["options"]) == 500


def test_tags_explain_verdict_proof_machine_and_origin() -> None:
    tags = tags_of(make_measurement(mps="on", contended=("process 9", "a daemon")))
    assert (tags["record_id"], tags["sweep_id"]) == ("record", "sweep")
    assert (tags["verdict"], tags["proof"]) == ("VALID", "on, seen during")
    assert tags["contended"] == "process 9; a daemon"
    assert (tags["gpu_uuid"], tags["driver"], tags["torch"]) == ("GPU-1", "580.1", "2.11")
    assert (tags["git_commit"], tags["git_dirty"]) == ("c0ffee", "False")
    assert tags["weights_sha256"] == "cd" * 32


def test_what_is_not_known_has_no_tag() -> None:
    machine = replace(MACHINE, gpu=None, driver_version=None, git_commit=None, git_dirty=None)
    tags = tags_of(make_measurement(verdict=SKIPPED, machine=machine))
    assert (tags["gpu"], tags["contended"]) == ("none", "no")
    assert not {"gpu_uuid", "driver", "git_commit", "git_dirty", "proof", "weights_sha256"} & set(tags)
    assert tags["verdict_reason"] == "MPS needs an NVIDIA GPU"
