"""What two runs must agree in, and what is said of what differs."""

from dataclasses import replace

import pytest

from mps_experiments.analysis.keys import comparison_keys, differing_keys, table_key
from mps_experiments.record.measurement import Measurement
from tests.records import GPU, INPUTS, MACHINE, make_measurement


def with_facts(**torch_facts: str) -> Measurement:
    measurement = make_measurement()
    (worker,) = measurement.workers
    assert worker.facts is not None
    return replace(
        measurement, workers=(replace(worker, facts=replace(worker.facts, torch_facts=torch_facts)),)
    )


def with_environment(**variables: str) -> Measurement:
    return make_measurement(machine=replace(MACHINE, environment=variables))


def differing(own: Measurement, other: Measurement) -> list[str]:
    return differing_keys(comparison_keys(own), comparison_keys(other))


def test_an_earlier_record_of_the_same_pixels_is_in_the_same_table() -> None:
    earlier, now = make_measurement(), make_measurement(inputs=(replace(INPUTS[0], width=640, height=427),))
    assert table_key(earlier) == table_key(now)
    assert comparison_keys(earlier) == comparison_keys(now)


def test_the_number_of_processes_and_of_the_repeat_may_differ() -> None:
    assert comparison_keys(make_measurement(procs=4, repeat=2)) == comparison_keys(make_measurement())


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (
            make_measurement(machine=replace(MACHINE, driver_version="575.2")),
            "driver (575.2 against 580.1)",
        ),
        (make_measurement(cpu_affinity="none"), "cpu_affinity (none against auto)"),
        (make_measurement(verbose=True), "verbose (true against false)"),
        (make_measurement(warmup=9), "warmup (9 against 2)"),
        (make_measurement(inputs=()), "input (none against sample abababababababab)"),
        (
            make_measurement(inputs=(replace(INPUTS[0], width=640, height=427, read_as="CMYK to RGB"),)),
            "input (sample abababababababab CMYK to RGB against sample abababababababab)",
        ),
        (make_measurement(options={"batch": 8}), 'options ({"batch": 8} against none)'),
        (
            replace(make_measurement(), weights_file_sha256="0123456789abcdef" * 4),
            "weights (random 0123456789abcdef against random)",
        ),
        (with_facts(torch="2.11", cudnn="91002"), "cudnn (91002 against none)"),
        (with_facts(torch="2.11", cuda="13.0"), "cuda (13.0 against none)"),
        (
            make_measurement(device="GPU-2", machine=replace(MACHINE, gpu=replace(GPU, uuid="GPU-2"))),
            "gpu (NVIDIA H100 GPU-2 against NVIDIA H100 GPU-1)",
        ),
        (
            make_measurement(device="cpu", machine=replace(MACHINE, gpu=None)),
            "gpu (cpu against NVIDIA H100 GPU-1)",
        ),
        (
            make_measurement(machine=replace(MACHINE, usable_cores=(0,))),
            "cpu (a CPU, 1 cores usable against a CPU, 3 cores usable)",
        ),
        (with_environment(OMP_NUM_THREADS="1"), 'environment ({"OMP_NUM_THREADS": "1"} against none)'),
        (
            replace(make_measurement(), config={"workload": {"synchronize": "device"}}),
            "workload.synchronize (device against none)",
        ),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else "",
)
def test_what_differs_is_named_with_both_values(own: Measurement, expected: str) -> None:
    assert differing(own, make_measurement()) == [expected]


def test_of_options_only_the_different_ones_are_shown() -> None:
    one, two = make_measurement(options={"a": 1, "b": 2}), make_measurement(options={"b": 3, "a": 1})
    assert differing(one, two) == ['options ({"b": 2} against {"b": 3})']
    assert differing(one, make_measurement(options={"b": 2, "a": 1})) == []


def test_variables_that_only_choose_the_gpu_or_the_daemon_may_differ() -> None:
    own = with_environment(CUDA_VISIBLE_DEVICES="0", CUDA_MPS_PIPE_DIRECTORY="/tmp/nvidia-mps")
    assert differing(own, make_measurement()) == []


def configured(group: str, name: str, value: object) -> Measurement:
    return replace(make_measurement(cpu_affinity="rotate"), config={group: {name: value}})


@pytest.mark.parametrize(
    ("group", "name", "one", "two"),
    [
        ("workload", "synchronize", "stream", "device"),
        ("workload", "norm_layer", "auto", "batch"),
        ("workload", "weights_key", "model", "model_ema"),
        ("telemetry", "interval_s", 0.1, 0.5),
        ("workers", "rotate_s", 0.05, 0.4),
    ],
)
def test_an_option_that_acts_on_the_window_sets_runs_and_tables_apart(
    group: str, name: str, one: object, two: object
) -> None:
    own, other = configured(group, name, one), configured(group, name, two)
    assert differing(own, other) == [f"{group}.{name} ({one} against {two})"]
    assert table_key(own) != table_key(other)


@pytest.mark.parametrize(
    ("group", "name", "one", "two"),
    [
        ("trace", "iterations", 0, 10),
        ("validity", "drift_warn", 0.1, 0.2),
        ("workers", "stall_timeout_s", 10.0, 20.0),
        ("fault", "at", 1, 2),
        ("tracking", "uri", "", "elsewhere"),
    ],
)
def test_what_comes_after_the_window_or_judges_it_leaves_runs_comparable(
    group: str, name: str, one: object, two: object
) -> None:
    own, other = configured(group, name, one), configured(group, name, two)
    assert not differing(own, other)
    assert table_key(own) == table_key(other)
